"""What picks the best epoch: by every metric, in a stack as alone, held to scikit-learn on each epoch's weights."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from sklearn import metrics as theirs

from mlpexp.cli.main import call
from mlpexp.comparison.compare import compare
from mlpexp.config.compose import compose
from mlpexp.config.metric import KINDS, Picking
from mlpexp.config.schema import Config
from mlpexp.data.task import METRICS_OF
from mlpexp.engine.loop import Engine
from mlpexp.engine.objective import outputs_of
from mlpexp.engine.rows import Rows
from mlpexp.engine.stack import ModuleStack
from mlpexp.run.history import read
from mlpexp.training.prepare import Prepared, prepare
from mlpexp.training.single import train

CHOICES = [
    (dataset, metric)
    for dataset, kind in (("moons", "classification"), ("sine", "regression"))
    for metric in (None, *(name for name in get_args(Picking) if name in METRICS_OF[kind]))
]
# Of values [N], predicted ones, and probabilities of the second class.
SKLEARN = {
    "accuracy": lambda y, said, p: theirs.accuracy_score(y, said),
    "balanced_accuracy": lambda y, said, p: theirs.balanced_accuracy_score(y, said),
    "macro_f1": lambda y, said, p: theirs.f1_score(y, said, average="macro"),
    "mcc": lambda y, said, p: theirs.matthews_corrcoef(y, said),
    "roc_auc": lambda y, said, p: theirs.roc_auc_score(y, p),
    "log_loss": lambda y, said, p: theirs.log_loss(y, p),
    "brier": lambda y, said, p: theirs.brier_score_loss(y, p),
    "r2": lambda y, said, p: theirs.r2_score(y, said),
    "rmse": lambda y, said, p: theirs.root_mean_squared_error(y, said),
    "mae": lambda y, said, p: theirs.mean_absolute_error(y, said),
}


@cache
def prepared(dataset: str) -> Prepared:
    overrides = [f"dataset={dataset}", "model.hidden=[8]", "epochs=5", "optimizer.lr=0.05", "device=cpu"]
    return prepare(compose([*overrides, "log.figures=false"]))


def config(dataset: str, metric: str | None, seed: int = 0) -> Config:
    return replace(prepared(dataset).config, metric=metric, seed=seed)  # type: ignore[arg-type]


def by_scikit_learn(engine: Engine, k: int, name: str) -> float:
    data = engine.members[k].data
    outputs = outputs_of(ModuleStack(engine.stack.member(k)), Rows.of([data], "val"))[0]
    y = data.val.y.numpy().ravel()
    if data.task.kind == "regression":
        return float(SKLEARN[name](y, outputs.numpy().ravel(), None))
    said = engine.loss.predict(outputs).numpy()
    return float(SKLEARN[name](y, said, engine.loss.probabilities(outputs)[:, 1].numpy()))


@pytest.mark.parametrize(("dataset", "metric"), CHOICES)
def test_the_epoch_with_the_best_value_is_picked_in_a_stack_as_alone(dataset: str, metric: str | None) -> None:
    configs = [config(dataset, metric, seed) for seed in (0, 1, 2)]
    data = prepared(dataset).data
    together, *alone = [Engine(own, data, torch.device("cpu")) for own in (configs, *([one] for one in configs))]
    name = metric or ("accuracy" if data.task.kind == "classification" else "loss")
    seen: list[list[tuple[float, float]]] = [[], [], []]
    for rows in together.epochs():
        for k, row in enumerate(rows):
            if name != "loss":
                assert row[f"{name}/val"] == pytest.approx(by_scikit_learn(together, k, name), rel=1e-4, abs=1e-6)
            value = row[f"{name}/val"]
            # The smallest is the best.
            seen[k].append((-value if KINDS[name].higher_is_better else value, row["loss/val"]))
    for k, (engine, own) in enumerate(zip(alone, seen, strict=True)):
        list(engine.epochs())
        best = 1 + min(range(len(own)), key=lambda epoch: own[epoch])
        assert together.members[k].best.epoch == engine.members[0].best.epoch == best


def test_choices_differ_and_are_what_the_run_leaves(tmp_path: Path) -> None:
    run = train(config("moons", "roc_auc"), tmp_path / "run")
    column = read(run.directory / "metrics.csv")["roc_auc/val"]
    assert run.record.best_epoch == 1 + int(np.argmax(column))
    assert run.metrics["val"]["roc_auc"] == pytest.approx(max(column))
    assert compare(run.directory).metric.tag == "roc_auc/test"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("metric=r2", "metric=r2: is not for classification"),
        ("dataset=sine metric=brier", "Choose from: loss, r2, rmse, mae."),
        ("metric=calibration_error", "metric=calibration_error: not allowed"),
        (
            "dataset=table dataset.path=t.csv dataset.task=regression metric=r2",
            "the targets of the val split do not vary",
        ),
    ],
)
def test_what_cannot_pick(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # The one value that is another is among the training rows.
    rows = [f"{i % 7},{3.5 if i == 7 else 0.1}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y", *rows, ""]))
    assert call(["train", *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
