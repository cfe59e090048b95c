"""A minibatch of a stack. K members, B samples, F features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

# A member's random number generator; None: torch's global one.
Generator = torch.Generator | None


@dataclass(frozen=True)
class Batch:
    """The samples of all members for one training step.

    `x` [K, B, F]; `y` [K, B] (classes) or [K, B, 1] (values). Mixup mixes values in the same way as `x`. For classes,
    `y_mixed` holds the classes of the second sample, and `lam` [K] the weight λ of `y`. `generators` are the members'
    random number generators on the device, `orders` those on the CPU, for what is drawn once per batch; without them
    torch's global generators are used. `weight` [K, B] are the sample weights; after mixup of classes, `weight_mixed`
    are those of the second sample. None: all samples have the same weight.
    """

    x: Tensor
    y: Tensor
    y_mixed: Tensor | None = None
    lam: Tensor | None = None
    generators: Sequence[Generator] = field(default=())
    orders: Sequence[Generator] = field(default=())
    weight: Tensor | None = None
    weight_mixed: Tensor | None = None

    def of(self, members: slice) -> Batch:
        """The batch of a slice of the members."""
        tensors = {name: tensor[members] for name, tensor in self._tensors().items()}
        generators, orders = self._of_each(self.generators)[members], self._of_each(self.orders)[members]
        return replace(self, **tensors, generators=generators, orders=orders)

    def _tensors(self) -> dict[str, Any]:
        """The tensors that are set, by name; `Any`, since `replace` takes fields of several types."""
        found = {name: getattr(self, name) for name in ("x", "y", "y_mixed", "lam", "weight", "weight_mixed")}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    @staticmethod
    def joined(parts: Sequence[Batch]) -> Batch:
        """Concatenates batches along the members."""
        if len(parts) == 1:
            return parts[0]
        of_parts = [part._tensors() for part in parts]
        tensors = {name: torch.cat([of_part[name] for of_part in of_parts]) for name in of_parts[0]}
        generators = [generator for part in parts for generator in part._of_each(part.generators)]
        orders = [generator for part in parts for generator in part._of_each(part.orders)]
        return replace(parts[0], **tensors, generators=generators, orders=orders)

    def clone(self) -> Batch:
        """A copy with its own memory."""
        return replace(self, **{name: tensor.clone() for name, tensor in self._tensors().items()})

    def copy_(self, other: Batch) -> None:
        """Copies the values of `other`, a batch of the same form, into this one."""
        values = other._tensors()
        for name, tensor in self._tensors().items():
            tensor.copy_(values[name])

    def _of_each(self, generators: Sequence[Generator]) -> Sequence[Generator]:
        """One generator for each member."""
        return generators or [None] * len(self.x)

    def noisy(self, std: float) -> Batch:
        """This batch with independent noise from N(0, std²) added to every input."""
        shape, device = self.x.shape[1:], self.x.device
        generators = self._of_each(self.generators)
        noise = [torch.randn(shape, device=device, generator=generator) for generator in generators]
        return replace(self, x=self.x + std * torch.stack(noise).to(self.x.dtype))

    def mixed(self, alpha: float) -> Batch:
        """Mixup: λ·batch + (1 − λ)·permuted batch, with one λ ~ Beta(alpha, alpha) for each member.

        For classes both targets are kept, and their losses are mixed, each with its sample's weight. For a loss that is
        linear in the one-hot targets this equals mixing the targets.
        """
        k, b = self.x.shape[:2]
        device = self.x.device
        lams = [_beta(alpha, generator) for generator in self._of_each(self.orders)]
        lam = torch.tensor(lams, dtype=self.x.dtype).to(device, non_blocking=True)
        generators = self._of_each(self.generators)
        order = torch.stack([torch.rand(b, device=device, generator=generator).argsort() for generator in generators])
        member = torch.arange(k, device=device)[:, None]
        weight = lam[:, None, None]
        x = weight * self.x + (1 - weight) * self.x[member, order]
        y_mixed = self.y[member, order]
        weight_mixed = None if self.weight is None else self.weight[member, order]
        if self.y.is_floating_point():
            if self.weight is not None and weight_mixed is not None:
                weight_mixed = lam[:, None] * self.weight + (1 - lam[:, None]) * weight_mixed
            return replace(self, x=x, y=weight * self.y + (1 - weight) * y_mixed, weight=weight_mixed)
        return replace(self, x=x, y_mixed=y_mixed, lam=lam, weight_mixed=weight_mixed)


def _beta(alpha: float, generator: Generator) -> float:
    """A draw from Beta(alpha, alpha). For small alpha torch's sampler underflows: both of its gamma draws are 0."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    return np.random.default_rng(seed).beta(alpha, alpha)
