"""What the doctor measures of a network and of data, against torch and values worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from mlpexp.components.loss import losses
from mlpexp.config.compose import compose
from mlpexp.data.dataset import Data, Split
from mlpexp.data.task import Task
from mlpexp.doctor.measure import constant_loss, layers_of, majority
from mlpexp.engine.loop import Engine
from mlpexp.training.prepare import prepare


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            hidden1=nn.Linear(3, 5),
            batchnorm1=nn.BatchNorm1d(5),
            activation1=nn.ReLU(),
            hidden2=nn.Linear(5, 4),
            activation2=nn.ReLU(),
            output=nn.Linear(4, 2),
        )
    )


def test_layers_and_the_size_of_their_parameters() -> None:
    module = network()
    found = {layer.name: layer for layer in layers_of(module)}
    assert list(found) == ["hidden1", "batchnorm1", "hidden2", "output"]
    assert [layer.hidden for layer in found.values()] == [True, False, True, False]
    assert [layer.n_units for layer in found.values()] == [5, 5, 4, 2]
    assert [layer.n_parameters for layer in found.values()] == [20, 10, 24, 10]
    for name, layer in found.items():
        flat = torch.cat([parameter.flatten() for parameter in module.get_submodule(name).parameters()])
        assert layer.rms == pytest.approx(flat.square().mean().sqrt().item())
        assert not layer.symmetric


def symmetric(module: nn.Module) -> list[str]:
    return [layer.name for layer in layers_of(module) if layer.symmetric]


def test_equal_units_are_symmetric_even_where_rounding_has_moved_them() -> None:
    module = network()
    layer = module.get_submodule("hidden2")
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.copy_(layer.weight[:1].expand(4, 5) * (1 + 1e-5 * torch.randn(4, 5)))
        assert symmetric(module) == []  # biases tell them apart
        layer.bias.fill_(0.3)
        assert symmetric(module) == ["hidden2"]
        layer.weight[2, 1] += 0.01
        assert symmetric(module) == []


def test_what_cannot_be_symmetric() -> None:
    module = network()
    output = module.get_submodule("output")
    assert isinstance(output, nn.Linear)
    with torch.no_grad():
        output.weight.zero_()
        output.bias.zero_()
    assert symmetric(module) == []  # it has no layer behind it for which units could differ
    one = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1))
    assert symmetric(one) == []
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(math.inf)
    assert symmetric(module) == []


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_members_of_a_stack_with_init_zeros_stay_symmetric(activation: str) -> None:
    base = ["dataset=moons", "epochs=3", f"activation={activation}"]
    configs = [compose([*base, init, f"seed={seed}"]) for seed, init in enumerate(["init=zeros", "init=default"] * 2)]
    engine = Engine(configs, prepare(configs[0]).data, torch.device("cpu"))
    for _ in engine.epochs():
        pass
    found = [bool(symmetric(engine.best_network(k))) for k in range(4)]
    assert found == [True, False, True, False]


def classes(*counts: int) -> Data:
    y = torch.cat([torch.full((count,), k) for k, count in enumerate(counts)])
    split = Split(torch.zeros(len(y), 1), y)
    return Data("by_hand", Task("classification", tuple(map(str, range(len(counts))))), split, split, split)


def test_the_most_frequent_class() -> None:
    data = classes(1, 6, 3)
    assert majority(data) == pytest.approx((0.6, 0.6))
    # The answer is that for the training rows, also where validation has more of others.
    assert majority(dataclasses.replace(data, val=classes(5, 1, 4).val)) == pytest.approx((0.6, 0.1))
    assert majority(prepare(compose(["dataset=sine"])).data) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("loss", "counts", "smoothing", "expected"),
    [
        ("cross_entropy", (1, 3), 0.0, -0.25 * math.log(0.25) - 0.75 * math.log(0.75)),
        ("cross_entropy", (2, 2, 2), 0.0, math.log(3)),
        ("bce", (1, 3), 0.0, -0.25 * math.log(0.25) - 0.75 * math.log(0.75)),
        # One against the rest, three times: a third of the rows each.
        ("bce", (2, 2, 2), 0.0, 3 * (-math.log(1 / 3) / 3 - 2 * math.log(2 / 3) / 3)),
        # Smoothed targets: 0.9·(1/4) + 0.1/2 and its complement.
        ("bce", (1, 3), 0.1, -0.275 * math.log(0.275) - 0.725 * math.log(0.725)),
        ("cross_entropy", (1, 3), 0.1, -0.275 * math.log(0.275) - 0.725 * math.log(0.725)),
    ],
)
def test_the_loss_of_a_constant_answer(loss: str, counts: tuple[int, ...], smoothing: float, expected: float) -> None:
    assert constant_loss(classes(*counts), losses[loss](), smoothing) == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_a_constant_value_is_the_variance() -> None:
    data = prepare(compose(["dataset=sine"])).data
    assert constant_loss(data, losses["mse"](), 0.0) == pytest.approx(data.train.y.var(correction=0).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", (3 * 2.5**2 + 7.5**2) / 4),  # of the mean, 2.5
        ("mae", 10 / 4),  # of the median, 0
        ("huber", (3 * (1 / 3) ** 2 / 2 + 10 - 1 / 3 - 1 / 2) / 4),  # of 1/3, where 3·c = 1
    ],
)
def test_the_loss_of_the_best_value_for_all_rows(loss: str, expected: float) -> None:
    split = Split(torch.zeros(4, 1), torch.tensor([[0.0], [0.0], [0.0], [10.0]]))
    data = Data("by_hand", Task("regression"), split, split, split)
    assert constant_loss(data, losses[loss](), 0.0) == pytest.approx(expected, rel=1e-5)


def test_a_new_loss_begins_near_that_of_a_constant_answer(tmp_path: Path) -> None:
    config = compose(["dataset=digits", "init=normal", "epochs=1", "optimizer.lr=1e-9"])
    prepared = prepare(config)
    engine = Engine([config], prepared.data, torch.device("cpu"))
    ((row,),) = engine.epochs()
    assert row["loss/train"] == pytest.approx(constant_loss(prepared.data, prepared.loss, 0.0), rel=0.01)
