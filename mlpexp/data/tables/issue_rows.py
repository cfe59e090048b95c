"""The rows in which issues of a table are searched, and helpers for the sentences that describe issues.

N rows, D columns.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mlpexp.data.tables.kinds import Categories, Dates, Ignored, Kind
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.targets import TargetColumn, labels_of
from mlpexp.data.tables.values import days_of, numbers_of, texts_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

# In fewer rows two columns may agree by chance: two binary columns do so in 2 of 2^20 tables of 20 rows.
ENOUGH_ROWS = 20
# At most this many names or other items are listed in a sentence.
_MOST_NAMED = 5


@dataclass(frozen=True)
class Rows:
    """The rows of a table whose target is known: the input columns, and the target."""

    kinds: tuple[Kind, ...]
    """The kind of each input column [D]."""
    inputs: pl.DataFrame
    """[N, D]: columns named 0, 1, … by their places in `kinds`; see relations.py."""
    target: TargetColumn
    y: pl.Series
    """[N]: classes (Int64) or values (Float64)."""

    @property
    def n(self) -> int:
        """N."""
        return len(self.y)

    @cached_property
    def counts(self) -> list[npt.NDArray[np.int64]]:
        """For each column, the number of rows of each of its values, without missing values."""
        return [column.drop_nulls().unique_counts().to_numpy() for column in self.inputs.iter_columns()]

    def columns_of(self, *kinds: type[Kind]) -> list[int]:
        """The places of the columns of these kinds."""
        return [place for place, kind in enumerate(self.kinds) if isinstance(kind, kinds)]

    def ignore_override(self, *places: int) -> str:
        """The override that leaves these columns out; empty if no column would be left."""
        names = ",".join(_in_list(self.kinds[place].name) for place in places)
        return f"dataset.ignore=[{names}]" if len(places) < len(self.kinds) else ""


def rows_of(table: RawTable, kinds: Sequence[Kind], target: TargetColumn) -> Rows:
    """The rows of a table whose target is known, without the columns that are ignored."""
    import polars as pl

    column = table.column(target.name, "dataset.target")
    y = pl.Series(labels_of(column, target) if target.classes else numbers_of(table, column))
    known = y >= 0 if target.classes else y.is_not_nan()
    used = tuple(kind for kind in kinds if not isinstance(kind, Ignored))
    values = {str(place): _values(table, kind) for place, kind in enumerate(used)}
    return Rows(used, pl.DataFrame(values).filter(known) if values else pl.DataFrame(), target, y.filter(known))


def _values(table: RawTable, kind: Kind) -> pl.Series:
    """The values of a column [N]: codes of categories, days, or numbers; null where missing."""
    import polars as pl

    column = table.column(kind.name, "")
    if isinstance(kind, Categories):
        return texts_of(column).cast(pl.Categorical).to_physical()
    values = days_of(table, column, kind) if isinstance(kind, Dates) else numbers_of(table, column)
    return pl.Series(values).fill_nan(None)


def of_all(n: int, rows: Rows) -> str:
    """A number of rows beside their total: `3 of 40 rows (7.5 %)`."""
    return f"{n:,} of {rows.n:,} rows ({percent(n / rows.n)})"


def percent(share: float) -> str:
    """A share as `12.5 %`: one decimal, below 1 % two digits; `100 %` stands for exactly 1."""
    if 0.999 < share < 1:
        return "more than 99.9 %"
    number = f"{100 * share:.1f}".removesuffix(".0") if share >= 0.01 else f"{100 * share:.2g}"
    return f"{number} %"


def near_one(r: float) -> str:
    """A correlation near ±1, in six decimals: `0.999973`."""
    return f"{r:.6f}".rstrip("0").rstrip(".").replace("-", "−")


def named(names: Collection[str]) -> str:
    """Names of columns or classes, as `listed`."""
    return listed([short(name) for name in names])


def listed(texts: Sequence[str], separator: str = ", ") -> str:
    """The first few texts, and how many more there are."""
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return f"{separator.join(texts[:_MOST_NAMED])}{more}"


def _in_list(name: str) -> str:
    """A name as an element of a list in Hydra's override grammar."""
    if re.fullmatch(r"[A-Za-z_]\w*", name):
        return name
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), name)
    return f"'{escaped}'"


def are(n: int) -> str:
    return "is" if n == 1 else "are"


def have(n: int) -> str:
    return "has" if n == 1 else "have"


def lack(n: int) -> str:
    return "lacks" if n == 1 else "lack"
