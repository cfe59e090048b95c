"""How many seeds a difference takes to be seen, and what difference a number of seeds shows."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from mlpexp.comparison.statistics import ALPHA, t_quantile

if TYPE_CHECKING:
    import numpy as np

POWER = 0.8
# More than anybody trains.
MOST_SEEDS = 1000
# Below this many degrees of freedom the seeds' deviation is so uncertain that averaging over it says nothing.
_FEW = 4
_QUANTILES = 64


def sharing(n_tests: int, chosen: bool) -> float:
    """How many tests share the error rate where a difference is the only one that is true, or one of few.

    Against a baseline, all of them. Of all pairs, where the best was `chosen` by the runs, one true difference makes
    others true, and the closed test finds it at a level between α / n_tests and α: as if there were 0.4 times as many,
    by simulation (benchmarks/verdicts.py).
    """
    return max(1.0, 0.4 * n_tests) if chosen else float(n_tests)


def seeds_needed(size: float, sd: float, df: float, n_tests: float, overlap: float = 0.0) -> int | None:
    """The least n at which a true difference of `size` is found in 80 % of studies; None where no n ≤ 1000 is enough.

    `sd` is the deviation of paired differences, estimated with `df` degrees of freedom, `overlap` as in
    statistics.estimate. `n_tests` is how many tests share the error rate, see `sharing`.
    """
    if _power(size, sd, df, MOST_SEEDS, n_tests, overlap) < POWER:
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(size, sd, df, middle, n_tests, overlap) >= POWER else (middle, high)
    return high


def detectable(sd: float, df: float, n: float, n_tests: float, overlap: float = 0.0) -> float:
    """The least true difference that n seeds show in 80 % of studies; of n = inf, that of any number of seeds."""
    seeds = n if math.isfinite(n) else 1e6
    low, high = 0.0, sd
    while _power(high, sd, df, seeds, n_tests, overlap) < POWER:
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, sd, df, seeds, n_tests, overlap) >= POWER else (middle, high)
    return high


def _power(size: float, sd: float, df: float, n: float, n_tests: float, overlap: float) -> float:
    """The chance that a two-sided t-test of n pairs at level α / `n_tests` finds a difference of `size`.

    1 − F(t), F the noncentral t-distribution's, averaged over what the true deviation may be: df s²/σ² is χ². Taking
    s for σ would promise too much, since power is lost faster with too large a σ than it is won with too small a one.
    """
    from scipy.special import nctdtr

    error = _deviations(df) * sd * math.sqrt(1 / n + overlap)
    found = 1 - nctdtr(n - 1, abs(size) / error, t_quantile(n - 1, ALPHA / n_tests))
    # Far out scipy gives nan: all is found.
    return float(sum(1.0 if math.isnan(share) else share for share in found) / len(found))


@cache
def _deviations(df: float) -> np.ndarray:
    """σ / s at evenly spread quantiles of what it may be."""
    import numpy as np
    from scipy.special import chdtri

    if df < _FEW:
        return np.ones(1)
    return np.sqrt(df / chdtri(df, (np.arange(_QUANTILES) + 0.5) / _QUANTILES))
