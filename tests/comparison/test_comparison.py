"""Ranks, contrasts, baselines and notes, on runs whose numbers are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.verdicts import compared
from mlpexp.comparison.closed_test import adjusted_pairs
from mlpexp.comparison.compare import Comparison, compare
from mlpexp.errors import ConfigError

Write = Callable[..., Path]
SETTINGS = {
    "activation=relu": [0.90, 0.91, 0.92, 0.89],
    "activation=tanh": [0.80, 0.83, 0.81, 0.80],
    "activation=gelu": [0.91, 0.91, 0.94, 0.92],
}


def labels(comparison: Comparison) -> list[str]:
    return [summary.label.removeprefix("activation=") for summary in comparison.summaries]


def test_best_first_and_against_the_best(write_sweep: Write) -> None:
    comparison = compare(write_sweep(SETTINGS))
    assert labels(comparison) == ["gelu", "relu", "tanh"]
    assert comparison.reference is comparison.best
    assert not comparison.notes
    relu, tanh, gelu = SETTINGS.values()
    raw = [stats.ttest_rel(relu, gelu).pvalue, stats.ttest_rel(tanh, gelu).pvalue, stats.ttest_rel(tanh, relu).pvalue]
    assert comparison.n_tests == 3
    assert [contrast.p for contrast in comparison.contrasts] == pytest.approx(
        adjusted_pairs(np.array(raw), 3)[:2].tolist()
    )
    assert [contrast.difference.p for contrast in comparison.contrasts] == pytest.approx(raw[:2])
    assert [contrast.difference.mean for contrast in comparison.contrasts] == pytest.approx(
        [np.mean(relu) - np.mean(gelu), np.mean(tanh) - np.mean(gelu)]
    )


def test_the_validation_split_ranks_and_the_test_split_is_compared(write_run: Write, here: Path) -> None:
    for seed in range(3):
        for name, val, test in (("relu", 0.9, 0.7), ("tanh", 0.8, 0.95), ("gelu", 0.7, 0.8)):
            by_split = {"val": val + seed / 100, "test": test + seed**2 / 100}
            metrics = {split: {"accuracy": score, "loss": 1 - score} for split, score in by_split.items()}
            write_run(f"{name}{seed}", f"activation={name}", seed=seed, metrics=metrics)
    comparison = compare(here)
    assert labels(comparison) == ["relu", "tanh", "gelu"]
    assert (comparison.ranking.tag, comparison.metric.tag) == ("accuracy/val", "accuracy/test")
    assert [contrast.difference.mean for contrast in comparison.contrasts] == pytest.approx([0.25, 0.1])


def test_against_a_baseline_only_its_own_tests_count(write_sweep: Write) -> None:
    comparison = compare(write_sweep(SETTINGS), baseline="activation=relu")
    assert labels(comparison) == ["gelu", "relu", "tanh"]
    assert [contrast.summary.label for contrast in comparison.contrasts] == ["activation=gelu", "activation=tanh"]
    relu, tanh, gelu = SETTINGS.values()
    p_gelu, p_tanh = stats.ttest_rel(gelu, relu).pvalue, stats.ttest_rel(tanh, relu).pvalue
    assert comparison.n_tests == 2
    assert [contrast.p for contrast in comparison.contrasts] == pytest.approx([max(p_gelu, 2 * p_tanh), 2 * p_tanh])


def test_the_least_loss_is_best(write_sweep: Write) -> None:
    comparison = compare(write_sweep(SETTINGS), metric="loss/val")
    assert labels(comparison) == ["gelu", "relu", "tanh"]
    assert comparison.contrasts[0].difference.mean == pytest.approx(0.015)


def with_r2(r2: float | None, loss: float = 0.5) -> dict[str, dict[str, float | None]]:
    return {split: {"loss": loss, "r2": r2} for split in ("train", "val", "test")}


def test_runs_that_have_no_r2_are_left_out_and_have_not_failed(write_run: Write, here: Path) -> None:
    for seed, (relu, tanh) in enumerate([(0.5, 0.4), (None, None), (0.7, 0.5), (0.6, None)]):
        write_run(f"relu{seed}", "activation=relu", seed=seed, metrics=with_r2(relu))
        write_run(f"tanh{seed}", "activation=tanh", seed=seed, metrics=with_r2(tanh))
    comparison = compare(here)
    assert labels(comparison) == ["relu", "tanh"]
    assert [(summary.seeds, len(summary.failures)) for summary in comparison.summaries] == [([0, 2, 3], 0), ([0, 2], 0)]
    assert [found.mean for summary in comparison.summaries if (found := summary.estimate(comparison.metric))] == [
        pytest.approx(0.6),
        pytest.approx(0.45),
    ]
    assert comparison.notes[0].startswith("3 of 8 runs have no test R²")


def test_without_any_r2_settings_are_ranked_by_loss(write_run: Write, here: Path) -> None:
    write_run("relu", "activation=relu", metrics=with_r2(None, loss=0.3))
    write_run("tanh", "activation=tanh", metrics=with_r2(None, loss=0.2))
    comparison = compare(here)
    assert (labels(comparison), comparison.metric.tag) == (["tanh", "relu"], "loss/test")
    assert len(comparison.notes) == 1


def test_equal_scores_are_ranked_by_loss(write_run: Write, here: Path) -> None:
    for name, loss in (("relu", 0.3), ("gelu", 0.1), ("tanh", 0.2)):
        write_run(name, f"activation={name}", metrics={"test": {"accuracy": 1.0, "loss": loss}})
    assert labels(compare(here)) == ["gelu", "tanh", "relu"]


def test_seeds_that_only_one_has_are_not_paired(write_run: Write, here: Path) -> None:
    for seed in (0, 1, 2):
        write_run(f"relu{seed}", "activation=relu", seed=seed, score=0.9 + seed / 100)
        write_run(f"gelu{seed}", "activation=gelu", seed=seed + 1, score=0.5 + seed**2 / 100)
    (contrast,) = compare(here).contrasts
    assert contrast.difference.n == 2
    assert contrast.difference.mean == pytest.approx(((0.5 - 0.91) + (0.51 - 0.92)) / 2)


@pytest.mark.parametrize(
    ("changes", "failed", "unfinished"),
    [
        ({"state": "failed", "reason": "the loss is nan at epoch 2"}, ["the loss is nan at epoch 2"], []),
        ({"state": "interrupted"}, [], ["interrupted"]),
        ({"state": "running"}, [], ["has not ended"]),
        ({"metrics": {"test": {"accuracy": None, "loss": 1.0}}}, ["it has no finite accuracy/test"], []),
    ],
)
def test_runs_without_a_result_are_counted_with_their_reason(
    write_run: Write, here: Path, changes: dict[str, object], failed: list[str], unfinished: list[str]
) -> None:
    write_run("0", seed=0)
    write_run("1", seed=1, **changes)
    (summary,) = compare(here).summaries
    assert summary.seeds == [0]
    assert [lost.reason for lost in summary.failures] == failed
    assert [lost.reason for lost in summary.unfinished] == unfinished


def test_settings_without_a_result_come_last(write_run: Write, here: Path) -> None:
    write_run("0", "activation=relu", state="failed", score=None, metrics={})
    write_run("1", "activation=gelu", score=0.01)
    comparison = compare(here)
    assert labels(comparison) == ["gelu", "relu"]
    assert not comparison.contrasts


def test_nothing_but_failures(write_run: Write, here: Path) -> None:
    write_run("0", state="failed", score=None, metrics={})
    comparison = compare(here)
    assert (comparison.best, comparison.reference, comparison.contrasts) == (None, None, [])


@pytest.mark.parametrize(
    ("baseline", "best"),
    [
        ("activation=relu,init=default", "activation=relu, init=default"),
        ("init = default , activation = relu", "activation=relu, init=default"),
        ("activation=tanh", "activation=tanh, init=default, model.hidden=[8,8]"),
        ("model.hidden=[8, 8]", "activation=tanh, init=default, model.hidden=[8,8]"),
    ],
)
def test_a_baseline_is_named_by_enough_of_its_keys(write_sweep: Write, baseline: str, best: str) -> None:
    overrides = [
        "activation=relu init=default",
        "activation=relu init=orthogonal",
        "activation=tanh model.hidden=[8,8]",
    ]
    comparison = compare(write_sweep({setting: [0.5, 0.6] for setting in overrides}), baseline=baseline)
    assert comparison.reference is not None
    assert {*best.split(", ")} <= {*comparison.reference.label.split(", ")}


def test_numbers_in_a_baseline_may_be_written_otherwise(write_sweep: Write) -> None:
    sweep = write_sweep({"optimizer.lr=0.001": [0.5, 0.6], "optimizer.lr=0.1": [0.7, 0.9]})
    comparison = compare(sweep, baseline="optimizer.lr=1e-3")
    assert comparison.reference is not None
    assert comparison.reference.label == "optimizer.lr=0.001"


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ("activatoin=relu", "did you mean 'activation'?"),
        ("activation=rleu", "did you mean 'relu'?"),
        ("activation=relu", "say also which init"),
    ],
)
def test_a_baseline_that_names_no_setting(write_sweep: Write, here: Path, baseline: str, said: str) -> None:
    write_sweep({f"activation={name}": [0.5] for name in ("relu init=default", "relu init=zeros", "gelu init=zeros")})
    with pytest.raises(ConfigError) as caught:
        compare(here, baseline=baseline)
    assert said in str(caught.value)


def test_classification_and_regression_are_not_ranked_together(write_run: Write, here: Path) -> None:
    write_run("0", "dataset=digits")
    write_run("1", "dataset=sine", score_name="r2")
    with pytest.raises(ConfigError, match=r"which cannot be ranked together: .* or choose --metric loss/test"):
        compare(here)
    assert "not on one scale" in compare(here, metric="loss/test").notes[-1]
    assert compare(here / "1").metric.tag == "r2/test"


@pytest.mark.parametrize(
    ("overrides", "metric", "said"),
    [
        (["dataset=moons", "dataset=circles"], None, "differ in their data (dataset)"),
        (["dataset=moons dataset.noise=0.1", "dataset=moons dataset.noise=0.3"], None, "(dataset.noise)"),
        (["dataset=xor loss=bce", "dataset=xor loss=mse"], "loss/val", "different losses"),
        (["dataset=xor loss=bce", "dataset=xor loss=mse"], None, None),
        (["activation=relu", "activation=gelu"], None, None),
    ],
)
def test_notes_on_what_does_not_compare(
    write_sweep: Write, overrides: list[str], metric: str | None, said: str | None
) -> None:
    notes = compare(write_sweep({setting: [0.5, 0.6] for setting in overrides}), metric=metric).notes
    assert any(said in note for note in notes) if said else not notes


def test_false_alarms_are_as_rare_as_holm_says() -> None:
    """Six equal settings of six seeds: "more than noise" against the best in at most one comparison of twenty.

    Correcting for the five contrasts that are shown gives a false alarm in about one of ten.
    """
    random = np.random.default_rng(0)
    trials, alarms = 300, 0
    for scores in random.normal(0.9, 0.01, (trials, 6, 6)):
        found = compared(scores).contrasts
        alarms += any(contrast.p is not None and contrast.p <= 0.05 for contrast in found)
    assert alarms / trials <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / trials)
