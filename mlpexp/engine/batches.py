"""How the training rows are cut into minibatches. K members, B samples of a batch, F features, N training rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from mlpexp.config.schema import Config
from mlpexp.data.batch import Batch
from mlpexp.engine.rows import Rows

# How many inputs are gathered and standardised in one go: the cost of starting these operations is shared by
# several batches, and the result still fits in a CPU's cache. On a GPU starting them is what costs.
_CHUNK_ELEMENTS = {"cpu": 2**20, "cuda": 2**24}


def least_rows(module: nn.Module) -> int:
    """How many rows a network needs at once to train: two with batch normalisation, since one has no variance."""
    # The base of torch's own for any shape of input, of the lazy and the synchronised ones too.
    return 2 if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules()) else 1


@dataclass(frozen=True)
class Batches:
    """Cuts the training `rows` into batches, a permutation for each member.

    `least` is how many rows a network needs at once, see `least_rows`.
    """

    rows: Rows
    batch_size: int
    least: int = 1

    @staticmethod
    def of(config: Config, rows: Rows, module: nn.Module) -> Batches:
        """The batches that runs such as that of `config` make of their training rows for their networks."""
        batch_size = len(rows) if config.optimizer.full_batch else config.batch_size
        return Batches(rows, batch_size, least_rows(module))

    @property
    def sizes(self) -> list[int]:
        """The sizes of an epoch's batches; a last one of fewer than `least` rows is left out."""
        n = len(self.rows)
        size = min(self.batch_size, n)
        sizes = [size] * (n // size)
        rest = n % size
        return [*sizes, rest] if rest >= self.least else sizes

    @property
    def n_left_out(self) -> int:
        """How many training rows an epoch leaves out, other ones each time."""
        return len(self.rows) - sum(self.sizes)

    def epoch(self, orders: Sequence[torch.Generator], generators: Sequence[torch.Generator] = ()) -> Iterator[Batch]:
        """The batches of one epoch, each member's rows in the order that its own generator in `orders` draws.

        Permutations are drawn on the CPU: the batches are the same on every device. `generators` are what the
        batches are to draw noise from; what they draw once a batch comes from `orders` too.
        """
        n, k, device = len(self.rows), len(orders), self.rows.device
        order = torch.stack([torch.randperm(n, generator=generator) for generator in orders])
        order = order.to(device, non_blocking=True)
        sizes = self.sizes
        elements = _CHUNK_ELEMENTS.get(device.type, _CHUNK_ELEMENTS["cpu"])
        batches_at_once = max(1, elements // (k * sizes[0] * self.rows.n_features))
        start = 0
        for first in range(0, len(sizes), batches_at_once):
            chunk = sizes[first : first + batches_at_once]
            rows = order[:, start : start + sum(chunk)]
            x, y = self.rows.take(rows)
            weights = self.rows.weights(rows)
            of_batches = [None] * len(chunk) if weights is None else weights.split(chunk, 1)
            start += sum(chunk)
            for x_batch, y_batch, weight in zip(x.split(chunk, 1), y.split(chunk, 1), of_batches, strict=True):
                yield Batch(x_batch, y_batch, weight=weight, generators=generators, orders=orders)
