"""Claims, held to runs written by hand: intervals are checked against scipy.stats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mlpexp.comparison.claims import judge
from mlpexp.comparison.compare import compare
from mlpexp.config.compose import compose
from mlpexp.config.report import Claim, Report
from mlpexp.errors import ConfigError

Write = Callable[..., Path]
ONE, OTHER = "activation=relu", "activation=gelu"


def verdict(write: Write, values: Sequence[float], others: Sequence[float] | None = None, **bound: Any) -> str:
    sweep = write({ONE: values} | ({OTHER: others} if others is not None else {}))
    names: dict[str, Any] = {"of": ONE, "minus": OTHER} if others is not None else {}
    claim = Claim(says="x", measure="accuracy/test", **names, **bound)
    return judge(claim, compare(sweep).summaries).verdict


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


def test_five_seeds_that_agree_decide(write_sweep: Write) -> None:
    # One far below the others: Student's interval reaches past the bound that none of them passes.
    values = [0.5, 0.75, 0.75, 0.75, 0.75]
    assert stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))[1] > 0.75
    assert verdict(write_sweep, values, at_most=0.75) == "holds"


def test_four_do_not(write_sweep: Write) -> None:
    assert verdict(write_sweep, [0.5, 0.75, 0.75, 0.75], at_most=0.75) == "undecided"


def test_five_seeds_beyond(write_sweep: Write) -> None:
    assert verdict(write_sweep, [0.76, 0.76, 0.76, 0.76, 0.99], at_most=0.75) == "does not hold"


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([0.60, 0.63, 0.64, 0.65], "holds"),
        ([0.80, 0.83, 0.84, 0.85], "does not hold"),
        ([0.60, 0.83, 0.64, 0.85], "undecided"),
        ([0.70, 0.72, 0.74, 0.76], "holds"),  # equal in each pair: at least as good
    ],
)
def test_pairs(others: list[float], expected: str, write_sweep: Write) -> None:
    assert verdict(write_sweep, SPREAD, others, at_least=0) == expected


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({"at_least": 0}, "holds"),
        ({"at_most": 0}, "holds"),
        ({"above": 0}, "does not hold"),
        ({"below": 0}, "does not hold"),
    ],
)
def test_what_is_equal_is_neither_above_nor_below(bound: dict[str, Any], expected: str, write_sweep: Write) -> None:
    assert verdict(write_sweep, SPREAD, SPREAD, **bound) == expected


def test_pairs_are_of_the_same_seed(write_run: Write, here: Path) -> None:
    """Each seed is a little better with relu, though seeds differ far more than settings do."""
    for seed, level in enumerate([0.2, 0.4, 0.6, 0.8]):
        write_run(f"r/{seed}", ONE, seed=seed, score=level + 0.01 + 0.001 * seed)
        write_run(f"g/{seed}", OTHER, seed=seed, score=level)
    claim = Claim(says="x", measure="accuracy/test", of=ONE, minus=OTHER, at_least=0)
    found = judge(claim, compare(here).summaries)
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


@pytest.mark.parametrize(
    ("of", "why"),
    [
        ("activation=tanh", "no run has activation=tanh"),
        ("optimizer=sgd", "optimizer is no key that differs"),
        ("", "speaks of all runs, and these are of 2 settings"),
    ],
)
def test_what_was_not_run_is_not_tested(of: str, why: str, write_sweep: Write) -> None:
    sweep = write_sweep({ONE: [0.9, 0.8], OTHER: [0.9, 0.8]})
    found = judge(Claim(says="x", measure="accuracy/test", of=of, at_least=0), compare(sweep).summaries)
    assert found.verdict == "not tested"
    assert why in found.evidence


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


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "report.claims=[{says:a,measure:accuracy/test}]",
            r"report\.claims\[0\]\.at_least: one of at_least, at_most, above and below",
        ),
        (
            "report.claims=[{says:a,measure:accurcy/test,at_most:1}]",
            r"report\.claims\[0\]\.measure=accurcy/test: is none",
        ),
        ("report.metric=acuracy/test", r"report\.metric=acuracy/test: no such metric; did you mean 'accuracy/test'"),
        ("report.figures=[reliabilty]", r"report\.figures\[0\]=reliabilty: not allowed; did you mean 'reliability'"),
    ],
)
def test_what_is_wrong_is_found_before_anything_trains(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose([override])
