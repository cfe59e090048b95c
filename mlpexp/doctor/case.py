"""A case: all that the doctor knows of a run that has ended. No torch: rules are tried on cases written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mlpexp.config.schema import Config

# Below these scores a run counts as one that has learned little. Over five seeds the bundled data sets with their
# defaults ended at accuracies from 0.973 (moons) and R² from 0.88 (sine), digits with adagrad, the slowest optimizer,
# at 0.932. Perceptrons, where the data are not linear, end at 0.85 and below, R² at 0.62.
GOOD = {"accuracy": 0.9, "r2": 0.7}


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
class Time:
    """Seconds that went into a run, by what; in a stack they are those of all its `members`, whose wall is shared."""

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
    majority: float = 0.0  # the share of the most frequent class; 0 in regression
    constant_loss: float = float("nan")  # the training loss of the best answer that looks at no input
    steps_per_epoch: int = 1
    layers: list[Layer] = field(default_factory=list)
    failure: str | None = None
    diverged: bool = False  # whether the failure is a loss that was not finite
    time: Time = field(default_factory=lambda: Time({}))
    multiplications: int = 0  # of a step of the stack: members × batch size × parameters
    idle_gpu: str | None = None  # a GPU that this machine has and the run did not use

    def column(self, tag: str) -> np.ndarray:
        """The values of a column by epoch; empty where there is none."""
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
        """How many the run has behind it."""
        return len(self.train_loss)

    def late(self, values: np.ndarray, share: float = 0.2) -> np.ndarray:
        """The last `share` of an array over epochs, of at least one."""
        return values[-max(1, round(share * len(values))) :]

    @property
    def poor(self) -> bool:
        """Whether the run has learned little in the end: neither split reaches `GOOD`.

        Not the training score alone, which dropout, mixup and noise keep down.
        """
        return self.level < GOOD[self.score]

    @property
    def level(self) -> float:
        """The better of the two splits' scores, over the last fifth of the epochs."""
        return float(max(self.late(self.train_score).mean(), self.late(self.val_score).mean()))
