"""A minibatch of a stack. K members, B samples, F features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Random numbers come from a member's generator, or where there is none from torch's global one.
Generator = torch.Generator | None


@dataclass(frozen=True)
class Batch:
    """What every member learns from in one step.

    `x` [K, B, F]; `y` [K, B] (classes) or [K, B, 1] (values). Mixup mixes values as it mixes `x`; of classes `y_mixed`
    then holds those mixed in and `lam` [K] the weight λ of `y`. `generators` are the members' sources of noise, on
    the device, and `orders` those on the CPU, for what is drawn once a batch; without them all draw from torch's
    global ones. `weight` [K, B] is how much each sample counts, and of mixed classes `weight_mixed` how much those do
    that are mixed in; None where all count alike.
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
        """The part of some members."""
        tensors = {name: tensor[members] for name, tensor in self._tensors().items()}
        generators, orders = self._of_each(self.generators)[members], self._of_each(self.orders)[members]
        return replace(self, **tensors, generators=generators, orders=orders)

    def _tensors(self) -> dict[str, Any]:
        """Those that it has, by name; `Any`, since `replace` takes fields of several types."""
        found = {name: getattr(self, name) for name in ("x", "y", "y_mixed", "lam", "weight", "weight_mixed")}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    @staticmethod
    def joined(parts: Sequence[Batch]) -> Batch:
        """The batch of all members, from those of some members each."""
        if len(parts) == 1:
            return parts[0]
        of_parts = [part._tensors() for part in parts]
        tensors = {name: torch.cat([of_part[name] for of_part in of_parts]) for name in of_parts[0]}
        generators = [generator for part in parts for generator in part._of_each(part.generators)]
        orders = [generator for part in parts for generator in part._of_each(part.orders)]
        return replace(parts[0], **tensors, generators=generators, orders=orders)

    def clone(self) -> Batch:
        """The same in memory of its own."""
        return replace(self, **{name: tensor.clone() for name, tensor in self._tensors().items()})

    def copy_(self, other: Batch) -> None:
        """Puts the values of `other`, a batch of this kind, in the place of these."""
        values = other._tensors()
        for name, tensor in self._tensors().items():
            tensor.copy_(values[name])

    def _of_each(self, generators: Sequence[Generator]) -> Sequence[Generator]:
        """A source for each member."""
        return generators or [None] * len(self.x)

    def noisy(self, std: float) -> Batch:
        """With independent noise from N(0, std²) added to every input."""
        shape, device = self.x.shape[1:], self.x.device
        generators = self._of_each(self.generators)
        noise = [torch.randn(shape, device=device, generator=generator) for generator in generators]
        return replace(self, x=self.x + std * torch.stack(noise).to(self.x.dtype))

    def mixed(self, alpha: float) -> Batch:
        """λ·batch + (1 − λ)·the same batch in another order, one λ ~ Beta(alpha, alpha) a member.

        Of classes, which cannot be added, both stay; their losses, linear in one-hot targets, are then mixed, each with
        the weight of its row.
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
    """A draw from Beta(alpha, alpha). torch's own sampler underflows for small alpha: both its gammas are 0 then."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    return np.random.default_rng(seed).beta(alpha, alpha)
