"""Means and paired differences over seeds: intervals, tests, effect sizes.

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
class PairedDifference:
    """How far values lie from those of a reference, seed by seed; see `paired_difference`.

    `case` says what could be computed: "tested"; "no pairs"; "one pair", which has no interval; "equal", no
    difference in any pair; "constant", the same difference in each pair, for which the t-test is undefined.
    """

    case: Literal["tested", "no pairs", "one pair", "equal", "constant"]
    n: int
    mean: float | None = None
    half_width: float | None = None
    p: float | None = None
    effect: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        if self.mean is None or self.half_width is None:
            return None
        return self.mean - self.half_width, self.mean + self.half_width


def paired_difference(values: Sequence[float], reference: Sequence[float], level: float = LEVEL) -> PairedDifference:
    """The mean of dᵢ = valuesᵢ − referenceᵢ with its confidence interval, the paired t-test and an effect size.

    `values` [N] and `reference` [N] belong to the same seeds; nan where a seed is missing. t = d̄ / (s/√n) with n − 1
    degrees of freedom, two-sided (Student 1908); the effect size is Cohen's d_z = d̄/s with Hedges' correction.
    """
    x, y = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    both = np.isfinite(x) & np.isfinite(y)
    d, n = (x - y)[both], int(both.sum())
    if n == 0:
        return PairedDifference("no pairs", 0)
    mean = float(d.mean())
    if n == 1:
        return PairedDifference("one pair", 1, mean)
    resolution = _RESOLUTION * max(np.abs(x[both]).max(), np.abs(y[both]).max())
    if np.abs(d).max() <= resolution:
        return PairedDifference("equal", n, 0.0, 0.0, p=1.0)
    if np.ptp(d) <= resolution:
        return PairedDifference("constant", n, mean)
    sd = float(d.std(ddof=1))
    p = float(p_values(x[None], y)[0])
    correction = hedges_correction(n - 1)
    effect = None if correction is None else correction * mean / sd
    return PairedDifference("tested", n, mean, _half_width(sd, n, level), p, effect)


def p_values(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The p of `paired_difference` for each row of `values` [S, N] against `reference` [N]; nan where it has none."""
    from scipy.special import stdtr

    d = values - reference
    here = np.isfinite(d)
    n = here.sum(1)
    size = np.where(here, np.maximum(np.abs(values), np.abs(reference)), 0.0).max(1, initial=0.0)
    least = np.where(here, d, np.inf).min(1, initial=np.inf)
    most = np.where(here, d, -np.inf).max(1, initial=-np.inf)
    equal = (n >= 2) & (np.maximum(-least, most) <= _RESOLUTION * size)
    tested = (n >= 2) & (most - least > _RESOLUTION * size)

    d = np.where(here, d, 0.0)[tested]
    n, here = n[tested], here[tested]
    mean = d.sum(1) / n
    sd = np.sqrt((np.where(here, d - mean[:, None], 0.0) ** 2).sum(1) / (n - 1))
    p = np.where(equal, 1.0, np.nan)
    p[tested] = 2 * stdtr(n - 1, -np.abs(mean) * np.sqrt(n) / sd)
    return p


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
