"""Muon for the weights of K members at once. n_out, n_in: the shape of a member's weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from mlpexp.components.optimizer_step import loss_of


class StackedMuon(torch.optim.Optimizer):
    """torch.optim.Muon of each member, with adjust_lr_fn="match_rms_adamw", over weights [K, n_out, n_in].

    For a gradient g, m ← μ·m + (1 − μ)·g, u = (1 − μ)·g + μ·m (Nesterov) or m, O = Newton-Schulz(u), and
    θ ← (1 − η·λ)·θ − η·0.2·√max(n_out, n_in)·O (Jordan 2024; Liu et al. 2025, arXiv 2502.16982).

    torch's takes 2-D parameters only. Its groups and its state, but for the axis of members, are those of torch's. Its
    steps too, up to the order of sums in products that are rounded to bfloat16.
    """

    def __init__(self, weights: Iterable[nn.Parameter], **numbers: Any) -> None:
        """`numbers` are arguments of torch.optim.Muon."""
        plain = torch.optim.Muon([nn.Parameter(torch.empty(1, 1))], adjust_lr_fn="match_rms_adamw", **numbers)
        super().__init__(weights, plain.defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = loss_of(closure)
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)
        return loss

    def _move(self, weight: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum = state["momentum_buffer"]
        momentum.lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
        update = orthogonalized(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        lr = float(group["lr"])
        weight.mul_(1 - lr * group["weight_decay"])
        weight.add_(update, alpha=-(lr * (0.2 * math.sqrt(max(weight.shape[1:])))))


def orthogonalized(matrices: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """U·S·Vᵀ for each of `matrices` [K, n_out, n_in] = U·Σ·Vᵀ, with S between about 0.5 and 1.5, in bfloat16.

    Newton-Schulz as in torch/optim/_muon.py: X = matrix/‖matrix‖, with at most as many rows as columns, then in each
    step X ← a·X + (b·A + c·A²)·X with A = X·Xᵀ.
    """
    a, b, c = coefficients
    x = matrices.bfloat16()
    tall = x.size(1) > x.size(2)
    if tall:
        x = x.mT
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
