"""Models: which layers they have, in which order, and how many parameters."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from mlpexp.components.activation import activations
from mlpexp.components.model import Model, models
from mlpexp.components.regularizer import Regularizer, regularizers

N_FEATURES, N_OUTPUTS = 5, 3
NAMES = list(models)
# A config of every model, and the widths of its linear layers from inputs to outputs.
WIDTHS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "perceptron": ({}, [5, 3]),
    "mlp": ({"hidden": [7, 4]}, [5, 7, 4, 3]),
}


def some(*names: str) -> list[Regularizer]:
    return [regularizers[name]() for name in names]


def built(model: Model, *parts: str, activation: str = "tanh") -> nn.Sequential:
    module = model.build(N_FEATURES, N_OUTPUTS, activations[activation](), some(*parts))
    assert isinstance(module, nn.Sequential)
    return module


def mlp(*hidden: int) -> Model:
    return models["mlp"](hidden=list(hidden))  # type: ignore[call-arg]


def layers(module: nn.Module) -> dict[str, str]:
    return {name: type(layer).__name__ for name, layer in module.named_children()}


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_a_reference(name: str) -> None:
    assert name in WIDTHS, f"write down the widths of '{name}'"


@pytest.mark.parametrize("name", NAMES)
def test_sizes_and_parameters(name: str) -> None:
    fields, widths = WIDTHS[name]
    model = models[name](**fields)
    module = built(model)
    shapes = [tuple(layer.weight.shape) for layer in module.modules() if isinstance(layer, nn.Linear)]
    assert shapes == [(n_out, n_in) for n_in, n_out in itertools.pairwise(widths)]
    assert module(torch.zeros(11, N_FEATURES)).shape == (11, N_OUTPUTS)
    linear = [p for layer in module.modules() if isinstance(layer, nn.Linear) for p in layer.parameters()]
    assert model.n_parameters(N_FEATURES, N_OUTPUTS) == sum(p.numel() for p in linear)


def test_n_parameters_by_hand() -> None:
    # 784·256 + 256, 256·256 + 256, 256·10 + 10.
    assert mlp(256, 256).n_parameters(784, 10) == 200_960 + 65_792 + 2_570
    assert models["perceptron"]().n_parameters(784, 10) == 7_850


def test_plain_layers() -> None:
    assert list(layers(built(mlp(7, 4))).items()) == [
        ("hidden1", "Linear"),
        ("activation1", "Tanh"),
        ("hidden2", "Linear"),
        ("activation2", "Tanh"),
        ("output", "Linear"),
    ]


@pytest.mark.parametrize("order", [("dropout", "batchnorm"), ("batchnorm", "dropout")])
def test_normalisation_goes_before_the_activation_and_dropout_behind(order: tuple[str, str]) -> None:
    assert list(layers(built(mlp(7, 4), *order, "l2", "early_stopping")).items()) == [
        ("hidden1", "Linear"),
        ("batchnorm1", "BatchNorm1d"),
        ("activation1", "Tanh"),
        ("dropout1", "Dropout"),
        ("hidden2", "Linear"),
        ("batchnorm2", "BatchNorm1d"),
        ("activation2", "Tanh"),
        ("dropout2", "Dropout"),
        ("output", "Linear"),
    ]


@pytest.mark.parametrize("name", list(regularizers))
def test_every_regularizers_layers_bear_its_name(name: str) -> None:
    made = regularizers[name]()
    expected = ["hidden1", "activation1", "output"]
    if made.before_activation(4) is not None:
        expected.insert(1, f"{name}1")
    if made.after_activation() is not None:
        expected.insert(2, f"{name}1")
    module = built(mlp(4), name)
    assert list(layers(module)) == expected
    assert module(torch.randn(6, N_FEATURES)).shape == (6, N_OUTPUTS)


def test_normalisation_has_the_width_of_its_layer() -> None:
    module = built(mlp(7, 4), "batchnorm", "layernorm")
    norms = [module.get_submodule(f"{name}{index}") for index in (1, 2) for name in ("batchnorm", "layernorm")]
    assert [norm.get_parameter("weight").shape for norm in norms] == [(7,), (7,), (4,), (4,)]


def test_each_layer_has_an_activation_of_its_own() -> None:
    module = built(mlp(7, 4), activation="prelu")
    assert module.get_submodule("activation1") is not module.get_submodule("activation2")
    assert sum(p.numel() for p in module.parameters()) == mlp(7, 4).n_parameters(N_FEATURES, N_OUTPUTS) + 2


def test_no_hidden_layer_is_a_perceptron() -> None:
    assert layers(built(mlp())) == layers(built(models["perceptron"]())) == {"output": "Linear"}
    assert mlp().n_parameters(5, 3) == models["perceptron"]().n_parameters(5, 3) == 18


def test_a_perceptron_takes_no_layers_from_regularizers() -> None:
    assert layers(built(models["perceptron"](), *regularizers)) == {"output": "Linear"}


@pytest.mark.parametrize("name", list(activations))
def test_outputs_are_the_layers_one_after_the_other(name: str) -> None:
    module = built(mlp(7, 4), activation=name).double()
    x = torch.randn(6, N_FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = x
    for layer in ("hidden1", "hidden2", "output"):
        linear = module.get_submodule(layer)
        expected = expected @ linear.get_parameter("weight").T + linear.get_parameter("bias")
        if layer != "output":
            expected = activations[name]().build().double()(expected)
    torch.testing.assert_close(module(x), expected)
