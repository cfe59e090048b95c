"""Permutation importance: how much worse a network is judged where a column's values are shuffled among the rows.

R raw columns, K shuffles, N rows.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpexp.config.metric import KINDS, Kind
from mlpexp.engine.metrics import undefined
from mlpexp.errors import ConfigError
from mlpexp.run.files import no_formula
from mlpexp.run.results import Results

if TYPE_CHECKING:
    from mlpexp.figures.picture import Picture

N_SHUFFLES = 10
MOST_SHOWN = 20  # columns in the terminal and in the figure
LEVEL = 0.95


@dataclass(frozen=True)
class Importance:
    """The columns, the most important first, and by how much each shuffle makes `metric` worse: `changes` [R, K].

    The interval of a mean is about other shuffles of the same rows: other rows would differ by more.
    """

    metric: str
    rows: str  # which the network is judged on, in words
    columns: tuple[str, ...]
    changes: np.ndarray

    @property
    def kind(self) -> Kind:
        return KINDS[self.metric]

    @property
    def mean(self) -> np.ndarray:
        """[R]."""
        return self.changes.mean(1)

    @property
    def half_width(self) -> np.ndarray:
        """[R]: of the interval t₍K₋₁₎ · s/√K around the mean (Student 1908)."""
        from scipy.special import stdtrit

        k = self.changes.shape[1]
        return np.asarray(stdtrit(k - 1, (1 + LEVEL) / 2) * self.changes.std(1, ddof=1) / math.sqrt(k))

    @property
    def what(self) -> str:
        """What the numbers are."""
        return f"{'drop' if self.kind.higher_is_better else 'rise'} of {self.kind.words}"

    def csv(self) -> str:
        """All columns with the mean and its interval."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["column", "metric", "importance", "low", "high"])
        for name, mean, half in zip(self.columns, self.mean.tolist(), self.half_width.tolist(), strict=True):
            writer.writerow([no_formula(name), self.metric, mean, mean - half, mean + half])
        return text.getvalue()

    def picture(self) -> Picture:
        from mlpexp.figures.importance import importance
        from mlpexp.figures.picture import Picture

        scale = 100 if self.kind.percent else 1
        unit = " (percentage points)" if self.kind.percent else ""
        shown = slice(MOST_SHOWN)
        which = f"the first {MOST_SHOWN} of {len(self.columns)} columns, " if len(self.columns) > MOST_SHOWN else ""
        return Picture(
            importance,
            self.columns[shown],
            scale * self.mean[shown],
            scale * self.half_width[shown],
            axis=self.what + unit,
            title=f"Permutation importance, {which}{self.rows}",
        )


def permutation_importance(results: Results, metric: str, rows: str) -> Importance:
    """Of the columns of a run's test rows, which `rows` names; ConfigError for images, and where there is no `metric`.

    A raw column is shuffled by shuffling all inputs that are made of it, which is the same: the inputs of a row are
    made of its own values alone. The shuffles are those of scikit-learn's permutation_importance with random_state=0.
    """
    preprocessing, split = results.identity.preprocessing, results.data.test
    if preprocessing.image_shape is not None:
        raise ConfigError("--importance: is for columns of a table, and the run was trained on images.")
    base = results.metrics_of(split, (metric,))[metric]
    if not math.isfinite(base):
        why = undefined(results.task, split.y, rows).get(metric, "the network's outputs are not finite")
        raise ConfigError(f"--importance: there is no {KINDS[metric].words} on {rows}: {why}.")
    orders = [torch.from_numpy(order).to(split.device) for order in _shuffles(len(split))]
    sign = 1 if KINDS[metric].higher_is_better else -1
    x = split.x.clone()
    changes = np.empty((len(preprocessing.columns), N_SHUFFLES))
    for column, inputs in enumerate(preprocessing.inputs_of_columns):
        for number, order in enumerate(orders):
            x[:, inputs] = split.x[order, inputs]
            changes[column, number] = sign * (base - results.metrics_of(replace(split, x=x), (metric,))[metric])
        x[:, inputs] = split.x[:, inputs]
    ranked = np.argsort(-changes.mean(1), kind="stable")
    return Importance(metric, rows, tuple(preprocessing.names[column] for column in ranked), changes[ranked])


def _shuffles(n: int) -> Iterator[np.ndarray]:
    """K orders of n rows, the same for each column: each shuffles the one before."""
    # The generator of these is frozen: no version of numpy draws other numbers.
    draw = np.random.RandomState(np.random.RandomState(0).randint(2**31))
    step, order = np.arange(n), np.arange(n)
    for _ in range(N_SHUFFLES):
        draw.shuffle(step)
        order = order[step]
        yield order
