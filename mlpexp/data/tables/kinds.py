"""What columns are: numbers, categories, dates, or nothing to learn from. Plain data, which a run stores as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from mlpexp.data.tables.dates import Order

# At most so many values of a category are kept, the most frequent ones.
MOST_VALUES = 1000


@dataclass(frozen=True)
class Kind:
    """A column by name; `reason` says why it is taken for what it is, `n_missing` how many rows have no value."""

    word: ClassVar[str]
    name: str
    reason: str
    n_missing: int = 0


@dataclass(frozen=True)
class Numbers(Kind):
    word = "number"


@dataclass(frozen=True)
class Categories(Kind):
    """`values` are the most frequent ones, at most MOST_VALUES, the most frequent first; `counts` their rows."""

    word = "category"
    values: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    n_values: int = 0  # with those that are not kept


@dataclass(frozen=True)
class Dates(Kind):
    word = "date"
    order: Order = "year first"
    first: str = ""
    last: str = ""


@dataclass(frozen=True)
class Ignored(Kind):
    word = "ignore"


_KINDS: dict[str, type[Any]] = {kind.word: kind for kind in (Numbers, Categories, Dates, Ignored)}


def to_plain(kind: Kind) -> dict[str, Any]:
    """A kind as what JSON holds."""
    return {"kind": kind.word, **asdict(kind)}


def from_plain(values: dict[str, Any]) -> Kind:
    """The kind that `to_plain` was given, also after JSON has made lists of its tuples."""
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    kind: Kind = _KINDS[values["kind"]](**{name: value for name, value in given.items() if name != "kind"})
    return kind
