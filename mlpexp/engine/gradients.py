"""Gradient norms, by layer and over all, before clipping. K members, P parameters, L layers."""

from __future__ import annotations

import torch
from torch import Tensor

from mlpexp.engine.stack import Stack, layers


class GradientNorms:
    """Means of the L2 norms of the gradients over the steps at which `measure` is called.

    Norms cost a few per cent of a small network's step, so the loop measures at most `STEPS` steps of an
    epoch, evenly spread; runs with fewer steps an epoch measure every one.
    """

    STEPS = 32

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        owned = layers(stack.member(0))
        self.layer_names = list(owned)
        device = next(stack.parameters()).device
        self._layer_of = torch.tensor([i for i, own in enumerate(owned.values()) for _ in own], device=device)
        self._total = torch.zeros(len(stack), device=device)
        self._by_layer = torch.zeros(len(stack), len(self.layer_names), device=device)
        # On the device, as a recorded step counts too.
        self._count = torch.zeros((), device=device)

    @torch.no_grad()
    def measure(self) -> None:
        """Adds the norms of the gradients as they are now."""
        squares = self._stack.gradient_norms().square()
        self._total += squares.sum(1).sqrt()
        self._by_layer += torch.zeros_like(self._by_layer).index_add_(1, self._layer_of, squares).sqrt()
        self._count += 1

    def read(self) -> Tensor:
        """[K, 1 + L]: mean norms over all parameters and by layer since the last reading, which starts anew."""
        means = torch.cat([self._total[:, None], self._by_layer], 1) / self._count.clamp(min=1)
        self._total.zero_()
        self._by_layer.zero_()
        self._count.zero_()
        return means
