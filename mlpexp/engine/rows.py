"""The rows that the members of a stack see: one dataset for all members, or one for each.

K members, N rows of a split, F features, T targets. A leading axis of length 1 stands for all members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from mlpexp.data.dataset import Data, Split

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True, eq=False)
class Rows:
    """One split of the data of K members, equally long for each: one part for all members, or one part for each."""

    parts: tuple[tuple[Data, Split], ...]

    @staticmethod
    def of(members: Sequence[Data], split: SplitName) -> Rows:
        """A split of the members' data. Members of a stack have data of one form, so their splits are equally long."""
        shared = all(data is members[0] for data in members)
        return Rows(tuple((data, data.splits()[split]) for data in (members[:1] if shared else members)))

    @staticmethod
    def by_split(members: Sequence[Data]) -> dict[SplitName, Rows]:
        """All splits of the members' data. Two splits with the same rows are one object."""
        known: dict[tuple[int, ...], Rows] = {}
        names: tuple[SplitName, ...] = get_args(SplitName)
        found = [Rows.of(members, name) for name in names]
        keys = [tuple(id(split) for _, split in rows.parts) for rows in found]
        return {name: known.setdefault(key, rows) for name, key, rows in zip(names, keys, found, strict=True)}

    def __len__(self) -> int:
        """N."""
        return len(self.parts[0][1])

    @property
    def n_features(self) -> int:
        return self.parts[0][0].n_features

    @property
    def device(self) -> torch.device:
        return self.parts[0][1].device

    @cached_property
    def y(self) -> Tensor:
        """Targets, [1 or K, N] or [1 or K, N, T]."""
        return _joined([split.y for _, split in self.parts])

    @cached_property
    def mean(self) -> Tensor:
        """Weighted mean ȳ of each target, [1 or K, 1, T]."""
        return _joined([mean(split.y, split.weight)[None] for _, split in self.parts])

    @cached_property
    def spread(self) -> Tensor:
        """Σ w(y − ȳ)² over rows and targets, [1 or K]."""
        return self._of_each(lambda split: spread(split.y, mean(split.y, split.weight), split.weight))

    @cached_property
    def varies(self) -> Tensor:
        """Whether every target has different values in the split, [1 or K].

        `spread` does not show this: the mean of equal numbers may be rounded, which gives a spread above 0.
        """
        return self._of_each(lambda split: (split.y != split.y[0]).any(0).all())

    def _of_each(self, number: Callable[[Split], Tensor]) -> Tensor:
        # One part at a time: sums over stacked targets may be rounded differently.
        return torch.stack([number(split) for _, split in self.parts])

    @cached_property
    def weight(self) -> Tensor | None:
        """The weight of each row, [1 or K, N]; None where all rows count the same.

        The members of a stack have one dataset: either all of them have weights, or none.
        """
        weights = [split.weight for _, split in self.parts if split.weight is not None]
        return _joined(weights) if weights else None

    def weights(self, rows: Tensor) -> Tensor | None:
        """The weights of each member's `rows` [K, b], of the same shape; None where there are no weights."""
        if self.weight is None:
            return None
        return self.weight.expand(len(rows), -1).gather(1, rows)

    def inputs(self, start: int, stop: int) -> Tensor:
        """The standardised inputs of the rows from `start` to `stop` (exclusive), or to the last: [1 or K, b, F]."""
        return self._standardised(_joined([split.between(start, stop) for _, split in self.parts]))

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs [K, b, F] and targets [K, b] or [K, b, T] of each member's `rows` [K, b]."""
        if len(self.parts) == 1:
            ((data, split),), flat = self.parts, rows.flatten()
            x, y = data.inputs(split.take(flat)), split.y.index_select(0, flat)
            return x.unflatten(0, rows.shape), y.unflatten(0, rows.shape)
        _, number_format = self.parts[0][1].form
        x = torch.empty(*rows.shape, self.n_features, dtype=number_format, device=rows.device)
        for (_, split), own, out in zip(self.parts, rows, x, strict=True):
            split.take(own, out)
        targets = [split.y.index_select(0, own) for (_, split), own in zip(self.parts, rows, strict=True)]
        return self._standardised(x), torch.stack(targets)

    def _standardised(self, x: Tensor) -> Tensor:
        """Raw rows [1 or K, b, F] of each part, as standardised inputs; floating-point rows are so already."""
        if x.is_floating_point():
            return x
        x = x.float()
        for (data, _), own in zip(self.parts, x, strict=True):
            data.standardise_(own)
        return x

    def sample(self, n: int) -> Tensor:
        """Inputs [1 or K, min(n, N), F] of rows spread over the split, see `Split.sample`."""
        return _joined([data.inputs(split.sample(n).x) for data, split in self.parts])

    def members(self, k: int) -> Iterator[tuple[slice, Data, Split]]:
        """Each part, with the slice of the `k` members that it belongs to."""
        for number, (data, split) in enumerate(self.parts):
            yield (slice(0, k) if len(self.parts) == 1 else slice(number, number + 1)), data, split


def weighted(numbers: Tensor, weight: Tensor | None) -> Tensor:
    """Numbers of rows [..., N], multiplied by the rows' weights where there are any."""
    return numbers if weight is None else weight * numbers


def spread(y: Tensor, mean: Tensor, weight: Tensor | None) -> Tensor:
    """Σ w(y − mean)² of values [..., N, T], summed over rows and targets: [...]."""
    squares = (y - mean).square()
    return squares.sum((-2, -1)) if weight is None else (weight * squares.sum(-1)).sum(-1)


def mean(y: Tensor, weight: Tensor | None) -> Tensor:
    """The weighted mean Σ w·y / Σ w over the rows of values [N, T]: [T]."""
    return y.mean(0) if weight is None else (weight[:, None] * y).sum(0) / weight.sum()


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0][None] if len(parts) == 1 else torch.stack(list(parts))
