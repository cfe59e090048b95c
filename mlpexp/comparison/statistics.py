"""Means and differences over seeds: intervals, tests, effect sizes.

S settings, N seeds. scipy.special holds the distributions; scipy.stats would take half a second more to import.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEVEL = 0.95  # of confidence, in all intervals
# Metrics are computed in 32 bits: what differs by less than this share of their size is the same number.
_RESOLUTION = 1e-6


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds. `sd` and `half_width` (of the confidence interval) are None for one seed."""

    n: int
    mean: float
    sd: float | None
    half_width: float | None
    least: float
    most: float

    @property
    def interval(self) -> tuple[float, float] | None:
        """The confidence interval of the mean. It is symmetric: near a bound, such as 100 %, it may reach past it."""
        return None if self.half_width is None else (self.mean - self.half_width, self.mean + self.half_width)


def estimate(values: Sequence[float], level: float = LEVEL) -> Estimate | None:
    """Mean and confidence interval x̄ ± t₍ₙ₋₁,₍₁₊level₎/₂₎ · s/√n (Student 1908), for values that are near normal.

    None without values; one value has no interval, since nothing says how much another seed would differ.
    """
    x = np.asarray(values, dtype=float)
    if not len(x):
        return None
    mean = float(x.mean())
    if len(x) < 2:
        return Estimate(1, mean, None, None, mean, mean)
    sd = float(x.std(ddof=1))
    return Estimate(len(x), mean, sd, _half_width(sd, len(x), level), float(x.min()), float(x.max()))


def _half_width(sd: float, n: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + level) / 2) * sd / math.sqrt(n))


@dataclass(frozen=True)
class Difference:
    """How far values lie from those of a reference; see `difference`.

    `case` says what could be computed: "tested"; "no pairs", of which one has a single seed or none; "one pair",
    which has no interval; "equal", no difference in any pair; "constant", differences without spread, for which the
    t-test is undefined. Paired, `n` counts the pairs; unpaired, the values, and `n_reference` those of the reference.
    """

    case: Literal["tested", "no pairs", "one pair", "equal", "constant"]
    n: int
    mean: float | None = None
    half_width: float | None = None
    p: float | None = None
    effect: float | None = None
    n_reference: int | None = None

    @property
    def paired(self) -> bool:
        return self.n_reference is None

    @property
    def interval(self) -> tuple[float, float] | None:
        if self.mean is None or self.half_width is None:
            return None
        return self.mean - self.half_width, self.mean + self.half_width


def difference(values: Sequence[float], reference: Sequence[float], level: float = LEVEL) -> Difference:
    """The mean difference with its confidence interval and test: paired by seed, or unpaired where that cannot be.

    `values` [N] and `reference` [N] belong to the same seeds; nan where a seed is missing. Two seeds in common and
    more are compared as pairs dᵢ = valuesᵢ − referenceᵢ: t = d̄ / (s/√n) with n − 1 degrees of freedom, two-sided
    (Student 1908); the effect size is Cohen's d_z = d̄/s with Hedges' correction. Where there are fewer, but two values
    on each side, it is Welch's t-test (1947), which has no effect size here.
    """
    x, y = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    both = np.isfinite(x) & np.isfinite(y)
    d, n = (x - y)[both], int(both.sum())
    if n < 2 and min(np.isfinite(x).sum(), np.isfinite(y).sum()) >= 2:
        return _unpaired(x, y, level)
    if n == 0:
        return Difference("no pairs", 0)
    mean = float(d.mean())
    if n == 1:
        return Difference("one pair", 1, mean)
    resolution = _RESOLUTION * max(np.abs(x[both]).max(), np.abs(y[both]).max())
    if np.abs(d).max() <= resolution:
        return Difference("equal", n, 0.0, 0.0, p=1.0)
    if np.ptp(d) <= resolution:
        return Difference("constant", n, mean)
    sd = float(d.std(ddof=1))
    p = float(p_values(x[None], y)[0])
    correction = hedges_correction(n - 1)
    effect = None if correction is None else correction * mean / sd
    return Difference("tested", n, mean, _half_width(sd, n, level), p, effect)


def _unpaired(x: np.ndarray, y: np.ndarray, level: float) -> Difference:
    from scipy.special import stdtrit

    counts = int(np.isfinite(x).sum()), int(np.isfinite(y).sum())
    (mean,), (error,), (df,) = _welch(x[None], y)
    p = float(p_values(x[None], y)[0])
    if math.isnan(p):
        return Difference("constant", counts[0], float(mean), n_reference=counts[1])
    half_width = float(stdtrit(df, (1 + level) / 2) * error)
    return Difference("tested", counts[0], float(mean), half_width, p, n_reference=counts[1])


def p_values(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The p of `difference` for each row of `values` [S, N] against `reference` [N]; nan where it has none."""
    from scipy.special import stdtr

    d = values - reference
    here = np.isfinite(d)
    n = here.sum(1)
    size = np.where(here, np.maximum(np.abs(values), np.abs(reference)), 0.0).max(1, initial=0.0)
    least = np.where(here, d, np.inf).min(1, initial=np.inf)
    most = np.where(here, d, -np.inf).max(1, initial=-np.inf)
    equal = (n >= 2) & (np.maximum(-least, most) <= _RESOLUTION * size)
    tested = (n >= 2) & (most - least > _RESOLUTION * size)

    p = np.where(equal, 1.0, np.nan)
    mean, sd = _moments(d[tested])
    p[tested] = 2 * stdtr(n[tested] - 1, -np.abs(mean) * np.sqrt(n[tested]) / sd)
    unpaired = (n < 2) & (np.isfinite(values).sum(1) >= 2) & (np.isfinite(reference).sum() >= 2)
    if unpaired.any():
        unpaired &= _spread(values) | _spread(reference[None])
        mean, error, df = _welch(values[unpaired], reference)
        p[unpaired] = 2 * stdtr(df, -np.abs(mean) / error)
    return p


def _welch(values: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Difference of means, its standard error and degrees of freedom (Welch 1947): of rows [S, N] to a row [N]."""
    means, shares, counts = [], [], []
    for x in (values, reference[None]):
        mean, sd = _moments(x)
        n = np.isfinite(x).sum(1)
        means.append(mean)
        counts.append(n - 1)
        shares.append(sd**2 / n)
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


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values adjusted for m tests: p̃₍ᵢ₎ = max over j ≤ i of min(1, (m − j + 1) p₍ⱼ₎), smallest p first (Holm 1979).

    Rejecting where p̃ ≤ α keeps the chance of any false rejection at α at most, whatever the tests' dependence. nan
    is no test: it stays nan and does not count.
    """
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    (tested,) = np.nonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    stepped = np.arange(len(order), 0, -1) * p[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
