"""Evaluating a saved run: its best weights, its own config, its data."""

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
from mlpexp.errors import ConfigError
from mlpexp.run import checkpoint, history, record
from mlpexp.run.directory import RunDirectory, claim_new, refuse_links
from mlpexp.run.files import no_formula, write_bytes, write_text
from mlpexp.run.record import Record
from mlpexp.run.results import Results
from mlpexp.training.prepare import Preparations, prepare_again
from mlpexp.training.saved import best as best_of
from mlpexp.training.single import saved_config


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found, and where it wrote it."""

    directory: Path
    epoch: int  # of the weights
    metrics: dict[str, dict[str, float]]
    results: Results
    remarks: tuple[str, ...]  # on what was damaged, and what took its place


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
    results, epoch, _ = _load(path, record.read(path), changes or {}, weights, preparations or Preparations())
    return results, epoch


def _load(
    path: Path, found: Record, changes: dict[str, Any], weights: Literal["best", "last"], preparations: Preparations
) -> tuple[Results, int, Path]:
    """A run's network with the weights asked for, their epoch, and the checkpoint that they are from."""
    config = saved_config(found, path, changes)
    prepared = prepare_again(config, found, path, preparations)
    if weights == "best":
        source, state = best_of(path, final=found.state == "completed")
    else:
        source = RunDirectory(path).last
        state = checkpoint.load(source)
    module: nn.Module = build_module(config, prepared.data, prepared.loss)
    try:
        module.load_state_dict(state["weights" if weights == "best" else "module"])
        epoch = int(state["epoch"])
    except checkpoint.MISMATCHES as error:
        raise checkpoint.mismatch(source, error) from error
    device = prepared.device
    objective = Objective(prepared.data.task, prepared.loss)
    bf16 = config.precision == "bf16"
    return Results(module.to(device), prepared.data.to(device), objective, bf16), epoch, source


def evaluate(directory: str | Path, changes: dict[str, Any] | None = None) -> Evaluation:
    """Writes metrics.json, the confusion matrix as CSV and the figures to RUN/evaluations/<date and time>."""
    path = Path(directory)
    found = record.read(path)
    refuse_links(path)
    results, epoch, source = _load(path, found, changes or {}, "best", Preparations())
    metrics = results.metrics()
    curves, remarks = _curves(path, found, results.data.task.score)
    if source != RunDirectory(path).best:
        remarks = (f"The weights are those in {source}, which has later or the only whole ones.", *remarks)
    out = claim_new(path / "evaluations" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    write_text(out / "metrics.json", json.dumps(record.finite({"epoch": epoch, "metrics": metrics}), indent=2) + "\n")
    if results.data.task.kind == "classification":
        write_text(out / "confusion_matrix.csv", _confusion_csv(results))
    from mlpexp.run.pictures import pictures

    for name, picture in pictures(results, curves, epoch):
        write_bytes(out / f"{name}.png", picture.png())
    return Evaluation(out, epoch, metrics, results, remarks)


def _curves(path: Path, found: Record, score: str) -> tuple[dict[str, list[float]] | None, tuple[str, ...]]:
    """The run's history, where there is one; or why it is not drawn."""
    file = RunDirectory(path).history
    try:
        curves = history.read(file, found.history) if file.exists() else None
        for name in (f"{score}/train", f"{score}/val"):
            if curves and name not in curves:
                raise ConfigError(f"{file}: is damaged or unreadable: it lacks the column {name}.")
        return curves, ()
    except ConfigError as error:
        return None, (f"{error} The curves are left out.",)


def _confusion_csv(results: Results) -> str:
    """Counts on the test split: a row a true class, a column a predicted one."""
    classes = [no_formula(name) for name in results.data.task.classes]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ predicted", *classes])
    for name, row in zip(classes, results.confusion(results.data.test).tolist(), strict=True):
        writer.writerow([name, *row])
    return text.getvalue()
