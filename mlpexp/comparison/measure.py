"""What a claim is about: a number of each run, described in words.

MEASURE   a metric of the best weights, `accuracy/test`
        | first TAG | last TAG | max TAG | min TAG     of a column of metrics.csv, `last loss/val`
        | epochs                                       how many epochs the run went on for
        | epochs until TAG <= NUMBER (or >=)           one more than there were where it never came to that
        | MEASURE less MEASURE | MEASURE over MEASURE  a difference, a ratio: `last loss/val less last loss/train`

A run that diverged counts as a constant answer: its metrics, in columns too, are those of it, and it never comes to
what `until` waits for. Other columns and the number of its epochs have no value then.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from mlpexp.comparison.metric import LOSSES, SCORES, SPLITS, Metric
from mlpexp.comparison.runs import StoredRun
from mlpexp.errors import ConfigError

_OF_COLUMN: dict[str, Callable[[list[float]], float]] = {
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "max": max,
    "min": min,
}
_UNTIL = re.compile(r"epochs until (\S+) (<=|>=) (\S+)")


@dataclass(frozen=True)
class Measure:
    """A number of a run: `of` gives it, nan where the run lacks it; `percent` says that it is a share."""

    words: str
    of: Callable[[StoredRun], float]
    percent: bool = False

    def shown(self, value: float, *, difference: bool = False) -> str:
        """A value in few digits, with its unit; the difference of two shares is one of percentage points."""
        unit = "points" if difference else "%"
        text = f"{100 * value:.2f} {unit}" if self.percent else f"{value:.3g}"
        return text.replace("-", "−").replace("e−0", "e−")


def parse_measure(words: str) -> Measure:
    """The measure that the words describe; ConfigError where they describe none."""
    for joined, both in ((" less ", lambda a, b: a - b), (" over ", lambda a, b: a / b if b else math.nan)):
        if joined in words:
            left, right = map(parse_measure, words.split(joined, 1))
            return Measure(
                words, _both(both, left, right), percent=joined == " less " and left.percent and right.percent
            )
    if words == "epochs":
        return Measure(words, lambda run: math.nan if run.record.diverged else float(run.record.epochs_done))
    if found := _UNTIL.fullmatch(words):
        return _until(words, *found.groups())
    first, _, tag = words.partition(" ")
    if tag and first in _OF_COLUMN:
        return Measure(words, _of_column(first, tag), percent=tag.startswith("accuracy/"))
    if (metric := _metric(words)) is not None:
        return Measure(words, metric.counted, metric.percent)
    raise ConfigError(
        f"measure={words}: is none; such are accuracy/test, last loss/val, epochs, epochs until loss/val <= 0.1, and "
        "two of them with less or over between."
    )


def _metric(tag: str) -> Metric | None:
    name, _, split = tag.partition("/")
    return Metric(name, split) if name in (*SCORES, *LOSSES) and split in SPLITS else None


def _both(join: Callable[[float, float], float], left: Measure, right: Measure) -> Callable[[StoredRun], float]:
    return lambda run: join(left.of(run), right.of(run))


def _of_column(which: str, tag: str) -> Callable[[StoredRun], float]:
    metric = _metric(tag)

    def of(run: StoredRun) -> float:
        if run.record.diverged:
            return math.nan if metric is None else metric.of_constant(run)
        values = [value for value in run.history.get(tag, []) if math.isfinite(value)]
        return _OF_COLUMN[which](values) if values else math.nan

    return of


def _until(words: str, tag: str, sign: str, limit: str) -> Measure:
    try:
        bound = float(limit)
    except ValueError:
        raise ConfigError(f"measure={words}: {limit} is no number.") from None

    def of(run: StoredRun) -> float:
        if run.record.diverged:
            return float(run.record.config["epochs"] + 1)
        values = run.history.get(tag)
        if not values:
            return math.nan
        reached = [value <= bound if sign == "<=" else value >= bound for value in values]
        return float(reached.index(True) + 1 if True in reached else len(values) + 1)

    return Measure(words, of)
