"""Which rows of a table are in train, val and test: by groups, by time, or as a column says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.data.splits import RandomlySplit
from mlpexp.data.tables.dates import find_form
from mlpexp.data.tables.finding import find_kinds
from mlpexp.data.tables.kinds import Dates
from mlpexp.data.tables.raw import RawColumn, RawTable, short
from mlpexp.data.tables.values import days_of, numbers_of, texts_of
from mlpexp.errors import ConfigError, unknown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    Rows = npt.NDArray[np.int64]
    Splits = tuple[Rows, Rows, Rows]

NAMES = {
    **{"train": 0, "training": 0, "learn": 0},
    **{"val": 1, "valid": 1, "validation": 1, "dev": 1, "eval": 1},
    **{"test": 2, "testing": 2, "holdout": 2},
}


# numpy's seeds are less than this.
_SEEDS = 2**32


def by_group(table: RawTable, name: str, rows: Rows, settings: RandomlySplit) -> Splits:
    """No group is in two splits: shares of the groups are drawn at random, by scikit-learn's GroupShuffleSplit.

    Folds have equally many groups, up to one.
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
        """Groups' rows of which a share is split off; each side has a group."""
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
    """The last part is the test, the part before it val; rows of one time are in one split.

    Folds are those of scikit-learn's TimeSeriesSplit, up to times: of F + 1 parts the first k + 1 are before the test,
    which is the next one; the rows behind it are in no split.

    `word` is what the column is said to be, such as month_first.
    """
    import numpy as np

    val, test = settings.val_fraction, settings.test_fraction
    key = f"dataset.time={short(name)}"
    times = _times(table, table.column(name, key), key, word)
    _complete(table, np.isnan(times), rows, key)
    order = rows[np.argsort(times[rows], kind="stable")]
    sorted_times = times[order]
    n = len(rows)
    # A split begins where a new time does.
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
    """The split given by a column: train, val, test, or common synonyms; val may be empty."""
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
            raise ConfigError(f"{key}: no row is said to be for {which}.")
    return train, val, test


def in_two(rows: Tensor, labels: Tensor | None, share: float, seed: int, key: str) -> tuple[Tensor, Tensor]:
    """Splits off a share of the rows at random, stratified by class, by scikit-learn's train_test_split."""
    from sklearn.model_selection import train_test_split

    try:
        kept, off = train_test_split(rows.numpy(), test_size=share, stratify=labels, random_state=seed % _SEEDS)
    except ValueError as error:
        why = str(error).split(". ")[0].rstrip(".")
        raise ConfigError(
            f"{key}: val is drawn from the {len(rows)} training rows, the same share of each class, and this cannot be "
            f"done: {why}; dataset.split=COLUMN can say which rows are for val."
        ) from None
    return torch_of(kept), torch_of(off)


def torch_of(rows: Rows) -> Tensor:
    """Rows in their order."""
    import numpy as np
    import torch

    return torch.from_numpy(np.sort(rows))


def _times(table: RawTable, column: RawColumn, key: str, word: str) -> npt.NDArray[np.float64]:
    """Days or numbers, NaN where missing."""
    if column.cells.dtype.is_numeric():
        return numbers_of(table, column)
    alone = RawTable(table.where, (column,), places=table.places)
    said = word if word in ("day_first", "month_first") else "date"
    texts = texts_of(column).drop_nulls()
    form = find_form(texts) if said == "date" and not column.cells.dtype.is_temporal() else None
    if form is not None and form[0].ambiguous:
        # A wrong order of day and month would give a wrong split.
        raise ConfigError(
            f"{key}: its dates, such as '{short(texts[0])}', have the day or the month first; say which: "
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
    bad = rows[missing[rows]]
    if len(bad):
        raise ConfigError(
            f"{key}: {table.place(int(bad[0]))} has no value; all rows need one, and {len(bad):,} "
            f"{'has' if len(bad) == 1 else 'have'} none."
        )
