"""Splitting rows into train, val and test at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from mlpexp.data.dataset import Dataset, Split
from mlpexp.errors import ConfigError
from mlpexp.fields.ranges import Index, OpenFraction, Range

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# How many rows a made-up dataset may have: enough to split three ways, and few enough to fit in memory.
Samples = Annotated[int, Range(low=10, high=10_000_000)]


@dataclass(frozen=True)
class RandomlySplit(Dataset):
    """Base of datasets whose rows are split at random."""

    dealing: ClassVar[tuple[str, ...]] = ("seed",)

    val_fraction: OpenFraction = 0.2
    """Share of the rows in the validation split."""
    test_fraction: OpenFraction = 0.2
    """Share of the rows in the test split."""
    seed: Index = 0
    """Decides the split, and the noise of the data if any. The run's seed, unless a number is given."""

    def __post_init__(self) -> None:
        if self.val_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"val_fraction={self.val_fraction:g}: with test_fraction={self.test_fraction:g} "
                "leaves nothing to train on; together they must be less than 1."
            )

    def generator(self) -> torch.Generator:
        """A new generator seeded by the dataset's seed."""
        import torch

        return torch.Generator().manual_seed(self.seed)

    def deal(self, n_rows: int, groups: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The rows of train, val and test; see `deal_at_random`."""
        return deal_at_random(n_rows, self.val_fraction, self.test_fraction, self.generator(), groups)

    def split_rows(
        self, x: Tensor, y: Tensor, generator: torch.Generator, groups: Tensor | None
    ) -> tuple[Split, Split, Split]:
        """Train, val and test of rows `x` [N, F] and `y`; see `split_at_random`."""
        return split_at_random(x, y, self.val_fraction, self.test_fraction, generator, groups)


def split_at_random(
    x: Tensor,
    y: Tensor,
    val_fraction: float,
    test_fraction: float,
    generator: torch.Generator,
    groups: Tensor | None,
) -> tuple[Split, Split, Split]:
    """Train, val and test of rows `x` [N, F] and `y`, as `deal_at_random` has dealt them."""
    train, val, test = deal_at_random(len(x), val_fraction, test_fraction, generator, groups)
    return Split(x[train], y[train]), Split(x[val], y[val]), Split(x[test], y[test])


def deal_at_random(
    n_rows: int, val_fraction: float, test_fraction: float, generator: torch.Generator, groups: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of train, val and test, drawn at random, the same share of each of the `groups` [N] (the classes).

    Each group (None: all rows) gives at least one row to each split, so it needs three: ConfigError where it
    has fewer. Within a split the rows stand in their old order.
    """
    import torch

    rows = torch.randperm(n_rows, generator=generator)
    if groups is None:
        groups = torch.zeros(n_rows, dtype=torch.long)
    # The rows group by group, at random within each; of a group the first go to train, the last to test.
    rows = rows[groups[rows].argsort(stable=True)]
    _, of_row, sizes = groups[rows].unique_consecutive(return_inverse=True, return_counts=True)
    if (fewest := min(sizes.tolist(), default=0)) < 3:
        whose = "a class" if len(sizes) > 1 else "it"
        raise ConfigError(f"dataset: {whose} has {fewest} rows; at least 3 are needed, for train, val and test.")
    rank = torch.arange(n_rows) - (sizes.cumsum(0) - sizes)[of_row]
    n_val = (sizes.double() * val_fraction).round().long().clamp(min=1).minimum(sizes - 2)
    n_test = (sizes.double() * test_fraction).round().long().clamp(min=1).minimum(sizes - n_val - 1)
    in_train = rank < (sizes - n_val - n_test)[of_row]
    in_test = rank >= (sizes - n_test)[of_row]
    train, val, test = (rows[chosen].sort().values for chosen in (in_train, ~in_train & ~in_test, in_test))
    return train, val, test
