"""Python objects as tables: data frames of any library, arrays, and scikit-learn's Bunch."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from mlpexp.data.tables.formats import from_frame
from mlpexp.data.tables.raw import RawTable
from mlpexp.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl


def table_of(frame: Any, where: str) -> RawTable:
    """The table in a data frame of pandas, polars, pyarrow or another that narwhals supports; else ConfigError."""
    return from_frame(polars_of(frame, where), where)


def polars_of(frame: Any, where: str) -> pl.DataFrame:
    """A data frame of any library as one of polars; ConfigError if it is not a data frame."""
    import narwhals as nw
    import polars as pl

    if isinstance(frame, pl.DataFrame):
        return frame
    try:
        known = nw.from_native(frame, eager_only=True)
    except TypeError:
        kind = type(frame).__name__
        raise ConfigError(
            f"{where}: an object of type {kind} is not a data frame; use pandas, polars or pyarrow."
        ) from None
    columns = []
    for name in known.columns:
        column = known[name]
        # The direct conversion from pandas to polars needs pyarrow for text.
        plain = column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype == nw.Boolean
        cells = column.to_list() if not plain or column.is_null().any() else column.to_numpy()
        if not plain:
            cells = [None if cell is None or cell != cell else str(cell) for cell in cells]
        columns.append(pl.Series(str(name), cells, strict=False))
    return pl.DataFrame(columns)


def rows_and_targets(data: Any, where: str) -> tuple[pl.DataFrame, tuple[str, ...] | None]:
    """A data frame and the names of its target columns; None if the data are only a frame.

    `data` is a data frame; a pair (X, y) of arrays or frames, X [N, F] and y [N] or [N, T]; or a Bunch of scikit-learn,
    whose class names are used. ConfigError for any other object.
    """
    if isinstance(data, dict) and "data" in data and "target" in data:
        names, y = data.get("target_names"), data["target"]
        # In regression, `target_names` is the name of the column.
        if names is not None and len(names) > 1 and _is_whole(y) and _least(y) >= 0:
            y = [str(names[int(place)]) for place in y]
        return _together(data["data"], y, data.get("feature_names"), where)
    if isinstance(data, tuple | list):
        if len(data) != 2:
            raise ConfigError(f"{where}: must be a data frame or a pair (X, y); these are {len(data)} things.")
        return _together(data[0], data[1], None, where)
    return polars_of(data, where), None


def parquet(frame: pl.DataFrame) -> bytes:
    """A data frame as the content of a parquet file."""
    content = io.BytesIO()
    frame.write_parquet(content)
    return content.getvalue()


def _together(x: Any, y: Any, names: Any, where: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    import polars as pl

    rows = _frame(x, "x", names, f"{where}: X")
    targets = _frame(y, "y", [y.name] if getattr(y, "name", None) else None, f"{where}: y")
    if len(rows) != len(targets):
        raise ConfigError(f"{where}: X has {len(rows):,} rows, and y has {len(targets):,}.")
    if twice := [name for name in targets.columns if name in rows.columns]:
        targets = targets.rename({name: f"target_{name}" for name in twice})
    return pl.concat([rows, targets], how="horizontal"), tuple(targets.columns)


def _frame(values: Any, name: str, names: Any, where: str) -> pl.DataFrame:
    import numpy as np
    import polars as pl

    if hasattr(values, "columns"):
        return polars_of(values, where)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ConfigError(f"{where}: is not an array: {error}.") from None
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.size:
        shape = " × ".join(map(str, array.shape))
        raise ConfigError(f"{where}: must be rows of values; it is {shape or 'a single value'}.")
    n = array.shape[1]
    if names is None or len(names) != n:
        names = [name] if n == 1 else [f"{name}{number}" for number in range(1, n + 1)]
    columns = []
    for at, called in enumerate(names):
        column: Any = array[:, at]
        if array.dtype.kind not in "biuf":
            column = [None if cell is None or cell != cell else str(cell) for cell in column.tolist()]
        columns.append(pl.Series(str(called), column, strict=False))
    return pl.DataFrame(columns)


def _is_whole(y: Any) -> bool:
    import numpy as np

    return bool(np.asarray(y).dtype.kind in "iu")


def _least(y: Any) -> int:
    import numpy as np

    return int(np.asarray(y).min())
