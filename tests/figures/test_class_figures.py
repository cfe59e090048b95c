"""ROC and precision-recall curves, and the scores of each class, against scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import (
    auc,
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from mlpexp.figures.class_curves import Curve, class_curves
from mlpexp.figures.class_scores import ClassScores, class_scores
from mlpexp.figures.importance import importance

Read = Callable[[Figure], list[str]]  # the fixture's


def predictions(n_classes: int, n: int = 300, *, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [n, C], many of them equal, that know something of the classes [n]."""
    draw = np.random.default_rng(n_classes)
    true = draw.permutation(np.arange(n) % n_classes)
    scores = draw.gamma(1, size=(n, n_classes)) + np.eye(n_classes)[true]
    probabilities = scores / scores.sum(1, keepdims=True)
    return (probabilities.round(2) if ties else probabilities), true


@pytest.mark.parametrize("kind", ["ties", "no ties", "constant", "perfect", "two rows"])
def test_curves_are_those_of_scikit_learn(kind: str) -> None:
    probabilities, true = predictions(2, 2 if kind == "two rows" else 300, ties=kind == "ties")
    scores, positive = probabilities[:, 1], true == 1
    scores = {"constant": np.full_like(scores, 0.3), "perfect": positive.astype(float)}.get(kind, scores)
    curve = Curve.of(scores, positive)
    assert curve is not None
    false_positive_rate, true_positive_rate, _ = roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rate, false_positive_rate)
    np.testing.assert_allclose(curve.true_positive_rate, true_positive_rate)
    precision, recall, _ = precision_recall_curve(positive, scores)
    np.testing.assert_allclose(curve.precision, precision[::-1])
    np.testing.assert_allclose(curve.true_positive_rate, recall[::-1])
    assert curve.auc == pytest.approx(roc_auc_score(positive, scores))
    assert curve.average_precision == pytest.approx(average_precision_score(positive, scores))


@pytest.mark.parametrize(("n_classes", "lines"), [(2, 1), (3, 4), (14, 11)])
def test_a_line_for_each_class_and_their_mean(n_classes: int, lines: int, read: Read) -> None:
    probabilities, true = predictions(n_classes)
    figure = class_curves(probabilities, true, ["no", "yes", *map(str, range(2, n_classes))], title="Test split")
    texts = read(figure)
    roc, recall = figure.axes
    assert len(roc.lines) == len(recall.lines) == lines + 1  # chance
    each = [true == c for c in range(n_classes)]
    areas = [roc_auc_score(of, probabilities[:, c]) for c, of in enumerate(each)]
    precision = [average_precision_score(of, probabilities[:, c]) for c, of in enumerate(each)]
    assert (f"yes: AUC {areas[1]:.3f}, AP {precision[1]:.3f}" in texts) == (areas[1] in sorted(areas)[:10])
    if n_classes == 2:
        assert np.asarray(recall.lines[-1].get_ydata()).tolist() == [0.5, 0.5]
        return
    assert f"macro average: AUC {np.mean(areas):.3f}, AP {np.mean(precision):.3f}" in texts
    # The areas under the drawn means are the means of the areas, up to the steps of their grid.
    x, y = (np.asarray(values, float) for values in roc.lines[-2].get_data())
    assert auc(x, y) == pytest.approx(np.mean(areas), abs=0.003)
    x, y = (np.asarray(values, float) for values in recall.lines[-2].get_data())
    assert auc(x, y) == pytest.approx(np.mean(precision), abs=0.01)


def test_curves_that_there_are_not(read: Read) -> None:
    probabilities, true = predictions(3)
    there = true != 2
    assert "macro average of 2 of 3 classes: AUC" in " ".join(
        read(class_curves(probabilities[there], true[there], list("abc")))
    )
    texts = read(class_curves(probabilities[:, :2], np.zeros(300, int), ["a", "b"]))
    assert not [text for text in texts if "AUC" in text]
    assert "no curves: probabilities are not finite" in read(class_curves(probabilities * np.nan, true, list("abc")))


@pytest.mark.parametrize("n_classes", [2, 10, 30])
def test_class_scores_are_those_of_scikit_learn(n_classes: int, read: Read) -> None:
    probabilities, true = predictions(n_classes)
    predicted = probabilities.argmax(1)
    predicted[predicted == 1] = 0  # class 1 has rows, and is never predicted
    counts = confusion_matrix(true, predicted, labels=range(n_classes))
    expected = precision_recall_fscore_support(true, predicted, labels=range(n_classes), zero_division=0.0)
    for values, of_sklearn in zip(vars(ClassScores.of(counts)).values(), expected, strict=False):
        np.testing.assert_allclose(values, of_sklearn)
    figure = class_scores(counts, [f"class {c} of somebody's own naming" for c in range(n_classes)], title="Test split")
    texts = read(figure)
    for panel, name, values in zip(figure.axes, ("precision", "recall", "F1"), expected, strict=False):
        assert [bar.get_width() for bar in panel.patches] == pytest.approx(values)  # type: ignore[attr-defined]
        assert f"{name}, mean {values.mean():.2f}" in texts
    assert sum(f"({counts[0].sum()} rows)" in text for text in texts)


def test_scores_that_there_are_not_are_dashes(read: Read) -> None:
    texts = read(class_scores(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]]), ["a", "b", "c"]))
    assert texts.count("–") == 3
    assert {"c (0 rows)", "recall, mean 0.88"} <= set(texts)


@pytest.mark.parametrize("n", [1, 20])
def test_importance_has_a_bar_and_an_interval_for_each_column(n: int, read: Read) -> None:
    means = np.linspace(0.3, -0.1, n)
    names = [f"column {k} of $ {'x' * 3 * k}" for k in range(n)]
    figure = importance(names, means, np.full(n, 0.05), axis="drop of R²", title="Permutation importance")
    texts = read(figure)
    (panel,) = figure.axes
    assert [bar.get_width() for bar in panel.patches] == pytest.approx(means)  # type: ignore[attr-defined]
    assert {"column 0 of $", "drop of R²", "95 % confidence interval over shuffles"} <= set(texts)
