"""Minibatches. K members, B samples of a batch, F features, N training rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mlpexp.data.dataset import Data

# How many inputs are gathered and standardised in one go: the cost of starting these operations is shared by
# several batches, and the result still fits in a processor's cache.
_CHUNK_ELEMENTS = 2**20


@dataclass(frozen=True)
class Batch:
    """What every member learns from in one step.

    `x` [K, B, F]; `y` [K, B] (classes) or [K, B, 1] (values). After mixup `partner` holds the targets mixed in
    and `share` [K] the weight λ of `y`.
    """

    x: Tensor
    y: Tensor
    partner: Tensor | None = None
    share: Tensor | None = None

    def with_inputs(self, x: Tensor) -> Batch:
        return replace(self, x=x)

    def mixed(self, alpha: float) -> Batch:
        """λ·batch + (1 − λ)·the same batch in another order, one λ ~ Beta(alpha, alpha) a member."""
        k, b = self.x.shape[:2]
        concentration = torch.full((k,), alpha, device=self.x.device)
        # Checking the arguments would wait for the device.
        share = torch.distributions.Beta(concentration, concentration, validate_args=False).sample()
        order = torch.rand(k, b, device=self.x.device).argsort(-1)
        member = torch.arange(k, device=self.x.device)[:, None]
        weight = share[:, None, None]
        x = weight * self.x + (1 - weight) * self.x[member, order]
        return Batch(x, self.y, self.y[member, order], share)


@dataclass(frozen=True)
class Batches:
    """Cuts the training rows into batches, a permutation for each member."""

    data: Data
    batch_size: int

    @property
    def sizes(self) -> list[int]:
        """The sizes of an epoch's batches.

        A last batch of a single row is left out: batch normalisation finds no variance in it.
        """
        n = len(self.data.train)
        size = min(self.batch_size, n)
        sizes = [size] * (n // size)
        rest = n % size
        return [*sizes, rest] if rest > 1 or not sizes else sizes

    def epoch(self, generators: Sequence[torch.Generator]) -> Iterator[Batch]:
        """The batches of one epoch, each member's rows in the order that its own generator draws.

        Permutations are drawn on the CPU: the batches are the same on every device.
        """
        train = self.data.train
        n, k = len(train), len(generators)
        order = torch.stack([torch.randperm(n, generator=generator) for generator in generators])
        order = order.to(train.x.device, non_blocking=True)
        sizes = self.sizes
        batches_at_once = max(1, _CHUNK_ELEMENTS // (k * sizes[0] * train.x.shape[1]))
        start = 0
        for first in range(0, len(sizes), batches_at_once):
            chunk = sizes[first : first + batches_at_once]
            rows = order[:, start : start + sum(chunk)]
            flat = rows.flatten()
            x = self.data.inputs(train.x.index_select(0, flat)).unflatten(0, rows.shape)
            y = train.y.index_select(0, flat).unflatten(0, rows.shape)
            start += sum(chunk)
            for x_batch, y_batch in zip(x.split(chunk, 1), y.split(chunk, 1), strict=True):
                yield Batch(x_batch, y_batch)
