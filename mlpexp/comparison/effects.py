"""A full grid as a factorial design: the main effect of each key, and the interaction of each two keys."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlpexp.comparison.closed_test import holm
from mlpexp.comparison.runs import Repeat
from mlpexp.comparison.statistics import ALPHA, no_more_than_rounding, p_values
from mlpexp.comparison.summary import Summary
from mlpexp.config.metric import Metric

# With more keys, main effects are averages over so many settings that they describe few of them.
_MOST_KEYS = 3
# With fewer blocks, hardly any effect would be detected.
FEWEST_BLOCKS = 5


@dataclass(frozen=True)
class Grid:
    """Settings that are all combinations of the values of two or three keys.

    `scores` [n, values of the first key, values of the second key, …] are those of n blocks: the seeds and folds that
    all settings have.
    """

    values: dict[str, list[str]]
    blocks: list[Repeat]
    n_left_out: int  # seeds and folds that some setting lacks
    scores: np.ndarray
    overlap: float  # see `Repetition`

    def of(self, *keys: str) -> np.ndarray:
        """The scores averaged over all keys but these: [n, values of the first named key, …]."""
        names = list(self.values)
        others = tuple(1 + at for at, key in enumerate(names) if key not in keys)
        kept = [key for key in names if key in keys]
        return self.scores.mean(others).transpose(0, *(1 + kept.index(key) for key in keys))


@dataclass(frozen=True)
class Effect:
    """A main effect of one key, or an interaction of two keys.

    `p` is adjusted for all effects; None if there is no test. `means` are those of a main effect, by the key's value,
    best first.
    """

    keys: tuple[str, ...]
    p: float | None
    means: dict[str, float]
    n_blocks: int

    @property
    def seen(self) -> bool:
        return self.p is not None and self.p <= ALPHA


def full_grid(summaries: Sequence[Summary], keys: Sequence[str], metric: Metric) -> Grid | None:
    """The settings as a grid; None unless they are all combinations of the values of two or three keys.

    None too if there is no seed and fold that all settings have.
    """
    values = {key: sorted({summary.setting.values[key] for summary in summaries}, key=_order) for key in keys}
    sizes = [len(found) for found in values.values()]
    if not 2 <= len(keys) <= _MOST_KEYS or math.prod(sizes) != len(summaries):
        return None
    by_place = {
        tuple(values[key].index(summary.setting.values[key]) for key in keys): summary.values(metric)
        for summary in summaries
    }
    shared = set.intersection(
        *({block for block, v in found.items() if math.isfinite(v)} for found in by_place.values())
    )
    blocks = sorted(shared)
    if not blocks:
        return None
    by_setting = [by_place[place] for place in itertools.product(*map(range, sizes))]
    scores = np.array([[found[block] for found in by_setting] for block in blocks]).reshape(-1, *sizes)
    overlap = max(summary.repetition(metric).overlap for summary in summaries)
    n_left_out = len(set().union(*by_place.values())) - len(blocks)
    return Grid(values, blocks, n_left_out, scores, overlap)


def _order(text: str) -> tuple[bool, float, str]:
    """Sort key: numbers by their value, before texts."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


def effects(summaries: Sequence[Summary], keys: Sequence[str], metric: Metric) -> list[Effect]:
    """Main effects and two-way interactions of a full grid, by `effect_p`, adjusted together by `holm`.

    Empty if there are fewer than five blocks, if runs are left out, since the blocks would then be those of lucky
    seeds, or if datasets differ, since their scores are not on one scale.
    """
    if "dataset" in keys or any(summary.left_out for summary in summaries):
        return []
    grid = full_grid(summaries, keys, metric)
    if grid is None or len(grid.blocks) < FEWEST_BLOCKS:
        return []
    of = [*((key,) for key in keys), *itertools.combinations(keys, 2)]
    adjusted = holm([effect_p(grid.of(*chosen), grid.overlap) for chosen in of])
    sign = -1 if metric.higher_is_better else 1
    found = []
    for chosen, p in zip(of, adjusted, strict=True):
        means: dict[str, float] = {}
        if len(chosen) == 1:
            averages = zip(grid.values[chosen[0]], grid.of(*chosen).mean(0).tolist(), strict=True)
            means = dict(sorted(averages, key=lambda average: sign * average[1]))
        found.append(Effect(chosen, None if math.isnan(p) else float(p), means, len(grid.blocks)))
    return found


def effect_p(scores: np.ndarray, overlap: float = 0.0) -> float:
    """The p-value of a main effect in `scores` [n, a], or of an interaction in [n, a, b], of n blocks; nan: no test.

    dᵢ are the scores of block i minus their means over each key, with r = a − 1 or (a − 1)(b − 1) degrees of freedom;
    S is their covariance. F = |d̄|² / ((1/n + overlap) tr S) has ε r and ε r (n − 1) degrees of freedom. Without
    overlap this is the F-test of repeated measures; ε = (tr S)² / (r tr S²) corrects it for unequal variances
    (Greenhouse and Geisser 1959). In simulations (benchmarks/verdicts.py) its rate of false positives is at most 5.7 %,
    also if one of the values has four times the standard deviation. There it is 9 % with Huynh and Feldt's ε, and
    Hotelling's T² needs n > r and has less power. For two values it is the paired t-test, with the exceptions of
    `p_values`; `overlap` is that of `estimate`.
    """
    from scipy.special import fdtrc

    n, sizes = len(scores), scores.shape[1:]
    if set(sizes) == {2}:
        # An interaction of two keys with two values each compares the two diagonals of the table.
        first, second = (
            scores.T
            if len(sizes) == 1
            else (
                scores[:, [0, 1], [0, 1]].mean(1),
                scores[:, [0, 1], [1, 0]].mean(1),
            )
        )
        return float(p_values(first[None], second, overlap)[0])
    d = scores
    for axis in range(1, scores.ndim):
        d = d - d.mean(axis, keepdims=True)
    d = d.reshape(n, -1)
    mean = d.mean(0)
    if no_more_than_rounding(d - mean, scores):
        return 1.0 if no_more_than_rounding(mean, scores) else math.nan
    covariance = np.cov(d.T)
    trace = float(np.trace(covariance))
    df = trace**2 / float((covariance**2).sum())
    return float(fdtrc(df, df * (n - 1), float(mean @ mean) / ((1 / n + overlap) * trace)))
