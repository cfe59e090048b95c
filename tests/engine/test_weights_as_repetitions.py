"""Weights of rows that are whole numbers: the same as so many equal rows, in training and in all metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mlpexp.config.compose import compose
from mlpexp.data.dataset import Data, Split
from mlpexp.data.task import Task
from mlpexp.engine.loop import Engine
from mlpexp.run.results import Results, constant_metrics

CLASSES, VALUES = Task("classification", ("a", "b", "c")), Task("regression")
QUICK = ["log.figures=false", "log.tensorboard=false", "device=cpu", "epochs=3", "model.hidden=[8]"]
DRAW = torch.Generator().manual_seed(0)


def split(task: Task, n: int) -> Split:
    x = torch.randn(n, 3, generator=DRAW)
    y = torch.randint(3, (n,), generator=DRAW) if task.classes else x.sum(1, keepdim=True).sin()
    return Split(x, y, torch.randint(1, 5, (n,), generator=DRAW).float())


def both(task: Task) -> tuple[Data, Data]:
    """Rows with weights, and the same rows as often as these say."""
    train, val, test = (split(task, n) for n in (40, 23, 17))
    first, second, third = (repeated(one) for one in (train, val, test))
    assert train.weight is not None
    train = replace(train, weight=train.weight / train.weight.mean())
    return Data("weighted", task, train, val, test), Data("repeated", task, first, second, third)


def repeated(one: Split) -> Split:
    assert one.weight is not None
    return Split(*(part.repeat_interleave(one.weight.long(), 0) for part in (one.x, one.y)))


LEARNED = {
    "classes": (CLASSES, []),
    "balanced": (CLASSES, ["loss.class_weight=balanced"]),
    "by name": (CLASSES, ["loss.class_weight={a:3}", "regularizer=[label_smoothing]"]),
    "a metric": (CLASSES, ["metric=roc_auc"]),
    "values": (VALUES, []),
    "huber": (VALUES, ["loss=huber", "metric=rmse"]),
}


@pytest.mark.parametrize("what", LEARNED)
def test_whole_numbers_are_repetitions(what: str) -> None:
    """In training on all rows at once, in validation, in the final metrics and in what a constant answer scores."""
    task, words = LEARNED[what]
    own = [*QUICK, "dataset=xor", "optimizer=sgd", "batch_size=1000", "log.diagnostics=0", *words]
    found = []
    for data in both(task):
        engine = Engine([compose(own)], data, torch.device("cpu"))
        rows = [row for rows in engine.epochs() for row in rows]
        results = Results.of(engine.best_network(0), data, engine.objective.member(0))
        found.append([*rows, *results.metrics().values(), *constant_metrics(data, engine.objective.member(0)).values()])
    for weighted, alike in zip(*found, strict=True):
        assert weighted == pytest.approx(alike, rel=2e-4, abs=1e-5, nan_ok=True)
