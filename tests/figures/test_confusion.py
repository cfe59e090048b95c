"""The confusion matrix: numbers against scikit-learn and hand-worked values, names that are awkward, sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from mlpexp.figures.confusion import confusion, most_confused

Read = Callable[[Figure], list[str]]  # the fixture's

AWKWARD = ["a very long class name of somebody", "cost $5 to $10", "_hidden", "日本語の名前", ""]


def cells(figure: Figure, panel: int) -> dict[tuple[int, int], str]:
    """Texts by row and column."""
    return {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in figure.axes[panel].texts}


def values(figure: Figure, panel: int) -> np.ndarray:
    return np.asarray(figure.axes[panel].images[0].get_array())


def test_counts_and_shares_worked_out_by_hand(read: Read) -> None:
    figure = confusion(np.array([[6, 2], [1, 2]]), ["no", "yes"], title="Test split")
    texts = read(figure)
    assert cells(figure, 0) == {(0, 0): "6", (0, 1): "2", (1, 0): "1", (1, 1): "2"}
    assert cells(figure, 1) == {(0, 0): "75", (0, 1): "25", (1, 0): "33.3", (1, 1): "66.7"}
    np.testing.assert_allclose(values(figure, 1), [[0.75, 0.25], [1 / 3, 2 / 3]])
    assert {"Test split", "true class", "predicted class", "samples", "% of the true class"} <= set(texts)
    assert "Most confused (true → predicted): no → yes (2×), yes → no (1×)" in texts


@pytest.mark.parametrize("n_classes", [2, 10, 13, 30, 31, 100])
def test_any_number_of_classes_can_be_read(n_classes: int, read: Read) -> None:
    generator = np.random.default_rng(n_classes)
    true, guess = generator.integers(0, n_classes, (2, 30 * n_classes))
    predicted = np.where(generator.random(len(true)) < 0.9, true, guess)
    counts = confusion_matrix(true, predicted, labels=range(n_classes))
    figure = confusion(counts, [f"class {k}" for k in range(n_classes)])
    texts = read(figure)
    np.testing.assert_array_equal(values(figure, 0), counts)
    np.testing.assert_allclose(
        values(figure, 1), confusion_matrix(true, predicted, labels=range(n_classes), normalize="true")
    )
    shown = cells(figure, 0)
    if n_classes > 30:
        assert not shown
        assert len(figure.axes) == 4  # two panels, two colour scales
    else:
        assert {cell: int(text) for cell, text in shown.items() if text != "0"} == {
            (i, j): counts[i, j] for i, j in np.argwhere(counts).tolist()
        }
    assert texts.count("class 0") == 3


def test_row_without_samples_is_zero() -> None:
    figure = confusion(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 2]]), ["a", "b", "c"])
    np.testing.assert_array_equal(values(figure, 1)[1], [0, 0, 0])


@pytest.mark.parametrize("n_classes", [1, 2, 40])
def test_no_sample_at_all(n_classes: int, read: Read) -> None:
    texts = read(confusion(np.zeros((n_classes, n_classes), int), [str(k) for k in range(n_classes)]))
    assert "No mistakes in 0 samples." in texts


def test_awkward_names(read: Read) -> None:
    counts = np.arange(25).reshape(5, 5) * 97
    texts = read(confusion(counts, AWKWARD, title=r"$\frac{a}{b}$ of $x"))
    assert {"a very long cla…", "cost $5 to $10", "_hidden", "日本語の名前", "''", r"$\frac{a}{b}$ of $x"} <= set(texts)


def test_large_counts_fit_their_cells(read: Read) -> None:
    counts = np.full((10, 10), 12345)
    figure = confusion(counts, [str(k) for k in range(10)])
    read(figure)
    assert len(figure.axes[0].texts) == 100
    assert not confusion(np.full((30, 30), 12345), [str(k) for k in range(30)]).axes[0].texts  # none would fit


def test_numbers_stand_out_from_their_cells() -> None:
    figure = confusion(np.array([[10, 0], [0, 10]]), ["a", "b"])
    assert {t.get_text(): t.get_color() for t in figure.axes[0].texts} == {"10": "white", "0": "#262626"}


def test_most_confused() -> None:
    counts = np.array([[50, 1, 4], [4, 60, 0], [7, 0, 9]])
    assert most_confused(counts, "abc") == [("c", "a", 7), ("a", "c", 4), ("b", "a", 4)]
    assert most_confused(counts, "abc", top=1) == [("c", "a", 7)]
    assert most_confused(np.diag([3, 4, 5]), "abc") == []
    assert counts[0, 0] == 50
