"""The raw values of a table's rows, for columns whose kind is known, and of the columns to predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlpexp.data.columns import MISSING, UNKNOWN, Category, Column, Date, Number
from mlpexp.data.preprocessing import Preprocessing, Target
from mlpexp.data.tables.kinds import Categories, Dates, Kind, Numbers
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.targets import Target as Found
from mlpexp.data.tables.targets import labels_of
from mlpexp.data.tables.values import codes_of, days_of, numbers_of
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError, unknown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

# Of columns that a table lacks so many are named in a message.
_MOST_NAMED = 5


def values_of(table: RawTable, kinds: Sequence[Kind]) -> Tensor:
    """Raw values [N, R] of columns of known kinds, float64; a column's rows lie together.

    ConfigError with a line for each column that has cells of another kind.
    """
    lines: list[str] = []
    found = []
    for kind in kinds:
        try:
            found.append(_of_kind(table, kind))
        except ConfigError as error:
            lines += error.lines
    if lines:
        raise ConfigError(*lines)
    return _stacked(found, table.n_rows)


def holes_of(kinds: Sequence[Kind], x: Tensor) -> Tensor:
    """Which raw values [N, R] are missing."""
    import torch

    of_category = torch.tensor([isinstance(kind, Categories) for kind in kinds])
    return x.isnan() | ((x == MISSING) & of_category)


def rows_of(table: RawTable, columns: Sequence[Column], *, complete: bool = True) -> Tensor:
    """Raw values [N, R] for the fitted columns of a run, which are matched by name, float64.

    ConfigError with a line for columns that are not there, and, where rows are to be `complete`, for each column of
    numbers or dates that has a missing value where the run has seen none.
    """
    require(table, [column.name for column in columns])
    x = values_of(table, [_kind(column) for column in columns])
    lines = []
    for at, column in enumerate(columns):
        if (
            complete
            and isinstance(column, Number | Date)
            and column.median is None
            and (holes := x[:, at].isnan()).any()
        ):
            lines.append(_missing(table, column.name, int(holes.nonzero()[0]), int(holes.sum())))
    if lines:
        raise ConfigError(*lines)
    return x


def require(table: RawTable, names: Sequence[str]) -> None:
    """ConfigError naming the columns that the table lacks."""
    missing = [name for name in names if name not in table.names]
    if missing:
        listed = ", ".join(map(short, missing[:_MOST_NAMED])) + (", …" if len(missing) > _MOST_NAMED else "")
        lacking = (
            f"{'columns' if len(missing) > 1 else 'column'} {listed} {'are' if len(missing) > 1 else 'is'} missing"
        )
        raise ConfigError(unknown(f"{table.where}: the {lacking}", missing[0], map(short, table.names)))


def labelled_rows(table: RawTable, known: Preprocessing, task: Task, *, complete: bool = True) -> tuple[Tensor, Tensor]:
    """Raw rows [N, R] of a table, see `rows_of`, and its classes [N] (negative where a row has none that the run knows)
    or values [N, T] (NaN where missing)."""
    names = [target.name for target in known.outputs]
    require(table, [*(column.name for column in known.columns), *names])
    x = rows_of(table, known.columns, complete=complete)
    return x, (classes_of(table, known.target, task.classes) if task.classes else targets_of(table, names))


def classes_of(table: RawTable, target: Target, classes: Sequence[str]) -> Tensor:
    """The class of each row [N], int64; MISSING where it has none, UNKNOWN where it is not in `classes`."""
    import torch

    column = table.column(target.name, table.where)
    labels = torch.tensor(labels_of(column, Found(target.name, (*classes, *target.merged), 0)))
    return labels.clamp(max=len(classes) - 1)


def check_classes(table: RawTable, name: str, labels: Tensor, classes: Sequence[str]) -> None:
    """ConfigError for the first row whose class is not in `classes`."""
    foreign = (labels == UNKNOWN).nonzero()
    if len(foreign):
        row = int(foreign[0])
        shown = short(table.column(name, table.where).cells[row])
        raise ConfigError(
            unknown(
                f"{table.where}: {table.place(row)}, column '{short(name)}': the run knows no class '{shown}'",
                shown,
                classes,
            )
        )


def targets_of(table: RawTable, names: Sequence[str]) -> Tensor:
    """The values to predict [N, T], float64, NaN where missing."""
    columns = [table.column(name, table.where) for name in names]
    return _stacked([numbers_of(table, column, target=True) for column in columns], table.n_rows)


def _stacked(columns: Sequence[npt.NDArray[np.float64 | np.int64]], n_rows: int) -> Tensor:
    import numpy as np
    import torch

    found = np.empty((n_rows, len(columns)), order="F")
    for at, column in enumerate(columns):
        found[:, at] = column
    return torch.from_numpy(found)


def _of_kind(table: RawTable, kind: Kind) -> npt.NDArray[np.float64 | np.int64]:
    column = table.column(kind.name, table.where)
    if isinstance(kind, Categories):
        return codes_of(column, kind)
    return days_of(table, column, kind) if isinstance(kind, Dates) else numbers_of(table, column)


def _kind(column: Column) -> Kind:
    """What a fitted column reads."""
    if isinstance(column, Category):
        return Categories(column.name, "", values=column.values)
    return Dates(column.name, "", order=column.order) if isinstance(column, Date) else Numbers(column.name, "")


def _missing(table: RawTable, name: str, row: int, n: int) -> str:
    more = f" (and {n - 1:,} more)" if n > 1 else ""
    return (
        f"{table.where}: {table.place(row)}, column '{short(name)}': the value is missing{more}; the run was trained "
        "on rows that all have it."
    )
