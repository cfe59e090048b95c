"""A table prepared for training: the split of its rows, and the preprocessing fitted to the training rows.

N rows, R raw columns, T targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlpexp.data.columns import Category, Column, Date, Number, Scale, constant
from mlpexp.data.identity import DataIssue
from mlpexp.data.preprocessing import Preprocessing, Target
from mlpexp.data.tables.kinds import Categories, Dates, Kind
from mlpexp.data.tables.notes import value_notes
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.settings import TableSettings
from mlpexp.data.tables.splitting import by_column, by_group, by_time, random_val
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError, pluralize

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PreparedTable:
    """The raw rows of a table with their targets: the same for all seeds."""

    table: RawTable
    """The column that splits the rows, if there is one; without the other columns."""
    x: Tensor
    """[N, R]: raw values, float64."""
    y: Tensor
    """Classes [N], int64, or values [N, T], float64."""
    task: Task
    used: Tensor
    """The numbers of the rows in use, without those of a separate test file."""
    test: Tensor | None
    """The numbers of the test rows of a separate test file; they follow the other rows in `x` and `y`."""
    weight: Tensor | None
    """[N]: the sample weights, greater than 0 for rows in use. None: all rows have the same weight."""
    kinds: tuple[Kind, ...]
    """The kind of each input column [R]."""
    has_missing: tuple[bool, ...]
    """For each input column, whether values are missing."""
    targets: tuple[str, ...]
    """The names of the target columns [T]."""
    merged: tuple[str, ...]
    """The rare classes that are merged into one."""
    notes: tuple[str, ...]
    issues: tuple[DataIssue, ...]

    def split(self, settings: TableSettings) -> FittedSplit:
        """Splits the rows, and fits the preprocessing to the training rows. ConfigError if they cannot be split."""
        rows = _split(self, settings)
        train = rows[0]
        columns = tuple(
            fit_column(kind, self.x[:, at], train, settings.scale, missing)
            for at, (kind, missing) in enumerate(zip(self.kinds, self.has_missing, strict=True))
        )
        if self.task.classes:
            return FittedSplit(rows, Preprocessing(columns, Target(self.targets[0], merged=self.merged)), self.notes)
        outputs = [
            Target.fit(name, self.y[train, at], settings.target_transform) for at, name in enumerate(self.targets)
        ]
        fitted = Preprocessing(columns, outputs[0], tuple(outputs[1:]))
        return FittedSplit(rows, fitted, (*self.notes, value_notes(outputs)))


@dataclass(frozen=True)
class FittedSplit:
    """The row numbers of train, val and test, and the preprocessing fitted to the training rows."""

    rows: tuple[Tensor, Tensor, Tensor]
    fitted: Preprocessing
    notes: tuple[str, ...]


def fit_column(kind: Kind, values: Tensor, train: Tensor, scale: Scale, missing: bool) -> Column:
    """A column with raw values [N], fitted to its `train` rows; `missing`: whether some of its values are missing."""
    if isinstance(kind, Categories):
        return Category.fit(kind.name, kind.values, values[train], missing=missing)
    if isinstance(kind, Dates):
        return Date.fit(kind.name, kind.order, values[train], missing=missing)
    return Number.fit(kind.name, values[train], scale, missing=missing)


def _split(prepared: PreparedTable, settings: TableSettings) -> tuple[Tensor, Tensor, Tensor]:
    """The row numbers of train, val and test.

    ConfigError if they cannot be split, or if the training rows lack a class or have one value as their target.
    """
    import torch

    table, used, y = prepared.table, prepared.used, prepared.y
    classes = bool(prepared.task.classes)
    labels = y[used] if classes else None
    val = settings.val_fraction
    if prepared.test is not None:
        train, middle = random_val(used, labels, val, settings.seed, f"dataset.test_path={settings.test_path}")
        rows = (train, middle, prepared.test)
    elif settings.group is not None or settings.time is not None or settings.split is not None:
        given = used.numpy()
        if settings.group is not None:
            found = by_group(table, settings.group, given, settings)
        elif settings.time is not None:
            word = settings.columns.get(settings.time, "date")
            found = by_time(table, settings.time, given, settings, word)
        else:
            assert settings.split is not None
            found = by_column(table, settings.split, given)
        rows = tuple(map(torch.from_numpy, found))  # type: ignore[assignment]
        if not len(rows[1]):
            train, middle = random_val(
                rows[0], y[rows[0]] if classes else None, val, settings.seed, f"dataset.split={settings.split}"
            )
            rows = (train, middle, rows[2])
    else:
        train, middle, last = settings.full_split_indices(len(used), labels)
        rows = (used[train], used[middle], used[last])
    rows = (settings.part_of(rows[0], y if classes else None), *rows[1:])
    if classes:
        missing = set(y[used].unique().tolist()) - set(y[rows[0]].unique().tolist())
        if missing:
            raise ConfigError(
                f"{table.where}: {pluralize(len(missing), 'class')} of the target "
                f"{'is' if len(missing) == 1 else 'are'} in no training row; split the rows in another way."
            )
        return rows
    for at, name in enumerate(prepared.targets):
        if constant(values := y[rows[0], at]):
            raise ConfigError(
                f"dataset.target={short(name)}: is {values[0]:g} in every training row: nothing to learn; split the "
                "rows in another way."
            )
    return rows
