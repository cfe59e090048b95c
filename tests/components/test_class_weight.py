"""Weights of classes: torch's weighted mean, scikit-learn's balanced weights, stacks of different ones, mistakes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from sklearn.utils.class_weight import compute_class_weight

import mlpexp
from mlpexp.cli.main import call
from mlpexp.components.loss import Auto, ClassWeighted, CrossEntropy, Loss, losses
from mlpexp.config.compose import compose
from mlpexp.config.schema import Config, parse
from mlpexp.data.batch import Batch
from mlpexp.data.dataset import Data, Split
from mlpexp.data.task import Task
from mlpexp.engine.loop import Engine
from mlpexp.engine.objective import Objective, train_shares
from mlpexp.run.results import constant_metrics

BINARY = Task("classification", ("no", "yes"))
FOUR = Task("classification", ("a", "b", "c", "d"))
# auto stands for one of the others.
WEIGHTED = {name: cls for name, cls in losses.items() if issubclass(cls, ClassWeighted) and name != "auto"}


def rare(n: int = 200) -> Data:
    """Rows of two classes that overlap, one row in ten of the second."""
    draw = torch.Generator().manual_seed(0)
    y = (torch.arange(n) % 10 == 0).long()
    x = torch.randn(n, 2, generator=draw) + y[:, None]
    return Data("rare", BINARY, Split(x[::2], y[::2]), Split(x[1::4], y[1::4]), Split(x, y))


def test_every_loss_of_classification_has_them() -> None:
    assert set(WEIGHTED) == {name for name, cls in losses.items() if getattr(cls, "kind", "") == "classification"}


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("task", [BINARY, FOUR])
def test_the_mean_is_torchs_for_each_member(name: str, task: Task) -> None:
    draw = torch.Generator().manual_seed(0)
    loss, n = losses[name](), task.n_classes
    outputs = torch.randn(3, 50, loss.n_outputs(task), generator=draw, requires_grad=True)
    y = torch.randint(n, (3, 50), generator=draw)
    weights = [tuple(float(c + 1) for c in range(n)), None, tuple(0.5**c for c in range(n))]
    objective = Objective(task, loss, (0.0,) * 3, tuple(weights))
    found = objective.losses(outputs, Batch(torch.zeros(3, 50, 1), y))
    for k, own in enumerate(weights):
        weight = torch.tensor(own or (1.0,) * n)
        z = outputs[k]
        if name == "bce" and n > 2:
            one_hot, of_rows = F.one_hot(y[k], n).float(), weight[y[k]]
            against = F.binary_cross_entropy_with_logits(z, one_hot, weight=of_rows[:, None], reduction="sum")
            expected = against / of_rows.sum()
        else:
            z = z if z.shape[1] > 1 else torch.cat([torch.zeros_like(z), z], 1)
            expected = F.cross_entropy(z, y[k], weight=weight)
        torch.testing.assert_close(found[k], expected)
        torch.testing.assert_close(
            torch.autograd.grad(found[k], outputs, retain_graph=True)[0][k],
            torch.autograd.grad(expected, outputs, retain_graph=True)[0][k],
        )
        # In validation too.
        alone = objective.member(k)
        mean = alone.summed(outputs[k : k + 1], y[k : k + 1]) / alone.total(y[k : k + 1])
        torch.testing.assert_close(mean[0], expected)


def test_balanced_is_scikit_learns() -> None:
    y = torch.tensor([0] * 7 + [1] * 2 + [3] * 4)
    split = Split(torch.zeros(len(y), 1), y)
    data = Data("y", FOUR, split, split, split)
    weights = CrossEntropy("balanced").class_weights(train_shares(data), FOUR)
    classes = np.array([0, 1, 3])
    expected = compute_class_weight("balanced", classes=classes, y=y.numpy())
    assert weights is not None
    assert [weights[c] for c in classes] == pytest.approx(expected)
    assert weights[2] == 1.0


@pytest.mark.parametrize(("given", "weights"), [({"yes": 5}, (1.0, 5.0)), ([0.5, 2], (0.5, 2.0)), (None, None)])
def test_by_name_and_in_order(given: Any, weights: Any) -> None:
    text = json.dumps(given).replace('"', "").replace(" ", "")
    config = compose(["dataset=xor", f"loss.class_weight={text}"])
    assert config.loss.class_weights([0.5, 0.5], BINARY) == weights
    # As run.json holds it, and read from there.
    assert parse(json.loads(json.dumps(config.to_dict()))) == config


def config_with(given: Any, seed: int = 0) -> Config:
    config = compose(["dataset=xor", "model.hidden=[8]", "epochs=4", "batch_size=16", "device=cpu", f"seed={seed}"])
    return replace(config, loss=Auto(given))


def test_members_with_other_weights_learn_as_alone() -> None:
    data = rare()
    configs = [config_with(given, seed) for seed, given in enumerate([None, "balanced", {"yes": 3.0}])]
    together, *alone = [Engine(own, data, torch.device("cpu")) for own in (configs, *([one] for one in configs))]
    for rows, *singles in zip(together.epochs(), *(engine.epochs() for engine in alone), strict=True):
        for row, (single,) in zip(rows, singles, strict=True):
            assert row == pytest.approx(single, rel=1e-4, abs=1e-6)
    assert [member.best.epoch for member in together.members] == [engine.members[0].best.epoch for engine in alone]


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("given", ["balanced", {"yes": 3.0}])
def test_the_best_constant_answer_is_that_of_the_weighted_loss(name: str, given: Any) -> None:
    data = rare()
    loss: Loss = WEIGHTED[name](given)
    weights = loss.class_weights(train_shares(data), BINARY)
    y = data.train.y
    objective = Objective(BINARY, loss, class_weights=(weights,))

    def mean(logit: float) -> float:
        outputs = torch.tensor([0.0, logit] if loss.n_outputs(BINARY) == 2 else [logit]).expand(1, len(y), -1)
        return float(objective.summed(outputs, y[None]) / objective.total(y[None]))

    best = minimize_scalar(mean, bounds=(-5, 5), method="bounded")
    outputs = loss.constant(y, BINARY)
    assert outputs[-1] - (outputs[0] if len(outputs) == 2 else 0.0) == pytest.approx(best.x, abs=1e-3)
    constant = constant_metrics(data, objective)
    assert constant["train"]["loss"] == pytest.approx(best.fun, rel=1e-5)


def test_rare_rows_are_found_with_them_and_eval_finds_the_same(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row in fifty is of the rare class, and stands apart in the second column."""
    draw, rows = np.random.default_rng(0), 1000
    is_rare = np.arange(rows) % 50 == 0
    columns = zip(draw.normal(size=rows), draw.normal(size=rows) + 4 * is_rare, is_rare, strict=True)
    lines = [f"{a:.4f},{b:.4f},{'yes' if rare else 'no'}" for a, b, rare in columns]
    Path("t.csv").write_text("\n".join(["a,b,y", *lines, ""]))
    table = ["dataset=csv", "dataset.path=t.csv", "epochs=20", "optimizer.lr=0.001", "model.hidden=[8]"]
    quiet = ["log.figures=false", "log.tensorboard=false"]
    assert call(["train", *table, *quiet, "hydra.run.dir=plain"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "2 classes of unequal size (the smallest, yes: 2 % of the training rows)" in out
    assert "missed class: class yes is 2 % of the training rows" in out
    assert "Try loss.class_weight=balanced, or metric=balanced_accuracy." in out
    weights = ["loss.class_weight=balanced", "metric=balanced_accuracy"]
    run = mlpexp.train(compose([*table, *quiet, *weights]), "weighted")
    counts = run.results.confusion(run.results.data.test)
    assert counts[1, 1] >= 0.8 * counts[1].sum()
    assert "missed_class" not in [finding["symptom"] for finding in run.record.findings]
    assert set(weights) <= set(run.record.command.split())
    evaluation = mlpexp.evaluate("weighted")
    assert (evaluation.metrics, evaluation.constant) == (run.metrics, run.record.constant)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("loss.class_weight=balance", "must be balanced, a list such as [1,2] or a mapping such as {a:1,b:2}."),
        ("loss.class_weight=[1,2]", "loss.class_weight=[1.0,2.0]: must be a list of 10 numbers, one for each class"),
        ("loss.class_weight={11:2}", "loss.class_weight.11: no such class; did you mean '1'?"),
        ("loss.class_weight={1:0}", "loss.class_weight.1=0: must be"),
        ("dataset=sine loss.class_weight=balanced", "loss.class_weight=balanced: is for classification"),
        ("dataset=sine loss=mse loss.class_weight=balanced", "loss.class_weight=balanced: loss=mse has no such key"),
    ],
)
def test_mistakes(words: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert list(here.iterdir()) == []
