"""Which figures a run has, by its task and the shape of its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.config.metric import METRICS, picking
from mlpexp.data.pixels import images_of
from mlpexp.figures.boundary import decision_boundary, grid
from mlpexp.figures.class_curves import class_curves
from mlpexp.figures.class_scores import MOST_CLASSES, class_scores
from mlpexp.figures.confusion import confusion
from mlpexp.figures.curves import curves
from mlpexp.figures.picture import Picture
from mlpexp.figures.predictions import MOST_BAR_PANELS, MOST_IMAGES, choose_examples, image_grid, probability_bars
from mlpexp.figures.regression import fitted_curve, line, predicted_against_true
from mlpexp.figures.sweeps.reliability import Reliability, reliability

if TYPE_CHECKING:
    from mlpexp.data.dataset import Data
    from mlpexp.run.results import Results


def pictures(
    results: Results, history: Mapping[str, Sequence[float]] | None, best_epoch: int, metric: str | None
) -> Iterator[tuple[str, Picture]]:
    """Names and pictures of a run, not drawn yet; without a `history` its curves are left out.

    `metric` is the config's, by which the best epoch was picked.
    """
    data = results.data
    if history is not None:
        best = _best_value(picking(metric, data.task), history, best_epoch)
        yield (
            "curves",
            Picture(curves, history, score=data.task.score, best_epoch=best_epoch, best=best, title=data.name),
        )
    if data.task.kind == "classification":
        counts = results.confusion(data.test)
        yield "confusion_matrix", Picture(confusion, counts, data.task.classes, title="Test split")
        yield "predictions", _predictions(results)
        if data.n_axes == 2:
            known = points(data)
            probabilities = results.predict(grid(known))
            yield (
                "decision_boundary",
                Picture(
                    decision_boundary,
                    probabilities,
                    known,
                    data.task.classes,
                    data.feature_names,
                    title=f"{data.name}: decision boundary",
                ),
            )
    elif data.n_axes == 1:
        known, exact = points(data), true_function(data)
        at = line(known)
        true = None if exact is None else exact(at)
        yield (
            "fitted_curve",
            Picture(
                fitted_curve,
                results.predict(at),
                known,
                true,
                data.feature_names[0],
                data.target_name,
                title=f"{data.name}: the function learned",
            ),
        )
    else:
        both = {
            name: (
                data.targets_in_own_units(split.y).numpy(),
                data.targets_in_own_units(results.outputs(split)).numpy(),
            )
            for name, split in data.splits().items()
        }
        targets = data.preprocessing.outputs
        for number, target in enumerate(targets):
            pairs = {name: (true[:, number], predicted[:, number]) for name, (true, predicted) in both.items()}
            which = f"_{number + 1}" if len(targets) > 1 else ""
            yield (
                f"predicted_against_true{which}",
                Picture(predicted_against_true, pairs, target.name, title=f"{data.name}: predictions of {target.name}"),
            )


def _best_value(name: str, history: Mapping[str, Sequence[float]], best_epoch: int) -> str:
    """What the best epoch was picked by, and its value there where the history has it: `val accuracy 96.65 %`."""
    metric, values = METRICS[f"{name}/val"], history.get(f"{name}/val", ())
    value = next((value for epoch, value in zip(history["epoch"], values, strict=False) if epoch == best_epoch), None)
    return metric.words if value is None else f"{metric.words} {metric.shown(value)}{' %' * metric.percent}"


def further_pictures(results: Results, title: str = "Test split") -> Iterator[tuple[str, Picture]]:
    """Names and pictures of a run's test rows that are not drawn of every run: they would take as long as the rest."""
    data = results.data
    if data.task.kind == "classification":
        probabilities = results.probabilities(results.outputs(data.test)).numpy()
        true = data.test.y.cpu().numpy()
        yield "class_curves", Picture(class_curves, probabilities, true, data.task.classes, title=title)
        if data.task.n_classes <= MOST_CLASSES:
            counts = results.confusion(data.test)
            yield "class_scores", Picture(class_scores, counts, data.task.classes, title=title)
        if results.temperature != 1:
            yield "reliability", _reliability(results, title)


def _reliability(results: Results, title: str) -> Picture:
    """How well a run is calibrated on the test split, with its temperature and without."""
    after, before = (one.calibration(results.data.test) for one in (results, replace(results, temperature=1.0)))
    shown = METRICS["calibration_error/test"].shown
    remark = f"T = {results.temperature:.3g}; error {shown(before.error)} → {shown(after.error)} %"
    found = Reliability(after.counts, after.confidence, after.accuracy, remark, before.known)
    return Picture(reliability, {title: found})


def points(data: Data) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Features [N, F] and targets in the data's own units, by split."""
    arrays: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    found = {}
    for name, split in data.splits().items():
        # Splits that are the same rows stay the same arrays, and are drawn once.
        key = id(split)
        if key not in arrays:
            arrays[key] = (data.features_in_own_units(split.x).numpy(), data.targets_in_own_units(split.y).numpy())
        found[name] = arrays[key]
    return found


def _predictions(results: Results) -> Picture:
    data = results.data
    outputs = results.outputs(data.test)
    probabilities = results.probabilities(outputs).numpy()
    predicted = results.objective.loss.predict(outputs).numpy()
    true = data.test.y.cpu().numpy()
    probability = probabilities[np.arange(len(true)), predicted]
    chosen = choose_examples(true, predicted, probability, MOST_IMAGES if data.image_shape else MOST_BAR_PANELS)
    x = data.features_in_own_units(data.test.take(data.test.y.new_tensor(chosen))).numpy()
    wrong = int((true != predicted).sum())
    title = f"Test split, {wrong:,} of {len(true):,} wrong"
    if wrong and len(chosen) < len(true):
        title += ": the most confident of these, then correct ones"
    if data.image_shape is not None:
        images = images_of(x, data.image_shape)
        shown = (true[chosen], predicted[chosen], probability[chosen])
        return Picture(image_grid, images, *shown, data.task.classes, title=title)
    labels = [_row_label(row) for row in x]
    return Picture(probability_bars, probabilities[chosen], true[chosen], data.task.classes, labels, title=title)


def _row_label(row: np.ndarray) -> str:
    """A sample in a few words: its first features."""
    shown = ", ".join(f"{value:.3g}" for value in row[:3])
    return f"({shown}{', …' if len(row) > 3 else ''})"


def true_function(data: Data) -> Callable[[np.ndarray], np.ndarray] | None:
    """The function [N, F] → [N, 1] that the data come from, of arrays, where it is known."""
    function = data.true_function
    if function is None:
        return None
    import torch

    return lambda x: function(torch.from_numpy(x)).numpy()
