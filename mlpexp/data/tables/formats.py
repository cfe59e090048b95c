"""Formats with typed columns: parquet, feather, Excel, npz and JSON lines."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

from mlpexp.data.tables.cells import narrowed
from mlpexp.data.tables.raw import Marks, RawColumn, RawTable, printable, short, unique_names
from mlpexp.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl


# Number of polars' time units per day; they count from 1970-01-01.
_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_EPOCH = date(1970, 1, 1).toordinal()


@contextmanager
def _reading(where: str, kind: str) -> Iterator[None]:
    """Turns an error of polars into a ConfigError of one line."""
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise ConfigError(f"{where}: is not a readable {kind} file: {_first_line(error)}.") from None
    except pl.exceptions.PanicException as error:
        # A panic of polars' Rust code on a damaged file; it derives directly from BaseException.
        raise ConfigError(f"{where}: is damaged: {_first_line(error)}.") from None


def _first_line(error: BaseException) -> str:
    text = printable(str(error).strip().split("\n")[0].rstrip("."))
    return text[:200] or type(error).__name__


def read_parquet(content: bytes, where: str) -> RawTable:
    import polars as pl

    with _reading(where, "parquet"):
        frame = pl.read_parquet(io.BytesIO(content))
    return from_frame(frame, where)


def read_arrow(content: bytes, where: str) -> RawTable:
    import polars as pl

    with _reading(where, "feather"):
        frame = pl.read_ipc(io.BytesIO(content))
    return from_frame(frame, where)


def read_excel(content: bytes, where: str, sheet: str | None) -> RawTable:
    """One sheet of a workbook: `sheet`, or the first."""
    import polars as pl

    try:
        import fastexcel
    except ImportError:
        raise ConfigError(
            f"{where}: Excel files need the package fastexcel: pip install 'mlpexp[xlsx]' (or save the sheet as CSV)."
        ) from None
    try:
        with _reading(where, "Excel"):
            sheets: dict[str, pl.DataFrame] = pl.read_excel(
                io.BytesIO(content), sheet_id=0, engine="calamine", raise_if_empty=False
            )
    except fastexcel.FastExcelError as error:
        raise ConfigError(f"{where}: is no Excel file that can be read: {_first_line(error)}.") from None
    names = list(sheets)
    if sheet is not None and sheet not in sheets:
        raise ConfigError(f"{where}: has no sheet '{short(sheet)}'; choose from: {', '.join(map(short, names))}.")
    filled = [name for name in names if sheets[name].width]
    if not filled:
        raise ConfigError(f"{where}: holds no rows.")
    chosen = sheet if sheet is not None else filled[0]
    notes = (f"sheet '{short(chosen)}' of {', '.join(map(short, names))}",) if len(names) > 1 else ()
    return from_frame(sheets[chosen], where, notes)


def read_json_lines(content: bytes, where: str) -> RawTable:
    """One object per line, or a list of objects."""
    import polars as pl

    stripped = content.lstrip()
    try:
        with _reading(where, "JSON"):
            if stripped.startswith(b"["):
                frame = pl.read_json(io.BytesIO(stripped), infer_schema_length=None)
            else:
                frame = pl.read_ndjson(io.BytesIO(stripped), infer_schema_length=None)
    except ConfigError:
        if not stripped.startswith(b"["):
            _check_lines(content, where)
        raise
    lines = None
    if not stripped.startswith(b"["):
        lines = [number for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]
    return from_frame(frame, where, places=lines if lines is not None and len(lines) == len(frame) else None)


def _check_lines(content: bytes, where: str) -> None:
    """ConfigError that names the first line without a JSON object; polars' errors have no line number."""
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            said = error.msg if isinstance(error, json.JSONDecodeError) else "cannot be read"
            raise ConfigError(f"{where}: line {number} is not JSON: {said}.") from None
        if not isinstance(value, dict):
            raise ConfigError(f'{where}: line {number} is not a JSON object ({{"column": value, …}}).')


def read_npz(content: bytes, where: str) -> RawTable:
    """Arrays as columns: a matrix X [N, F] as X_1, …, X_F, a vector [N] under its own name."""
    import numpy as np

    arrays: dict[str, Any] = {}
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            for name in file.files:
                arrays[name] = file[name]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, SyntaxError) as error:
        if "pickle" in str(error):
            said = "holds Python objects, which run code when they are read; save arrays of numbers and text"
            raise ConfigError(f"{where}: {said}.") from None
        raise ConfigError(f"{where}: is not a readable npz file: {_first_line(error)}.") from None
    lengths = {name: array.shape[0] if array.ndim else 0 for name, array in arrays.items()}
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ConfigError(f"{where}: its arrays need the same number of rows: {shapes or 'it has none'}.")
    columns = {}
    for name, array in arrays.items():
        flat = array.reshape(len(array), -1)
        for index in range(flat.shape[1]):
            columns[name if array.ndim == 1 else f"{name}_{index + 1}"] = flat[:, index]
    import polars as pl

    try:
        frame = pl.DataFrame([pl.Series(name, _plain(column)) for name, column in columns.items()])
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: its arrays are not columns: {_first_line(error)}.") from None
    return from_frame(frame, where)


def _plain(array: Any) -> Any:
    """A NumPy array in a type that polars supports."""
    if array.dtype.kind == "S":
        return [value.decode("latin-1") for value in array.tolist()]
    return array.astype("float64") if array.dtype.kind == "f" else array.copy()


def from_frame(
    frame: pl.DataFrame, where: str, notes: tuple[str, ...] = (), places: list[int] | None = None
) -> RawTable:
    """The columns of a DataFrame with the types of RawColumn; columns of other types are left out, with a note."""
    if not frame.width or not len(frame):
        raise ConfigError(f"{where}: holds no rows.")
    names, said = unique_names(frame.columns)
    columns, left_out = [], []
    for name, cells in zip(names, frame.get_columns(), strict=True):
        _check_days(cells, name, where)
        usable = _usable(cells)
        if usable is None:
            left_out.append(f"column '{short(name)}' holds {str(cells.dtype).split('(')[0].lower()}s and is left out")
        elif not (name.startswith("__index_level_") and name.endswith("__")):  # pandas' index in parquet
            columns.append(RawColumn(name, usable))
    if not columns:
        raise ConfigError(f"{where}: {left_out[0]}; no other is there." if left_out else f"{where}: holds no columns.")
    return RawTable(where, tuple(columns), (*notes, *said, *left_out), places)


def _check_days(cells: pl.Series, name: str, where: str) -> None:
    """ConfigError if a date is outside Python's range: in damaged files polars fails on dates far outside it."""
    import polars as pl

    if not isinstance(cells.dtype, pl.Date | pl.Datetime):
        return
    a_day = _A_DAY[cells.dtype.time_unit] if isinstance(cells.dtype, pl.Datetime) else 1
    days = cells.to_physical().cast(pl.Int64) // a_day
    if (~days.is_between(date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH)).any():
        raise ConfigError(f"{where}: column '{short(name)}' holds a date outside of the years 1 to 9999.")


def _usable(cells: pl.Series) -> pl.Series | None:
    import polars as pl

    kind = cells.dtype
    if kind in (pl.Boolean, pl.Date):
        return cells
    if kind == pl.Datetime:
        return cells.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    if kind == pl.Duration:
        return cells.dt.total_microseconds().cast(pl.Float64) / 1e6
    if kind.is_float() or kind.is_decimal():
        return cells.cast(pl.Float64).fill_nan(None)
    if kind.is_integer():
        whole = cells.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == cells.null_count() else cells.cast(pl.Float64)
    if kind == pl.Null:
        return cells.cast(pl.Float64)
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return narrowed(cells.cast(pl.String), Marks())
    return None
