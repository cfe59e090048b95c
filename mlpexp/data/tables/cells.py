"""Parsing of text cells: markers of missing values, and numbers with decimal mark and thousands separator."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mlpexp.data.tables.raw import Marks

if TYPE_CHECKING:
    import polars as pl

# In lower case and without surrounding spaces: the markers of spreadsheets, databases, pandas, R, Stata, SAS and UCI.
MISSING = frozenset(
    {
        *("", "na", "n/a", "n.a.", "nan", "-nan", "nat", "null", "(null)", "none", "nil", "?", "-", "--", ".", "\\n"),
        *("#n/a", "#n/a n/a", "#na", "<na>", "#value!", "#div/0!", "#num!", "#ref!"),
    }
)
# Thousands separators that are never a decimal mark: spaces of all widths, and the Swiss apostrophe.
_SPACES = " \u00a0\u2009\u202f'\u2019"
_GROUPED = rf"^([+-]?\d{{1,3}})((?:[{_SPACES}]\d{{3}})+)(\D\d*)?$"
# A number in any country's notation.
_NUMBER_LIKE = re.compile(rf"[+-]?[\d.,{_SPACES}]*\d[\d.,{_SPACES}]*([eE][+-]?\d+)?")
# Number of cells from which the marks of a column are inferred.
_SAMPLE = 500
# Integers with more digits are identifiers, and inexact as floats.
_MOST_DIGITS = 15


def is_missing(cells: pl.Series) -> pl.Series:
    """Boolean: which cells are null or a marker of a missing value."""
    import polars as pl

    if cells.dtype != pl.String:
        return cells.is_null()
    return cells.is_null() | cells.str.strip_chars().str.to_lowercase().is_in(list(MISSING)).fill_null(True)


def to_numbers(cells: pl.Series, marks: Marks) -> pl.Series:
    """Text as Float64; null for cells that are no number in this notation, such as markers of missing values."""
    import polars as pl

    if marks.plain:
        return cells.cast(pl.Float64, strict=False)
    text = cells.str.strip_chars()
    if marks.thousands == " ":
        # Groups of a cell are matched from the outside in, and all of them have three digits.
        grouped = text.str.contains(_GROUPED)
        text = pl.select(pl.when(grouped).then(text.str.replace_all(f"[{_SPACES}]", "")).otherwise(text)).to_series()
    elif marks.thousands:
        group, point = re.escape(marks.thousands), re.escape(marks.decimal)
        grouped = text.str.contains(rf"^[+-]?\d{{1,3}}(?:{group}\d{{3}})*(?:{point}\d*)?$")
        # 1.5 in a column with 1.234,5 is ambiguous, and is not taken as a number.
        kept = grouped | ~text.str.contains(marks.thousands, literal=True)
        text = text.str.replace_all(marks.thousands, "", literal=True)
        text = pl.select(pl.when(kept).then(text).otherwise(None)).to_series()
    if marks.decimal != ".":
        text = text.str.replace(marks.decimal, ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def narrowed(cells: pl.Series, marks: Marks) -> pl.Series:
    """Text as Int64 or Float64 if every cell is a finite number or missing; else text without surrounding spaces.

    Integers with leading zeros, or with more digits than a float holds, stay text: they are codes.
    """
    import polars as pl

    values = to_numbers(cells, marks)
    if values.null_count():
        rest = cells.filter(values.is_null()).unique()
        if not is_missing(rest).all():
            cells = cells.str.strip_chars()
            values = to_numbers(cells, marks)
            rest = cells.filter(values.is_null()).unique()
        if not is_missing(rest).all():
            return cells
    values = values.fill_nan(None)
    if values.is_infinite().any():
        return cells.str.strip_chars()
    if not _whole(values.head(1000)) or not _whole(values):
        return values
    text = cells.str.strip_chars()
    if text.str.contains(rf"^[+-]?(?:0\d+|\d{{{_MOST_DIGITS + 1},}})$").any():
        return text
    # Floats above 1e15 may be inexact: these were not written as integers.
    return values.cast(pl.Int64) if values.count() and not (values.abs() >= 10**_MOST_DIGITS).any() else values


def _whole(values: pl.Series) -> bool:
    return bool((values == values.round()).all())


def _evidence(cell: str) -> str:
    """The notation of a number: `point` or `comma` for the decimal mark, `groups .` or `groups ,` for the thousands
    separator, `point or groups` or `comma or groups` if it may be either, as in 1,234; else empty.
    """
    points, commas = cell.count("."), cell.count(",")
    if points and commas:
        return "point" if cell.rfind(".") > cell.rfind(",") else "comma"
    if not points and not commas:
        return ""
    mark, n, word = (".", points, "point") if points else (",", commas, "comma")
    grouped = re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}(?:\{mark}\d{{3}})+", cell) is not None
    if n > 1:
        return f"groups {mark}" if grouped else ""
    return f"{word} or groups" if grouped else word


def _sample(cells: pl.Series) -> list[str]:
    """Distinct cells of a column that look like numbers; empty if most do not."""
    known = cells.unique(maintain_order=True)
    known = known.filter(~is_missing(known)).str.strip_chars()
    found = [cell for cell in known.to_list() if _NUMBER_LIKE.fullmatch(cell)]
    return found if len(found) * 2 > len(known) else []


def find_marks(columns: Iterable[pl.Series], separator: str, decimal: str | None) -> tuple[list[Marks], str]:
    """The marks of each column of text, and a note on them, empty if all are plain.

    Unless given, the decimal mark is inferred for the whole table: if any column has 1,5 or 1.234,5, then 1,234 is a
    decimal number in all. If only 1,234 is found, the separator decides: a semicolon implies decimal commas.
    """
    # Sampled from the whole table: sorted columns begin with one kind of number.
    samples = [_sample(cells.gather_every(max(1, len(cells) // _SAMPLE))) for cells in columns]
    kinds = [Counter(_evidence(cell) for cell in sample) for sample in samples]
    total = sum(kinds, Counter())
    if decimal is None:
        comma, point = total["comma"] + total["groups ."], total["point"] + total["groups ,"]
        if comma or point:
            decimal = "," if comma > point else "."
        else:
            decimal = "," if total["comma or groups"] and separator == ";" else "."
    found = [_marks_of(sample, kind, decimal) for sample, kind in zip(samples, kinds, strict=True)]
    return found, _said({marks for marks in found if not marks.plain}, bool(total["comma or groups"]))


def marks_of_rest(cells: pl.Series, marks: Marks) -> Marks:
    """The marks of a column that `marks` do not fit, inferred from the cells outside the sample."""
    import polars as pl

    rest = cells.filter(to_numbers(cells, marks).is_null()).unique(maintain_order=True)
    known = _sample(pl.concat([cells.head(_SAMPLE), rest.head(_SAMPLE)]))
    kind = Counter(_evidence(cell) for cell in known)
    return _marks_of(known, kind, "," if kind["comma"] + kind["groups ."] else ".")


def _marks_of(sample: list[str], kind: Counter[str], decimal: str) -> Marks:
    spaced = any(re.match(_GROUPED, cell) for cell in sample)
    if decimal == ",":
        # A column with 1.5 has decimal points, even if other columns have commas.
        if kind["point"]:
            return Marks(".", "," if kind["groups ,"] else " " if spaced else "")
        dotted = kind["point or groups"] + kind["groups ."] + sum("." in cell and "," in cell for cell in sample)
        commas = kind["comma"] + kind["comma or groups"]
        return Marks("," if commas or dotted else ".", "." if dotted else " " if spaced else "")
    commas = kind["comma or groups"] + kind["groups ,"] + sum("." in cell and "," in cell for cell in sample)
    return Marks(".", "," if commas else " " if spaced else "")


def _said(found: set[Marks], ambiguous: bool) -> str:
    parts = []
    if any(marks.decimal == "," for marks in found):
        parts.append("decimal comma")
    groups = sorted({marks.thousands for marks in found} - {""})
    if groups:
        names = {",": "a comma", ".": "a point", " ": "a space or apostrophe"}
        parts.append(f"{' or '.join(names[mark] for mark in groups)} between thousands")
    if parts and ambiguous and "," in groups:
        parts.append("so 1,234 is 1234")
    return ", ".join(parts)
