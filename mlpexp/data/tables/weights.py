"""The sample weights of a table's rows, in training and in metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.data.tables.cells import to_numbers
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.errors import ConfigError, pluralize

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from torch import Tensor


# Sums of greater ones would soon be infinite.
MOST = 1e30


def check_column(table: RawTable, name: str, targets: Sequence[str], inputs: Container[str]) -> None:
    """ConfigError where the column of weights is not there, is a target, or is said to be one of the `inputs`."""
    key = f"dataset.weight={short(name)}"
    table.column(name, key)
    if name in targets:
        raise ConfigError(f"{key}: is the target; dataset.target=NAME names another one.")
    if name in inputs:
        raise ConfigError(f"dataset.columns.{short(name)}: {short(name)} is the weight of the rows, and no input.")


def raw_weights(table: RawTable, name: str) -> Tensor:
    """[N], float64; NaN where there is no number."""
    import polars as pl
    import torch

    column = table.column(name, table.where)
    cells = column.cells
    if cells.dtype.is_temporal():
        raise ConfigError(f"{table.where}: column '{short(name)}' holds dates; weights are numbers.")
    values = to_numbers(cells, column.marks) if cells.dtype == pl.String else cells.cast(pl.Float64)
    return torch.tensor(values.fill_null(float("nan")).to_numpy())


def weights_of(table: RawTable, name: str, rows: Tensor) -> Tensor:
    """Weights [N], of which those of the `rows`, a mask [N], are from 0 to MOST, and some are greater than 0.

    ConfigError where they are not.
    """
    found = raw_weights(table, name)
    wrong = (rows & ~((found >= 0) & (found <= MOST))).nonzero()
    if len(wrong):
        row = int(wrong[0])
        cell = table.column(name, table.where).cells[row]
        what = "the weight is missing" if cell is None else f"'{short(str(cell))}' is no weight"
        more = f" ({pluralize(len(wrong), 'such row')})" if len(wrong) > 1 else ""
        raise ConfigError(
            f"{table.where}: {table.place(row)}, column '{short(name)}': {what}{more}; each row needs a number from "
            f"0 to {MOST:g}."
        )
    if bool(rows.any()) and not bool((found[rows] > 0).any()):
        raise ConfigError(f"{table.where}: column '{short(name)}': all weights are 0; some must be greater.")
    return found
