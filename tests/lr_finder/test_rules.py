"""The rules on curves whose answers are known, and against plain computations of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mlpexp.lr_finder.curve import beta_for, follow
from mlpexp.lr_finder.rules import RULES, Descent, descent, divergence, steepest

RATES = np.geomspace(1e-6, 10, 100)
LOG = np.log10(RATES)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def well(middle: float = -2.0, width: float = 0.25, bottom: float = 0.0) -> np.ndarray:
    """A loss that falls from 2 to 1, fastest at 10^middle, and rises from 10^bottom on."""
    return 2 - sigmoid((LOG - middle) / width) + 50 * np.maximum(LOG - bottom, 0) ** 2


def of(losses: np.ndarray, **changes: object) -> Descent | None:
    options: dict[str, object] = {"beta": 0.9, "flat": 10, "failed": False} | changes
    return descent(losses, losses, **options)  # type: ignore[arg-type]


def test_the_rules_on_a_well() -> None:
    losses = well()
    found = of(losses)
    assert found is not None
    assert found.complete
    assert LOG[found.last] == pytest.approx(0, abs=0.1)
    # 5 % of the fall is lost where the sigmoid is 0.05: 0.25·ln 19 decades before the middle.
    assert LOG[found.first] == pytest.approx(-2 - 0.25 * np.log(19), abs=0.1)
    assert np.log10(steepest(RATES, losses, found, 5) or 0) == pytest.approx(-2, abs=0.1)
    # The loss is at 1 + 50·x² where it has fallen to 1, and back at 2 where x is √0.02 decades.
    assert np.log10(divergence(RATES, losses, found, 5) or 0) == pytest.approx(0.02**0.5, abs=0.1)
    assert [rule.name for rule in RULES] == ["divergence ÷ 30", "steepest"]
    assert RULES[0].find(RATES, losses, found, 5) == pytest.approx((divergence(RATES, losses, found, 5) or 0) / 30)


def test_the_answers_do_not_depend_on_where_the_curve_begins() -> None:
    losses, late = well(), slice(30, None)
    whole, part = of(losses), of(losses[late])
    assert whole is not None
    assert part is not None
    for rule in RULES:
        first = rule.find(RATES, losses, whole, 5)
        assert first is not None
        assert rule.find(RATES[late], losses[late], part, 5) == pytest.approx(first, rel=0.2)


@pytest.mark.parametrize("seed", range(10))
def test_on_noisy_curves_the_rules_are_what_plain_loops_compute(seed: int) -> None:
    losses = well() + 0.1 * np.random.default_rng(seed).standard_normal(100)
    first, last, reach = 40, 75, 4
    found = Descent(first, last, complete=True, diverged=None)
    slopes = {}
    for i in range(first, last + 1):
        a, b = max(0, i - reach), min(99, i + reach)
        slopes[i] = (losses[b] - losses[a]) / (np.log(RATES[b]) - np.log(RATES[a]))
    assert steepest(RATES, losses, found, reach) == RATES[min(slopes, key=lambda i: slopes[i])]


def test_steepest_between_neighbours_is_numpys_gradient() -> None:
    losses = well()
    found = Descent(0, 99, complete=True, diverged=None)
    expected = RATES[np.argmin(np.gradient(losses, np.log(RATES)))]
    assert steepest(RATES, losses, found, 1) == expected


def test_training_diverges_where_the_loss_is_back_at_its_start_or_the_curve_ends_in_failure() -> None:
    level, low = [2.0] * 10, [1.4, 1.3, 1.2, 1.1, 1.0]
    rising = np.array([*level, *low, 1.5, 1.9, 2.1, 3.0])
    endings = {"back": rising, "fails before": rising[:17], "only rises": rising[:17], "open": rising[:15]}
    failed = {"fails before": True, "open": False}
    found = {name: of(losses, failed=failed.get(name, False)) for name, losses in endings.items()}
    at = {name: each and (each.diverged, each.complete) for name, each in found.items()}
    assert at == {"back": (17, True), "fails before": (16, True), "only rises": (None, True), "open": (None, False)}
    assert found["back"] is not None
    assert divergence(RATES, rising, found["back"], 1) == RATES[17]


def test_without_divergence_steepest_is_the_one_to_begin_with() -> None:
    losses = 2 - sigmoid((LOG + 2) / 0.25)
    found = of(losses)
    assert found is not None
    assert not found.complete
    rates = [rule.find(RATES, losses, found, 5) for rule in RULES]
    assert rates[0] is None
    assert np.log10(rates[1] or 0) == pytest.approx(-2, abs=0.1)


@pytest.mark.parametrize(
    "losses",
    [
        np.full(100, 2.3),
        2.3 + 0.5 * np.maximum(LOG, 0),
        2.3 - 0.01 * sigmoid(LOG),
        2.3 + 0.2 * np.random.default_rng(0).standard_normal(100),
        np.full(8, 2.3),
        np.empty(0),
    ],
    ids=["constant", "rising", "hardly falling", "noise", "short", "empty"],
)
def test_where_nothing_falls_nothing_is_found(losses: np.ndarray) -> None:
    smoothed = follow(losses[:, None], RATES, 1, 0.9).smoothed
    assert descent(losses, smoothed, beta=0.9, flat=10, failed=False) is None


def test_smoothing_is_a_weighted_mean() -> None:
    """Bias correction makes the weights β^(t − i) sum to 1."""
    losses = np.random.default_rng(0).uniform(1, 2, (30, 3))
    curve = follow(losses, RATES, 3, 0.8)
    np.testing.assert_allclose(curve.mean, losses.mean(1))
    for t in range(30):
        weights = 0.8 ** (t - np.arange(t + 1))
        assert curve.smoothed[t] == pytest.approx(np.average(losses[: t + 1].mean(1), weights=weights))
    assert curve.ending == ""
    np.testing.assert_array_equal(curve.rates, RATES[:30])


def test_the_curve_ends_where_the_smoothed_loss_is_four_times_its_minimum() -> None:
    asked = []

    def rows() -> Iterator[np.ndarray]:
        for n in range(100):
            asked.append(n)
            yield np.array([1.0 if n < 20 else 4.01])

    curve = follow(rows(), RATES, 1, 0.0)
    assert len(curve.rates) == len(asked) == 21
    assert curve.ending == f"the smoothed loss was more than 4 times its minimum at lr {RATES[20]:.2g}"


def test_a_seed_without_a_finite_loss_leaves_and_does_not_come_back() -> None:
    losses = np.ones((30, 2))
    losses[5:, 1] = 3.0
    losses[10, 1] = np.inf
    curve = follow(losses, RATES, 2, 0.0)
    np.testing.assert_array_equal(curve.mean, [1.0] * 5 + [2.0] * 5 + [1.0] * 20)
    assert np.isnan(curve.losses[10:, 1]).all()
    assert curve.left == {1: RATES[10]}
    losses[20] = np.nan
    curve = follow(losses, RATES, 2, 0.0)
    assert len(curve.rates) == 20
    assert curve.ending == f"the loss was not finite at lr {RATES[20]:.2g}"


def test_the_smoothing_reaches_over_a_tenth_of_the_steps() -> None:
    assert [beta_for(steps) for steps in (20, 100, 1000)] == [0.5, 0.9, 0.99]
