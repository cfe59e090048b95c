"""Infers the kind of each column of a table from all its rows and from the user's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlpexp.data.columns import rounded_apart
from mlpexp.data.tables.cells import is_missing, to_numbers
from mlpexp.data.tables.dates import DateForm, Order, find_form, to_days
from mlpexp.data.tables.kinds import MOST_VALUES, Categories, Dates, Ignored, Kind, Numbers
from mlpexp.data.tables.raw import RawColumn, RawTable, short
from mlpexp.data.tables.values import days_of, mistakes, numbers_of, texts_of
from mlpexp.errors import ConfigError, unknown

if TYPE_CHECKING:
    import polars as pl

# The kinds of columns that a user may set.
WORDS = ("number", "category", "date", "day_first", "month_first", "ignore")
_SYNONYMS = {"numeric": "number", "float": "number", "int": "number", "categorical": "category", "text": "category"}
_ORDERS: dict[str, Order] = {"day_first": "day first", "month_first": "month first"}
_NOTHING = "all values are missing"
# Names of columns that identify or count the rows.
_ID = re.compile(
    r"(?i:(^|[\W_])(id|ids|uuid|guid|index|idx|key|serial|rowid|row_?names?|row_?numbers?|record|unnamed.*)$)"
    r"|[a-z](Id|ID|Key|Index)$"
)
# A column of numbers and texts is text if texts make up the share _OFTEN of its rows, and either it has at most _FEW
# distinct values, or the share _VARIED of these is text, as with tickets 17599 and PC 17601. Otherwise the texts are
# mistakes, such as 'unknown' among ages.
_OFTEN, _FEW, _VARIED = 0.05, 20, 0.1
# Fewer texts may all be distinct by chance.
_ENOUGH = 10
# If more than half of the texts occur in one row only, they do not generalise to new rows.
_MOSTLY = 0.5


def find_kinds(
    table: RawTable, given: Mapping[str, str] | None = None, ignore: Sequence[str] = (), targets: Sequence[str] = ()
) -> tuple[Kind, ...]:
    """The kind of each column except the `targets`, in the table's order.

    `given` maps names to kinds (WORDS), `ignore` names columns to leave out. ConfigError with a line for each
    unknown name, and for each column of numbers or dates with other cells.
    """
    given = dict(given or {})
    lines = [table.no_column(name, f"dataset.columns.{short(name)}") for name in given if name not in table.names]
    lines += [table.no_column(name, f"dataset.ignore={short(name)}") for name in ignore if name not in table.names]
    lines += [
        unknown(f"dataset.columns.{short(name)}={short(word)}: no such kind", word, WORDS, _SYNONYMS)
        for name, word in given.items()
        if word not in WORDS
    ]
    if lines:
        raise ConfigError(*lines)
    given |= dict.fromkeys(ignore, "ignore")
    kinds: list[Kind] = []
    for column in table.columns:
        if column.name in targets:
            continue
        try:
            word = given.get(column.name)
            kinds.append(_find(table, column) if word is None else _given(table, column, word))
        except ConfigError as error:
            lines += error.lines
    if lines:
        raise ConfigError(*lines)
    if all(isinstance(kind, Ignored) for kind in kinds):
        return tuple(_fallback(table, kind, given) for kind in kinds)
    return tuple(kinds)


def _fallback(table: RawTable, kind: Kind, given: Mapping[str, str]) -> Kind:
    """Row numbers are used if there is no other input, as in x = 0, 1, 2 …, y = f(x)."""
    column = table.column(kind.name, "")
    counts = kind.name not in given and column.cells.dtype.is_integer() and kind.reason.startswith("counts the rows")
    return Numbers(kind.name, "counts the rows; nothing else is there to learn from") if counts else kind


def _given(table: RawTable, column: RawColumn, word: str) -> Kind:
    if word == "ignore":
        return Ignored(column.name, "as given")
    missing = is_missing(column.cells)
    if missing.all():
        return Ignored(column.name, _NOTHING, len(missing))
    if word == "number":
        values = numbers_of(table, column)
        return Numbers(column.name, "as given", int((values != values).sum()))
    if word == "category":
        return _categories(column.name, texts_of(column), "as given")
    if column.cells.dtype.is_temporal():
        return _dates(table, column, DateForm("year first"), "as given")
    known = texts_of(column)
    found = find_form(known.drop_nulls(), _ORDERS.get(word))
    form = found[0] if found else DateForm(_ORDERS.get(word, "year first"))
    return _dates(table, column, form, "as given")


def _find(table: RawTable, column: RawColumn) -> Kind:
    import polars as pl

    cells, name = column.cells, column.name
    missing = is_missing(cells)
    n_missing = int(missing.sum())
    known = cells.filter(~missing) if n_missing else cells
    if not len(known):
        return Ignored(name, _NOTHING, n_missing)
    numeric = known.dtype.is_numeric()
    if known.min() == known.max() if numeric else known.n_unique() == 1:
        if not n_missing:
            return Ignored(name, f"constant: {short(known[0])} in every row")
        return _categories(name, texts_of(column), f"{short(known[0])} or missing")
    if cells.dtype.is_temporal():
        return _dates(table, column, DateForm("year first"), "dates")
    if cells.dtype == pl.Boolean:
        return _categories(name, texts_of(column), "true or false")
    if numeric:
        return _of_numbers(table, column, known, n_missing)
    return _of_texts(table, column, known, n_missing)


def _of_numbers(table: RawTable, column: RawColumn, known: pl.Series, n_missing: int) -> Kind:
    numbers_of(table, column)  # for infinite ones
    name = column.name
    low, high = float(known.min()), float(known.max())  # type: ignore[arg-type]
    if rounded_apart(low, high):
        return Ignored(name, f"constant but for rounding: {low!r} to {high!r}", n_missing)
    if known.dtype.is_integer():
        if low >= 1900_01_01 and high <= 2100_12_31 and known.n_unique() > 2:
            texts = texts_of(column).drop_nulls()
            if not to_days(texts, _ISO).null_count():
                return _dates(table, column, _ISO, "dates as whole numbers: year, month, day")
        if not n_missing and known.n_unique() == len(known):
            if low in (0, 1) and high - low == len(known) - 1:
                return Ignored(name, f"counts the rows, from {low:g} to {high:g}")
            if _ID.search(name):
                return Ignored(name, "an id: whole numbers that differ in every row")
    return Numbers(name, "numbers", n_missing)


_ISO = DateForm("year first")


def _of_texts(table: RawTable, column: RawColumn, known: pl.Series, n_missing: int) -> Kind:
    name = column.name
    values = to_numbers(known, column.marks)
    finite = values.is_finite().fill_null(False)
    n_numbers, n = int(finite.sum()), len(known)
    n_values = known.n_unique()
    if n_numbers == n:
        reason = "whole numbers with leading zeros, or too long to be exact"
    elif n_numbers * 2 > n:
        texts = known.filter(~finite).n_unique()
        if n - n_numbers < _OFTEN * n or (n_values > _FEW and texts < _VARIED * n_values):
            numbers = to_numbers(column.cells, column.marks)
            wrong = ~numbers.is_finite().fill_null(False) & ~is_missing(column.cells)
            raise mistakes(table, column, wrong, f"not a number, unlike {n_numbers} of {n} cells")
        reason = f"{n_values} different values, {texts} of them text"
    else:
        found = find_form(known)
        if found is not None:
            form = found[0]
            reason = f"dates, {form.order}"
            if form.ambiguous:
                other = "month_first" if form.order == "day first" else "day_first"
                reason += f" (the other order fits too: dataset.columns.{short(name)}={other})"
            return _dates(table, column, form, reason)
        reason = "text"
    if n_values == n and n >= _ENOUGH:
        return Ignored(name, "text that differs in every row", n_missing)
    if n_values > max(_FEW, _MOSTLY * n):
        return Ignored(name, f"free text or an id: {n_values} different ones in {n} rows", n_missing)
    return _categories(name, texts_of(column), reason)


def _categories(name: str, texts: pl.Series, reason: str) -> Categories:
    counts = texts.drop_nulls().rename("value").value_counts().sort(["count", "value"], descending=[True, False])
    kept = counts.head(MOST_VALUES)
    return Categories(
        name, reason, texts.null_count(), tuple(kept["value"]), tuple(kept["count"].to_list()), counts.height
    )


def _dates(table: RawTable, column: RawColumn, form: DateForm, reason: str) -> Dates:
    import numpy as np

    kind = Dates(column.name, reason, order=form.order)
    days = days_of(table, column, kind)
    known = days[~np.isnan(days)]
    first, last = (str(np.datetime64(int(np.floor(day)), "D")) for day in (known.min(), known.max()))
    return Dates(column.name, reason, len(days) - len(known), form.order, first, last)
