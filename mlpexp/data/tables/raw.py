"""A table as read from a file: named columns, and the position of each row in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlpexp.errors import ConfigError, nearest

if TYPE_CHECKING:
    import polars as pl

# How many names of columns a message lists.
_MOST_SHOWN = 12


@dataclass(frozen=True)
class Marks:
    """How numbers are written: the decimal mark, and what may stand between groups of three digits."""

    decimal: str = "."
    thousands: str = ""

    @property
    def plain(self) -> bool:
        return self == Marks()


@dataclass(frozen=True)
class RawColumn:
    """One column.

    `cells` are Float64 or Int64 where every cell is a number or missing; Boolean, Date or Datetime where the file's
    format says so; else String, as written in the file less the spaces around it. A null is missing; text may hold
    the words for missing values besides, see `cells.MISSING`.
    """

    name: str
    cells: pl.Series
    marks: Marks = Marks()


@dataclass(frozen=True)
class RawTable:
    """The columns of a file, of equal length; `where` (a config key and the path) begins each message on them."""

    where: str
    columns: tuple[RawColumn, ...]
    notes: tuple[str, ...] = ()  # what was found in reading, for the user to see
    places: Sequence[int] | None = None  # the line of each row where the file has lines

    @property
    def n_rows(self) -> int:
        return len(self.columns[0].cells)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str, key: str) -> RawColumn:
        """The column of that name; ConfigError with the nearest match, where `key` is the setting that names it."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ConfigError(self.no_column(name, key))

    def no_column(self, name: str, key: str) -> str:
        """What to say where the setting `key` names a column that is not there."""
        match = nearest(name, self.names)
        shown = ", ".join(map(short, self.names[:_MOST_SHOWN]))
        more = f", … ({len(self.names)} columns)" if len(self.names) > _MOST_SHOWN else ""
        hint = f"; did you mean '{short(match)}'?" if match else "."
        return f"{key}: no column of the table has this name{hint} Columns: {shown}{more}."

    def place(self, row: int) -> str:
        """Where the row stands: `line 7` of a text file, `row 7` of others."""
        return f"row {row + 1}" if self.places is None else f"line {self.places[row]}"


def short(cell: object) -> str:
    """A cell within a message: in one line, and no longer than 40 characters."""
    text = printable(str(cell))
    return text if len(text) <= 40 else f"{text[:37]}..."


def printable(text: str) -> str:
    """The text in one line, without control characters."""
    return "".join(mark if mark.isprintable() else " " for mark in text)


def unique_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names for columns: in one line, none of them empty or twice the same; and what had to be said about it."""
    names = [" ".join(printable(name).split()) for name in names]
    taken: set[str] = set()
    notes: list[str] = []
    found = []
    for number, given in enumerate(names, 1):
        name = given or f"column_{number}"
        if name in taken or (not given and name in names):
            version = next(n for n in range(2, len(names) + 3) if f"{name}_{n}" not in taken | set(names))
            notes.append(f"the name '{short(name)}' is taken: column {number} is named '{short(name)}_{version}'")
            name = f"{name}_{version}"
        elif not given:
            notes.append(f"column {number} has no name and is named '{name}'")
        taken.add(name)
        found.append(name)
    return found, notes
