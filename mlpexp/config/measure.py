"""What a claim is about: a number of each run, described in words.

MEASURE   a metric of the best weights, `accuracy/test`
        | first TAG | last TAG | max TAG | min TAG     of a column of metrics.csv, `last loss/val`
        | epochs                                       how many epochs the run went on for
        | epochs until TAG <= NUMBER (or >=)           the number of epochs + 1 where it was never reached
        | MEASURE less MEASURE | MEASURE over MEASURE  a difference, a ratio: `last loss/val less last loss/train`

Their values are those of comparison/measure.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from mlpexp.config.metric import METRICS, Metric
from mlpexp.errors import ConfigError

_UNTIL = re.compile(r"epochs until (\S+) (<=|>=) (\S+)")
_COLUMN = re.compile(r"(first|last|max|min) (.+)")


@dataclass(frozen=True)
class Measure:
    """A number of a run, as its `expression` says; `percent` where it is a share."""

    expression: str

    @property
    def percent(self) -> bool:
        return False

    def shown(self, value: float, *, difference: bool = False) -> str:
        """A value in few digits, with its unit; the difference of two shares is one of percentage points."""
        unit = "points" if difference else "%"
        text = f"{100 * value:.2f} {unit}" if self.percent else f"{value:.3g}"
        return text.replace("-", "−").replace("e−0", "e−")


@dataclass(frozen=True)
class BestWeights(Measure):
    """A metric of the best weights."""

    metric: Metric

    @property
    def percent(self) -> bool:
        return self.metric.percent


@dataclass(frozen=True)
class OfColumn(Measure):
    """One value of a column of metrics.csv."""

    which: Literal["first", "last", "max", "min"]
    tag: str

    @property
    def percent(self) -> bool:
        return self.tag in METRICS and METRICS[self.tag].percent


@dataclass(frozen=True)
class Epochs(Measure):
    """How many epochs a run went on for."""


@dataclass(frozen=True)
class EpochsUntil(Measure):
    """The first epoch in which a column is at most, or at least, a bound."""

    tag: str
    at_most: bool
    bound: float


@dataclass(frozen=True)
class Joined(Measure):
    """The difference of two measures, or their ratio."""

    left: Measure
    right: Measure
    ratio: bool

    @property
    def percent(self) -> bool:
        return not self.ratio and self.left.percent and self.right.percent


def parse_measure(expression: str) -> Measure:
    """The measure that an expression describes; ConfigError where it describes none."""
    for joined in (" less ", " over "):
        if joined in expression:
            left, right = map(parse_measure, expression.split(joined, 1))
            return Joined(expression, left, right, ratio=joined == " over ")
    if expression == "epochs":
        return Epochs(expression)
    if found := _UNTIL.fullmatch(expression):
        tag, sign, limit = found.groups()
        try:
            return EpochsUntil(expression, tag, sign == "<=", float(limit))
        except ValueError:
            raise ConfigError(f"measure={expression}: {limit} is not a number.") from None
    if found := _COLUMN.fullmatch(expression):
        return OfColumn(expression, cast(Literal["first", "last", "max", "min"], found[1]), found[2])
    if expression in METRICS:
        return BestWeights(expression, METRICS[expression])
    raise ConfigError(
        f"measure={expression}: is not a measure; examples: accuracy/test, last loss/val, epochs, epochs until "
        "loss/val <= 0.1, and two of them with less or over between."
    )
