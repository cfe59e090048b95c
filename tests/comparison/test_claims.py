"""Claims, held to runs written by hand: intervals are checked against scipy.stats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mlpexp.comparison.claims import Judgement, evaluate_claim
from mlpexp.comparison.compare import compare
from mlpexp.config.compose import compose
from mlpexp.config.report import Claim, Report

Write = Callable[..., Path]
ONE, OTHER = "activation=relu", "activation=gelu"


def judged(write: Write, values: Sequence[float], others: Sequence[float] | None = None, **bound: Any) -> Judgement:
    sweep = write({ONE: values} | ({OTHER: others} if others is not None else {}))
    names: dict[str, Any] = {"of": ONE, "minus": OTHER} if others is not None else {}
    claim = Claim(says="x", measure="accuracy/test", **names, **bound)
    return evaluate_claim(claim, compare(sweep).summaries)


def verdict(*args: Any, **bound: Any) -> str:
    return judged(*args, **bound).verdict


SPREAD = [0.70, 0.72, 0.74, 0.76]
LOW, HIGH = stats.t.interval(0.95, 3, np.mean(SPREAD), stats.sem(SPREAD))


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({"at_least": LOW - 1e-4}, "holds"),
        ({"at_least": LOW + 1e-4}, "undecided"),
        ({"at_least": HIGH - 1e-4}, "undecided"),
        ({"at_least": HIGH + 1e-4}, "does not hold"),
        ({"at_most": HIGH + 1e-4}, "holds"),
        ({"at_most": HIGH - 1e-4}, "undecided"),
        ({"at_most": LOW - 1e-4}, "does not hold"),
    ],
)
def test_a_bound_on_one_setting(bound: dict[str, Any], expected: str, write_sweep: Write) -> None:
    assert verdict(write_sweep, SPREAD, **bound) == expected


@pytest.mark.parametrize("values", [[0.5, 0.75, 0.75, 0.75, 0.75], [0.75] * 5, [0.75] * 10])
def test_seeds_that_agree_say_nothing_of_the_mean(values: list[float], write_sweep: Write) -> None:
    # One far below the others: Student's interval reaches past the bound that none of them passes.
    assert verdict(write_sweep, values, at_most=0.75) == "undecided"


@pytest.mark.parametrize(
    ("values", "expected", "share"),
    [
        ([0.5, 0.75, 0.75, 0.75, 0.75], "in each seed", (5, 5)),
        ([0.75] * 10, "in each seed", (10, 10)),
        ([0.5, 0.75, 1.0], "in some seeds", (2, 3)),
        ([0.76, 0.76, 0.76, 0.76, 0.99], "in no seed", (0, 5)),
    ],
)
def test_each_seed_is_a_claim_of_its_own(
    values: list[float], expected: str, share: tuple[int, int], write_sweep: Write
) -> None:
    found = judged(write_sweep, values, at_most=0.75, in_each=True)
    assert found.verdict == expected
    low, high = stats.binomtest(*share).proportion_ci(0.95, "exact")
    said = f"so it is in {share[0]} of {share[1]}, an estimate of {100 * low:.0f} to {100 * high:.0f} % of all seeds"
    assert said in found.evidence


def test_each_pair_likewise(write_sweep: Write) -> None:
    assert verdict(write_sweep, SPREAD, [0.6, 0.6, 0.7, 0.7], above=0, in_each=True) == "in each seed"


@pytest.mark.parametrize(
    ("n_high", "n", "bound", "expected"),
    [
        # Mapped from the exact interval of 9 in 10, (0.555, 0.997), and of 10 in 10, (0.692, 1).
        (9, 10, {"at_least": 0.88}, "holds"),
        (9, 10, {"at_least": 0.89}, "undecided"),
        (10, 10, {"at_least": 0.92}, "holds"),
        (10, 10, {"at_least": 0.93}, "undecided"),
        (0, 10, {"at_least": 0.9}, "does not hold"),
    ],
)
def test_two_named_values_have_an_exact_interval(
    n_high: int, n: int, bound: dict[str, Any], expected: str, write_sweep: Write
) -> None:
    values = [1.0] * n_high + [0.75] * (n - n_high)
    low, high = (0.75 + 0.25 * share for share in stats.binomtest(n_high, n).proportion_ci(0.95, "exact"))
    found = judged(write_sweep, values, outcomes=[0.75, 1.0], **bound)
    assert found.verdict == expected
    assert f"(95 % CI {100 * low:.2f} % to {100 * high:.2f} %) over {n} seeds" in found.evidence


def test_the_difference_of_two_named_values(write_sweep: Write) -> None:
    one, other = [1.0] * 10, [0.75] * 9 + [1.0]
    shares = [stats.binomtest(k, 10).proportion_ci(0.975, "exact") for k in (10, 1)]
    least = 0.25 * (shares[0].low - shares[1].high)
    assert verdict(write_sweep, one, other, outcomes=[0.75, 1.0], at_least=least - 1e-4) == "holds"


def test_a_third_value_is_found(write_sweep: Write) -> None:
    found = judged(write_sweep, [1.0, 0.75, 0.5], outcomes=[0.75, 1.0], at_least=0.5)
    assert found.verdict == "not tested"


def test_runs_that_diverged_count_in_claims(write_run: Write, here: Path) -> None:
    for seed in range(6):
        lost = seed >= 3
        write_run(f"{seed}", ONE, seed=seed, score=None if lost else 0.95 + seed / 1000, diverged=lost)

    def of(measure: str, **bound: Any) -> Judgement:
        return evaluate_claim(Claim(says="x", measure=measure, **bound), compare(here).summaries)

    assert "72.55 %" in of("accuracy/test", at_least=0.9).evidence
    # As it would on the three that are left.
    assert of("accuracy/test", at_least=0.9).verdict != "holds"
    assert "0.371" in of("last loss/val", at_most=0.1).evidence  # (0.05 + 0.049 + 0.048 + 3 · 0.693) / 6
    for measure in ("epochs", "last grad_norm"):
        assert of(measure, at_most=100).verdict in ("undecided", "not tested")
    assert "without 3 that diverged" in of("epochs", at_most=100).evidence
    # Never is one more than all epochs that it was to have: 3 survivors take 3 epochs, the others 51.
    epochs = 1 + compose([ONE]).epochs
    assert f"{(3 * 3 + 3 * epochs) / 6:.3g}" in of("epochs until loss/val <= 0.3", at_most=10).evidence
    ignored = evaluate_claim(
        Claim(says="x", measure="accuracy/test", at_least=0.9), compare(here, failed="ignore").summaries
    )
    assert (ignored.verdict, "without 3 that diverged" in ignored.evidence) == ("undecided", True)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([0.60, 0.63, 0.64, 0.65], "holds"),
        ([0.80, 0.83, 0.84, 0.85], "does not hold"),
        ([0.60, 0.83, 0.64, 0.85], "undecided"),
        ([0.70, 0.72, 0.74, 0.76], "undecided"),  # equal in each pair
        ([0.60, 0.62, 0.64, 0.66], "undecided"),  # as far off in each pair
    ],
)
def test_pairs(others: list[float], expected: str, write_sweep: Write) -> None:
    assert verdict(write_sweep, SPREAD, others, at_least=0) == expected


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({"at_least": 0}, "in each seed"),
        ({"at_most": 0}, "in each seed"),
        ({"above": 0}, "in no seed"),
        ({"below": 0}, "in no seed"),
    ],
)
def test_what_is_equal_is_neither_above_nor_below(bound: dict[str, Any], expected: str, write_sweep: Write) -> None:
    assert verdict(write_sweep, SPREAD, SPREAD, in_each=True, **bound) == expected


def test_settings_without_a_common_seed(write_run: Write, here: Path) -> None:
    for seed, score in enumerate(SPREAD):
        write_run(f"r/{seed}", ONE, seed=seed, score=score + 0.2)
        write_run(f"g/{seed}", OTHER, seed=seed + 10, score=score)
    found = evaluate_claim(Claim("x", "accuracy/test", of=ONE, minus=OTHER, above=0), compare(here).summaries)
    low, high = stats.ttest_ind(np.add(SPREAD, 0.2), SPREAD, equal_var=False).confidence_interval(0.95)
    assert found.verdict == "holds"
    assert (
        f"95 % CI {100 * low:.2f} points to {100 * high:.2f} points) over 4 against 4 seeds, unpaired" in found.evidence
    )


def test_pairs_are_of_the_same_seed(write_run: Write, here: Path) -> None:
    """Each seed is a little better with relu, though seeds differ far more than settings do."""
    for seed, level in enumerate([0.2, 0.4, 0.6, 0.8]):
        write_run(f"r/{seed}", ONE, seed=seed, score=level + 0.01 + 0.001 * seed)
        write_run(f"g/{seed}", OTHER, seed=seed, score=level)
    claim = Claim(says="x", measure="accuracy/test", of=ONE, minus=OTHER, at_least=0)
    found = evaluate_claim(claim, compare(here).summaries)
    assert found.verdict == "holds"
    d = 0.01 + 0.001 * np.arange(4)
    low, high = stats.t.interval(0.95, 3, d.mean(), stats.sem(d))
    assert (
        f"a difference of {100 * d.mean():.2f} points (95 % CI {100 * low:.2f} points to {100 * high:.2f} points)"
        in found.evidence
    )


def test_one_seed_decides_nothing(write_sweep: Write) -> None:
    assert verdict(write_sweep, [0.9], at_least=0.5) == "undecided"


def test_one_pair_decides_nothing(write_sweep: Write) -> None:
    assert verdict(write_sweep, [0.9], [0.5], at_least=0) == "undecided"


@pytest.mark.parametrize("of", ["activation=tanh", "optimizer=sgd", ""])
def test_what_was_not_run_is_not_tested(of: str, write_sweep: Write) -> None:
    sweep = write_sweep({ONE: [0.9, 0.8], OTHER: [0.9, 0.8]})
    claim = Claim(says="x", measure="accuracy/test", of=of, at_least=0)
    assert evaluate_claim(claim, compare(sweep).summaries).verdict == "not tested"


def test_runs_carry_their_claims(write_sweep: Write) -> None:
    claims = "report.claims=[{says:Good,measure:accuracy/test,at_least:0.5}]"
    sweep = write_sweep({f"{claims} report.baseline='seed=1' report.metric=loss/test": [0.9, 0.8, 0.85]})
    comparison = compare(sweep)
    assert [(found.verdict, found.claim.says) for found in comparison.judgements] == [("holds", "Good")]
    assert comparison.metric.tag == "loss/test"
    assert not comparison.baseline  # there is no such setting


def test_runs_that_do_not_agree_make_no_claims(write_sweep: Write) -> None:
    claims = "report.claims=[{says:Good,measure:accuracy/test,at_least:0.5}]"
    comparison = compare(write_sweep({f"{ONE} {claims}": [0.9, 0.8], OTHER: [0.9, 0.8]}))
    assert comparison.report == Report()
    assert comparison.judgements == []


def test_the_runs_own_baseline(write_sweep: Write) -> None:
    settings = {
        f"{ONE} report.baseline='{OTHER}'": [0.9, 0.8, 0.7],
        f"{OTHER} report.baseline='{OTHER}'": [0.5, 0.4, 0.3],
    }
    comparison = compare(write_sweep(settings))
    assert comparison.baseline
    assert comparison.reference is not None
    assert comparison.reference.label == OTHER
