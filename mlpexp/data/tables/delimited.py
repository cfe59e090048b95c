"""Tables in text files: read as text first, so that errors can name line and column, then parsed as numbers."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mlpexp.data.tables.cells import find_marks, marks_of_rest, narrowed
from mlpexp.data.tables.dialect import SEPARATORS, Dialect, TextForm, find_dialect, rows_of, tabbed
from mlpexp.data.tables.encoding import as_utf8
from mlpexp.data.tables.raw import Marks, RawColumn, RawTable, unique_names
from mlpexp.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

# Rows held as Python strings at a time.
_PART = 20_000


def read_delimited(content: bytes, where: str, form: TextForm) -> RawTable:
    """The table in the bytes of a text file; ConfigError, one line that begins with `where`, if it is invalid."""
    content, encoding = as_utf8(content, where, form.encoding)
    (table,) = read_parts(iter([content]), where, form)
    return replace(table, notes=(*filter(None, [encoding]), *table.notes))


def read_parts(parts: Iterator[bytes], where: str, form: TextForm) -> Iterator[RawTable]:
    """A table for each part of a UTF-8 text; parts consist of whole rows, and the dialect is that of the first part."""
    dialect: Dialect | None = None
    names: list[str] = []
    kept: list[int] = []
    marks: list[Marks] = []
    notes: list[str] = []
    n_lines = 0
    for content in parts:
        if dialect is None:
            # Only the beginning is needed as a Python string.
            dialect = find_dialect(_beginning(content), where, form.separator, form.header)
        n_before, n_lines = n_lines, n_lines + content.count(b"\n")
        if dialect.separator == " ":
            content = tabbed(content.decode()).encode()
        cells, places = _with_polars(content, dialect) or _with_csv(content, dialect, where)
        if not n_before:
            if not len(places):
                raise ConfigError(f"{where}: has a header line and no rows.")
            names, kept, said_of_names = _named(cells, dialect)
            marks, said = find_marks([cells[index] for index in kept], dialect.separator, form.decimal)
            notes = [note for note in (*dialect.notes, *said_of_names, said) if note]
        elif len(places):
            places = [place + n_before for place in places]
        cells = [cells[index] for index in kept]
        columns = []
        for name, mark in zip(names, marks, strict=True):
            # Saves memory: the text of a column is freed before the next column is parsed.
            columns.append(_column(name, cells.pop(0), mark))
        if len(places):
            yield RawTable(where, tuple(columns), () if n_before else tuple(notes), places)
        dialect = replace(dialect, first=1)


def _column(name: str, cells: pl.Series, marks: Marks) -> RawColumn:
    import polars as pl

    found = narrowed(cells, marks)
    if found.dtype == pl.String:
        other = marks_of_rest(found, marks)
        if other != marks and (again := narrowed(found, other)).dtype != pl.String:
            return RawColumn(name, again, other)
    return RawColumn(name, found, marks)


def _beginning(content: bytes) -> str:
    end = content.find(b"\n", 1 << 20)
    for _ in range(20):  # a line may be longer than that
        if end < 0:
            return content.decode()
        end = content.find(b"\n", end + 1)
    return content[: end + 1].decode() if end >= 0 else content.decode()


def _with_polars(content: bytes, dialect: Dialect) -> tuple[list[pl.Series], Sequence[int]] | None:
    """The cells as text and the line of each row; None if polars may have misread a cell.

    polars pads short rows, and treats quotes within cells differently from csv. A row with n cells is one line with
    n − 1 separators, so the numbers of lines and separators show whether a cell was lost.
    """
    import polars as pl

    width, separator = dialect.width, dialect.cut
    start = _nth_line(content, dialect.first)
    quoted = content.find(b'"', start) >= 0
    if quoted and (content.count(b'"', start) % 2 or f'{separator} "'.encode() in content):
        return None
    if dialect.comment is not None and content.find(f"\n{dialect.comment}".encode(), start - 1) >= 0:
        return None
    try:
        table = pl.read_csv(
            content,
            has_header=False,
            skip_lines=dialect.first - 1,
            schema={str(index): pl.String for index in range(width)},
            separator=separator,
            empty_string_is_null=False,
        )
    except pl.exceptions.PolarsError:
        return None
    cells = table.get_columns()
    del table
    n_rows = len(cells[0])
    within = 0  # separators within quotes
    if quoted:
        if any(column.str.contains("\n", literal=True).any() for column in cells):
            return None
        within = sum(int(column.str.count_matches(separator, literal=True).sum()) for column in cells)
    blank = cells[0].str.strip_chars() == ""
    for column in cells[1:]:
        if not blank.any():
            break
        blank &= column.str.strip_chars() == ""
    n_cuts = (n_rows - int(blank.sum())) * (width - 1) + within
    n_lines = _count(content, "\n", start) + (not content.endswith(b"\n"))
    if n_lines != n_rows or _count(content, separator, start) != n_cuts:
        return None
    if not blank.any():
        return cells, range(dialect.first, dialect.first + n_rows)
    lines = pl.int_range(dialect.first, dialect.first + n_rows, eager=True).filter(~blank)
    return [column.filter(~blank) for column in cells], array("q", lines.to_list())


def _count(content: bytes, mark: str, start: int) -> int:
    """Number of occurrences of a character from `start` on; ten times as fast as bytes.count."""
    import numpy as np

    if len(mark.encode()) > 1:
        return content.count(mark.encode(), start)
    part = 1 << 20
    values = np.frombuffer(content, np.uint8)
    return sum(int(np.count_nonzero(values[at : at + part] == ord(mark))) for at in range(start, len(content), part))


def _nth_line(content: bytes, number: int) -> int:
    """Offset of the line with this number, counted from 1."""
    at = 0
    for _ in range(number - 1):
        at = content.find(b"\n", at) + 1
    return at


def _with_csv(content: bytes, dialect: Dialect, where: str) -> tuple[list[pl.Series], Sequence[int]]:
    """As `_with_polars`, by Python's csv module: slower, but exact for lines, quotes and comments."""
    import polars as pl

    columns: list[list[str]] = [[] for _ in range(dialect.width)]
    parts: list[list[pl.Series]] = [[] for _ in range(dialect.width)]

    def put_away() -> None:
        # polars strings take a quarter of the memory of Python strings.
        for part, column in zip(parts, columns, strict=True):
            part.append(pl.Series(column, dtype=pl.String))
            column.clear()

    lines = array("q")
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")
    try:
        for line, row in rows_of(text, dialect.cut, dialect.comment):
            if line < dialect.first:
                continue
            if len(row) != dialect.width:
                if row[0].startswith("#"):
                    continue
                while len(row) > dialect.width and not row[-1].strip():
                    row.pop()
            if len(row) != dialect.width:
                n = f"{len(row)} value{'s' if len(row) > 1 else ''}"
                usual = "the header has" if dialect.names is not None else "the others have"
                raise ConfigError(
                    f"{where}: line {line} has {n}, and {usual} {dialect.width} (separator: "
                    f"{SEPARATORS.get(dialect.separator, dialect.separator)}; text that holds it needs quotes)."
                )
            lines.append(line)
            for column, cell in zip(columns, row, strict=True):
                column.append(cell)
            if len(lines) % _PART == 0:
                put_away()
    except csv.Error as error:
        raise ConfigError(f"{where}: {_said(str(error))}.") from None
    put_away()
    return [pl.concat(part) for part in parts], lines


def _said(error: str) -> str:
    """An error message of the csv module in terms of tables."""
    line = error.split(":")[0]
    if "unexpected end of data" in error or "field larger" in error:
        return f"{line}: a quotation mark is opened and not closed"
    if "expected after" in error:
        return f"{line}: text follows a closing quotation mark (a mark within quotes is written twice)"
    return error


def _named(cells: list[pl.Series], dialect: Dialect) -> tuple[list[str], list[int], list[str]]:
    """The names of the kept columns, their indices, and notes for the user."""
    notes: list[str] = []
    width = len(cells)
    if dialect.names is None:
        return [f"column_{number}" for number in range(1, width + 1)], list(range(width)), notes
    names = [name.strip() for name in dialect.names]
    kept = list(range(width))
    if width > 1 and not names[-1] and bool((cells[-1].str.strip_chars() == "").all()):
        kept.pop()
        notes.append("lines end with a separator")
    if len(kept) > 1 and not names[0] and _is_index(cells[0]):
        kept.pop(0)
        notes.append("the first column is an index and is left out")
    found, said = unique_names([names[index] for index in kept])
    return found, kept, [*notes, *said]


def _is_index(cells: pl.Series) -> bool:
    """Whether an unnamed first column is an index, as written by pandas and R: integers, or distinct texts."""
    import polars as pl

    text = cells.str.strip_chars()
    if not text.cast(pl.Int64, strict=False).null_count():
        return True
    dates = text.head(100).str.contains(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
    return not dates.all() and text.n_unique() == len(text)
