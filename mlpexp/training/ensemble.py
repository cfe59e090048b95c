"""The ensemble of several runs, such as the seeds of a setting: the mean of their predictions, and its evaluation.

K members, N rows, C classes, T targets.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlpexp.data.dataset import Data, Split
from mlpexp.data.identity import unpacked
from mlpexp.engine.metrics import Answers, metrics
from mlpexp.engine.rows import mean, spread
from mlpexp.errors import ConfigError, pluralize
from mlpexp.run import record
from mlpexp.run.directory import claim_new, refuse_links
from mlpexp.run.files import write_text
from mlpexp.run.results import Results, calibration
from mlpexp.training.evaluate import load
from mlpexp.training.prepare import Preparations
from mlpexp.training.saved_config import saved_config

_REMEDY = "give all seeds one split (dataset.seed=0), or rows of their own (--data FILE)"


@dataclass(frozen=True)
class Ensemble:
    """The result of `evaluate_ensemble`, and the directory it was written to.

    `rows` says in words which rows were evaluated. `metrics` are those of the ensemble, `of_members` those of each
    member on the same rows. `disagreement` for classes: the share of the members' predictions that differ from the
    ensemble's; for values: the standard deviation over members, averaged over rows and targets, in the targets' units.
    """

    directory: Path
    rows: str
    metrics: dict[str, float]
    of_members: list[dict[str, float]]
    disagreement: float


def evaluate_ensemble(
    runs: Sequence[str | Path],
    directory: str | Path,
    changes: dict[str, Any] | None = None,
    data: str | Path | None = None,
) -> Ensemble:
    """Evaluates the mean of the class probabilities, or values, of several runs; writes to `directory`/evaluations.

    It is evaluated on the rows that are in the test split of every run, or on all rows of `data`, a table of new rows.
    `changes` are overrides of the runs' configs, such as `device`. ConfigError where there are fewer than two runs,
    where they predict different things, where no row is in all test splits, or where the runs do not record which rows
    they share.
    """
    paths = [Path(run) for run in runs]
    if len(paths) < 2:
        raise ConfigError(f"{directory}: an ensemble needs two runs at least; of this setting there is one.")
    refuse_links(Path(directory))
    file = None if data is None else Path(data)
    preparations = Preparations(file)
    members = [load(path, changes, preparations=preparations)[0] for path in paths]
    for path, member in zip(paths, members, strict=True):
        if member.task != members[0].task:
            raise ConfigError(f"{path}: predicts something else than {paths[0]}; they have no mean.")
    first = members[0]
    if file is None or (first.identity.source is not None and first.identity.source.find([file])[0] is not None):
        splits = _tested_by_all(paths, members, changes or {})
        rows = f"the {pluralize(len(splits[0]), 'row')} that are in the test split of all"
    else:
        splits = [
            saved_config(record.read(path), path, changes or {}).dataset.labelled(member.identity, file)
            for path, member in zip(paths, members, strict=True)
        ]
        rows = f"all {len(splits[0]):,} rows of {file.name}"
        members = [_on(member, split, file.name) for member, split in zip(members, splits, strict=True)]
    names = [name for name in first.task.metrics if name != "loss"]
    answers = [_answers(member, split) for member, split in zip(members, splits, strict=True)]
    middle = np.mean(answers, axis=0)
    found = _metrics(first, middle, splits[0], names)
    own = [member.metrics_of(split, names) for member, split in zip(members, splits, strict=True)]
    out = claim_new(Path(directory) / "evaluations" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    ensemble = Ensemble(out, rows, found, own, _disagreement(first, np.stack(answers), middle))
    content = {
        "runs": [str(path) for path in paths],
        "rows": rows,
        "ensemble": found,
        "members": own,
        "disagreement": ensemble.disagreement,
    }
    write_text(out / "metrics.json", json.dumps(record.finite(content), indent=2) + "\n")
    return ensemble


def _tested_by_all(paths: Sequence[Path], members: Sequence[Results], changes: dict[str, Any]) -> list[Split]:
    """The rows that are in the test split of every member, once per member as its own inputs."""
    datasets = {saved_config(record.read(path), path, changes).dataset for path in paths}
    if len(datasets) == 1:
        return [member.data.test for member in members]
    digests = {_digests(member) for member in members}
    if len(digests) > 1 or None in digests or any(member.identity.split is None for member in members):
        why = "each has a split, or data, of its own"
        raise ConfigError(f"{paths[0]}: no test rows are known that it shares with the other seeds: {why}; {_REMEDY}.")
    tested = [_test_rows(member) for member in members]
    common = tested[0]
    for rows in tested[1:]:
        common = common[torch.isin(common, rows)]
    if not len(common):
        raise ConfigError(f"{paths[0]}: each row is a training row of at least one run; {_REMEDY}.")
    found = []
    for member, rows in zip(members, tested, strict=True):
        # A split holds its rows in the order of the file.
        of_split = torch.searchsorted(rows, common).to(member.data.test.x.device)
        found.append(member.data.test.of(of_split))
    return found


def _on(member: Results, rows: Split, name: str) -> Results:
    """The member, with these rows as its only data."""
    data = Data(name, member.task, rows, rows, rows, member.identity.preprocessing)
    return replace(member, read=lambda: data)


def _digests(member: Results) -> tuple[str, str | None] | None:
    """SHA-256 of the file with the member's rows, and of the file with its test rows if there is one."""
    source, tested = member.identity.source, member.identity.test_source
    return None if source is None else (source.sha256, None if tested is None else tested.sha256)


def _test_rows(member: Results) -> Tensor:
    """The row numbers of the test split [n] in the file, or in both files one after the other."""
    identity = member.identity
    assert identity.source is not None
    n_rows = identity.source.n_rows + (0 if identity.test_source is None else identity.test_source.n_rows)
    return unpacked(identity.split, n_rows)[2]


def _answers(member: Results, split: Split) -> np.ndarray:
    """Class probabilities [N, C], or values [N, T] in the targets' units, float64."""
    outputs = member.outputs(split)
    if member.task.kind == "classification":
        return member.probabilities(outputs).double().numpy()
    return member.identity.preprocessing.values(outputs).double().numpy()


def _metrics(first: Results, middle: np.ndarray, rows: Split, names: Sequence[str]) -> dict[str, float]:
    """The metrics `names` of the ensemble's predictions `middle` [N, C] or [N, T].

    Values are standardised as the first member standardises its targets.
    """
    answers, y = torch.from_numpy(middle), rows.y.cpu()
    weight = None if rows.weight is None else rows.weight.cpu().double()
    if first.task.kind == "classification":
        predicted = answers.argmax(1)
        numbers = {
            "accuracy": float(np.average((predicted == y).numpy(), weights=weight)),
            "calibration_error": calibration(
                middle, y.numpy(), weight=None if weight is None else weight.numpy()
            ).error,
        }
        given = Answers(predicted[None], answers[None])
    else:
        preprocessing = first.identity.preprocessing
        values = preprocessing.targets(answers).double()
        squares = spread(y.double(), values, weight)
        around = spread(y.double(), mean(y.double(), weight), weight)
        numbers = {"r2": (1 - squares / around).item() if (y != y[0]).any(0).all() else math.nan}
        given = Answers(values=values[None], own=preprocessing.values)
    numbers |= {name: value.item() for name, value in metrics(given, y, names, rows.weight).items()}
    return {name: numbers[name] for name in names}


def _disagreement(first: Results, answers: np.ndarray, middle: np.ndarray) -> float:
    """The disagreement of predictions [K, N, C] or [K, N, T], as `Ensemble` defines it."""
    if first.task.kind == "classification":
        return float((answers.argmax(2) != middle.argmax(1)).mean())
    return float(answers.std(0, ddof=1).mean())


def mean_of_members(found: Ensemble) -> dict[str, tuple[float, float, float]]:
    """The mean, minimum and maximum of each metric over the members."""
    values = {name: [member[name] for member in found.of_members] for name in found.metrics}
    return {name: (sum(of) / len(of), min(of), max(of)) for name, of in values.items()}
