"""Run directories as training leaves them, without the training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mlpexp.config.compose import compose
from mlpexp.run.record import Record

WriteRun = Callable[..., Path]


@cache
def config(*overrides: str) -> dict[str, Any]:
    """The real config as run.json holds it."""
    return compose(list(overrides)).to_dict()


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Writes run.json and metrics.csv of a run at `name` below the test's directory."""

    def write(
        name: str,
        *overrides: str,
        seed: int = 0,
        score: float | None = 0.9,
        score_name: str = "accuracy",
        history: Mapping[str, Sequence[float]] | None = None,
        **changes: Any,
    ) -> Path:
        directory = tmp_path / name
        directory.mkdir(parents=True)
        split = {} if score is None else {"loss": 1 - score, score_name: score}
        values: dict[str, Any] = {
            "state": "completed",
            "config": copy.deepcopy(config(*overrides)) | {"seed": seed},
            "command": "mlpexp train",
            "started": "2026-11-24T10:00:00+00:00",
            "device": "cpu",
            "seed": seed,
            "n_parameters": 10,
            "versions": {},
            "git_commit": None,
            "host": "here",
            "pid": 1,
            "seconds": 2.0,
            "epochs_done": 3,
            "best_epoch": 3,
            "metrics": dict.fromkeys(("train", "val", "test"), split),
        }
        if changes.get("diverged"):
            constant = {part: {"loss": 0.693, score_name: 0.5} for part in ("train", "val", "test")}
            diverged = {"reason": "diverged: the training loss was nan", "metrics": {}, "constant": constant}
            values |= {"state": "failed"} | diverged
        values |= changes
        lacking = [part for part, found in values["metrics"].items() if found.get("r2", 0.0) is None]
        values["undefined"] = {part: {"r2": f"the targets of the {part} split do not vary"} for part in lacking}
        Record(**values).write(directory)
        if history is None and score is not None:
            falling = [1 - score * epoch / 3 for epoch in (1, 2, 3)]
            history = {
                "epoch": [1, 2, 3],
                "loss/train": falling,
                "loss/val": falling,
                f"{score_name}/val": [1 - value for value in falling],
            }
        if history is not None:
            rows = [",".join(map(str, row)) for row in zip(*history.values(), strict=True)]
            (directory / "metrics.csv").write_text("\n".join([",".join(history), *rows]) + "\n")
        return directory

    return write


@pytest.fixture
def write_sweep(write_run: WriteRun, tmp_path: Path) -> Callable[..., Path]:
    """Writes the runs of a sweep: the scores by seed of each set of overrides."""

    def write(settings: Mapping[str, Sequence[float]], name: str = "sweep", **changes: Any) -> Path:
        number = 0
        for overrides, scores in settings.items():
            for seed, score in enumerate(scores):
                write_run(f"{name}/{number}", *overrides.split(), seed=seed, score=score, **changes)
                number += 1
        return tmp_path / name

    return write
