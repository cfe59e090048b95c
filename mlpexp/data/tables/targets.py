"""Whether a target column holds classes or values."""

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
# Whole numbers are classes only if there are at most this many different ones.
MOST_CLASSES = 20
# A class needs this many rows for train, val and test.
FEWEST = 3
# If there are more different whole numbers than this, they are classes only if each has FEWEST rows. In counts, such as
# the visits of patients to a doctor, the largest numbers are rare.
_SURE_CLASSES = 4
# Spellings are compared among so many classes at most.
_MOST_SPELLED = 10_000


@dataclass(frozen=True)
class TargetColumn:
    """A target column. `classes` are the names of its classes in order; empty if it holds values."""

    name: str
    classes: tuple[str, ...]
    n_missing: int  # rows without a target
    notes: tuple[str, ...] = ()


def find_target(table: RawTable, column: RawColumn, task: TaskWord = "auto", fewest: int = FEWEST) -> TargetColumn:
    """Whether a target holds classes or values, as given by `task` or inferred.

    Text is inferred to be classes. So are at most 4 different whole numbers, and at most MOST_CLASSES if each has at
    least `fewest` rows. ConfigError if the column is empty, or has text cells among values.
    """
    name = column.name
    missing = is_missing(column.cells)
    n_missing = int(missing.sum())
    known = column.cells.filter(~missing)
    if not len(known):
        raise ConfigError(f"dataset.target={short(name)}: has no value in any row.")
    if task == "regression" or (task == "auto" and not _are_classes(column, known, fewest)):
        numbers_of(table, column, target=True)
        return TargetColumn(name, (), n_missing, _on_values(name, known) if task == "auto" else ())
    texts = texts_of(column).drop_nulls().unique()
    order = _sizes(column, texts)
    classes = tuple(texts.to_frame("name").with_columns(size=order).sort("size", "name")["name"])
    notes = _spellings(name, classes)
    if task == "auto" and known.dtype.is_numeric():
        taken = f"{len(classes)} different whole numbers of {short(name)} are classes"
        notes = (f"{taken}; dataset.task=regression treats them as values", *notes)
    return TargetColumn(name, classes, n_missing, notes)


def labels_of(column: RawColumn, target: TargetColumn) -> npt.NDArray[np.int64]:
    """Int64 [N]: the class of each row; MISSING if the cell is empty, UNKNOWN if it is not a class of the target."""
    return codes_of(column, Categories(target.name, "classes", values=target.classes))


def _are_classes(column: RawColumn, known: pl.Series, fewest: int) -> bool:
    """Whether known cells are classes. False for values with a few text cells, which are then reported as an error."""
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
    coded = whole and numbers.len() == len(known)  # text only because of leading zeros
    return coded or (whole and known.n_unique() <= MOST_CLASSES)


def _sizes(column: RawColumn, texts: pl.Series) -> pl.Series:
    """The sort key of each class: its number, or 0 for all if a class is text."""
    import polars as pl

    numbers = (
        to_numbers(texts, column.marks) if column.cells.dtype == pl.String else texts.cast(pl.Float64, strict=False)
    )
    return numbers if not numbers.null_count() else pl.Series([0.0] * len(texts), dtype=pl.Float64)


def _on_values(name: str, known: pl.Series) -> tuple[str, ...]:
    """A note if whole numbers are inferred to be values."""
    if not known.dtype.is_integer():
        return ()
    n = known.n_unique()
    note = (
        f"{n} different whole numbers of {short(name)} are values; dataset.task=classification treats them as classes"
    )
    return (note,)


def _spellings(name: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """A note on each set of classes that differ only in upper case and spaces."""
    same = defaultdict(list)
    for text in classes[:_MOST_SPELLED]:
        same[" ".join(text.casefold().split())].append(f"'{short(text)}'")
    return tuple(
        f"{', '.join(texts[:-1])} and {texts[-1]} are {len(texts)} spellings in {short(name)}, and {len(texts)} classes"
        for texts in same.values()
        if len(texts) > 1
    )
