"""Power analysis: the number of seeds that detect a difference, and the difference that a number of seeds detects."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from mlpexp.comparison.statistics import ALPHA, t_quantile

if TYPE_CHECKING:
    import numpy as np

POWER = 0.8
# The largest number of seeds that is considered.
MOST_SEEDS = 1000
# With fewer degrees of freedom the standard deviation is too uncertain to average over its distribution.
_FEW = 4
_QUANTILES = 64


def sharing(n_tests: int, chosen: bool) -> float:
    """The number of tests that share the error rate, if only one or a few of the differences are true.

    Against a baseline it is the number of all tests. For all pairs, where the best setting was `chosen` by the runs,
    one true difference implies others, and the closed test detects it at a level between α / n_tests and α. In
    simulations (benchmarks/verdicts.py) this is as if there were 0.4 times as many tests.
    """
    return max(1.0, 0.4 * n_tests) if chosen else float(n_tests)


def seeds_needed(size: float, sd: float, df: float, n_tests: float, overlap: float = 0.0) -> int | None:
    """The smallest n that detects a true difference of `size` with power 0.8; None if no n ≤ 1000 is enough.

    `sd` is the standard deviation of paired differences, estimated with `df` degrees of freedom; `overlap` is as in
    statistics.estimate. `n_tests` tests share the error rate, see `sharing`.
    """
    if _power(size, sd, df, MOST_SEEDS, n_tests, overlap) < POWER:
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(size, sd, df, middle, n_tests, overlap) >= POWER else (middle, high)
    return high


def detectable(sd: float, df: float, n: float, n_tests: float, overlap: float = 0.0) -> float:
    """The smallest true difference that n seeds detect with power 0.8; for n = inf, the limit for many seeds."""
    seeds = n if math.isfinite(n) else 1e6
    low, high = 0.0, sd
    while _power(high, sd, df, seeds, n_tests, overlap) < POWER:
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, sd, df, seeds, n_tests, overlap) >= POWER else (middle, high)
    return high


def _power(size: float, sd: float, df: float, n: float, n_tests: float, overlap: float) -> float:
    """The power of a two-sided t-test of n pairs at level α / `n_tests` for a true difference of `size`.

    It is 1 − F(t), with F of the noncentral t-distribution, averaged over the distribution of the true standard
    deviation σ given the estimate s: df s²/σ² is χ² with df degrees of freedom. With σ = s the power would be
    overestimated: too large a σ costs more power than too small a σ gains.
    """
    from scipy.special import nctdtr

    error = _deviations(df) * sd * math.sqrt(1 / n + overlap)
    found = 1 - nctdtr(n - 1, abs(size) / error, t_quantile(n - 1, ALPHA / n_tests))
    # scipy gives nan for very large differences, whose power is 1.
    return float(sum(1.0 if math.isnan(share) else share for share in found) / len(found))


@cache
def _deviations(df: float) -> np.ndarray:
    """σ / s at evenly spaced quantiles of its distribution."""
    import numpy as np
    from scipy.special import chdtri

    if df < _FEW:
        return np.ones(1)
    return np.sqrt(df / chdtri(df, (np.arange(_QUANTILES) + 0.5) / _QUANTILES))
