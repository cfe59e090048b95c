"""Adjusted p-values and letters against values worked out by hand, and the numbers of seeds against scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from mlpexp.comparison.closed_test import adjusted_pairs, holm, letters, pairs, shaffer
from mlpexp.comparison.power import detectable, seeds_needed
from mlpexp.comparison.statistics import difference, estimate, p_values, simultaneous
from mlpexp.comparison.winner import cross_chosen_mean


def test_three_settings_by_hand() -> None:
    # Of three settings all pairs are equal, or one pair is: p̃ = max(p, Simes of all three).
    # Simes: min(3 · 0.01, 3 · 0.02 / 2, 0.2) = 0.03
    assert adjusted_pairs(np.array([0.02, 0.2, 0.01]), 3).tolist() == pytest.approx([0.03, 0.2, 0.03])
    # Without the second: min(2 · 0.01, 0.02)
    assert adjusted_pairs(np.array([0.02, math.nan, 0.01]), 3).tolist() == pytest.approx(
        [0.02, math.nan, 0.01 * 2], nan_ok=True
    )


@pytest.mark.parametrize("k", [4, 5])
def test_a_pair_is_rejected_where_every_set_of_equal_pairs_with_it_is(k: int) -> None:
    """By brute force: of all sets of pairs those that are whole equivalence relations."""
    p = np.random.default_rng(k).random(len(pairs(k))) ** 3
    expected = np.zeros(len(p))
    numbers = {pair: at for at, pair in enumerate(pairs(k))}
    for colours in itertools.product(range(k), repeat=k):
        chosen = [at for (one, other), at in numbers.items() if colours[one] == colours[other]]
        if chosen:
            ordered = np.sort(p[chosen])
            simes = (ordered * len(chosen) / np.arange(1, len(chosen) + 1)).min()
            expected[chosen] = np.maximum(expected[chosen], simes)
    assert adjusted_pairs(p, k) == pytest.approx(np.minimum(expected, 1))


def test_shaffers_steps_of_four_settings() -> None:
    # Of four settings 6, 3, 2, 1 or no pair can be equal: t = 6, 3, 3, 3, 2, 1 (Shaffer 1986, table 1).
    p = np.array([0.001, 0.01, 0.02, 0.03, 0.05, 0.2])
    assert shaffer(p, 4).tolist() == pytest.approx([0.006, 0.03, 0.06, 0.09, 0.1, 0.2])
    assert adjusted_pairs(np.full(36, 0.001), 9).tolist() == pytest.approx([0.036] * 36)
    assert holm(p).tolist() == pytest.approx([0.006, 0.05, 0.08, 0.09, 0.1, 0.2])


def test_letters() -> None:
    # b lies between a and c, which differ; d differs from all.
    different = np.zeros((4, 4), bool)
    for one, other in ((0, 2), (0, 3), (1, 3), (2, 3)):
        different[one, other] = different[other, one] = True
    assert letters(different) == ["a", "ab", "b", "c"]
    assert letters(np.zeros((3, 3), bool)) == ["a", "a", "a"]


def test_pairs_of_two_outcomes_have_the_larger_p_of_t_and_sign_test() -> None:
    d = [0.25] * 5 + [-0.25] + [0.0] * 4
    t = stats.ttest_1samp(d, 0).pvalue
    exact, point = stats.binomtest(5, 6).pvalue, stats.binom.pmf(5, 6, 0.5)
    assert difference(d, [0.0] * 10).p == pytest.approx(max(t, exact - point))
    assert difference([1.0] * 6, [0.75] * 6).p == pytest.approx(stats.binomtest(6, 6).pvalue)
    rows = np.array([d, [1.0] * 10])
    assert p_values(rows, np.zeros(10)).tolist() == pytest.approx([max(t, exact - point), 2**-9])


def test_an_interval_agrees_with_the_test() -> None:
    found = difference([1, 2, 3, 2], [0, 0, 0, 1])
    assert simultaneous(found, True, 1) == pytest.approx(found.interval)
    # Of three, it is Bonferroni's; decided, it ends at 0; open, it holds 0.
    wide = stats.t.ppf(1 - 0.05 / 6, 3) * found.error
    assert simultaneous(found, False, 3) == pytest.approx((found.mean - wide, found.mean + wide))
    assert simultaneous(found, True, 3) == pytest.approx((0, found.mean + wide))
    low, high = simultaneous(found, False, 1) or (1, -1)
    assert low == 0 < high


def test_the_interval_of_two_outcomes_is_exact() -> None:
    found = estimate([1.0, 1.0, 0.75, 1.0, 1.0])
    assert found is not None
    share = stats.binomtest(4, 5).proportion_ci(0.95, "exact")
    assert found.interval == pytest.approx((0.75 + 0.25 * share.low, 0.75 + 0.25 * share.high))
    # Two scores on few test rows tie by chance.
    assert estimate([0.98, 0.99, 0.98]).outcomes is None  # type: ignore[union-attr]


@pytest.mark.parametrize(("size", "n_tests", "overlap"), [(1.0, 1, 0.0), (0.7, 6, 0.0), (3.0, 1, 1 / 3)])
def test_the_number_of_seeds_has_the_power_of_the_noncentral_t(size: float, n_tests: int, overlap: float) -> None:
    def power(n: float, of: float = size) -> float:
        df, limit = n - 1, stats.t.isf(0.05 / n_tests / 2, n - 1)
        return float(stats.nct.sf(limit, df, of / math.sqrt(1 / n + overlap)))

    # With three degrees of freedom the deviation is taken as it is.
    n = seeds_needed(size, 1.0, 3, n_tests, overlap)
    assert n is not None
    assert power(n) >= 0.8 > power(n - 1)
    assert power(10, detectable(1.0, 3, 10, n_tests, overlap)) == pytest.approx(0.8, abs=1e-6)


def test_overlap_has_a_floor() -> None:
    # (z₀.₉₇₅ + z₀.₈) √(1/3) = 2.8016 · 0.57735
    assert detectable(1.0, 3, math.inf, 1, 1 / 3) == pytest.approx(1.6175, abs=1e-3)
    assert seeds_needed(1.6, 1.0, 3, 1, 1 / 3) is None
    assert seeds_needed(1.7, 1.0, 3, 1, 1 / 3) is not None


def test_the_winner_by_all_other_seeds() -> None:
    # Without the first seed the second setting is best (2 : 5), without the second or third the first (9 : 4, 9 : 3).
    scores = np.array([[8.0, 1.0, 1.0], [1.0, 2.0, 3.0]])
    assert cross_chosen_mean(scores) == pytest.approx((1 + 1 + 1) / 3)
    assert cross_chosen_mean(scores[:, :2]) is None
