"""The raw values of a table's rows: inputs from columns of known kinds, and targets.

N rows, R raw columns, T targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlpexp.data.columns import MISSING, UNKNOWN, Category, Column, Date, Number
from mlpexp.data.preprocessing import Preprocessing, Target
from mlpexp.data.tables.kinds import Categories, Dates, Kind, Numbers
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.targets import TargetColumn, labels_of
from mlpexp.data.tables.values import codes_of, days_of, numbers_of
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError, unknown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

# At most so many missing columns are named in a message.
_MOST_NAMED = 5


def values_of(table: RawTable, kinds: Sequence[Kind]) -> Tensor:
    """Raw values [N, R] of columns of known kinds, float64, in column-major order.

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


def missing_mask(kinds: Sequence[Kind], x: Tensor) -> Tensor:
    """Which raw values [N, R] are missing: [N, R], bool."""
    import torch

    of_category = torch.tensor([isinstance(kind, Categories) for kind in kinds])
    return x.isnan() | ((x == MISSING) & of_category)


def rows_of(table: RawTable, columns: Sequence[Column], *, complete: bool = True) -> Tensor:
    """Raw values [N, R], float64, of the fitted columns of a run, matched by name.

    ConfigError with a line for missing columns, and, if `complete`, with a line for each column of numbers or dates
    that has missing values but had none in training.
    """
    require(table, [column.name for column in columns])
    x = values_of(table, [_kind(column) for column in columns])
    lines = []
    for at, column in enumerate(columns):
        if (
            complete
            and isinstance(column, Number | Date)
            and column.median is None
            and (missing := x[:, at].isnan()).any()
        ):
            lines.append(_missing(table, column.name, int(missing.nonzero()[0]), int(missing.sum())))
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
    """Raw values [N, R] of a table, see `rows_of`, and its classes [N] or values [N, T].

    A class is negative where it is missing or unknown to the run; a value is NaN where it is missing.
    """
    names = [target.name for target in known.outputs]
    require(table, [*(column.name for column in known.columns), *names])
    x = rows_of(table, known.columns, complete=complete)
    return x, (classes_of(table, known.target, task.classes) if task.classes else targets_of(table, names))


def classes_of(table: RawTable, target: Target, classes: Sequence[str]) -> Tensor:
    """The class of each row [N], int64: MISSING if the cell is empty, UNKNOWN if it is not in `classes`.

    Classes that the target has merged are numbered as the last class.
    """
    import torch

    column = table.column(target.name, table.where)
    labels = torch.tensor(labels_of(column, TargetColumn(target.name, (*classes, *target.merged), 0)))
    return labels.clamp(max=len(classes) - 1)


def check_classes(table: RawTable, name: str, labels: Tensor, classes: Sequence[str]) -> None:
    """ConfigError for the first row whose class is not in `classes`."""
    unknown_rows = (labels == UNKNOWN).nonzero()
    if len(unknown_rows):
        row = int(unknown_rows[0])
        shown = short(table.column(name, table.where).cells[row])
        raise ConfigError(
            unknown(
                f"{table.where}: {table.place(row)}, column '{short(name)}': the run knows no class '{shown}'",
                shown,
                classes,
            )
        )


def targets_of(table: RawTable, names: Sequence[str]) -> Tensor:
    """The values of the targets [N, T], float64, NaN where missing."""
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
    """The kind of cells that a fitted column reads."""
    if isinstance(column, Category):
        return Categories(column.name, "", values=column.values)
    return Dates(column.name, "", order=column.order) if isinstance(column, Date) else Numbers(column.name, "")


def _missing(table: RawTable, name: str, row: int, n: int) -> str:
    more = f" (and {n - 1:,} more)" if n > 1 else ""
    return (
        f"{table.where}: {table.place(row)}, column '{short(name)}': the value is missing{more}; no value of this "
        "column was missing in training."
    )
