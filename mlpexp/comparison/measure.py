"""The values of claims' measures (config/measure.py) in stored runs.

A run that diverged counts as a constant answer: its metrics, in columns too, are those of that answer, and it never
reaches the bound of `until`. Its other columns and its number of epochs have no value.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mlpexp.comparison.runs import StoredRun
from mlpexp.config.measure import BestWeights, Epochs, EpochsUntil, Joined, Measure, OfColumn
from mlpexp.config.metric import METRICS

_OF_COLUMN: dict[str, Callable[[list[float]], float]] = {
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "max": max,
    "min": min,
}


def measured(measure: Measure, run: StoredRun) -> float:
    """The value of a measure in a run; nan where the run has none."""
    match measure:
        case BestWeights(metric=metric):
            return run.counted_value(metric)
        case OfColumn():
            return _of_column(measure, run)
        case Epochs():
            return math.nan if run.record.diverged else float(run.record.epochs_done)
        case EpochsUntil():
            return _until(measure, run)
        case Joined(left=left, right=right, ratio=ratio):
            a, b = measured(left, run), measured(right, run)
            if ratio:
                return a / b if b else math.nan
            return a - b
        case _:
            raise TypeError(f"{measure} is not a measure of a run")


def _of_column(measure: OfColumn, run: StoredRun) -> float:
    if run.record.diverged:
        metric = METRICS.get(measure.tag)
        return math.nan if metric is None else run.constant_value(metric)
    values = [value for value in run.history.get(measure.tag, []) if math.isfinite(value)]
    return _OF_COLUMN[measure.which](values) if values else math.nan


def _until(measure: EpochsUntil, run: StoredRun) -> float:
    if run.record.diverged:
        return float(run.record.config["epochs"] + 1)
    values = run.history.get(measure.tag)
    if not values:
        return math.nan
    reached = [value <= measure.bound if measure.at_most else value >= measure.bound for value in values]
    return float(reached.index(True) + 1 if True in reached else len(values) + 1)
