"""Muon for a stack of weights, against torch.optim.Muon of each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mlpexp.components.stacked_muon import StackedMuon, orthogonalized

# More members than a weight has rows or columns.
K, N_STEPS, LR = 9, 50, 0.02


def gradients(dtype: torch.dtype, shape: tuple[int, int]) -> Tensor:
    """[N_STEPS, K, *shape] of very different sizes; those of the first member are zero, of the last not finite."""
    found = torch.randn(N_STEPS, K, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    found *= 10.0 ** torch.arange(-4, K - 4).view(-1, 1, 1)
    found[:, 0] = 0
    found[3:, -1] = torch.nan
    return found


@pytest.mark.parametrize("fields", [{}, {"nesterov": False, "momentum": 0.8, "weight_decay": 0.3, "ns_steps": 3}])
@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (1, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fifty_steps_are_those_of_torch(dtype: torch.dtype, shape: tuple[int, int], fields: dict[str, Any]) -> None:
    start = torch.randn(K, *shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
    stacked = nn.Parameter(start.clone())
    plain = [nn.Parameter(weight.clone()) for weight in start]
    ours = StackedMuon([stacked], lr=LR, **fields)
    theirs = [torch.optim.Muon([weight], lr=LR, adjust_lr_fn="match_rms_adamw", **fields) for weight in plain]
    for step in gradients(dtype, shape):
        stacked.grad = step
        ours.step()
        for weight, optimizer, gradient in zip(plain, theirs, step, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    # The products are rounded to bfloat16, whose numbers are 2⁻⁸ apart: some are rounded the other way where a batched
    # product adds up in another order than a single one. Some steps differ by a part of this, and in both directions.
    largest = LR * 0.2 * max(shape) ** 0.5
    expected = torch.stack([weight.detach() for weight in plain])
    torch.testing.assert_close(stacked.detach(), expected, rtol=0, atol=2**-8 * largest * N_STEPS**0.5, equal_nan=True)
    moved = (expected - start)[1:-1].abs().max()
    assert moved > 2 * largest, "the weights hardly moved: the comparison shows nothing"
    (mine,) = ours.state_dict()["param_groups"]
    (other,) = theirs[0].state_dict()["param_groups"]
    assert mine == other
    buffers = [optimizer.state[weight]["momentum_buffer"] for weight, optimizer in zip(plain, theirs, strict=True)]
    torch.testing.assert_close(ours.state[stacked]["momentum_buffer"], torch.stack(buffers), equal_nan=True)


def test_singular_values_come_near_one() -> None:
    matrices = torch.randn(K, 40, 60, generator=torch.Generator().manual_seed(0))
    (group,) = torch.optim.Muon([nn.Parameter(matrices[0])]).param_groups
    for each in (matrices, matrices.mT):
        found = orthogonalized(each, group["ns_coefficients"], 5, group["eps"]).float()
        u, _, v = torch.linalg.svd(each, full_matrices=False)
        scale = torch.diagonal(u.mT @ found @ v.mT, dim1=1, dim2=2)
        assert ((scale > 0.5) & (scale < 1.5)).all()
        torch.testing.assert_close(u * scale[:, None] @ v, found, rtol=0, atol=0.02)
