"""A sweep whose runs have splits of their own: one stack, one reading of the file, all else as in each run alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mlpexp
from mlpexp.cli.main import call
from mlpexp.data.table import Table
from mlpexp.data.tables.raw import RawTable
from mlpexp.sweep.from_python import train_sweep
from mlpexp.sweep.resume import resume_sweep
from mlpexp.sweep.train import SweepWatcher
from mlpexp.training import prepare

QUICK = ["epochs=2", "batch_size=16", "model.hidden=[6]", "log.figures=false", "log.tensorboard=false", "device=cpu"]
OWN = ["dataset=table", "dataset.path=table.csv", *QUICK]
SEEDS = ["seed=0,1,2", "dataset.seed=${seed}"]


@pytest.fixture
def table(here: Path) -> Path:
    draw = np.random.default_rng(0)
    rows = [
        f"{a:.3f},{'' if a > 1 else f'{b:.3f}'},{'uvw'[n % 3]}" for n, (a, b) in enumerate(draw.random((90, 2)) * 2)
    ]
    path = here / "table.csv"
    path.write_text("\n".join(["a,b,y", *rows]) + "\n")
    return path


def record(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path, "run.json").read_text())
    return found


@pytest.mark.parametrize("kept", [2**30, 0])
@pytest.mark.usefixtures("table")
def test_each_run_notes_what_it_notes_alone(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no data are kept they are split again, in the same way."""
    reads: list[Path] = []
    read = Table.read

    def counted(self: Table, path: Path, where: str) -> RawTable:
        reads.append(path)
        return read(self, path, where)

    monkeypatch.setattr(Table, "read", counted)
    monkeypatch.setattr(prepare, "_MOST_KEPT", kept)
    train_sweep([*OWN, *SEEDS], "sweep")
    assert len(reads) == 1
    assert json.loads(Path("sweep/sweep.json").read_text())["stacks"] == [[0, 1, 2]]
    for seed in range(3):
        alone = mlpexp.train(mlpexp.compose([*OWN, f"seed={seed}", f"dataset.seed={seed}"]), f"alone{seed}")
        mine, its = record(f"sweep/{seed}"), record(f"alone{seed}")
        for key in ("config", "data", "constant_answer", "constant", "command", "best_epoch"):
            assert mine[key] == its[key], key
        for split, metrics in mine["metrics"].items():
            assert metrics == pytest.approx(its["metrics"][split], rel=1e-3)
        one, other = (torch.load(f"{run}/checkpoints/best.pt") for run in (f"sweep/{seed}", f"alone{seed}"))
        assert torch.equal(one["mean"], other["mean"])
        assert torch.equal(one["std"], other["std"])
        # Judged alone, and not with the others.
        for split, metrics in mlpexp.evaluate(f"sweep/{seed}").metrics.items():
            assert metrics == pytest.approx(mine["metrics"][split], rel=1e-6)
        assert alone.results.data.preprocessing == mlpexp.load(f"sweep/{seed}")[0].identity.preprocessing
    assert record("sweep/0")["data"] != record("sweep/1")["data"]


def test_jobs_that_begin_when_the_sweep_is_resumed_have_the_same_file(table: Path) -> None:
    train_sweep([*OWN, *SEEDS, "stack.max_members=1"], "sweep")
    whole = record("sweep/2")
    for name in ("run.json", "metrics.csv"):
        Path("sweep/2", name).unlink()
    moved = table.rename("moved.csv")
    resume_sweep(Path("sweep"), {}, SweepWatcher(), moved)
    again = record("sweep/2")
    assert again["data"]["split"] == whole["data"]["split"]
    assert again["metrics"] == whole["metrics"]
    Path("sweep/2/run.json").unlink()
    moved.write_text(moved.read_text().replace("u", "w"))
    with pytest.raises(mlpexp.MlpexpError, match=r"sweep/0: the data that it was trained on have changed"):
        resume_sweep(Path("sweep"), {}, SweepWatcher(), moved)


def test_splits_of_other_sizes_train_apart_and_the_plan_says_why(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "COLUMNS", "200")
    rows = [f"{n % 7},{'abcdefgh'[min(n // 2, 15) // 2]},{n % 2}" for n in range(60)]
    (here / "table.csv").write_text("\n".join(["a,who,y", *rows]) + "\n")
    assert call(["train", "-m", *OWN, "dataset.group=who", *SEEDS, "--dry-run"]) == 0
    said = capfd.readouterr().out
    assert "why apart" in said
    assert "rows, others' other numbers" in said
