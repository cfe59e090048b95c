"""A case: all that the doctor knows of a run that has ended. No torch: tests of the rules write cases by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mlpexp.config.schema import Config

# Below these scores a run counts as one that has learned little. Over five seeds the bundled data sets with their
# defaults ended at accuracies from 0.973 (moons) and R² from 0.88 (sine), digits with adagrad, the slowest optimizer,
# at 0.932. Perceptrons, where the data are not linear, end at 0.85 and below, R² at 0.62.
GOOD = {"accuracy": 0.9, "r2": 0.7}
# And, at any score, where it has found less than this share of what one answer for all rows gets wrong: where
# 95 % of the rows are of one class, a network that answers that class for all of them is at 0.95, and one that finds
# a twentieth of the others at 0.9525.
_FOUND = 0.05


@dataclass(frozen=True)
class Layer:
    """A layer with parameters, as the run left it."""

    name: str
    n_parameters: int
    rms: float  # of the parameters
    hidden: bool  # a linear layer before an activation
    n_units: int = 1
    symmetric: bool = False  # all its units have the same incoming weights


@dataclass(frozen=True)
class RareClass:
    """A class of far fewer rows than others: its share of the training rows, and what becomes of its validation rows.

    `recall` is the share of these that is predicted right with the best weights, and `accuracy` that of all rows.
    """

    name: str
    share: float
    n_val: int
    recall: float
    accuracy: float


@dataclass(frozen=True)
class Time:
    """Seconds of a run, by activity; in a stack they are those of all its `members`, which share the wall time."""

    seconds: Mapping[str, float]
    members: int = 1

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Case:
    """A run: its config, its history, and what was measured once, at its end.

    `history` are the columns of metrics.csv; nan where an epoch did not measure a value.
    """

    config: Config
    history: Mapping[str, list[float]]
    score: str  # accuracy or r2
    n_train: int
    n_val: int
    val_is_train: bool = False  # as in truth tables
    majority: float = 0.0  # the share of the most frequent class of the training rows; 0 in regression
    val_majority: float = 0.0  # the share of that same class among the validation rows
    rare: RareClass | None = None  # of the rare ones that which is predicted worst
    constant_loss: float = float("nan")  # the training loss of the best answer that looks at no input
    steps_per_epoch: int = 1
    layers: list[Layer] = field(default_factory=list)
    failure: str | None = None
    diverged: bool = False  # whether the failure is a loss that was not finite
    time: Time = field(default_factory=lambda: Time({}))
    multiplications: int = 0  # of a step of the stack: members × batch size × parameters
    idle_gpu: str | None = None  # a GPU that this machine has and the run did not use

    def column(self, tag: str) -> np.ndarray:
        """The values of a column by epoch; empty where it is missing."""
        return np.asarray(self.history.get(tag, ()), dtype=np.float64)

    def measured(self, tag: str) -> np.ndarray:
        """Of a column that is not measured at every epoch, the values that there are."""
        values = self.column(tag)
        return values[~np.isnan(values)]

    @cached_property
    def train_loss(self) -> np.ndarray:
        return self.column("loss/train")

    @cached_property
    def val_loss(self) -> np.ndarray:
        return self.column("loss/val")

    @cached_property
    def train_score(self) -> np.ndarray:
        return self.column(f"{self.score}/train")

    @cached_property
    def val_score(self) -> np.ndarray:
        return self.column(f"{self.score}/val")

    @property
    def epochs(self) -> int:
        """The number of epochs that the run has trained."""
        return len(self.train_loss)

    def tail(self, values: np.ndarray, share: float = 0.2) -> np.ndarray:
        """The last `share` of an array over epochs, of at least one."""
        return values[-max(1, round(share * len(values))) :]

    @property
    def score_name(self) -> str:
        return "accuracy" if self.score == "accuracy" else "R²"

    @property
    def constant_answer(self) -> str:
        """The answer for all rows that scores are measured against, in words."""
        return "always the same class" if self.score == "accuracy" else "always the mean"

    @property
    def late_epochs(self) -> str:
        """The epochs that scores in the end are means over, in words."""
        n = len(self.tail(self.train_loss))
        return "the last epoch" if n == 1 else f"the last {n} epochs"

    @property
    def low_score(self) -> bool:
        """Whether the run has learned little in the end: neither split reaches `GOOD`, or both are `constant`.

        Not the training score alone, which dropout, mixup and noise keep down.
        """
        return self.final_score < GOOD[self.score] or self.constant

    @property
    def weighted(self) -> bool:
        """Whether rows count by their class: then accuracy is not what has been trained for."""
        return getattr(self.config.loss, "class_weight", None) is not None

    @property
    def constant(self) -> bool:
        """Whether no split is predicted better, over the last fifth of the epochs, than by one answer for all rows.

        That is the most frequent class of the training rows, or their mean, whose R² on them is 0. A split on which
        that answer is always right is not evidence.
        """
        told = [(score, baseline) for score, baseline in self._late_scores if baseline < 1]
        return not self.weighted and bool(told) and not any(_better(score, baseline) for score, baseline in told)

    @property
    def memorised(self) -> bool:
        """Whether training rows are predicted better than by one answer for all, and validation rows are not."""
        if self.weighted or self.val_is_train or len(self._late_scores) < 2:
            return False
        (train, of_train), (val, of_val) = self._late_scores
        return of_val < 1 and _better(train, of_train) and not _better(val, of_val)

    @property
    def _late_scores(self) -> list[tuple[float, float]]:
        """Of each split that has a score its mean over the last fifth of the epochs, and that of one answer for all."""
        splits = ((self.train_score, self.majority), (self.val_score, self.val_majority))
        means = [(float(self.tail(scores).mean()), baseline) for scores, baseline in splits if len(scores)]
        return [(mean, baseline) for mean, baseline in means if not math.isnan(mean)]

    @property
    def final_score(self) -> float:
        """The better of the two splits' scores, over the last fifth of the epochs; nan where neither has one."""
        return max((score for score, _ in self._late_scores), default=math.nan)


def _better(score: float, baseline: float) -> bool:
    return score - baseline >= _FOUND * (1 - baseline)


@dataclass(frozen=True)
class Evidence:
    """That a case has a symptom: the evidence in numbers, and remedies, the most promising first.

    A remedy that the config leaves no room for is None.
    """

    evidence: str
    remedies: Sequence[str | None] = ()


@dataclass(frozen=True)
class Symptom:
    """Something that can be wrong with a run.

    `rule` gives the evidence, or None where a run does not have it. The symptoms that it `explains` are consequences,
    and are not looked for in a run that has it.
    """

    name: str
    meaning: str
    rule: Callable[[Case], Evidence | None]
    explains: tuple[str, ...] = ()


def number(value: float) -> str:
    """A number in three digits."""
    return f"{value:.3g}"


def change(before: float, after: float) -> str:
    """From one value to another, in per cent."""
    if before == 0:
        return "from nothing"
    return f"{100 * (after / before - 1):+.0f} %".replace("-", "−")


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
