"""Dropout against what it is defined to do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mlpexp.components.dropout import Dropout


@pytest.mark.parametrize("p", [0.0, 0.1, 0.2, 0.5, 0.9, 1 - 1e-6])
@pytest.mark.parametrize("shape", [(64, 256), (3, 7, 5), (1,), (0, 4)])
def test_elements_are_zero_or_scaled(p: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape).abs() + 1
    y = Dropout(p)(x)
    assert y.shape == x.shape
    p_in_force = min(round(p * 2**16), 2**16 - 1) / 2**16
    torch.testing.assert_close(y[y != 0], x[y != 0] / (1 - p_in_force))


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
def test_the_share_of_zeros_is_p_in_every_place(p: float) -> None:
    torch.manual_seed(1)
    n = 20_000
    zeros = (Dropout(p)(torch.ones(n, 8)) == 0).double()
    # Four standard errors; eight columns see every lane of the 64-bit draws twice.
    assert (zeros.mean(0) - p).abs().max() < 4 * (p * (1 - p) / n) ** 0.5
    correlation = torch.corrcoef(zeros.T) - torch.eye(8)
    assert correlation.abs().max() < 5 / n**0.5


def test_the_gradient_passes_where_the_input_does() -> None:
    torch.manual_seed(2)
    x = torch.randn(50, 20, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, (y != 0) * 2.0)


def test_evaluation_and_the_state_are_those_of_torchs() -> None:
    x = torch.randn(5, 3)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert isinstance(Dropout(0.5), nn.Dropout)
    assert not Dropout(0.5).state_dict()


def test_the_same_state_draws_the_same_zeros() -> None:
    x = torch.ones(10, 10)
    torch.manual_seed(3)
    first = Dropout(0.5)(x)
    torch.manual_seed(3)
    assert torch.equal(first, Dropout(0.5)(x))
    assert not torch.equal(first, Dropout(0.5)(x))
