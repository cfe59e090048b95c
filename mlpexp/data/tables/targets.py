"""Whether a column to predict holds classes or values."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlpexp.data.tables.cells import is_missing, to_numbers
from mlpexp.data.tables.kinds import Categories
from mlpexp.data.tables.raw import RawColumn, RawTable, short
from mlpexp.data.tables.values import codes_of, numbers_of, texts_of
from mlpexp.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

TaskWord = Literal["auto", "classification", "regression"]
# Whole numbers are taken as classes up to this many different ones.
MOST_CLASSES = 20
# Rows of a class that are needed for train, val and test.
FEWEST = 3
# Of more than so many whole numbers each needs these rows: those that thin out are counts or grades, as visits to a
# doctor are, of which one patient alone made 16.
_SURE_CLASSES = 4
# Names of more classes than anybody would train are not looked through for spellings.
_MOST_SPELLED = 10_000


@dataclass(frozen=True)
class Target:
    """The kind of a target column. `classes` are the names of the classes in order, empty for values."""

    name: str
    classes: tuple[str, ...]
    n_missing: int  # rows without a target
    notes: tuple[str, ...] = ()


def find_target(table: RawTable, column: RawColumn, task: TaskWord = "auto", fewest: int = FEWEST) -> Target:
    """Classes where the cells are text, or few different whole numbers, unless `task` says it.

    Few are 4, or MOST_CLASSES that stand in `fewest` rows each.
    ConfigError where the column is empty, or holds text among numbers that are no classes.
    """
    name = column.name
    missing = is_missing(column.cells)
    n_missing = int(missing.sum())
    known = column.cells.filter(~missing)
    if not len(known):
        raise ConfigError(f"dataset.target={short(name)}: has no value in any row.")
    if task == "regression" or (task == "auto" and not _are_classes(column, known, fewest)):
        numbers_of(table, column, target=True)
        return Target(name, (), n_missing, _on_values(name, known) if task == "auto" else ())
    texts = texts_of(column).drop_nulls().unique()
    order = _sizes(column, texts)
    classes = tuple(texts.to_frame("name").with_columns(size=order).sort("size", "name")["name"])
    notes = _spellings(name, classes)
    if task == "auto" and known.dtype.is_numeric():
        taken = f"{len(classes)} different whole numbers of {short(name)} are classes"
        notes = (f"{taken}; dataset.task=regression takes them for values", *notes)
    return Target(name, classes, n_missing, notes)


def labels_of(column: RawColumn, target: Target) -> npt.NDArray[np.int64]:
    """Int64 [N]: the class of each row; MISSING or UNKNOWN where the target has none."""
    return codes_of(column, Categories(target.name, "classes", values=target.classes))


def _are_classes(column: RawColumn, known: pl.Series, fewest: int) -> bool:
    """A stray text among numbers that are no classes is a mistake in a column of values, and is reported as one."""
    import polars as pl

    if known.dtype.is_integer():
        counts = known.unique_counts()
        return len(counts) <= _SURE_CLASSES or (len(counts) <= MOST_CLASSES and not (counts < fewest).any())
    if known.dtype == pl.Float64:
        return False
    if known.dtype != pl.String:
        return True
    numbers = to_numbers(known, column.marks).drop_nulls()
    if numbers.len() * 2 <= len(known):
        return True
    whole = bool((numbers.is_finite() & (numbers == numbers.round())).all())
    coded = whole and numbers.len() == len(known)  # with leading zeros
    return coded or (whole and known.n_unique() <= MOST_CLASSES)


def _sizes(column: RawColumn, texts: pl.Series) -> pl.Series:
    """By what classes stand in order: their numbers, or nothing where they are text."""
    import polars as pl

    numbers = (
        to_numbers(texts, column.marks) if column.cells.dtype == pl.String else texts.cast(pl.Float64, strict=False)
    )
    return numbers if not numbers.null_count() else pl.Series([0.0] * len(texts), dtype=pl.Float64)


def _on_values(name: str, known: pl.Series) -> tuple[str, ...]:
    if not known.dtype.is_integer():
        return ()
    n = known.n_unique()
    return (f"{n} different whole numbers of {short(name)} are values; dataset.task=classification makes them classes",)


def _spellings(name: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """A note on each set of classes that differ in capitals and spaces only."""
    same = defaultdict(list)
    for text in classes[:_MOST_SPELLED]:
        same[" ".join(text.casefold().split())].append(f"'{short(text)}'")
    return tuple(
        f"{', '.join(texts[:-1])} and {texts[-1]} are {len(texts)} spellings in {short(name)}, and {len(texts)} classes"
        for texts in same.values()
        if len(texts) > 1
    )
