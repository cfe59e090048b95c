"""Splits that select rows from a shared pool of images, which is in memory once for all splits and seeds.

M rows of the pool, N of a split, F features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.data.dataset import Split, moved_once

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Selection(Split):
    """The rows number `rows` [N] of a `pool` [M, F], with their targets `y` [N]; each access to `x` [N, F] copies it.

    `take` and `between` copy only the rows that they return.
    """

    pool: Tensor
    rows: Tensor

    def __init__(self, pool: Tensor, rows: Tensor, y: Tensor) -> None:
        # The dataclass is frozen.
        vars(self).update(pool=pool, rows=rows, y=y)

    @property
    def x(self) -> Tensor:
        return self.pool.index_select(0, self.rows)

    @property
    def form(self) -> tuple[tuple[int, ...], torch.dtype]:
        return (len(self.rows), *self.pool.shape[1:]), self.pool.dtype

    @property
    def n_bytes(self) -> int:
        return self.rows.nbytes + self.y.nbytes

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Tensor, out: Tensor | None = None) -> Tensor:
        import torch

        return torch.index_select(self.pool, 0, self.rows.index_select(0, rows), out=out)

    def between(self, start: int, stop: int) -> Tensor:
        return self.pool.index_select(0, self.rows[start:stop])

    def to(self, device: torch.device, moved: dict[int, Tensor] | None = None) -> Selection:
        return Selection(*(moved_once(part, device, moved) for part in (self.pool, self.rows, self.y)))
