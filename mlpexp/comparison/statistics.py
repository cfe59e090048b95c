"""Means and differences over seeds: intervals, tests, effect sizes.

S settings, N seeds. scipy.special holds the distributions; scipy.stats would take half a second more to import.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

LEVEL = 0.95  # of confidence, in all intervals
ALPHA = 0.05  # the chance of a false "more than noise"
# Metrics are computed in 32 bits: what differs by less than this share of their size is the same number.
_RESOLUTION = 1e-6
# Two outcomes, such as learned and not learned, differ by this share of their size at least.
_APART = 0.05


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds. `sd` is None for one seed; `interval` (of confidence) for one, and for seeds all alike.

    `half_width` is that of a symmetric interval; near a bound, such as 100 %, it may reach past it. `outcomes` are the
    two values that the seeds have, where there are no others, and how many have each.
    """

    n: int
    mean: float
    sd: float | None
    half_width: float | None
    least: float
    most: float
    interval: tuple[float, float] | None = None
    outcomes: tuple[tuple[float, int], tuple[float, int]] | None = None


def estimate(
    values: Sequence[float], level: float = LEVEL, overlap: float = 0.0, *, exact: bool = True
) -> Estimate | None:
    """Mean and confidence interval x̄ ± t₍ₙ₋₁,₍₁₊level₎/₂₎ · s·√(1/n + overlap), for values that are near normal.

    It is Student's (1908) where `overlap` is 0. Values of runs on overlapping training sets vary together: n_test /
    n_train is added for them (Nadeau and Bengio 2003; for repeated cross-validation Bouckaert and Frank 2004). Of two
    outcomes, `two_outcomes`, the interval is that of their share where it is to be `exact` (Clopper and Pearson 1934).

    None without values. Neither one value nor values that are all alike have an interval: nothing says how much
    another seed would differ.
    """
    x = np.asarray(values, dtype=float)
    if not len(x):
        return None
    n, mean, least, most = len(x), float(x.mean()), float(x.min()), float(x.max())
    if n < 2:
        return Estimate(1, mean, None, None, mean, mean)
    sd = float(x.std(ddof=1))
    if not has_spread(values):
        return Estimate(n, mean, sd, None, least, most)
    if exact and not overlap and (found := two_outcomes(values)) is not None:
        (low, _), (high, k) = found
        share = share_interval(k, n, level)
        interval = low + (high - low) * share[0], low + (high - low) * share[1]
        return Estimate(n, mean, sd, None, least, most, interval, found)
    half_width = t_quantile(n - 1, 1 - level) * standard_error(sd, n, overlap)
    return Estimate(n, mean, sd, half_width, least, most, (mean - half_width, mean + half_width))


def two_outcomes(values: Sequence[float]) -> tuple[tuple[float, int], tuple[float, int]] | None:
    """The lower and the higher of two values, and how many have each; None where there are others, or two in all.

    Values that differ by less than 5 % are not two outcomes: scores on few test rows tie by chance.
    """
    x = np.asarray(values, dtype=float)
    low, high = float(x.min()), float(x.max())
    size = max(abs(low), abs(high))
    near_high = high - x <= _RESOLUTION * size
    if len(x) < 3 or high - low < _APART * size or not (near_high | (x - low <= _RESOLUTION * size)).all():
        return None
    return (low, int((~near_high).sum())), (high, int(near_high.sum()))


def standard_error(sd: float, n: int, overlap: float) -> float:
    """Of a mean of n values; see `estimate`."""
    return sd * math.sqrt(1 / n + overlap)


def t_quantile(df: float, alpha: float) -> float:
    """What |t| exceeds in a share `alpha` of cases."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 1 - alpha / 2))


@dataclass(frozen=True)
class Difference:
    """How far values lie from those of a reference; see `difference`.

    `case` says what could be computed: "tested"; "no pairs", of which one has a single seed or none; "one pair",
    which has no interval; "equal", no difference in any pair; "constant", differences without spread, which have no
    interval, and unpaired no test. Paired, `n` counts the pairs, `higher` and `lower` those where the values are so;
    unpaired, `n` counts the values, and `n_reference` those of the reference. `sd` is that of the paired differences;
    `error` the standard error of their mean, `df` its degrees of freedom, `overlap` that of `estimate`.
    """

    case: Literal["tested", "no pairs", "one pair", "equal", "constant"]
    n: int
    mean: float | None = None
    half_width: float | None = None
    p: float | None = None
    effect: float | None = None
    n_reference: int | None = None
    higher: int = 0
    lower: int = 0
    sd: float | None = None
    error: float | None = None
    df: float | None = None
    overlap: float = 0.0
    skew: float = 0.0

    @property
    def paired(self) -> bool:
        return self.n_reference is None

    @property
    def interval(self) -> tuple[float, float] | None:
        if self.mean is None or self.half_width is None:
            return None
        return self.mean - self.half_width, self.mean + self.half_width


def difference(
    values: Sequence[float], reference: Sequence[float], level: float = LEVEL, overlap: float = 0.0
) -> Difference:
    """The mean difference with its confidence interval and test: paired by seed, or unpaired where that cannot be.

    `values` [N] and `reference` [N] belong to the same seeds; nan where a seed is missing. Two seeds in common and
    more are compared as pairs dᵢ = valuesᵢ − referenceᵢ: t = d̄ / (s·√(1/n + overlap)) with n − 1 degrees of freedom,
    two-sided (see `estimate`); the effect size is Cohen's d_z = d̄/s with Hedges' correction. Where there are fewer, but
    two values on each side, it is Welch's t-test (1947), which has no effect size here.

    Pairs that differ by one and the same amount or not at all, as with two outcomes, do not follow a t-distribution:
    their p is that of the sign test where it is larger (McNemar 1947, mid-p as Lancaster 1961).
    """
    x, y = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    both = np.isfinite(x) & np.isfinite(y)
    d, n = (x - y)[both], int(both.sum())
    if n < 2 and min(np.isfinite(x).sum(), np.isfinite(y).sum()) >= 2:
        return _unpaired(x, y, level, overlap)
    if n == 0:
        return Difference("no pairs", 0)
    mean = float(d.mean())
    if n == 1:
        return Difference("one pair", 1, mean)
    resolution = _RESOLUTION * max(np.abs(x[both]).max(), np.abs(y[both]).max())
    if np.abs(d).max() <= resolution:
        return Difference("equal", n, 0.0, 0.0, p=1.0)
    p = float(p_values(x[None], y, overlap)[0])
    higher, lower = int((d > resolution).sum()), int((d < -resolution).sum())
    if np.ptp(d) <= resolution:
        return Difference("constant", n, mean, p=p, higher=higher, lower=lower, overlap=overlap)
    sd = float(d.std(ddof=1))
    error = standard_error(sd, n, overlap)
    correction = hedges_correction(n - 1)
    return Difference(
        "tested",
        n,
        mean,
        t_quantile(n - 1, 1 - level) * error,
        p,
        effect=None if correction is None else correction * mean / sd,
        higher=higher,
        lower=lower,
        sd=sd,
        error=error,
        df=n - 1,
        overlap=overlap,
        skew=skewness(d.tolist()),
    )


def _unpaired(x: np.ndarray, y: np.ndarray, level: float, overlap: float) -> Difference:
    counts = int(np.isfinite(x).sum()), int(np.isfinite(y).sum())
    (mean,), (error,), (df,) = _welch(x[None], y, overlap)
    p = float(p_values(x[None], y, overlap)[0])
    if math.isnan(p):
        return Difference("constant", counts[0], float(mean), n_reference=counts[1])
    half_width = t_quantile(df, 1 - level) * float(error)
    rest: dict[str, Any] = {"n_reference": counts[1], "error": float(error), "df": float(df), "overlap": overlap}
    return Difference("tested", counts[0], float(mean), half_width, p, **rest)


def simultaneous(found: Difference, decided: bool, n_tests: int) -> tuple[float, float] | None:
    """The confidence interval of a difference that holds together with those of all `n_tests` differences.

    It is Bonferroni's, d̄ ± t · error with the t that a test at α / n_tests asks for. Where the true means are does not
    matter: they shift the intervals with them, and all cover together in 94.5 to 96.5 % of studies
    (benchmarks/verdicts.py). The closed test finds more than these intervals exclude, and intervals that follow from
    such a test say of a decided difference no more than its sign until all are decided (Strassburger and Bretz 2008).
    So where the test has `decided` and the interval would reach past 0, it ends at 0. What is not decided holds 0.
    """
    if found.mean is None or found.error is None or found.df is None:
        return found.interval
    half_width = t_quantile(found.df, ALPHA / n_tests) * found.error
    low, high = found.mean - half_width, found.mean + half_width
    if not decided:
        return min(low, 0.0), max(high, 0.0)
    return (max(low, 0.0), high) if found.mean > 0 else (low, min(high, 0.0))


def p_values(values: np.ndarray, reference: np.ndarray, overlap: float | np.ndarray = 0.0) -> np.ndarray:
    """The p of `difference` for each row of `values` [S, N] against `reference`, [N] or a row each; nan for none.

    `overlap` is one for all, or [S].
    """
    from scipy.special import bdtrc, stdtr

    reference = np.broadcast_to(reference, values.shape)
    overlap = np.broadcast_to(overlap, len(values))
    d = values - reference
    here = np.isfinite(d)
    n = here.sum(1)
    size = _RESOLUTION * np.where(here, np.maximum(np.abs(values), np.abs(reference)), 0.0).max(1, initial=0.0)
    least = np.where(here, d, np.inf).min(1, initial=np.inf)
    most = np.where(here, d, -np.inf).max(1, initial=-np.inf)
    paired = (n >= 2) & (np.maximum(-least, most) > size)
    p = np.where((n >= 2) & ~paired, 1.0, np.nan)

    spread = paired & (most - least > size)
    mean, sd = _moments(d[spread])
    error = sd * np.sqrt(1 / n[spread] + overlap[spread])
    p[spread] = 2 * stdtr(n[spread] - 1, -np.abs(mean) / error)

    largest = np.maximum(-least, most)[:, None]
    zero, full = np.abs(d) <= size[:, None], np.abs(d) >= largest - size[:, None]
    signs = paired & (~here | zero | full).all(1)
    higher, lower = ((here & full & (sign * d > 0)).sum(1)[signs] for sign in (1, -1))
    m, k = higher + lower, np.maximum(higher, lower)
    exact = np.minimum(1.0, 2 * bdtrc(k - 1, m, 0.5))
    point = bdtrc(k - 1, m, 0.5) - np.where(k < m, bdtrc(k, m, 0.5), 0.0)
    p[signs] = np.where(spread[signs], np.fmax(p[signs], exact - point), exact)

    unpaired = (n < 2) & (np.isfinite(values).sum(1) >= 2) & (np.isfinite(reference).sum(1) >= 2)
    if unpaired.any():
        unpaired &= _spread(values) | _spread(reference)
        mean, error, df = _welch(values[unpaired], reference[unpaired], overlap[unpaired])
        p[unpaired] = 2 * stdtr(df, -np.abs(mean) / error)
    return p


def _welch(
    values: np.ndarray, reference: np.ndarray, overlap: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Difference of means, its standard error and degrees of freedom (Welch 1947): of rows [S, N] to rows or a row."""
    means, shares, counts = [], [], []
    for x in (values, np.atleast_2d(reference)):
        mean, sd = _moments(x)
        n = np.isfinite(x).sum(1)
        means.append(mean)
        counts.append(n - 1)
        shares.append(sd**2 * (1 / n + overlap))
    of_values, of_reference = shares
    squares = (of_values + of_reference) ** 2
    below = of_values**2 / counts[0] + of_reference**2 / counts[1]
    df = np.divide(squares, below, out=np.ones_like(squares), where=below > 0)
    return means[0] - means[1], np.sqrt(of_values + of_reference), df


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of what is finite in each row, two values at least."""
    here = np.isfinite(rows)
    n = here.sum(1)
    mean = np.where(here, rows, 0.0).sum(1) / n
    return mean, np.sqrt((np.where(here, rows - mean[:, None], 0.0) ** 2).sum(1) / (n - 1))


def _spread(rows: np.ndarray) -> np.ndarray:
    """Whether what is finite in each row differs by more than rounding."""
    here = np.isfinite(rows)
    most, least = np.where(here, rows, -np.inf).max(1), np.where(here, rows, np.inf).min(1)
    return most - least > _RESOLUTION * np.where(here, np.abs(rows), 0.0).max(1)


def has_spread(values: Sequence[float]) -> bool:
    """Whether values differ by more than rounding: without spread nothing says how far off their mean may be."""
    return bool(len(values)) and bool(_spread(np.asarray(values, dtype=float)[None])[0])


def no_more_than_rounding(differences: np.ndarray, values: np.ndarray) -> bool:
    """Whether differences of `values` are as small as those of rounding."""
    return bool(np.abs(differences).max() <= _RESOLUTION * np.abs(values).max())


def skewness(values: Sequence[float]) -> float:
    """g₁ = m₃ / m₂^1.5, of the moments about the mean: 0 for symmetric values; 0 also for values without spread."""
    if not has_spread(values):
        return 0.0
    d = np.asarray(values, dtype=float) - np.mean(values)
    return float((d**3).mean() / (d**2).mean() ** 1.5)


def share_interval(k: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact confidence interval of a share, of which k in n were seen (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    return low, float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0


def hedges_correction(df: int) -> float | None:
    """J(m) = Γ(m/2) / (√(m/2) Γ((m−1)/2)), which makes d an unbiased estimate (Hedges 1981, equation 6e).

    None below two degrees of freedom: there is no unbiased estimate then.
    """
    from scipy.special import gammaln

    if df < 2:
        return None
    return float(np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / math.sqrt(df / 2))
