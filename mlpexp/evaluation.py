"""Judging a saved run: its best weights, its own config, its data."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from torch import nn

from mlpexp.engine.member import build_module
from mlpexp.engine.objective import Objective
from mlpexp.prepare import Preparations
from mlpexp.run import checkpoint, history, record
from mlpexp.run.directory import RunDirectory, claim_new
from mlpexp.run.files import write_bytes, write_text
from mlpexp.run.results import Results
from mlpexp.training.single import saved_config


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found, and where it wrote it."""

    directory: Path
    epoch: int  # of the weights
    metrics: dict[str, dict[str, float]]
    results: Results


def load(
    directory: str | Path,
    changes: dict[str, Any] | None = None,
    *,
    weights: Literal["best", "last"] = "best",
    preparations: Preparations | None = None,
) -> tuple[Results, int]:
    """A run's network with the weights of its best epoch, or of its last one, its data, and which epoch that is.

    `changes` may give other values of `device`, `data_dir` and `plugins`. Nothing of the run is executed.
    `preparations` keep the data where several runs are loaded.
    """
    path = Path(directory)
    paths = RunDirectory(path)
    config = saved_config(record.read(path), path, changes or {})
    prepared = (preparations or Preparations()).of(config)
    file, key = (paths.best, "weights") if weights == "best" else (paths.last, "module")
    state = checkpoint.load(file)
    module: nn.Module = build_module(config, prepared.data, prepared.loss)
    try:
        module.load_state_dict(state[key])
        epoch = int(state["epoch"])
    except checkpoint.MISFITS as error:
        raise checkpoint.misfit(file, error) from error
    device = prepared.device
    objective = Objective(prepared.data.task, prepared.loss)
    bf16 = config.precision == "bf16"
    return Results(module.to(device), prepared.data.to(device), objective, bf16), epoch


def evaluate(directory: str | Path, changes: dict[str, Any] | None = None) -> Evaluation:
    """Writes metrics.json, the confusion matrix as CSV and the figures to RUN/evaluations/<date and time>."""
    results, epoch = load(directory, changes)
    metrics = results.metrics()
    out = claim_new(Path(directory) / "evaluations" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    write_text(out / "metrics.json", json.dumps({"epoch": epoch, "metrics": metrics}, indent=2) + "\n")
    if results.data.task.kind == "classification":
        write_text(out / "confusion_matrix.csv", _confusion_csv(results))
    from mlpexp.figures.gallery import pictures

    curves = RunDirectory(Path(directory)).history
    for name, picture in pictures(results, history.read(curves) if curves.exists() else None, epoch):
        write_bytes(out / f"{name}.png", picture.png())
    return Evaluation(out, epoch, metrics, results)


def _confusion_csv(results: Results) -> str:
    """Counts on the test split: a row a true class, a column a predicted one."""
    classes = results.data.task.classes
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ predicted", *classes])
    for name, row in zip(classes, results.confusion(results.data.test).tolist(), strict=True):
        writer.writerow([name, *row])
    return text.getvalue()
