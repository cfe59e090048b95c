"""Gradient norms, by layer and over all, before clipping. K members, L layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlpexp.engine.stack import ModuleStack


class GradientNorms:
    """Means of the L2 norms of the gradients over the steps at which `measure` is called.

    Norms cost a few per cent of a small network's step, so the loop measures at most `STEPS` steps of an
    epoch, evenly spread; runs with fewer steps an epoch measure every one.
    """

    STEPS = 32

    def __init__(self, stack: ModuleStack) -> None:
        layers = [stack.layers(k) for k in range(len(stack))]
        self.layer_names = list(layers[0])
        self._parameters: list[list[nn.Parameter]] = [
            [parameter for owned in member.values() for parameter in owned] for member in layers
        ]
        device = self._parameters[0][0].device
        layer_of = [index for index, owned in enumerate(layers[0].values()) for _ in owned]
        self._layer_of = torch.tensor(layer_of, device=device)
        self._total = torch.zeros(len(stack), device=device)
        self._by_layer = torch.zeros(len(stack), len(self.layer_names), device=device)
        self._count = 0

    @torch.no_grad()
    def measure(self) -> None:
        """Adds the norms of the gradients as they are now."""
        norms = torch.stack([torch.stack([_norm(p) for p in member]) for member in self._parameters])
        squares = norms.square()
        self._total += squares.sum(1).sqrt()
        self._by_layer += torch.zeros_like(self._by_layer).index_add_(1, self._layer_of, squares).sqrt()
        self._count += 1

    def read(self) -> Tensor:
        """[K, 1 + L]: mean norms over all parameters and by layer since the last reading, which starts anew."""
        means = torch.cat([self._total[:, None], self._by_layer], 1) / max(1, self._count)
        self._total.zero_()
        self._by_layer.zero_()
        self._count = 0
        return means


def _norm(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        return torch.zeros((), device=parameter.device)
    return torch.linalg.vector_norm(parameter.grad).float()


def clip(parameters: list[nn.Parameter], norm: float | None, value: float | None) -> None:
    """Scales gradients down to an overall L2 norm of `norm`, then cuts each element to [−value, value]."""
    if norm is not None:
        nn.utils.clip_grad_norm_(parameters, norm)
    if value is not None:
        nn.utils.clip_grad_value_(parameters, value)
