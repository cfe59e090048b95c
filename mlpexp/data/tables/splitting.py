"""Which rows of a table are in train, val and test: by groups, by time, or as given by a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.data.splits import RandomlySplit
from mlpexp.data.tables.dates import find_form
from mlpexp.data.tables.finding import find_kinds
from mlpexp.data.tables.kinds import Dates
from mlpexp.data.tables.raw import RawColumn, RawTable, short
from mlpexp.data.tables.values import days_of, numbers_of, texts_of
from mlpexp.errors import ConfigError, pluralize, unknown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    Rows = npt.NDArray[np.int64]
    Splits = tuple[Rows, Rows, Rows]

# The values of a split column, in lower case, and the index of the split they name.
NAMES = {
    **{"train": 0, "training": 0, "learn": 0},
    **{"val": 1, "valid": 1, "validation": 1, "dev": 1, "eval": 1},
    **{"test": 2, "testing": 2, "holdout": 2},
}


# Seeds of numpy are less than this.
_SEEDS = 2**32


def by_group(table: RawTable, name: str, rows: Rows, settings: RandomlySplit) -> Splits:
    """Random splits such that no group is in two of them, by scikit-learn's GroupShuffleSplit.

    Column `name` holds the groups. The fractions are shares of the groups. Folds differ by at most one in their number
    of groups. ConfigError if there are too few groups, or a row in `rows` has none.
    """
    import numpy as np
    from sklearn.model_selection import GroupShuffleSplit

    val, test, seed = settings.val_fraction, settings.test_fraction, settings.seed
    key = f"dataset.group={short(name)}"
    texts = texts_of(table.column(name, key))
    groups = texts.to_numpy()[rows]
    _complete(table, texts.is_null().to_numpy(), rows, key)
    n = len(np.unique(groups))
    if n < 3:
        raise ConfigError(
            f"{key}: has {n} group{'s' if n > 1 else ''}; at least 3 are needed, for train, val and test."
        )

    def part(among: Rows, share: float) -> tuple[Rows, Rows]:
        """The rows `among` without and with a random share of their groups; both have at least one group."""
        count = len(np.unique(groups[among]))
        n_off = min(max(1, round(share * count)), count - 1)
        shuffled = GroupShuffleSplit(1, test_size=n_off, random_state=seed % _SEEDS)
        ((kept, off),) = shuffled.split(among, groups=groups[among])
        return among[kept], among[off]

    everything = np.arange(len(rows))
    if settings.fold is None:
        rest, last = part(everything, min(test, (n - 2) / n))
    else:
        if n < settings.folds:
            raise ConfigError(f"dataset.folds={settings.folds}: {key} has {n} groups; each fold needs one.")
        shuffled = np.random.RandomState(seed % _SEEDS).permutation(np.unique(groups))
        in_fold = np.isin(groups, np.array_split(shuffled, settings.folds)[settings.fold])
        rest, last = everything[~in_fold], everything[in_fold]
        test = 1 / settings.folds
        if len(np.unique(groups[rest])) < 2:
            raise ConfigError(f"dataset.folds={settings.folds}: leaves one group of {key} to train and validate on.")
    train, middle = part(rest, val / (1 - test))
    return rows[np.sort(train)], rows[np.sort(middle)], rows[np.sort(last)]


def by_time(table: RawTable, name: str, rows: Rows, settings: RandomlySplit, word: str = "date") -> Splits:
    """Splits by time: train is followed by val, and val by test. Rows of the same time are in one split.

    Fold k of F is as in scikit-learn's TimeSeriesSplit, except that equal times stay together: of F + 1 parts in order
    of time, the first k + 1 are for train and val, the next one is test, and later rows are in no split.

    Column `name` holds the times; `word` is its kind in the config, such as month_first. ConfigError if there are fewer
    than 3 different times, or a row in `rows` has none.
    """
    import numpy as np

    val, test = settings.val_fraction, settings.test_fraction
    key = f"dataset.time={short(name)}"
    times = _times(table, table.column(name, key), key, word)
    _complete(table, np.isnan(times), rows, key)
    order = rows[np.argsort(times[rows], kind="stable")]
    sorted_times = times[order]
    n = len(rows)
    # A split can only begin where the time changes.
    begins = np.flatnonzero(np.diff(sorted_times)) + 1
    if len(begins) < 2:
        raise ConfigError(
            f"{key}: has {len(begins) + 1} different times; at least 3 are needed, for train, val and test."
        )
    if settings.fold is not None:
        size = n // (settings.folds + 1)
        test_from = n - (settings.folds - settings.fold) * size
        ends = [*begins[2:], n]
        end = int(min(ends, key=lambda at: abs(at - (test_from + size))))
        order, sorted_times = order[:end], sorted_times[:end]
        begins = begins[begins < end]
        n, test, val = end, 1 - test_from / end, settings.val_fraction * test_from / end
    second = begins[np.abs(begins[1:] - round(n * (1 - test))).argmin() + 1]
    before = begins[begins < second]
    first = before[np.abs(before - round(n * (1 - test - val))).argmin()]
    return np.sort(order[:first]), np.sort(order[first:second]), np.sort(order[second:])


def by_column(table: RawTable, name: str, rows: Rows) -> Splits:
    """The split given by a column: its values are train, val, test, or common synonyms; val may be empty.

    ConfigError for another value, an empty cell, or if no row is in train or in test.
    """
    import numpy as np

    key = f"dataset.split={short(name)}"
    texts = texts_of(table.column(name, key))
    _complete(table, texts.is_null().to_numpy(), rows, key)
    split = np.empty(table.n_rows, dtype=np.int64)
    for text in texts.drop_nulls().unique(maintain_order=True).to_list():
        number = NAMES.get(text.strip().lower())
        if number is None:
            place = table.place(texts.to_list().index(text))
            what = f"{key}: {place}: '{short(text)}' names no split"
            raise ConfigError(unknown(what, text.strip().lower(), ["train", "val", "test"]))
        split[(texts == text).fill_null(False).to_numpy()] = number
    train, val, test = (rows[split[rows] == number] for number in range(3))
    for rows_of, which in ((train, "train"), (test, "test")):
        if not len(rows_of):
            raise ConfigError(f"{key}: no row is assigned to {which}.")
    return train, val, test


def random_val(rows: Tensor, labels: Tensor | None, share: float, seed: int, key: str) -> tuple[Tensor, Tensor]:
    """Splits rows at random into train and val, stratified by `labels` (classes), by scikit-learn's train_test_split.

    `share` is that of val. ConfigError, which `key` begins, if a class has too few rows.
    """
    from sklearn.model_selection import train_test_split

    try:
        kept, off = train_test_split(rows.numpy(), test_size=share, stratify=labels, random_state=seed % _SEEDS)
    except ValueError as error:
        why = str(error).split(". ")[0].rstrip(".")
        raise ConfigError(
            f"{key}: val cannot be split off the {len(rows)} training rows with the same share of each class: {why}; "
            "dataset.split=COLUMN can say which rows are for val."
        ) from None
    return sorted_tensor(kept), sorted_tensor(off)


def sorted_tensor(rows: Rows) -> Tensor:
    """Row numbers in ascending order."""
    import numpy as np
    import torch

    return torch.from_numpy(np.sort(rows))


def _times(table: RawTable, column: RawColumn, key: str, word: str) -> npt.NDArray[np.float64]:
    """The times of all rows [N], float64, as days or numbers; NaN where missing."""
    if column.cells.dtype.is_numeric():
        return numbers_of(table, column)
    alone = RawTable(table.where, (column,), places=table.places)
    said = word if word in ("day_first", "month_first") else "date"
    texts = texts_of(column).drop_nulls()
    form = find_form(texts) if said == "date" and not column.cells.dtype.is_temporal() else None
    if form is not None and form[0].ambiguous:
        # With day and month in the wrong order the split would be wrong.
        raise ConfigError(
            f"{key}: its dates, such as '{short(texts[0])}', may begin with the day or the month; set "
            f"dataset.columns.{short(column.name)}=day_first or month_first."
        )
    try:
        (kind,) = find_kinds(alone, {column.name: said})
    except ConfigError as error:
        raise ConfigError(*(f"{key}: holds neither numbers nor dates. {line}" for line in error.lines)) from None
    if not isinstance(kind, Dates):
        raise ConfigError(f"{key}: has no value in any row.")
    return days_of(table, column, kind)


def _complete(table: RawTable, missing: npt.NDArray[np.bool_], rows: Rows, key: str) -> None:
    """ConfigError if one of the `rows` is `missing` [N]."""
    bad = rows[missing[rows]]
    if len(bad):
        raise ConfigError(
            f"{key}: {table.place(int(bad[0]))}: the value is missing ({pluralize(len(bad), 'such row')}); all rows "
            "need one."
        )
