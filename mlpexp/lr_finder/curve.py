"""The curve of a range test: the losses of every seed at each rate, their mean, smoothed, and where training fails.

n steps, K seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# The smoothed loss has diverged when it is this many times its least value (fastai, Lightning).
DIVERGED_AT = 4.0


@dataclass(frozen=True)
class Curve:
    """Rates [n], losses [n, K] of each seed (NaN once it has left), their mean [n], and that smoothed [n].

    `left` are the rates at which seeds had a loss that is not finite, by their position; `ending` says in words why
    there are no further steps, and is empty where the curve reaches the greatest rate.
    """

    rates: np.ndarray
    losses: np.ndarray
    mean: np.ndarray
    smoothed: np.ndarray
    beta: float
    left: dict[int, float]
    ending: str


def beta_for(steps: int) -> float:
    """β of the smoothing such that a mean reaches back over about a tenth of the steps, however many there are."""
    return max(0.0, 1 - 10 / steps)


def follow(rows: Iterable[np.ndarray], rates: np.ndarray, n_seeds: int, beta: float) -> Curve:
    """The curve that losses [K] make, step by step, at `rates`; it asks for no further ones once training has failed.

    The mean m_t is over the seeds whose loss has been finite so far. It is smoothed exponentially with bias
    correction: s_t = (1 − β)·Σ β^(t−i)·m_i / (1 − β^t).
    """
    alive = np.ones(n_seeds, dtype=bool)
    losses: list[np.ndarray] = []
    means: list[float] = []
    smoothed: list[float] = []
    left: dict[int, float] = {}
    sum_, least, ending = 0.0, math.inf, ""
    for rate, row in zip(rates, rows, strict=False):
        now = alive & np.isfinite(row)
        left |= {int(k): float(rate) for k in np.flatnonzero(alive & ~now)}
        alive = now
        if not alive.any():
            ending = f"the loss was not finite at lr {rate:.2g}"
            break
        losses.append(np.where(alive, row, np.nan))
        means.append(float(row[alive].mean()))
        sum_ = beta * sum_ + (1 - beta) * means[-1]
        smoothed.append(sum_ / (1 - beta ** len(means)))
        least = min(least, smoothed[-1])
        if smoothed[-1] > DIVERGED_AT * least:
            ending = f"the smoothed loss was more than {DIVERGED_AT:g} times its minimum at lr {rate:.2g}"
            break
    n = len(means)
    table = np.array(losses).reshape(n, n_seeds)
    return Curve(rates[:n], table, np.array(means), np.array(smoothed), beta, left, ending)
