"""Rules that read a learning rate off a curve of loss against rate; none of them is always right.

Each finds a landmark of the curve (a function of arrays: rates [n] that rise by the same factor from step to step, and
smoothed mean losses [n] of training at them; Smith 2017, arXiv 1506.01186) and divides its rate. The divisors were
calibrated on curves of the default 300 steps (benchmarks/lr_find.py). Smoothing sees a landmark about a tenth of the
curve late, and the divisors make up for that too.
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
    `diverged` is the point behind the minimum at which the loss is back where it was before the descent, or the last
    point of a curve that ends because training failed; None where the curve has neither.
    """

    first: int
    last: int
    complete: bool
    diverged: int | None


def descent(losses: np.ndarray, smoothed: np.ndarray, beta: float, flat: int, failed: bool) -> Descent | None:
    """The descent of mean losses [n] and the same smoothed; None where they do not fall by more than noise.

    The loss before the descent is the mean over the first `flat` points. `failed` says that the curve ends because
    training failed.
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
    behind = np.flatnonzero(smoothed[last:] > level)
    end = len(smoothed) - 1
    diverged = last + int(behind[0]) if len(behind) else end if failed else None
    return Descent(first, last, failed or last < end, diverged)


def divergence(rates: np.ndarray, smoothed: np.ndarray, found: Descent, reach: int) -> float | None:
    """The rate at which the loss is back where it was before the descent, or at which training failed.

    None where the curve ends before: the training set may be so small that it is learned by then.
    """
    return None if found.diverged is None else float(rates[found.diverged])


def steepest(rates: np.ndarray, smoothed: np.ndarray, found: Descent, reach: int) -> float | None:
    """The rate in the descent at which the slope d loss / d log(rate) is least.

    The slope is that from `reach` points before to `reach` points behind, as far as the curve goes: between neighbours
    it would be mostly noise.
    """
    points = np.arange(found.first, found.last + 1)
    before, behind = np.maximum(points - reach, 0), np.minimum(points + reach, len(rates) - 1)
    slopes = (smoothed[behind] - smoothed[before]) / np.log(rates[behind] / rates[before])
    return float(rates[points[np.argmin(slopes)]])


@dataclass(frozen=True)
class Rule:
    """A landmark of the curve, where that is in words, by what its rate is divided, and what for."""

    landmark: Callable[[np.ndarray, np.ndarray, Descent, int], float | None]
    where: str
    divisor: int
    meant_for: str

    @property
    def name(self) -> str:
        name = self.landmark.__name__
        return name if self.divisor == 1 else f"{name} ÷ {self.divisor}"

    def find(self, rates: np.ndarray, smoothed: np.ndarray, found: Descent, reach: int) -> float | None:
        """The suggested rate; None where the curve lacks the landmark."""
        rate = self.landmark(rates, smoothed, found, reach)
        return None if rate is None else rate / self.divisor


# The first of these that finds a rate is the one to begin with. Divisors of 1, 3, 10, 30 and 100 were tried.
RULES = (
    Rule(divergence, "training diverges", 30, "to begin with"),
    Rule(steepest, "the loss falls fastest", 1, "if nothing diverges"),
)
