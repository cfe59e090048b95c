"""The rows that findings are computed from, and helpers for the sentences of findings."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mlpexp.data.tables.kinds import Categories, Dates, Ignored, Kind
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.targets import Target, labels_of
from mlpexp.data.tables.values import days_of, numbers_of, texts_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

# In fewer rows two columns go together by chance: two of two values each do in 2 of 2^20 such tables.
ENOUGH_ROWS = 20
# Names, or what else is listed, in a sentence.
_MOST_NAMED = 5


@dataclass(frozen=True)
class Rows:
    """The rows with a target: the kinds of the columns that are learned from, their values, and the target's."""

    kinds: tuple[Kind, ...]
    inputs: pl.DataFrame  # named 0, 1, … by their places in `kinds`; see relations.py
    target: Target
    answers: pl.Series  # classes (Int64) or values (Float64)

    @property
    def n(self) -> int:
        return len(self.answers)

    @cached_property
    def counts(self) -> list[npt.NDArray[np.int64]]:
        """Of each column, how many rows each of its values has; missing ones are none."""
        return [column.drop_nulls().unique_counts().to_numpy() for column in self.inputs.iter_columns()]

    def places(self, *kinds: type[Kind]) -> list[int]:
        """Of the columns of these kinds."""
        return [place for place, kind in enumerate(self.kinds) if isinstance(kind, kinds)]

    def ignoring(self, *places: int) -> str:
        """The override that leaves these columns out; empty where it would leave none."""
        names = ",".join(_in_list(self.kinds[place].name) for place in places)
        return f"dataset.ignore=[{names}]" if len(places) < len(self.kinds) else ""


def rows_of(table: RawTable, kinds: Sequence[Kind], target: Target) -> Rows:
    import polars as pl

    column = table.column(target.name, "dataset.target")
    answers = pl.Series(labels_of(column, target) if target.classes else numbers_of(table, column))
    known = answers >= 0 if target.classes else answers.is_not_nan()
    learned = tuple(kind for kind in kinds if not isinstance(kind, Ignored))
    values = {str(place): _values(table, kind) for place, kind in enumerate(learned)}
    return Rows(
        learned, pl.DataFrame(values).filter(known) if values else pl.DataFrame(), target, answers.filter(known)
    )


def _values(table: RawTable, kind: Kind) -> pl.Series:
    import polars as pl

    column = table.column(kind.name, "")
    if isinstance(kind, Categories):
        return texts_of(column).cast(pl.Categorical).to_physical()
    values = days_of(table, column, kind) if isinstance(kind, Dates) else numbers_of(table, column)
    return pl.Series(values).fill_nan(None)


def of_all(n: int, rows: Rows) -> str:
    return f"{n:,} of {rows.n:,} rows ({percent(n / rows.n)})"


def percent(share: float) -> str:
    """To a tenth; smaller shares in two digits, and 100 % for all alone."""
    if 0.999 < share < 1:
        return "more than 99.9 %"
    number = f"{100 * share:.1f}".removesuffix(".0") if share >= 0.01 else f"{100 * share:.2g}"
    return f"{number} %"


def near_one(r: float) -> str:
    """A correlation with the digits that tell it from 1."""
    return f"{r:.6f}".rstrip("0").rstrip(".").replace("-", "−")


def named(names: Collection[str]) -> str:
    """Columns or classes in a sentence."""
    return listed([short(name) for name in names])


def listed(texts: Sequence[str], separator: str = ", ") -> str:
    """The first few of them, and how many more there are."""
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return f"{separator.join(texts[:_MOST_NAMED])}{more}"


def _in_list(name: str) -> str:
    """A name within a list of Hydra's grammar."""
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
