"""Intervals, tests and effect sizes against values worked out by hand, scipy.stats, and simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from mlpexp.comparison.closed_test import holm
from mlpexp.comparison.statistics import (
    difference,
    estimate,
    hedges_correction,
    p_values,
    share_interval,
    skewness,
)

RANDOM = np.random.default_rng(0)


def test_interval_by_hand() -> None:
    # mean 3, sd √2.5, t₍₄, ₀.₉₇₅₎ = 2.776445 from Student's table: 2.776445 · √2.5 / √5 = 1.963243
    found = estimate([1, 2, 3, 4, 5])
    assert found is not None
    assert (found.n, found.mean, found.least, found.most) == (5, 3, 1, 5)
    assert found.sd == pytest.approx(math.sqrt(2.5))
    assert found.half_width == pytest.approx(1.963243, abs=1e-6)
    assert found.interval == pytest.approx((1.036757, 4.963243), abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 10, 500])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_interval_is_that_of_scipy(n: int, level: float) -> None:
    values = RANDOM.normal(5, 2, n)
    found = estimate(values.tolist(), level)
    assert found is not None
    expected = stats.t.interval(level, n - 1, values.mean(), stats.sem(values))
    assert found.interval == pytest.approx(expected)


def test_one_seed_has_no_interval_and_none_has_nothing() -> None:
    found = estimate([0.5])
    assert found is not None
    assert (found.mean, found.sd, found.half_width, found.interval) == (0.5, None, None, None)
    assert estimate([]) is None


def test_interval_covers_the_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    hits = 0
    for values in random.normal(3, 1, (4000, 4)).tolist():
        found = estimate(values)
        assert found is not None
        assert found.half_width is not None
        hits += abs(found.mean - 3) <= found.half_width
    # Four standard deviations of the share that 4000 trials give.
    assert abs(hits / 4000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


def test_difference_by_hand() -> None:
    # d = 1, 2, 3: mean 2, sd 1, t = 2√3 = 3.464102 with 2 degrees of freedom; P(|T| ≥ t) = 1 − t/√(t² + 2) = 0.0741799
    found = difference([3, 5, 7], [2, 3, 4])
    assert (found.case, found.n, found.mean) == ("tested", 3, 2)
    assert found.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert found.half_width == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)
    # J(2) = Γ(1)/(√1 Γ(1/2)) = 1/√π
    assert found.effect == pytest.approx(2 / math.sqrt(math.pi))


@pytest.mark.parametrize("n", [2, 3, 8, 50])
def test_difference_is_that_of_scipy(n: int) -> None:
    x = RANDOM.normal(0, 1, n)
    y = x + RANDOM.normal(0.3, 0.5, n)
    found = difference(x.tolist(), y.tolist())
    expected = stats.ttest_rel(x, y)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_only_seeds_that_both_have_are_paired() -> None:
    whole = difference([1.0, 2.0, 4.0], [2.0, 2.5, 4.1])
    with_gaps = difference([1.0, 9.0, 2.0, math.nan, 4.0], [2.0, math.nan, 2.5, 8.0, 4.1])
    assert with_gaps == whole


@pytest.mark.parametrize(
    ("values", "reference", "case", "mean", "p"),
    [
        ([], [], "no pairs", None, None),
        ([1, math.nan], [math.nan, 1], "no pairs", None, None),
        ([1, 2], [3, math.nan], "one pair", -2, None),
        ([1, 2, 3], [1, 2, 3], "equal", 0, 1),
        ([1, 1, 1], [0.5, 0.5, 0.5], "constant", 0.5, 0.25),
        ([0, 0], [0, 0], "equal", 0, 1),
    ],
)
def test_what_cannot_be_tested_is_not(
    values: list[float], reference: list[float], case: str, mean: float | None, p: float | None
) -> None:
    found = difference(values, reference)
    assert (found.case, found.mean, found.p, found.effect) == (case, mean, p, None)


def test_rounding_of_32_bits_is_no_spread() -> None:
    # One row of 359 more in each seed: equal differences of what single precision makes of k/359.
    rows = np.array([341, 342, 345], dtype=np.float32)
    more, less = rows / np.float32(359), (rows - 1) / np.float32(359)
    assert np.ptp(more.astype(float) - less.astype(float)) > 0
    assert difference(more.tolist(), less.tolist()).case == "constant"


def test_two_pairs_have_no_effect_size() -> None:
    found = difference([1, 2], [3, 3])
    assert found.case == "tested"
    assert found.p is not None
    assert found.effect is None


def test_p_values_are_those_of_one_setting_at_a_time() -> None:
    table = RANDOM.normal(0, 1, (6, 5))
    table[1, 2:] = math.nan  # two pairs
    table[2, 1:] = math.nan  # one pair
    table[3] = table[0]  # equal
    table[4] = table[0] + 1  # constant
    expected = [difference(row, table[0]).p for row in table[1:]]
    assert p_values(table[1:], table[0]).tolist() == pytest.approx(
        [math.nan if p is None else p for p in expected], nan_ok=True
    )


@pytest.mark.parametrize("df", [2, 3, 10, 200])
def test_hedges_correction_is_near_its_approximation(df: int) -> None:
    # 1 − 3/(4m − 1), Hedges' own approximation (1981); at m = 2 it is 4/7 for 1/√π.
    assert hedges_correction(df) == pytest.approx(1 - 3 / (4 * df - 1), abs=0.0075)


def test_hedges_correction_makes_d_unbiased() -> None:
    d = np.random.default_rng(2).normal(0.8, 1, (20000, 5))
    correction = hedges_correction(4)
    assert correction is not None
    corrected = correction * d.mean(1) / d.std(1, ddof=1)
    assert corrected.mean() == pytest.approx(0.8, abs=5 * corrected.std() / math.sqrt(20000))
    assert hedges_correction(1) is None


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        # Worked out by hand: 3 · 0.01, then 2 · 0.02 and 1 · 0.04, none less than the one before.
        ([0.01, 0.04, 0.02], [0.03, 0.04, 0.04]),
        # 4 · 0.01 = 0.04; 3 · 0.02 = 0.06; 2 · 0.03 = 0.06; 0.03 → 0.06
        ([0.03, 0.01, 0.02, 0.03], [0.06, 0.04, 0.06, 0.06]),
        ([0.6, 0.7], [1, 1]),
        ([0.02, math.nan, 0.01], [0.02, math.nan, 0.02]),
        ([0.05], [0.05]),
        ([], []),
    ],
)
def test_holm(p: Sequence[float], expected: Sequence[float]) -> None:
    assert holm(p).tolist() == pytest.approx(expected, nan_ok=True)


def test_holm_rejects_what_the_step_down_procedure_rejects() -> None:
    for p in np.random.default_rng(3).uniform(0, 0.03, (200, 7)):
        rejected = np.zeros(7, dtype=bool)
        for step, i in enumerate(np.argsort(p)):
            if p[i] > 0.05 / (7 - step):
                break
            rejected[i] = True
        np.testing.assert_array_equal(holm(p) <= 0.05, rejected)


@pytest.mark.parametrize(("n", "n_reference"), [(2, 2), (3, 10), (10, 4)])
def test_seeds_that_are_not_shared_are_compared_unpaired(n: int, n_reference: int) -> None:
    x, y = RANDOM.normal(0, 1, n), RANDOM.normal(0.5, 3, n_reference)
    gaps = [math.nan] * n_reference, [math.nan] * n
    found = difference([*x, *gaps[0]], [*gaps[1], *y])
    expected = stats.ttest_ind(x, y, equal_var=False)
    assert (found.case, found.paired, found.n, found.n_reference) == ("tested", False, n, n_reference)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.effect is None


def test_one_seed_in_common_makes_no_pairs() -> None:
    x, y = [0.1, 0.3, 0.2, math.nan, math.nan], [math.nan, math.nan, 0.5, 0.7, 0.8]
    expected = stats.ttest_ind(x[:3], y[2:], equal_var=False)
    assert difference(x, y).p == pytest.approx(expected.pvalue)
    table = np.array([x, [0.1, 0.3, 0.2, 0.4, 0.9], [math.nan] * 4 + [0.4]])
    rows = [difference(row.tolist(), y).p for row in table]
    assert p_values(table, np.array(y)).tolist() == pytest.approx(
        [math.nan if p is None else p for p in rows], nan_ok=True
    )


def test_unpaired_values_without_spread_have_no_test() -> None:
    found = difference([0.5, 0.5, math.nan, math.nan], [math.nan, math.nan, 0.7, 0.7])
    assert (found.case, found.paired, found.p) == ("constant", False, None)
    assert found.mean == pytest.approx(-0.2)


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (1, 4), (19, 20)])
def test_the_interval_of_a_share_is_that_of_scipy(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(0.95, "exact")
    assert share_interval(k, n) == pytest.approx((expected.low, expected.high))


def test_skewness_is_that_of_scipy() -> None:
    values = RANDOM.exponential(1, 12)
    assert skewness(values.tolist()) == pytest.approx(stats.skew(values))
    assert skewness([0.5, 0.5, 0.5]) == 0
