"""Measures of dependence between columns: equal rows, equal values, rank correlation and linear correlation.

N rows, D columns. A frame's columns are Float64, or UInt32 codes of categories, named 0, 1, … by their places; a null
is missing, and equals a null.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars as pl

Floats = npt.NDArray[np.float64]

# Rows that are compared before all are. At a correlation of 0.9999 chance moves that of so many by 1e-5.
_SAMPLE = 2000
# Above it, the correlation is computed from all rows: ten times as far from 1 as is looked for.
_SCREEN = 0.999
# Every column is compared with every other one, up to so many columns, and pairs on all rows up to so many values.
# Each takes about a second.
_MOST_COLUMNS, _MOST_VALUES = 1000, 100_000_000
# The relative distance of numbers that rounding alone may cause.
_ROUNDING = 1e-12
# Rows of one value that are needed to say that the value has a class: fewer may agree by chance, or be copies.
_TELLING = 5


def count_repeated(frame: pl.DataFrame) -> int:
    """How many rows are equal to an earlier one in all columns."""
    return frame.height - frame.n_unique() if frame.width else 0


def best_accuracy(inputs: pl.DataFrame, labels: pl.Series) -> tuple[float, int]:
    """The highest accuracy of any function of the inputs: Σ over sets of equal inputs of their largest class, / N.

    Also returns the number of rows in sets of more than one class.
    """
    import polars as pl

    sets = _sizes(inputs, labels).group_by(inputs.columns).agg(pl.col("n").sum(), largest=pl.col("n").max())
    mixed = sets.filter(pl.col("largest") < pl.col("n"))
    return float(sets["largest"].sum()) / inputs.height, int(mixed["n"].sum())


def best_r2(inputs: pl.DataFrame, values: pl.Series) -> tuple[float, int]:
    """The highest r2 of any function of the inputs: 1 − Σ (y − mean of the rows of equal inputs)² / Σ (y − mean)².

    Also returns the number of rows in sets of more than one value; (1, 0) if all values are equal.
    """
    import polars as pl

    # The squares of values such as 1e12 ± 1 are far greater than their deviations' squares.
    y = pl.Series(centred(values.to_numpy()))
    total = float((y**2).sum())
    sets = inputs.with_columns(y=y).group_by(inputs.columns)
    within = sets.agg(
        n=pl.len(),
        varied=pl.col("y").min() < pl.col("y").max(),
        squares=((pl.col("y") - pl.col("y").mean()) ** 2).sum(),
    ).filter("varied")
    return (1 - float(within["squares"].sum()) / total, int(within["n"].sum())) if total else (1.0, 0)


def count_told(column: pl.Series, labels: pl.Series) -> int:
    """The rows whose class is the most frequent one among those of the same value, where the value tells anything."""
    import polars as pl

    sizes = _sizes(column.to_frame(), labels)
    sets = sizes.group_by(column.name).agg(pl.col("n").sum(), largest=pl.col("n").max())
    return int(sets["largest"].to_numpy()[_telling(sets["n"].to_numpy(), labels.n_unique())].sum())


def most_told(sizes: npt.NDArray[np.int64], n_classes: int) -> int:
    """The most that `count_told` may find in a column whose values have so many rows."""
    return int(sizes[_telling(sizes, n_classes)].sum())


def _telling(sizes: npt.NDArray[np.int64], n_classes: int) -> npt.NDArray[np.bool_]:
    """Which values tell anything: those of _TELLING rows; all where there is one a class, and missing ones besides."""
    return (sizes >= _TELLING) | (len(sizes) <= n_classes + 1)


def _sizes(inputs: pl.DataFrame, labels: pl.Series) -> pl.DataFrame:
    """The different rows of inputs and class, and how many there are of each, as `n`."""
    import polars as pl

    return inputs.with_columns(label=labels).group_by([*inputs.columns, "label"]).agg(n=pl.len())


def rank_correlation(column: pl.Series, values: pl.Series) -> float:
    """Spearman's ρ over the rows in which both are known; 0 if one of them is constant."""
    known = column.is_not_null() & values.is_not_null()
    column, values = column.filter(known), values.filter(known)
    step = max(1, len(column) // _SAMPLE)
    some = _correlation(*(_ranks(part.gather_every(step)) for part in (column, values)))
    return some if step == 1 or abs(some) < _SCREEN else _correlation(_ranks(column), _ranks(values))


def _ranks(values: pl.Series) -> Floats:
    return values.rank("average").to_numpy().astype(np.float64)


def _correlation(a: Floats, b: Floats) -> float:
    """Pearson's r; 0 if one of them is constant, or if there are fewer than two rows."""
    if len(a) < 2:
        return 0.0
    a, b = centred(a), centred(b)
    scale = float(np.sqrt(a @ a) * np.sqrt(b @ b))
    return float(a @ b) / scale if scale else 0.0


def centred(x: Floats, middle: Callable[[Floats], Any] = np.mean) -> Floats:
    """(x − middle) / the greatest |x − middle|: within ±1, since the square of 1e200 is infinite.

    0 where the values differ by what rounding may cause.
    """
    # Powers of two change no digit.
    x = np.ldexp(x, -int(np.frexp(np.abs(x).max())[1]))
    x = x - middle(x)
    reach = float(np.abs(x).max())
    return np.asarray(x / reach if reach > _ROUNDING else np.zeros_like(x))


def median(x: Floats) -> float:
    """Of finite values; that of two as great as floats become is finite too."""
    return float(np.median(x / 2) * 2)


def on_a_line(x: Floats, least: float) -> list[tuple[int, int, float]]:
    """Pairs of columns of x [N, D], NaN where missing, with |r| > `least`: (i, j, r), i < j, each j once.

    Pairs are looked for in _SAMPLE rows, and r is of all rows in which both are known. Only _MOST_COLUMNS are compared.
    """
    x = x[:, :_MOST_COLUMNS]
    some = x[:: max(1, len(x) // _SAMPLE)]
    known = ~np.isnan(some)
    z = np.zeros_like(some)
    for column, place, there in zip(z.T, some.T, known.T, strict=True):
        if there.any():
            column[there] = centred(place[there])
    squares = (z * z).T @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        screened = np.abs(z.T @ z) / np.sqrt(squares * squares.T)
    candidates = np.argwhere(np.triu(np.nan_to_num(screened) > _SCREEN, 1))
    found: list[tuple[int, int, float]] = []
    taken: set[int] = set()
    budget = _MOST_VALUES
    for i, j in candidates.tolist():
        if i in taken or j in taken:
            continue
        budget -= len(x)
        if budget < 0:
            break
        both = ~np.isnan(x[:, i]) & ~np.isnan(x[:, j])
        r = _correlation(x[both, i], x[both, j])
        if abs(r) > least:
            found.append((i, j, r))
            taken.add(j)
    return found


def one_to_one(frame: pl.DataFrame) -> list[tuple[int, int]]:
    """Pairs of columns (i, j), i < j, each j once, whose values stand for each other in every row."""
    seen: dict[bytes, int] = {}
    found = []
    for j, column in enumerate(frame.iter_columns()):
        # The same for all columns that differ in names of values only: each value as its place of first appearance.
        values = column.rank("dense").fill_null(0).to_numpy()
        _, first, codes = np.unique(values, return_index=True, return_inverse=True)
        key = np.argsort(np.argsort(first))[codes].astype(np.int32).tobytes()
        i = seen.setdefault(key, j)
        if i != j:
            found.append((i, j))
    return found
