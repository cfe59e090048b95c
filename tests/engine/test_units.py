"""Dead and saturated units, counted by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from mlpexp.components.activation import activations
from mlpexp.config.compose import compose
from mlpexp.data.dataset import Split
from mlpexp.engine.diagnostics import UnitDiagnostics
from mlpexp.engine.loop import Engine
from mlpexp.engine.rows import Rows
from mlpexp.engine.stack import ModuleStack
from mlpexp.training.prepare import prepare


def engine_of(*overrides: str, seeds: int = 1) -> Engine:
    configs = [compose(["dataset=moons", "model.hidden=[6,5]", *overrides, f"seed={s}"]) for s in range(seeds)]
    return Engine(configs, prepare(configs[0]).data, torch.device("cpu"))


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("activation", activations)
def test_shares_are_those_of_a_plain_network(activation: str, seeds: int) -> None:
    engine = engine_of(f"activation={activation}", "init=normal", "init.std=2", "epochs=1", seeds=seeds)
    (rows,) = engine.epochs()
    x = engine.members[0].data.inputs(engine.members[0].data.train.sample(512).x)
    limits = activations[activation].limits
    for k, row in enumerate(rows):
        module = engine.stack.member(k).eval()
        outputs = x
        expected = {}
        for name, layer in module.named_children():
            outputs = layer(outputs)
            if name.startswith("activation"):
                expected[f"dead_units/{name}"] = (outputs.amax(0) - outputs.amin(0) <= 1e-6).float().mean().item()
                if limits is not None:
                    low, high = limits
                    edge = 0.025 * (high - low)
                    near = (outputs <= low + edge) | (outputs >= high - edge)
                    expected[f"saturated/{name}"] = near.float().mean().item()
        found = {tag: value for tag, value in row.items() if tag.startswith(("dead_units/", "saturated/"))}
        assert found == pytest.approx(expected, abs=1e-3)


def test_a_unit_that_is_active_for_one_class_only_is_not_dead() -> None:
    """Rows are sorted by class: 1,500 of one, then 1,500 of the other."""
    config = compose(["dataset=moons", "dataset.n_samples=5000", "activation=relu"])
    data = prepare(config).data
    x = nn.functional.one_hot(data.train.y).float()
    assert x[:1500, 0].all()
    data = dataclasses.replace(data, train=Split(x, data.train.y))
    hidden = nn.Linear(2, 3, bias=False)
    # A unit for each class, and one that is 0 for both.
    hidden.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    module = nn.Sequential(hidden, nn.ReLU(), nn.Linear(3, 1))
    found = UnitDiagnostics([config], Rows.of([data], "train")).measure(ModuleStack(module), epoch=1)
    assert found["dead_units/1"].tolist() == pytest.approx([1 / 3])


def test_limits_are_those_of_the_functions() -> None:
    ends = torch.tensor([-1e6, 1e6])
    bounded = {name for name, cls in activations.items() if cls.limits is not None}
    assert bounded == {"sigmoid", "tanh", "softsign"}
    for name, cls in activations.items():
        low, high = cls().build()(ends).tolist()
        is_bounded = max(abs(low), abs(high)) < 10 and name != "identity"
        assert is_bounded == (name in bounded), name
        if cls.limits is not None:
            assert (low, high) == pytest.approx(cls.limits, abs=1e-5)


def test_another_type_of_module_in_a_users_own_network_has_no_limits() -> None:
    config = compose(["dataset=moons", "activation=tanh", "epochs=1"])
    module = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    engine = Engine([config], prepare(config).data, torch.device("cpu"), [module])
    ((row,),) = engine.epochs()
    assert {tag for tag in row if tag.startswith("saturated/")} == {"saturated/3"}
    assert {tag for tag in row if tag.startswith("dead_units/")} == {"dead_units/1", "dead_units/3"}
