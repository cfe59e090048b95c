"""Data frames of any library as tables."""

from __future__ import annotations

from typing import Any

from mlpexp.data.tables.formats import from_frame
from mlpexp.data.tables.raw import RawTable
from mlpexp.errors import ConfigError


def table_of(frame: Any, where: str) -> RawTable:
    """The table in a data frame of pandas, polars, pyarrow or whatever else narwhals knows; ConfigError for others."""
    import narwhals as nw
    import polars as pl

    try:
        known = nw.from_native(frame, eager_only=True)
    except TypeError:
        kind = type(frame).__name__
        raise ConfigError(f"{where}: a {kind} is no data frame; pandas, polars and pyarrow make some.") from None
    if isinstance(frame, pl.DataFrame):
        return from_frame(frame, where)
    columns = []
    for name in known.columns:
        column = known[name]
        # pandas' own way to polars needs pyarrow for text.
        plain = column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype == nw.Boolean
        cells = column.to_list() if not plain or column.is_null().any() else column.to_numpy()
        if not plain:
            cells = [None if cell is None or cell != cell else str(cell) for cell in cells]
        columns.append(pl.Series(str(name), cells, strict=False))
    return from_frame(pl.DataFrame(columns), where)
