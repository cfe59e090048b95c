"""Evaluating a saved run: its best weights, its own config, its data."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from torch import nn

from mlpexp.config.metric import listed
from mlpexp.config.user_code import refused
from mlpexp.data.dataset import Data, Split
from mlpexp.engine.member import build_module
from mlpexp.engine.metrics import undefined
from mlpexp.engine.objective import Objective
from mlpexp.errors import ConfigError
from mlpexp.figures.formats import Format
from mlpexp.run import checkpoint, history, record
from mlpexp.run.directory import RunDirectory, claim_new, refuse_links
from mlpexp.run.files import no_formula, write_bytes, write_text
from mlpexp.run.record import Record
from mlpexp.run.results import Results, constant_metrics, constant_of
from mlpexp.training.importance import Importance, permutation_importance
from mlpexp.training.prepare import Preparations, check_memory
from mlpexp.training.saved import best as best_of
from mlpexp.training.saved_config import refuse_to_fetch, saved_config


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found, and where it wrote it."""

    directory: Path
    epoch: int  # of the weights
    metrics: dict[str, dict[str, float]]
    constant: dict[str, dict[str, float]]  # of a constant answer, fitted to the training rows
    undefined: dict[str, dict[str, str]]  # which metrics there cannot be, and why
    results: Results
    remarks: tuple[str, ...]  # on what was damaged, and what took its place
    importance: Importance | None = None  # where it was asked for

    def __repr__(self) -> str:
        *_, last = self.metrics
        return f"<Evaluation {self.directory}: weights of epoch {self.epoch}\n {listed(self.metrics, last)}>"


def load(
    directory: str | Path,
    changes: dict[str, Any] | None = None,
    *,
    weights: Literal["best", "last"] = "best",
    preparations: Preparations | None = None,
) -> tuple[Results, int]:
    """A run's network with the weights of its best epoch, or of its last one, its data, and which epoch that is.

    It predicts without any data: these are read, and checked to be those of the run, where they are asked for.

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
    config = saved_config(found, path, changes, data=False)
    known = record.identity(found, path)
    if weights == "best":
        source, state = best_of(path, final=found.state == "completed")
    else:
        source = RunDirectory(path).last
        state = checkpoint.load(source)
    loss, device = config.loss.resolve(known.task), config.device.find()
    with refused():
        n_parameters = config.model.n_parameters(known.n_features, loss.n_outputs(known.task))
        check_memory(config, n_parameters, known.n_features, device)
        module: nn.Module = build_module(config, known, loss)
    try:
        module.load_state_dict(state["weights" if weights == "best" else "module"])
        epoch = int(state["epoch"])
    except checkpoint.MISMATCHES as error:
        raise checkpoint.mismatch(source, error) from error

    def read() -> Data:
        refuse_to_fetch(config, path, changes)
        return preparations.stored(config, known, path)

    of_classes = loss.class_weights(record.constant_answer(found, path), known.task)
    objective = Objective(known.task, loss, class_weights=(of_classes,))
    # It is fitted to the best weights of a run that has ended.
    temperature = found.temperature if weights == "best" and found.temperature is not None else 1.0
    results = Results(module.to(device), known, objective, read, config.precision == "bf16", temperature)
    return results, epoch, source


def evaluate(
    directory: str | Path,
    changes: dict[str, Any] | None = None,
    data: str | Path | None = None,
    *,
    importance: bool = False,
    format: Format = "png",
) -> Evaluation:
    """Writes metrics.json, the confusion matrix as CSV and the figures to RUN/evaluations/<date and time>.

    `data` is a table: where it has the content of the run's, the run's splits are evaluated, else all of its rows.
    `importance`: also that of each column, by the config's `metric` or else the task's score, as CSV and figure.
    """
    path = Path(directory)
    found = record.read(path)
    refuse_links(path)
    file = None if data is None else Path(data)
    results, epoch, source = _load(path, found, changes or {}, "best", Preparations(file))
    known = results.identity
    metric = (found.config["metric"] or results.task.score) if importance else None
    if file is not None and (known.source is None or known.source.find([file])[0] is None):
        dataset = saved_config(found, path, changes or {}).dataset
        rows = dataset.labelled(known, file)
        evaluation = _evaluate_table(
            path, results, epoch, file, rows, record.constant_answer(found, path), metric, format
        )
        name = getattr(dataset, "weight", None)
        if name is None or rows.weight is not None:
            return evaluation
        return replace(evaluation, remarks=(f"{file}: has no column {name}, the weight of rows: all count alike.",))
    judged: dict[str, Any] = {
        "metrics": results.metrics(),
        "constant": constant_metrics(results.data, results.objective),
        "undefined": results.undefined(),
    }
    important = None if metric is None else permutation_importance(results, metric, "the test split")
    curves, remarks = _curves(path, found, results.task.score)
    if source != RunDirectory(path).best:
        remarks = (f"The weights are those in {source}, which has later or the only whole ones.", *remarks)
    out = claim_new(path / "evaluations" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    write_text(out / "metrics.json", json.dumps(record.finite({"epoch": epoch, **judged}), indent=2) + "\n")
    if results.task.kind == "classification":
        write_text(out / "confusion_matrix.csv", _confusion_csv(results, results.data.test))
    from mlpexp.run.pictures import further_pictures, pictures

    for name, picture in (*pictures(results, curves, epoch, found.config["metric"]), *further_pictures(results)):
        write_bytes(out / f"{name}.{format}", picture.drawn(format))
    _write_importance(out, important, format)
    return Evaluation(out, epoch, results=results, remarks=remarks, importance=important, **judged)


def _evaluate_table(
    path: Path,
    results: Results,
    epoch: int,
    file: Path,
    rows: Split,
    answer: list[float],
    metric: str | None,
    format: Format,
) -> Evaluation:
    """Of all rows of another table than the run's: metrics.json, the confusion matrix as CSV, the importance."""
    rows = rows.to(next(results.module.parameters()).device)
    data = Data(file.name, results.task, rows, rows, rows, results.identity.preprocessing)
    results = replace(results, read=lambda: data)
    name = f"all {len(rows):,} rows of {file.name}"
    reasons = undefined(results.task, rows.y, file.name)
    judged: dict[str, Any] = {
        "metrics": {name: results.metrics_of(rows)},
        "constant": {name: constant_of(answer, rows, results.identity)},
        "undefined": {name: reasons} if reasons else {},
    }
    important = None if metric is None else permutation_importance(results, metric, name)
    out = claim_new(path / "evaluations" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    content = {"epoch": epoch, "data": str(file), **judged}
    write_text(out / "metrics.json", json.dumps(record.finite(content), indent=2) + "\n")
    if results.task.kind == "classification":
        write_text(out / "confusion_matrix.csv", _confusion_csv(results, rows))
    _write_importance(out, important, format)
    return Evaluation(out, epoch, results=results, remarks=(), importance=important, **judged)


def _write_importance(out: Path, found: Importance | None, format: Format) -> None:
    if found is not None:
        write_text(out / "importance.csv", found.csv())
        write_bytes(out / f"importance.{format}", found.picture().drawn(format))


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


def _confusion_csv(results: Results, split: Split) -> str:
    """Counts on a split: a row a true class, a column a predicted one."""
    classes = [no_formula(name) for name in results.task.classes]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ predicted", *classes])
    for name, row in zip(classes, results.confusion(split).tolist(), strict=True):
        writer.writerow([name, *row])
    return text.getvalue()
