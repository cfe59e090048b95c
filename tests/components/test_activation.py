"""Activations against their formulas in numpy, their gains against the integrals that define them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import integrate, special
from torch import nn

from mlpexp.components.activation import Activation, activations

Array = NDArray[np.float64]
Formula = Callable[..., Array]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _gelu(x: Array, approximate: str = "none") -> Array:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * 0.5 * (1 + special.erf(x / math.sqrt(2)))


# Every activation's formula, its parameters as keywords with the defaults that the product documents.
FORMULAS: dict[str, Formula] = {
    "identity": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "leaky_relu": lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
    "prelu": lambda x, init=0.25: np.where(x > 0, x, init * x),
    "elu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * (np.exp(x) - 1)),
    "gelu": _gelu,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "softplus": lambda x, beta=1.0: np.log(1 + np.exp(beta * x)) / beta,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "hardswish": lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
}
# Other parameters than the defaults, for every activation that has any.
VARIED: dict[str, dict[str, Any]] = {
    "leaky_relu": {"negative_slope": 0.3},
    "prelu": {"init": 0.125},
    "elu": {"alpha": 0.5},
    "gelu": {"approximate": "tanh"},
    "softplus": {"beta": 2.0},
}
# The names under which torch.nn.init.calculate_gain has a value of its own.
TORCH_GAINS: dict[str, Any] = {
    "identity": "linear",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "selu": "selu",
}

NAMES = list(activations)
CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in NAMES] + list(VARIED.items())
# Off the kinks of relu (0) and hardswish (±3), so that central differences are those of a smooth function.
GRID = np.linspace(-6, 6, 240) + 0.0123


def make(name: str, parameters: dict[str, Any]) -> Activation:
    return activations[name](**parameters)


def applied(activation: Activation, x: Array) -> Array:
    with torch.no_grad():
        values: Array = activation.build().double()(torch.from_numpy(x)).numpy()
    return values


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_has_a_reference(name: str) -> None:
    assert name in FORMULAS, f"write down the formula of '{name}'"
    if dataclasses.fields(activations[name]):
        assert set(VARIED[name]) == {field.name for field in dataclasses.fields(activations[name])}


def test_every_reference_is_registered() -> None:
    assert set(FORMULAS) | set(VARIED) | set(TORCH_GAINS) <= set(activations)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_values_follow_the_formula(name: str, parameters: dict[str, Any]) -> None:
    expected = FORMULAS[name](GRID, **parameters)
    np.testing.assert_allclose(applied(make(name, parameters), GRID), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_derivative_is_that_of_the_formula(name: str, parameters: dict[str, Any]) -> None:
    x = torch.from_numpy(GRID).requires_grad_()
    make(name, parameters).build().double()(x).sum().backward()
    assert x.grad is not None
    h = 1e-5
    numerical = (FORMULAS[name](GRID + h, **parameters) - FORMULAS[name](GRID - h, **parameters)) / (2 * h)
    np.testing.assert_allclose(x.grad.numpy(), numerical, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_shape_is_kept_and_far_inputs_stay_finite(name: str) -> None:
    x = torch.tensor([[-1e4, -50.0, 0.0], [0.0, 50.0, 1e4]]).expand(2, 2, 3).clone().requires_grad_()
    y = make(name, {}).build()(x)
    y.sum().backward()
    assert y.shape == x.shape
    assert x.grad is not None
    assert torch.isfinite(y).all()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_gain(name: str, parameters: dict[str, Any]) -> None:
    gain = make(name, parameters).gain()
    if name in TORCH_GAINS:
        assert gain == pytest.approx(nn.init.calculate_gain(TORCH_GAINS[name], parameters.get("negative_slope")))
        return

    def integrand(z: float) -> float:
        return float(FORMULAS[name](np.array(z), **parameters)) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    # In two pieces, so that a kink at zero is an end point.
    second_moment = integrate.quad(integrand, -12, 0)[0] + integrate.quad(integrand, 0, 12)[0]
    assert gain == pytest.approx(1 / math.sqrt(second_moment), rel=2e-3)


def test_gain_of_relu_and_leaky_relu_by_hand() -> None:
    assert activations["relu"]().gain() == pytest.approx(math.sqrt(2))
    # E[f²] = (1 + a²)/2 with a = 1: the identity.
    assert activations["leaky_relu"](negative_slope=1.0).gain() == pytest.approx(1.0)  # type: ignore[call-arg]


def test_each_prelu_learns_a_slope_of_its_own() -> None:
    activation = activations["prelu"](init=0.1)  # type: ignore[call-arg]
    one, other = activation.build(), activation.build()
    (slope,) = one.parameters()
    assert slope.tolist() == pytest.approx([0.1])
    one(torch.tensor([-2.0, 3.0])).sum().backward()
    assert slope.grad is not None
    assert slope.grad.tolist() == [-2.0]
    with torch.no_grad():
        slope.fill_(0.9)
    assert [p.item() for p in other.parameters()] == pytest.approx([0.1])
