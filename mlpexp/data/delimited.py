"""Reading a delimited text file (CSV) column by column, so that every mistake names its line and column."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from mlpexp.errors import ConfigError

DELIMITERS = (",", ";", "\t")
# How spreadsheets, pandas and R write a value that is not there.
MISSING = {"", "na", "n/a", "nan", "null"}
# The largest float32.
_MOST = 3.4028234e38


@dataclass(frozen=True)
class Column:
    """One column: its name, its cells as text, and the line of the file on which each stands."""

    name: str
    cells: list[str]
    lines: list[int]
    where: str  # the config key and the path, with which messages begin

    def numbers(self) -> list[float]:
        """The cells as numbers, or ConfigError naming the first that is none, or is not finite."""
        values = [to_number(cell) for cell in self.cells]
        for value, cell, line in zip(values, self.cells, self.lines, strict=True):
            if value is None:
                comma = to_number(cell.replace(",", ".")) is not None
                hint = " (decimals are written with a point)" if comma else ""
                raise ConfigError(
                    f"{self.where}: line {line}, column '{self.name}': '{_short(cell)}' is no number{hint}."
                )
            if not abs(value) <= _MOST:
                raise ConfigError(f"{self.where}: line {line}, column '{self.name}': {cell} is infinite or too large.")
        return [value for value in values if value is not None]

    def is_numeric(self) -> bool:
        return all(to_number(cell) is not None for cell in self.cells)


def to_number(cell: str) -> float | None:
    """The number that a cell holds, or None for other text."""
    try:
        # Python reads 1_000 as a number; no table means that.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def read_columns(path: Path, where: str) -> list[Column]:
    """The columns of the file at `path`; `where` begins each ConfigError on what is wrong in it."""
    try:
        return _columns(path, where)
    except MemoryError:
        size = path.stat().st_size / 2**20
        raise ConfigError(f"{where}: its {size:,.0f} MiB need more memory than there is.") from None


def _columns(path: Path, where: str) -> list[Column]:
    text = _read_text(path, where)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True, strict=True
        )
        for row in reader:
            if len(row) > 1 or any(cell.strip() for cell in row):  # a blank line is no row
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ConfigError(f"{where}: near line {lines[-1] + 1 if lines else 1}: {error}.") from None
    if not rows:
        raise ConfigError(f"{where}: is empty.")
    header, *rows = rows
    _check_header(header, where)
    if not rows:
        raise ConfigError(f"{where}: has a header line and no rows.")
    for row, line in zip(rows, lines[1:], strict=True):
        if len(row) != len(header):
            n_values = f"{len(row)} value{'s' if len(row) > 1 else ''}"
            raise ConfigError(f"{where}: line {line} has {n_values}, and the header has {len(header)}.")
        if not MISSING.isdisjoint(map(str.lower, row)):
            name, cell = next((name, cell) for name, cell in zip(header, row, strict=True) if cell.lower() in MISSING)
            shown = f" ('{cell}')" if cell else ""
            raise ConfigError(f"{where}: line {line}, column '{name}': the value is missing{shown}.")
    return [
        Column(name, list(cells), lines[1:], where) for name, cells in zip(header, zip(*rows, strict=True), strict=True)
    ]


def _read_text(path: Path, where: str) -> str:
    try:
        if path.is_dir():
            raise ConfigError(f"{where}: is a directory; a CSV file is needed.")
        if not path.exists():
            raise ConfigError(f"{where}: no such file{'' if path.is_absolute() else f' in {Path.cwd()}'}.")
        if not path.is_file():
            raise ConfigError(f"{where}: is not a regular file.")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror}.") from None
    try:
        # Excel begins UTF-8 files with a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{where}: line {line} is not UTF-8 text; save the table as UTF-8.") from None
    if "\0" in text:
        raise ConfigError(f"{where}: is a binary file; a CSV file is needed.")
    return text


def _delimiter(text: str) -> str:
    """Whichever of the DELIMITERS cuts the header line into the most columns."""
    header = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))


def _check_header(header: list[str], where: str) -> None:
    seen: set[str] = set()
    for number, name in enumerate(header, 1):
        if not name:
            raise ConfigError(
                f"{where}: column {number} has no name in the header line (pandas writes its index so; "
                "to_csv(index=False) does not)."
            )
        if "." in name and to_number(name) is not None:
            raise ConfigError(f"{where}: the first line must hold column names, and begins with values ('{name}').")
        if name in seen:
            raise ConfigError(f"{where}: two columns are named '{name}'.")
        seen.add(name)


def _short(cell: str) -> str:
    return cell if len(cell) <= 40 else f"{cell[:37]}..."
