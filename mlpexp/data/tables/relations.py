"""Measures of dependence between columns: equal rows, equal values, rank correlation and linear correlation.

N rows, D columns. A frame's columns are Float64, or UInt32 codes of categories, named 0, 1, … by their places. Nulls
are missing values, and are equal to each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars as pl

Floats = npt.NDArray[np.float64]

# Correlations are first computed from a sample of so many rows. If the correlation of all rows is 0.9999, that of the
# sample has a standard error of about 1e-5.
_SAMPLE = 2000
# Above it, the correlation is computed from all rows. Its distance from 1 is ten times that of the pairs searched for.
_SCREEN = 0.999
# At most so many columns are compared with each other, and at most so many values are read to compute correlations from
# all rows. Each limit takes about a second.
_MOST_COLUMNS, _MOST_VALUES = 1000, 100_000_000
# Relative differences up to this may be due to rounding.
_ROUNDING = 1e-12
# A value determines a class only if it has so many rows: fewer may have one class by chance, or as copies.
_ENOUGH = 5


def count_repeated(frame: pl.DataFrame) -> int:
    """The number of rows that are equal to an earlier row in all columns."""
    return frame.height - frame.n_unique() if frame.width else 0


def best_accuracy(inputs: pl.DataFrame, labels: pl.Series) -> tuple[float, int]:
    """The highest accuracy of any function of the inputs, and the number of rows in sets with more than one class.

    A set has the rows with equal inputs. The accuracy is Σ (rows of the largest class of a set) / N over all sets.
    """
    import polars as pl

    sets = _sizes(inputs, labels).group_by(inputs.columns).agg(pl.col("n").sum(), largest=pl.col("n").max())
    mixed = sets.filter(pl.col("largest") < pl.col("n"))
    return float(sets["largest"].sum()) / inputs.height, int(mixed["n"].sum())


def best_r2(inputs: pl.DataFrame, values: pl.Series) -> tuple[float, int]:
    """The highest R² of any function of the inputs, and the number of rows in sets with more than one value.

    A set has the rows with equal inputs. R² = 1 − Σ (y − ȳ of its set)² / Σ (y − ȳ)². (1, 0) if all values are equal.
    """
    import polars as pl

    # Centred first: for values such as 1e12 ± 1, sums of squares would lose the deviations to rounding.
    y = pl.Series(centred(values.to_numpy()))
    total = float((y**2).sum())
    sets = inputs.with_columns(y=y).group_by(inputs.columns)
    within = sets.agg(
        n=pl.len(),
        varied=pl.col("y").min() < pl.col("y").max(),
        squares=((pl.col("y") - pl.col("y").mean()) ** 2).sum(),
    ).filter("varied")
    return (1 - float(within["squares"].sum()) / total, int(within["n"].sum())) if total else (1.0, 0)


def count_determined(column: pl.Series, labels: pl.Series) -> int:
    """The number of rows that have the most frequent class of their value, over all values with enough rows.

    See `_determining`.
    """
    import polars as pl

    sizes = _sizes(column.to_frame(), labels)
    sets = sizes.group_by(column.name).agg(pl.col("n").sum(), largest=pl.col("n").max())
    return int(sets["largest"].to_numpy()[_determining(sets["n"].to_numpy(), labels.n_unique())].sum())


def most_determined(sizes: npt.NDArray[np.int64], n_classes: int) -> int:
    """The upper bound of `count_determined` for a column whose values have `sizes` rows each."""
    return int(sizes[_determining(sizes, n_classes)].sum())


def _determining(sizes: npt.NDArray[np.int64], n_classes: int) -> npt.NDArray[np.bool_]:
    """Which values can determine a class: those with at least _ENOUGH rows.

    All can if there are at most as many values as classes, plus missing values.
    """
    return (sizes >= _ENOUGH) | (len(sizes) <= n_classes + 1)


def _sizes(inputs: pl.DataFrame, labels: pl.Series) -> pl.DataFrame:
    """The distinct rows of inputs and class, with the number of rows of each as `n`."""
    import polars as pl

    return inputs.with_columns(label=labels).group_by([*inputs.columns, "label"]).agg(n=pl.len())


def rank_correlation(column: pl.Series, values: pl.Series) -> float:
    """Spearman's ρ over the rows in which both values are known; 0 if one of the columns is constant.

    It is that of a sample of _SAMPLE rows, unless this is above _SCREEN.
    """
    known = column.is_not_null() & values.is_not_null()
    column, values = column.filter(known), values.filter(known)
    step = max(1, len(column) // _SAMPLE)
    some = _correlation(*(_ranks(part.gather_every(step)) for part in (column, values)))
    return some if step == 1 or abs(some) < _SCREEN else _correlation(_ranks(column), _ranks(values))


def _ranks(values: pl.Series) -> Floats:
    return values.rank("average").to_numpy().astype(np.float64)


def _correlation(a: Floats, b: Floats) -> float:
    """Pearson's r; 0 if one of the columns is constant, or if there are fewer than two rows."""
    if len(a) < 2:
        return 0.0
    a, b = centred(a), centred(b)
    scale = float(np.sqrt(a @ a) * np.sqrt(b @ b))
    return float(a @ b) / scale if scale else 0.0


def centred(x: Floats, middle: Callable[[Floats], Any] = np.mean) -> Floats:
    """(x − m) / max |x − m| with m = middle(x): within ±1, so that squares of values such as 1e200 stay finite.

    All 0 if the values differ by rounding only.
    """
    # Scaling by a power of two is exact.
    x = np.ldexp(x, -int(np.frexp(np.abs(x).max())[1]))
    x = x - middle(x)
    reach = float(np.abs(x).max())
    return np.asarray(x / reach if reach > _ROUNDING else np.zeros_like(x))


def median(x: Floats) -> float:
    """The median of finite values; it is finite even for the largest floats."""
    return float(np.median(x / 2) * 2)


def collinear_pairs(x: Floats, least: float) -> list[tuple[int, int, float]]:
    """Pairs of columns of x [N, D], NaN where missing, with |r| > `least`: (i, j, r), i < j, each j at most once.

    Pairs are searched in a sample of _SAMPLE rows and in the first _MOST_COLUMNS columns; their r is computed from all
    rows in which both values are known.
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


def one_to_one_pairs(frame: pl.DataFrame) -> list[tuple[int, int]]:
    """Pairs of columns (i, j), i < j, each j at most once, whose values correspond one to one."""
    seen: dict[bytes, int] = {}
    found = []
    for j, column in enumerate(frame.iter_columns()):
        # Each value is coded by the order of its first appearance: equal for columns that differ only in the names of
        # their values.
        values = column.rank("dense").fill_null(0).to_numpy()
        _, first, codes = np.unique(values, return_index=True, return_inverse=True)
        key = np.argsort(np.argsort(first))[codes].astype(np.int32).tobytes()
        i = seen.setdefault(key, j)
        if i != j:
            found.append((i, j))
    return found
