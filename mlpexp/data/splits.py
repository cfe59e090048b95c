"""Random splits of rows into train, val and test.

N rows, F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from mlpexp.data.dataset import Dataset, Split
from mlpexp.errors import ConfigError
from mlpexp.fields.ranges import Index, OpenFraction, Range, Share

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Number of rows of a generated dataset: enough for three splits, and few enough for memory.
Samples = Annotated[int, Range(low=10, high=10_000_000)]


@dataclass(frozen=True)
class RandomlySplit(Dataset):
    """Base of datasets whose rows are split at random."""

    split_fields: ClassVar[tuple[str, ...]] = ("seed", "fold")

    val_fraction: OpenFraction = 0.2
    """Share of the rows in the validation split."""
    test_fraction: OpenFraction = 0.2
    """Share of the rows in the test split."""
    train_fraction: Share = 1.0
    """Share of the training rows to use, for learning curves; a larger share includes the rows of a smaller one."""
    seed: Index = 0
    """Seed of the split, and of the noise if any. The run's seed, unless a number is given."""
    folds: Annotated[int, Range(low=2, high=1000)] = 10
    """Number of folds of a cross-validation."""
    fold: Index | None = None
    """Index of the fold that is the test split, from 0; null: no cross-validation, the size is test_fraction."""

    def __post_init__(self) -> None:
        if self.fold is not None:
            if self.fold >= self.folds:
                raise ConfigError(f"fold={self.fold}: must be less than folds={self.folds}; the first is 0.")
            if self.val_fraction + 1 / self.folds >= 1:
                raise ConfigError(
                    f"val_fraction={self.val_fraction:g}: with folds={self.folds} leaves nothing to train on."
                )
            return
        if self.val_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"val_fraction={self.val_fraction:g}: with test_fraction={self.test_fraction:g} "
                "leaves nothing to train on; together they must be less than 1."
            )

    def generator(self) -> torch.Generator:
        """A new generator seeded by the dataset's seed."""
        import torch

        return torch.Generator().manual_seed(self.seed)

    def split_indices(self, n_rows: int, groups: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The row numbers of train, val and test.

        See `random_split_indices` and, for cross-validation, `fold_split_indices`.
        """
        return self._indices(n_rows, groups, self.generator())

    def part_of(self, train: Tensor, groups: Tensor | None) -> Tensor:
        """`train_fraction` of the training rows; see the function `part_of`."""
        return part_of(train, groups, self.train_fraction, self.seed)

    def _indices(self, n_rows: int, groups: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        train, val, test = self.full_split_indices(n_rows, groups, generator)
        return self.part_of(train, groups), val, test

    def full_split_indices(
        self, n_rows: int, groups: Tensor | None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `split_indices` with train_fraction = 1."""
        generator = generator or self.generator()
        if self.fold is not None:
            return fold_split_indices(n_rows, self.val_fraction, self.fold, self.folds, generator, groups)
        return random_split_indices(n_rows, self.val_fraction, self.test_fraction, generator, groups)

    def split_rows(
        self, x: Tensor, y: Tensor, generator: torch.Generator, groups: Tensor | None
    ) -> tuple[Split, Split, Split]:
        """Train, val and test of rows `x` [N, F] and `y`; see `split_indices`."""
        train, val, test = self._indices(len(x), groups, generator)
        return Split(x[train], y[train]), Split(x[val], y[val]), Split(x[test], y[test])


def split_at_random(
    x: Tensor,
    y: Tensor,
    val_fraction: float,
    test_fraction: float,
    generator: torch.Generator,
    groups: Tensor | None,
) -> tuple[Split, Split, Split]:
    """Train, val and test of rows `x` [N, F] and `y`, split by `random_split_indices`."""
    train, val, test = random_split_indices(len(x), val_fraction, test_fraction, generator, groups)
    return Split(x[train], y[train]), Split(x[val], y[val]), Split(x[test], y[test])


def random_split_indices(
    n_rows: int, val_fraction: float, test_fraction: float, generator: torch.Generator, groups: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The row numbers of train, val and test, drawn at random and stratified by `groups` [N] (the classes).

    Each split has at least one row of each group; None: all rows are one group. Row numbers of a split are in ascending
    order. ConfigError if a group has fewer than three rows.
    """
    import torch

    # The first rows of a group go to train, the last to test.
    rows, of_row, sizes = _by_group(n_rows, generator, groups)
    rank = torch.arange(n_rows) - (sizes.cumsum(0) - sizes)[of_row]
    n_val = (sizes.double() * val_fraction).round().long().clamp(min=1).minimum(sizes - 2)
    n_test = (sizes.double() * test_fraction).round().long().clamp(min=1).minimum(sizes - n_val - 1)
    in_train = rank < (sizes - n_val - n_test)[of_row]
    in_test = rank >= (sizes - n_test)[of_row]
    train, val, test = (rows[chosen].sort().values for chosen in (in_train, ~in_train & ~in_test, in_test))
    return train, val, test


def fold_split_indices(
    n_rows: int, val_fraction: float, fold: int, folds: int, generator: torch.Generator, groups: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The row numbers of train, val and test, where test is a fold of a cross-validation, stratified by `groups` [N].

    With the same state of the generator, each row is in one of the folds. The sizes of the folds, and of each group in
    them, differ by at most one. Val is drawn from the other rows: `val_fraction` of all rows, stratified too.
    """
    import torch

    if n_rows < folds:
        raise ConfigError(f"dataset.folds={folds}: there are {n_rows} rows; at least one for each fold is needed.")
    rows, of_row, sizes = _by_group(n_rows, generator, groups)
    in_test = torch.arange(n_rows) % folds == fold
    rest, of_rest = rows[~in_test], of_row[~in_test]
    left = of_rest.bincount(minlength=len(sizes))
    rank = torch.arange(len(rest)) - (left.cumsum(0) - left)[of_rest]
    n_val = (sizes.double() * val_fraction).round().long().clamp(min=1).minimum(left - 1)
    in_train = rank < (left - n_val)[of_rest]
    train, val, test = (part.sort().values for part in (rest[in_train], rest[~in_train], rows[in_test]))
    return train, val, test


def _by_group(n_rows: int, generator: torch.Generator, groups: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The row numbers, sorted by group and shuffled within each; the group of each of them; the size of each group.

    ConfigError if a group has fewer than three rows.
    """
    import torch

    rows = torch.randperm(n_rows, generator=generator)
    if groups is None:
        groups = torch.zeros(n_rows, dtype=torch.long)
    rows = rows[groups[rows].argsort(stable=True)]
    _, of_row, sizes = groups[rows].unique_consecutive(return_inverse=True, return_counts=True)
    if (fewest := min(sizes.tolist(), default=0)) < 3:
        whose = "a class" if len(sizes) > 1 else "it"
        raise ConfigError(f"dataset: {whose} has {fewest} rows; at least 3 are needed, for train, val and test.")
    return rows, of_row, sizes


def part_of(rows: Tensor, groups: Tensor | None, fraction: float, seed: int) -> Tensor:
    """A fraction of the rows, drawn at random with `seed` and stratified by `groups`; the rows keep their order.

    `groups` [N] are the classes of all rows of a dataset; None: all rows are one group. At least one row of each group
    is kept. For one seed, a larger fraction includes the rows of a smaller one: learning curves only add rows.
    """
    import torch

    if fraction == 1:
        return rows
    order = torch.rand(len(rows), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).argsort()
    labels = torch.zeros(len(rows), dtype=torch.long) if groups is None else groups[rows]
    order = order[labels[order].argsort(stable=True)]
    _, of_row, sizes = labels[order].unique_consecutive(return_inverse=True, return_counts=True)
    rank = torch.arange(len(rows)) - (sizes.cumsum(0) - sizes)[of_row]
    n_kept = (sizes.double() * fraction).round().long().clamp(min=1)
    return rows[order[rank < n_kept[of_row]]].sort().values
