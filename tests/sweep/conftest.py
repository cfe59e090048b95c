"""What a sweep has left, in a form that can be compared."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlpexp.run import checkpoint

# What of run.json and of sweep.csv is never twice the same.
_OF_THE_MOMENT = ("command", "started", "seconds", "pid")


@pytest.fixture
def scalars() -> Callable[[Path], dict[str, list[tuple[int, float]]]]:
    """By tag, the steps and values that TensorBoard reads of a run, but those of its end."""
    return _scalars


@pytest.fixture
def contents() -> Callable[[Path], dict[str, Any]]:
    """Every number that a sweep's directory holds, by run; floats to the bit."""

    def of_sweep(sweep: Path) -> dict[str, Any]:
        runs = {str(path.parent.relative_to(sweep)): _of_run(path.parent) for path in sweep.rglob("run.json")}
        table = list(csv.DictReader((sweep / "sweep.csv").read_text().splitlines()))
        return {**runs, "table": [{key: row[key] for key in row if key != "seconds/mean"} for row in table]}

    return of_sweep


def _of_run(run: Path) -> dict[str, Any]:
    said = json.loads((run / "run.json").read_text())
    found = {
        "run.json": {key: value for key, value in said.items() if key not in _OF_THE_MOMENT},
        "metrics.csv": (run / "metrics.csv").read_text(),
        "checkpoints": {path.name: _plain(checkpoint.load(path)) for path in run.glob("checkpoints/*")},
        "figures": sorted(path.name for path in run.glob("figures/*")),
    }
    if (run / "tensorboard").exists():
        found["scalars"] = _scalars(run)
    return found


def _plain(value: Any) -> Any:
    """With the bytes of its tensors, which `==` compares whole."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(run / "tensorboard"), {"scalars": 0}).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if not tag.startswith("final/")
    }
