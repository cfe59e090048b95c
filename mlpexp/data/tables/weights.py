"""The sample weights of a table's rows, used in training and in metrics.

N rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.data.tables.cells import to_numbers
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.errors import ConfigError, pluralize

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from torch import Tensor


# Sums of larger weights may be infinite in float32.
MOST = 1e30


def check_column(table: RawTable, name: str, targets: Sequence[str], inputs: Container[str]) -> None:
    """ConfigError if the column of weights is missing, is a target, or is one of the `inputs` named in the config."""
    key = f"dataset.weight={short(name)}"
    table.column(name, key)
    if name in targets:
        raise ConfigError(f"{key}: is the target; dataset.target=NAME names another one.")
    if name in inputs:
        raise ConfigError(
            f"dataset.columns.{short(name)}: {short(name)} holds the weights of the rows; it cannot be an input."
        )


def raw_weights(table: RawTable, name: str) -> Tensor:
    """The column's numbers [N], float64; NaN where a cell is not a number."""
    import polars as pl
    import torch

    column = table.column(name, table.where)
    cells = column.cells
    if cells.dtype.is_temporal():
        raise ConfigError(f"{table.where}: column '{short(name)}' holds dates; weights are numbers.")
    values = to_numbers(cells, column.marks) if cells.dtype == pl.String else cells.cast(pl.Float64)
    return torch.tensor(values.fill_null(float("nan")).to_numpy())


def weights_of(table: RawTable, name: str, rows: Tensor) -> Tensor:
    """Weights [N], float64, of which those of the `rows`, a mask [N], are checked.

    ConfigError if one of these is missing or not within [0, MOST], or if all of them are 0.
    """
    found = raw_weights(table, name)
    wrong = (rows & ~((found >= 0) & (found <= MOST))).nonzero()
    if len(wrong):
        row = int(wrong[0])
        cell = table.column(name, table.where).cells[row]
        what = "the weight is missing" if cell is None else f"'{short(str(cell))}' is not a weight"
        more = f" ({pluralize(len(wrong), 'such row')})" if len(wrong) > 1 else ""
        raise ConfigError(
            f"{table.where}: {table.place(row)}, column '{short(name)}': {what}{more}; each row needs a number from "
            f"0 to {MOST:g}."
        )
    if bool(rows.any()) and not bool((found[rows] > 0).any()):
        raise ConfigError(f"{table.where}: column '{short(name)}': all weights are 0; at least one must be greater.")
    return found
