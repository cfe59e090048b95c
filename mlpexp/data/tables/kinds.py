"""The kind of a column of a table: numbers, categories, dates, or ignored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mlpexp.data.tables.dates import Order

# At most this many values of a category are kept, the most frequent ones.
MOST_VALUES = 1000


@dataclass(frozen=True)
class Kind:
    """A column by name; `reason` explains the choice of its kind, `n_missing` is the number of rows without a value."""

    word: ClassVar[str]
    name: str
    reason: str
    n_missing: int = 0


@dataclass(frozen=True)
class Numbers(Kind):
    word = "number"


@dataclass(frozen=True)
class Categories(Kind):
    """`values` are the most frequent ones, at most MOST_VALUES, in descending frequency; `counts` their rows."""

    word = "category"
    values: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    n_values: int = 0  # including values that are not kept


@dataclass(frozen=True)
class Dates(Kind):
    word = "date"
    order: Order = "year first"
    first: str = ""
    last: str = ""


@dataclass(frozen=True)
class Ignored(Kind):
    word = "ignore"
