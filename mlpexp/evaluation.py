"""Judging a saved run: its best weights, its own config, its data."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from torch import nn

from mlpexp.engine.member import build_module
from mlpexp.engine.objective import Objective
from mlpexp.errors import ConfigError
from mlpexp.prepare import prepare
from mlpexp.run import checkpoint, history, record
from mlpexp.run.csv_cell import no_formula
from mlpexp.run.directory import RunDirectory, claim_new, refuse_links
from mlpexp.run.files import write_bytes, write_text
from mlpexp.run.record import Record
from mlpexp.run.results import Results
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


def load(directory: str | Path, changes: dict[str, Any] | None = None) -> tuple[Results, int]:
    """The best weights of a run in their network, with its data, and the epoch that they are from.

    `changes` may give other values of `device`, `data_dir` and `plugins`. Nothing of the run is executed.
    """
    results, epoch, _ = _load(Path(directory), record.read(Path(directory)), changes or {})
    return results, epoch


def _load(path: Path, found: Record, changes: dict[str, Any]) -> tuple[Results, int, Path]:
    """The best weights in their network, their epoch, and the checkpoint that they are from."""
    prepared = prepare(saved_config(found, path, changes))
    source, best = best_of(path, final=found.state == "completed")
    module: nn.Module = build_module(prepared.config, prepared.data, prepared.loss)
    try:
        module.load_state_dict(best["weights"])
        epoch = int(best["epoch"])
    except checkpoint.MISFITS as error:
        raise checkpoint.misfit(source, error) from error
    device = prepared.device
    objective = Objective(prepared.data.task, prepared.loss)
    bf16 = prepared.config.precision == "bf16"
    return Results(module.to(device), prepared.data.to(device), objective, bf16), epoch, source


def evaluate(directory: str | Path, changes: dict[str, Any] | None = None) -> Evaluation:
    """Writes metrics.json, the confusion matrix as CSV and the figures to RUN/evaluations/<date and time>."""
    path = Path(directory)
    found = record.read(path)
    refuse_links(path)
    results, epoch, source = _load(path, found, changes or {})
    metrics = results.metrics()
    curves, remarks = _curves(path, found)
    if source != RunDirectory(path).best:
        remarks = (f"The weights are those in {source}, which has later or the only whole ones.", *remarks)
    out = claim_new(path / "evaluations" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    write_text(out / "metrics.json", json.dumps({"epoch": epoch, "metrics": metrics}, indent=2) + "\n")
    if results.data.task.kind == "classification":
        write_text(out / "confusion_matrix.csv", _confusion_csv(results))
    from mlpexp.figures.gallery import draw

    for name, png in draw(results, curves, epoch):
        write_bytes(out / f"{name}.png", png)
    return Evaluation(out, epoch, metrics, results, remarks)


def _curves(path: Path, found: Record) -> tuple[dict[str, list[float]] | None, tuple[str, ...]]:
    """The run's history, where there is one; or why it is not drawn."""
    file = RunDirectory(path).history
    try:
        return (history.read(file, found.history) if file.exists() else None), ()
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
