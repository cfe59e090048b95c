"""The values of a column of a known kind; missing ones are NaN, null or MISSING."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.data.columns import MISSING, UNKNOWN
from mlpexp.data.tables.cells import is_missing, to_numbers
from mlpexp.data.tables.dates import DateForm, to_days
from mlpexp.data.tables.kinds import Categories, Dates
from mlpexp.data.tables.raw import RawColumn, RawTable, short
from mlpexp.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

_MOST_SHOWN = 3
# Sums of the squares of larger numbers may be infinite.
_LARGEST = 1e100


def numbers_of(table: RawTable, column: RawColumn, *, target: bool = False) -> npt.NDArray[np.float64]:
    """Float64 [N], NaN where missing; ConfigError naming the first cells that are not finite numbers.

    `target`: whether the column is a target; the message then names another remedy.
    """
    import polars as pl

    cells = column.cells
    if cells.dtype == pl.String:
        values = to_numbers(cells, column.marks)
        wrong = values.is_null() & ~is_missing(cells)
    elif cells.dtype in (pl.Date, pl.Datetime):
        raise ConfigError(f"{table.where}: column '{short(column.name)}' holds dates, not numbers.")
    else:
        values = cells.cast(pl.Float64)
        wrong = pl.repeat(False, len(values), eager=True, dtype=pl.Boolean)
    if (wrong := wrong | values.is_infinite().fill_null(False)).any():
        raise mistakes(table, column, wrong, "not a finite number", target=target)
    if (large := (values.abs() > _LARGEST).fill_null(False)).any():
        raise mistakes(table, column, large, f"too large a number (at most {_LARGEST:g})", target=target)
    return values.fill_nan(None).fill_null(float("nan")).to_numpy()


def texts_of(column: RawColumn) -> pl.Series:
    """String [N], null where missing: the names of categories. 1 and 1.0 are one category."""
    import polars as pl

    cells = column.cells
    if cells.dtype == pl.String:
        return cells.set(is_missing(cells), None)
    if cells.dtype == pl.Boolean:
        return cells.replace_strict([True, False], ["True", "False"], default=None, return_dtype=pl.String)
    if cells.dtype == pl.Float64 and bool((cells == cells.round()).all()) and bool((cells.abs() < 2**53).all()):
        cells = cells.cast(pl.Int64)
    return cells.cast(pl.String)


def codes_of(column: RawColumn, kind: Categories) -> npt.NDArray[np.int64]:
    """Int64 [N]: the place of each row's value in `kind.values`; MISSING or UNKNOWN where it has none.

    Numbers are compared as numbers: 1.50 among texts is 1.5 in a table where the column has no texts. TRUE in a text
    file is true in a data frame.
    """
    import polars as pl

    values = pl.Series("value", kind.values, dtype=pl.String)
    if column.cells.dtype.is_numeric():
        cells, values = column.cells.cast(pl.Float64), to_numbers(values, column.marks)
    elif column.cells.dtype == pl.Boolean:
        cells, values = column.cells.cast(pl.String), values.str.to_lowercase()
    else:
        cells = texts_of(column)
    known = values.to_frame().with_row_index("place").drop_nulls().unique("value", keep="first", maintain_order=True)
    codes = cells.replace_strict(known["value"], known["place"], default=UNKNOWN, return_dtype=pl.Int64)
    return codes.set(cells.is_null(), MISSING).to_numpy()


def days_of(table: RawTable, column: RawColumn, kind: Dates) -> npt.NDArray[np.float64]:
    """Float64 [N]: days since 1970-01-01, NaN where missing; ConfigError naming the first cells that are not dates."""
    import polars as pl

    cells = column.cells
    if cells.dtype in (pl.Date, pl.Datetime):
        days = cells.cast(pl.Datetime("us")).cast(pl.Int64) / 86_400e6
    else:
        cells = texts_of(column)
        days = to_days(cells, DateForm(kind.order))
        wrong = days.is_null() & cells.is_not_null()
        if wrong.any():
            raise mistakes(table, column, wrong, f"not a date ({kind.order})")
    return days.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def mistakes(table: RawTable, column: RawColumn, wrong: pl.Series, what: str, *, target: bool = False) -> ConfigError:
    """The error for cells that are `what`; it names the first three of them and their number."""
    rows = wrong.arg_true().to_list()
    first, *more = [f"{table.place(row)}" for row in rows[:_MOST_SHOWN]]
    cell = short(column.cells[rows[0]])
    others = ", ".join(
        f"{place} '{short(column.cells[row])}'" for place, row in zip(more, rows[1:_MOST_SHOWN], strict=True)
    )
    rest = f" ({len(rows)} such cells; also {others})" if others else ""
    name = short(column.name)
    instead = "classes: dataset.task=classification" if target else f"categories: dataset.columns.{name}=category"
    return ConfigError(
        f"{table.where}: {first}, column '{name}': '{cell}' is {what}{rest}; correct it, leave it empty, or take the "
        f"column for {instead}."
    )
