"""A minibatch of a stack. K members, B samples, F features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
    global ones.
    """

    x: Tensor
    y: Tensor
    y_mixed: Tensor | None = None
    lam: Tensor | None = None
    generators: Sequence[Generator] = field(default=())
    orders: Sequence[Generator] = field(default=())

    def of(self, members: slice) -> Batch:
        """The part of some members."""
        y_mixed = None if self.y_mixed is None else self.y_mixed[members]
        lam = None if self.lam is None else self.lam[members]
        generators, orders = self._of_each(self.generators)[members], self._of_each(self.orders)[members]
        return Batch(self.x[members], self.y[members], y_mixed, lam, generators, orders)

    @staticmethod
    def joined(parts: Sequence[Batch]) -> Batch:
        """The batch of all members, from those of some members each."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        y_mixed = None if first.y_mixed is None else torch.cat([part.y_mixed for part in parts])  # type: ignore[misc]
        lam = None if first.lam is None else torch.cat([part.lam for part in parts])  # type: ignore[misc]
        generators = [generator for part in parts for generator in part._of_each(part.generators)]
        orders = [generator for part in parts for generator in part._of_each(part.orders)]
        x, y = torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts])
        return Batch(x, y, y_mixed, lam, generators, orders)

    def clone(self) -> Batch:
        """The same in memory of its own."""
        y_mixed = None if self.y_mixed is None else self.y_mixed.clone()
        lam = None if self.lam is None else self.lam.clone()
        return replace(self, x=self.x.clone(), y=self.y.clone(), y_mixed=y_mixed, lam=lam)

    def copy_(self, other: Batch) -> None:
        """Puts the values of `other`, a batch of this kind, in the place of these."""
        self.x.copy_(other.x)
        self.y.copy_(other.y)
        if self.y_mixed is not None and self.lam is not None:
            assert other.y_mixed is not None
            assert other.lam is not None
            self.y_mixed.copy_(other.y_mixed)
            self.lam.copy_(other.lam)

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

        Of classes, which cannot be added, both stay; their losses, linear in one-hot targets, are then mixed.
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
        if self.y.is_floating_point():
            return replace(self, x=x, y=weight * self.y + (1 - weight) * y_mixed)
        return replace(self, x=x, y_mixed=y_mixed, lam=lam)


def _beta(alpha: float, generator: Generator) -> float:
    """A draw from Beta(alpha, alpha). torch's own sampler underflows for small alpha: both its gammas are 0 then."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    return np.random.default_rng(seed).beta(alpha, alpha)
