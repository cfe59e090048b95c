"""Runs that diverged count as a constant answer: a setting is judged by all of its seeds."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mlpexp.cli.main import call
from mlpexp.comparison.compare import Comparison, compare
from mlpexp.comparison.histories import histories
from mlpexp.comparison.table import contrasts_rows, csv_text, settings_rows
from mlpexp.comparison.verdict import verdict
from mlpexp.errors import ConfigError

Write = Callable[..., Path]
FAST, SLOW = "optimizer.lr=1.0", "optimizer.lr=0.1"
STEADY = [0.9, 0.91, 0.89, 0.9, 0.9, 0.91, 0.89, 0.9, 0.91, 0.89]


@pytest.fixture
def write_lost(write_run: Write, tmp_path: Path) -> Callable[..., Path]:
    """Writes ten seeds of two rates; with the fast one the last `n_diverged` diverge, and others score `lucky`."""

    def write(n_diverged: int, lucky: float = 0.95, steady: list[float] = STEADY) -> Path:
        n = len(steady)
        for seed in range(n):
            write_run(f"slow/{seed}", SLOW, seed=seed, score=steady[seed])
            if seed < n - n_diverged:
                write_run(f"fast/{seed}", FAST, seed=seed, score=lucky + seed / 1000)
            else:
                write_run(f"fast/{seed}", FAST, seed=seed, score=None, diverged=True)
        return tmp_path

    return write


def labels(comparison: Comparison) -> list[str]:
    return [summary.label for summary in comparison.summaries]


def test_survivors_do_not_win(write_lost: Write) -> None:
    comparison = compare(write_lost(7))
    fast = [0.95, 0.951, 0.952] + [0.5] * 7
    assert labels(comparison) == [SLOW, FAST]
    assert comparison.summaries[1].estimate(comparison.metric).mean == pytest.approx(np.mean(fast))  # type: ignore[union-attr]
    p = stats.ttest_rel(fast, STEADY).pvalue
    assert comparison.contrasts[0].p == pytest.approx(p)
    assert "(7 of 10 seeds diverged): 26.47 points lower" in verdict(comparison)[1]


@pytest.mark.parametrize("n", [4, 5, 10])
def test_whatever_the_share_that_diverged(n: int, write_run: Write, tmp_path: Path) -> None:
    """A setting whose mean over all seeds is the lower one is neither best nor called better."""
    for n_diverged in range(1, n + 1):
        # Survivors are better by less than the diverged ones cost.
        lead = 0.4 * n_diverged / n * 0.9
        for seed in range(n):
            name, jitter = f"{n_diverged}/{seed}", 0.001 * math.sin(7 * seed + n_diverged)
            write_run(f"{name}/slow", SLOW, seed=seed, score=0.9 - lead / 2 + jitter)
            alive = seed >= n_diverged
            write_run(f"{name}/fast", FAST, seed=seed, score=0.9 + lead / 20 if alive else None, diverged=not alive)
        comparison = compare(tmp_path / str(n_diverged))
        means = {summary.label: summary.estimate(comparison.metric) for summary in comparison.summaries}
        slow, fast = means[SLOW], means[FAST]
        assert slow is not None
        assert fast is not None
        if fast.mean >= slow.mean:
            continue
        assert labels(comparison)[0] == SLOW, n_diverged
        assert f"({n_diverged} of {n} seeds diverged): " in verdict(comparison)[1]
        assert " lower, " in verdict(comparison)[1]


def test_a_setting_that_always_diverges_comes_after_all_that_learn(write_run: Write, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(f"slow/{seed}", SLOW, seed=seed, score=0.3 + seed / 100)
        write_run(f"fast/{seed}", FAST, seed=seed, score=None, diverged=True)
        write_run(f"full/{seed}", "optimizer.lr=0.5", seed=seed, score=None, state="failed", metrics={})
    comparison = compare(tmp_path)
    assert labels(comparison) == [SLOW, FAST, "optimizer.lr=0.5"]
    rows = list(csv.DictReader(io.StringIO(csv_text(comparison))))
    assert [(row["rank"], row["n"], row["failed"], row["diverged"]) for row in rows] == [
        ("1", "2", "0", "0"),
        ("2", "2", "2", "2"),
        ("", "0", "2", "0"),
    ]


def test_nothing_but_divergence(write_run: Write, here: Path) -> None:
    for seed in (0, 1):
        write_run(f"fast/{seed}", FAST, seed=seed, score=None, diverged=True)
    comparison = compare(here)
    assert (comparison.best, comparison.reference, comparison.contrasts) == (None, None, [])


@pytest.mark.parametrize("metric", ["loss/test", "accuracy/val"])
def test_every_metric_has_its_own_constant(metric: str, write_lost: Write) -> None:
    comparison = compare(write_lost(7), metric=metric)
    assert labels(comparison) == [SLOW, FAST]
    found = comparison.summaries[1].values(comparison.metric)
    assert list(found.values())[3:] == [{"loss/test": 0.693, "accuracy/val": 0.5}[metric]] * 7


def test_a_run_whose_metric_is_not_finite_counts_likewise(write_run: Write, here: Path) -> None:
    whole, broken = {"loss": 0.1, "accuracy": 0.9}, {"loss": None, "accuracy": 0.95}
    constant = {"test": {"loss": 0.693, "accuracy": 0.5}}
    for seed in range(3):
        write_run(f"slow/{seed}", SLOW, seed=seed, metrics={"test": whole})
        lost = {"metrics": {"test": broken}, "constant": constant} if seed else {"metrics": {"test": {"loss": 0.01}}}
        write_run(f"fast/{seed}", FAST, seed=seed, **lost)
    comparison = compare(here, metric="loss/test")
    assert labels(comparison) == [SLOW, FAST]
    assert comparison.summaries[1].values(comparison.metric) == {(0, 0): 0.01, (1, 0): 0.693, (2, 0): 0.693}


def test_the_tables_say_how_many(write_lost: Write) -> None:
    rows = settings_rows(compare(write_lost(7)))
    assert rows[0][-2:] == ["failed", "diverged"]
    assert [(row[1], *row[-2:]) for row in rows[1:]] == [("10", "0", "0"), ("10", "7", "7")]


def test_a_repeat_that_completed_does_not_hide_one_that_diverged(write_run: Write, here: Path) -> None:
    write_run("first", FAST, seed=0, score=0.95, started="2026-11-24T10:00:00+00:00")
    write_run("later", FAST, seed=0, score=None, diverged=True, started="2026-11-24T11:00:00+00:00")
    (summary,) = compare(here).summaries
    assert (len(summary.runs), len(summary.diverged)) == (0, 1)


def test_curves_say_that_they_are_of_survivors(write_lost: Write) -> None:
    assert "without the runs that diverged: 7" in histories(compare(write_lost(7)).summaries, ["loss/val"]).remarks


def test_left_out_on_demand_they_make_no_setting_better(write_lost: Write) -> None:
    runs = write_lost(5)
    comparison = compare(runs, failed="ignore")
    assert labels(comparison) == [FAST, SLOW]
    assert comparison.contrasts[0].difference.n == 5
    said = verdict(compare(runs, metric="loss/test", failed="ignore"))
    assert not any("which is better" in line or "more than noise" in line for line in said)


def test_the_option_of_the_command(write_lost: Write, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lost(7)
    assert call(["compare", str(here), "--failed", "ignore", "--out", "a"]) == 0
    assert "7 of 20 runs diverged and are left out (--failed ignore)." in capsys.readouterr().out
    assert call(["compare", str(here), "--out", "b"]) == 0
    assert "(7 of 10 seeds diverged): 26.47 points lower" in " ".join(capsys.readouterr().out.split())
    assert call(["compare", str(here), "--failed", "ignor", "--out", "c"]) == 2
    assert "invalid choice: 'ignor' (choose from 'constant', 'ignore')" in capsys.readouterr().err
    assert not (here / "c").exists()


def test_another_word_is_refused(write_lost: Write) -> None:
    with pytest.raises(ConfigError, match=r"failed=ignor: .*did you mean 'ignore'"):
        compare(write_lost(1), failed="ignor")  # type: ignore[arg-type]


def test_a_best_setting_of_one_seed_does_not_silence_the_tests(write_sweep: Write) -> None:
    settings = {
        "activation=relu": [0.99],
        "activation=gelu": STEADY,
        "activation=tanh": [x - 0.1 for x in STEADY[::-1]],
    }
    comparison = compare(write_sweep(settings))
    assert labels(comparison) == ["activation=relu", "activation=gelu", "activation=tanh"]
    assert comparison.reference is comparison.summaries[1]
    assert comparison.n_tests == 1
    assert "more than noise" in verdict(comparison)[3]


def test_settings_without_a_common_seed_are_compared_unpaired(write_run: Write, here: Path) -> None:
    relu, gelu = [0.9, 0.91, 0.92, 0.9], [0.8, 0.83, 0.81]
    for seed, score in enumerate(relu):
        write_run(f"r/{seed}", "activation=relu", seed=seed, score=score)
    for seed, score in enumerate(gelu, 10):
        write_run(f"g/{seed}", "activation=gelu", seed=seed, score=score)
    comparison = compare(here)
    assert comparison.contrasts[0].p == pytest.approx(stats.ttest_ind(gelu, relu, equal_var=False).pvalue)
    assert contrasts_rows(comparison)[1][1] == "unpaired"
