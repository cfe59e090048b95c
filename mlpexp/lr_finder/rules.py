"""Rules that read a learning rate off a curve of loss against rate; none of them is always right.

All are functions of arrays: rates [n] that rise by the same factor from step to step, and smoothed mean losses [n]
of training at them (Smith 2017, arXiv 1506.01186). They look at the descent only: before it the rates are too small
to matter, after it an apparent fall is only the recovery from divergence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# The loss has begun to fall where it has lost this share of what it is to lose.
_BEGUN = 0.05
# It falls at all where it loses this share of what it was, and so many standard deviations of its noise, which the
# minimum of a hundred losses that do not fall exceeds once in a hundred times.
_LEAST_FALL, _LEAST_DEVIATIONS = 0.02, 4.0


@dataclass(frozen=True)
class Descent:
    """Where the smoothed loss falls: from the point `first` to its minimum, the point `last`.

    `complete` says whether the curve goes on behind the minimum, or ends because training failed right there.
    """

    first: int
    last: int
    complete: bool


def descent(losses: np.ndarray, smoothed: np.ndarray, beta: float, flat: int, complete: bool) -> Descent | None:
    """The descent of mean losses [n] and the same smoothed; None where they do not fall by more than noise.

    The loss before the descent is the mean over the first `flat` points. With `complete` a curve whose minimum is its
    last point is complete all the same.
    """
    if len(losses) <= flat:
        return None
    # The first smoothed values are means of a few losses, and as noisy as these.
    level, last = float(losses[:flat].mean()), flat + int(np.argmin(smoothed[flat:]))
    fall = level - float(smoothed[last])
    # Standard deviation of the difference of two means of independent losses: over `flat` of them, and smoothed.
    noise = float(losses[:flat].std(ddof=1)) * np.sqrt(1 / flat + (1 - beta) / (1 + beta))
    if not fall > max(_LEAST_FALL * level, _LEAST_DEVIATIONS * noise):
        return None
    above = np.flatnonzero(smoothed[: last + 1] >= level - _BEGUN * fall)
    first = int(above[-1]) if len(above) else 0
    return Descent(first, last, complete or last < len(smoothed) - 1)


def valley(rates: np.ndarray, smoothed: np.ndarray, found: Descent, reach: int) -> float | None:
    """The rate halfway down the longest run of falling losses: fastai's `valley`.

    The run is the longest strictly decreasing subsequence; with its last element at j and of length m, the rate is
    that of point j − m + ⌊m/3⌋ + ⌊m/6⌋ + 1. fastai looks for it from the first tenth of the curve on; where the loss
    falls a little all along, as on truth tables, the rate then depends on where the curve begins, and is often a
    hundred times too small. Here it is looked for in the descent. None where the descent is not complete.
    """
    if not found.complete:
        return None
    falling = smoothed[found.first : found.last + 1]
    # Length of the longest decreasing subsequence that ends at each point.
    lengths = np.ones(len(falling), dtype=int)
    for i in range(1, len(falling)):
        lengths[i] += np.max(lengths[:i], where=falling[:i] > falling[i], initial=0)
    end = int(np.argmax(lengths))
    m = int(lengths[end])
    return float(rates[found.first + end - m + m // 3 + m // 6 + 1])


def steepest(rates: np.ndarray, smoothed: np.ndarray, found: Descent, reach: int) -> float | None:
    """The rate in the descent at which the slope d loss / d log(rate) is least.

    The slope is that from `reach` points before to `reach` points behind, as far as the curve goes: between neighbours
    it would be mostly noise.
    """
    points = np.arange(found.first, found.last + 1)
    before, behind = np.maximum(points - reach, 0), np.minimum(points + reach, len(rates) - 1)
    slopes = (smoothed[behind] - smoothed[before]) / np.log(rates[behind] / rates[before])
    return float(rates[points[np.argmin(slopes)]])


def minimum(rates: np.ndarray, smoothed: np.ndarray, found: Descent, reach: int) -> float | None:
    """A tenth of the rate with the least smoothed loss: there training is about to diverge. None for an open end."""
    return float(rates[found.last]) / 10 if found.complete else None


@dataclass(frozen=True)
class Rule:
    """A way to read a rate off a curve, and in words what this rate is."""

    name: str
    meaning: str
    find: Callable[[np.ndarray, np.ndarray, Descent, int], float | None]


# The first of these that finds a rate is the one to begin with.
RULES = (
    Rule("valley", "halfway down the longest run of falling losses", valley),
    Rule("steepest", "where the loss falls fastest with log(lr)", steepest),
    Rule("minimum ÷ 10", "a tenth of the rate with the least loss", minimum),
)
