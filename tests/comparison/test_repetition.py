"""What a mean is over, as the runs' records say, and the variance that goes with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from mlpexp.comparison.compare import compare
from mlpexp.comparison.statistics import difference, estimate
from mlpexp.comparison.verdict import verdict
from mlpexp.data.identity import packed
from mlpexp.run import record

Write = Callable[..., Path]
VARIED = "a seed of its own"


@pytest.mark.parametrize(
    ("overrides", "split", "over", "overlap"),
    [
        (["dataset=digits", VARIED], "test", "over 3 seeds, each with its own split", 0.2 / 0.6),
        (["dataset=digits", VARIED, "dataset.val_fraction=0.1"], "val", "over 3 seeds, each with its own split", 1 / 7),
        (["dataset=digits"], "test", "over 3 seeds on this one split", 0),
        (["dataset=moons", VARIED], "test", "over 3 seeds, each with its own data", 0),
        (["dataset=sine", VARIED], "test", "over 3 seeds, each with its own data", 0),
        (["dataset=moons", VARIED, "dataset.noise=0"], "test", "over 3 seeds, each with its own split", 1 / 3),
        (["dataset=mnist", VARIED], "test", "over 3 seeds on this test set", 0),
        (["dataset=mnist", VARIED], "val", "over 3 seeds, each with its own split", 5 / 55),
        (["dataset=xor"], "test", "over 3 seeds", 0),
    ],
)
def test_what_a_mean_is_over(
    overrides: list[str], split: str, over: str, overlap: float, write_run: Write, here: Path
) -> None:
    data: dict[str, Any] = {"n_rows": [55_000, 5_000, 10_000]} if "dataset=mnist" in overrides else {}
    for seed in range(3):
        words = [text for text in overrides if text != VARIED]
        directory = write_run(str(seed), *words, seed=seed, score=0.9 + seed, data=data)
        if VARIED in overrides:
            _set(directory, seed=seed)
    comparison = compare(here, metric=f"accuracy/{split}" if "dataset=sine" not in overrides else "loss/test")
    (summary,) = comparison.summaries
    found = summary.repetition(comparison.metric)
    assert found.over(3) == over
    assert found.overlap == pytest.approx(overlap)
    assert over in verdict(comparison)[0]


def test_the_same_test_rows_are_one_test_set_whatever_the_seed(write_run: Write, here: Path) -> None:
    rows = torch.arange(9)
    for seed in range(2):
        train, val = (rows[:3], rows[3:6]) if seed else (rows[3:6], rows[:3])
        split = packed((train, val, rows[6:]), 9)
        write_run(str(seed), "dataset=digits", seed=seed, data={"source": {"n_rows": 9}, "split": split})
    (summary,) = compare(here).summaries
    assert [summary.repetition(compare(here, metric=tag).metric).base for tag in ("accuracy/test", "accuracy/val")] == [
        "test set",
        "splits",
    ]


def test_folds_are_repetitions_of_one_setting(write_run: Write, here: Path) -> None:
    for fold in range(5):
        for name in ("relu", "tanh"):
            directory = write_run(f"{name}{fold}", f"activation={name}", score=0.9 + fold / 100)
            _set(directory, fold=fold)
    comparison = compare(here)
    assert [len(summary.counted) for summary in comparison.summaries] == [5, 5]
    assert comparison.contrasts[0].difference.n == 5
    assert "over 5 folds;" in verdict(comparison)[0]


def _set(directory: Path, **values: int) -> None:
    """Changes what the config of a stored run says of its dataset."""
    found = record.read(directory)
    replace(found, config=found.config | {"dataset": found.config["dataset"] | values}).write(directory)


def test_the_corrected_variance_by_hand() -> None:
    # Nadeau and Bengio: t = d̄ / (s √(1/n + n_test/n_train)); d = 1, 2, 3: 2 / (1 · √(1/3 + 1/3))
    found = difference([3, 5, 7], [2, 3, 4], overlap=1 / 3)
    assert found.p == pytest.approx(2 * stats.t.sf(2 / math.sqrt(2 / 3), 2))
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(2 / 3))
    of_mean = estimate([1, 2, 3], overlap=1 / 3)
    assert of_mean is not None
    assert of_mean.half_width == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(2 / 3))


def test_differences_of_splits_are_corrected_and_those_of_one_split_are_not(write_run: Write, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(0.9, 0.01, (2, 5))
    for name in ("one", "own"):
        for setting, row in zip(("relu", "tanh"), scores, strict=True):
            for seed, score in enumerate(row):
                directory = write_run(f"{name}/{setting}{seed}", f"activation={setting}", seed=seed, score=float(score))
                if name == "own":
                    _set(directory, seed=seed)
    p = {name: compare(tmp_path / name).contrasts[0].difference.p for name in ("one", "own")}
    d = scores[0] - scores[1]
    t = abs(d.mean()) / d.std(ddof=1)
    assert p["one"] == pytest.approx(2 * stats.t.sf(t / math.sqrt(1 / 5), 4))
    assert p["own"] == pytest.approx(2 * stats.t.sf(t / math.sqrt(1 / 5 + 1 / 3), 4))
