"""From a table to what is learned of it: columns, the values to predict, and which rows go to which split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlpexp.data.columns import MISSING, UNKNOWN, Category, Column, Date, Number, Scale
from mlpexp.data.preprocessing import Preprocessing, Target
from mlpexp.data.splits import deal_at_random
from mlpexp.data.tables.finding import find_kinds
from mlpexp.data.tables.kinds import Categories, Dates, Ignored, Kind
from mlpexp.data.tables.matrix import check_classes, labelled_rows, targets_of, values_of
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.settings import TableSettings
from mlpexp.data.tables.splitting import by_column, by_group, by_time, in_two
from mlpexp.data.tables.targets import FEWEST as _FEWEST
from mlpexp.data.tables.targets import Target as Found
from mlpexp.data.tables.targets import find_target, labels_of
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError, pluralize

if TYPE_CHECKING:
    from torch import Tensor

# So many columns are named in a note.
_MOST_NAMED = 8
# The name of the class that rare ones become.
OTHER = "other"


@dataclass(frozen=True)
class Learned:
    """Raw rows `x` [N, R], classes or values `y`, and which of the rows are in train, val and test."""

    x: Tensor
    y: Tensor
    task: Task
    fitted: Preprocessing
    rows: tuple[Tensor, Tensor, Tensor]
    notes: tuple[str, ...]


def learn(table: RawTable, test: RawTable | None, settings: TableSettings) -> Learned:
    """Finds the columns and the target of a table, splits its rows and fits the preprocessing to those of train.

    `test` has the test rows, where they lie in a file of their own. ConfigError with a line for each thing wrong.
    """
    import torch

    names = _target_names(table, settings)
    # Who says what becomes of rare classes has classes.
    fewest = _FEWEST if settings.rare == "refuse" else 1
    found = [
        find_target(table, table.column(name, f"dataset.target={short(name)}"), settings.task, fewest) for name in names
    ]
    _check_several(found)
    rules = [name for name in (settings.group, settings.time, settings.split) if name is not None]
    for key, name in (("group", settings.group), ("time", settings.time), ("split", settings.split)):
        if name is not None:
            table.column(name, f"dataset.{key}={short(name)}")
    # What splits the rows is no input, unless it is said to be one.
    beside = [name for name in rules if name not in settings.columns and name not in names]
    kinds = find_kinds(table, settings.columns, (*settings.ignore, *beside), names)
    used = [kind for kind in kinds if not isinstance(kind, Ignored)]
    if not used:
        reasons = "; ".join(f"{short(kind.name)}: {kind.reason}" for kind in kinds[:_MOST_NAMED])
        raise ConfigError(
            f"{table.where}: has no column to learn from besides {', '.join(map(short, names))} ({reasons})."
        )
    x = values_of(table, kinds)
    holes = _holes(used, x)
    _check_missing(table, used, holes, settings)
    if found[0].classes:
        y, target, notes = _classes(table, found[0], settings)
        without = y < 0
    else:
        y, target, notes = targets_of(table, names), found[0], []
        without = y.isnan().any(1)
    if n := int((y == MISSING).sum() if target.classes else without.sum()):
        notes.append(f"{pluralize(n, 'row')} without {' or '.join(map(short, names))} left out")
    if settings.missing == "drop":
        left = holes.any(1) & ~without
        if n := int(left.sum()):
            notes.append(f"{pluralize(n, 'row')} with missing values left out")
        without = without | left
    kept = (~without).nonzero().squeeze(1)
    if len(kept) < _FEWEST:
        raise ConfigError(
            f"{table.where}: has {pluralize(len(kept), 'row')} to learn from; at least {_FEWEST} are needed, for "
            "train, val and test."
        )
    _check_target(table, names, y, kept, settings, bool(target.classes))
    rows = _split(table, kept, y, settings, bool(target.classes), test is not None)
    columns = [_fit(kind, x[:, at], rows[0], settings.scale) for at, kind in enumerate(used)]
    if target.classes:
        outputs = [Target(names[0], merged=_merged(found[0], target))]
    else:
        outputs = [Target.fit(name, y[rows[0], at], settings.target_transform) for at, name in enumerate(names)]
    fitted = Preprocessing(tuple(columns), outputs[0], tuple(outputs[1:]))
    task = Task("classification", target.classes) if target.classes else Task("regression", n_values=len(names))
    notes = [*table.notes, *_on_columns(kinds, beside), *notes, *(note for part in found for note in part.notes)]
    if not target.classes:
        notes.append(_on_values(outputs))
    if test is None:
        return Learned(x, y, task, fitted, rows, tuple(notes))
    x_test, y_test = labelled_rows(test, fitted, task)
    if target.classes:
        check_classes(test, names[0], y_test, target.classes)
    has = y_test >= 0 if target.classes else ~y_test.isnan().any(1)
    tested = len(x) + has.nonzero().squeeze(1)
    if not len(tested):
        raise ConfigError(f"{test.where}: no row has a value of {', '.join(names)}.")
    return Learned(
        torch.cat([x, x_test]), torch.cat([y, y_test]), task, fitted, (rows[0], rows[1], tested), tuple(notes)
    )


def _target_names(table: RawTable, settings: TableSettings) -> tuple[str, ...]:
    names = settings.target or table.names[-1:]
    lines = [table.no_column(name, f"dataset.target={short(name)}") for name in names if name not in table.names]
    if lines:
        raise ConfigError(*lines)
    if len(set(names)) < len(names):
        raise ConfigError(f"dataset.target=[{','.join(names)}]: names a column twice.")
    if len(table.names) == len(names):
        raise ConfigError(f"{table.where}: has no column besides {', '.join(map(short, names))}; inputs are needed.")
    return tuple(names)


def _check_several(found: Sequence[Found]) -> None:
    classes = [part.name for part in found if part.classes]
    if len(found) > 1 and classes:
        raise ConfigError(
            f"dataset.target: {short(classes[0])} holds classes; several columns can be predicted together where all "
            "hold values (dataset.task=regression takes whole numbers for values)."
        )


def _holes(kinds: Sequence[Kind], x: Tensor) -> Tensor:
    """Which raw values [N, R] are missing."""
    import torch

    of_category = torch.tensor([isinstance(kind, Categories) for kind in kinds])
    return x.isnan() | ((x == MISSING) & of_category)


def _check_missing(table: RawTable, kinds: Sequence[Kind], holes: Tensor, settings: TableSettings) -> None:
    if settings.missing != "refuse":
        return
    lines = []
    for at, kind in enumerate(kinds):
        if n := int(holes[:, at].sum()):
            place = table.place(int(holes[:, at].nonzero()[0]))
            lines.append(
                f"{table.where}: column '{short(kind.name)}' has {pluralize(n, 'missing value')}, first in {place}; "
                "dataset.missing=impute or dataset.missing=drop takes such rows."
            )
    if lines:
        raise ConfigError(*lines)


def _classes(table: RawTable, found: Found, settings: TableSettings) -> tuple[Tensor, Found, list[str]]:
    """The class of each row, MISSING or UNKNOWN where it is left out; classes with few rows are dealt with as said."""
    import torch

    labels = torch.tensor(labels_of(table.column(found.name, table.where), found))
    counts = labels[labels >= 0].bincount(minlength=len(found.classes)).tolist()
    key = f"dataset.target={short(found.name)}"
    if len(found.classes) == 1:
        raise ConfigError(f"{key}: has the one class '{short(found.classes[0])}'; at least two are needed.")
    rare = [at for at, n in enumerate(counts) if n < _FEWEST]
    split_here = settings.group is None and settings.time is None and settings.split is None
    if not rare or not split_here:
        return labels, found, []
    listed = ", ".join(f"'{short(found.classes[at])}' ({counts[at]})" for at in rare[:_MOST_NAMED])
    listed += ", …" if len(rare) > _MOST_NAMED else ""
    what = f"{pluralize(len(rare), 'class')} with fewer than {_FEWEST} rows: {listed}"
    rest = [name for at, name in enumerate(found.classes) if at not in rare]
    together = sum(counts[at] for at in rare)
    if settings.rare == "refuse":
        numbers = "" if any(not _is_number(name) for name in found.classes) else ", or dataset.task=regression"
        raise ConfigError(
            f"{key}: has {what}; at least {_FEWEST} are needed, for train, val and test. dataset.rare=drop leaves them "
            f"out, dataset.rare=merge makes one class of them{numbers}."
        )
    if len(rest) < (2 if settings.rare == "drop" else 1):
        raise ConfigError(f"dataset.rare={settings.rare}: {found.name} has {what}; too few other classes are left.")
    if settings.rare == "merge" and (together < _FEWEST or OTHER in rest):
        why = f"'{OTHER}' is a class already" if OTHER in rest else f"together they have {pluralize(together, 'row')}"
        raise ConfigError(f"dataset.rare=merge: {found.name} has {what}; {why}. dataset.rare=drop leaves them out.")
    new = torch.full((len(found.classes),), UNKNOWN if settings.rare == "drop" else len(rest))
    for at, name in enumerate(rest):
        new[found.classes.index(name)] = at
    labels = torch.where(labels >= 0, new[labels.clamp(min=0)], labels)
    classes = tuple(rest) if settings.rare == "drop" else (*rest, OTHER)
    done = "are left out" if settings.rare == "drop" else f"are the class '{OTHER}'"
    return labels, Found(found.name, classes, found.n_missing), [f"{what} {done}"]


def _merged(before: Found, after: Found) -> tuple[str, ...]:
    if OTHER not in after.classes or OTHER in before.classes:
        return ()
    return tuple(name for name in before.classes if name not in after.classes)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_target(
    table: RawTable, names: Sequence[str], y: Tensor, kept: Tensor, settings: TableSettings, classes: bool
) -> None:
    if classes:
        if settings.target_transform != "none":
            raise ConfigError(
                f"dataset.target_transform={settings.target_transform}: is for values; {names[0]} has classes."
            )
        return
    least = {"log": 0.0, "log1p": -1.0}.get(settings.target_transform)
    for at, name in enumerate(names):
        values = y[kept, at]
        if bool((values == values[0]).all()):
            raise ConfigError(f"dataset.target={short(name)}: is {values[0].item():g} in every row: nothing to learn.")
        if least is not None and bool((low := values <= least).any()):
            row = int(kept[low.nonzero()[0]])
            raise ConfigError(
                f"dataset.target_transform={settings.target_transform}: needs values greater than {least:g}; "
                f"{table.place(row)} has {short(name)} = {y[row, at].item():g}."
            )


def _split(
    table: RawTable, kept: Tensor, y: Tensor, settings: TableSettings, classes: bool, tested: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of train, val and test; of train and val alone where the test rows lie elsewhere."""
    import torch

    labels = y[kept] if classes else None
    val, test = settings.val_fraction, settings.test_fraction
    if tested:
        train, middle = in_two(kept, labels, val, settings.seed, "dataset.test_path")
        rows = (train, middle, kept[:0])
    elif settings.group is not None or settings.time is not None or settings.split is not None:
        given = kept.numpy()
        if settings.group is not None:
            found = by_group(table, settings.group, given, val, test, settings.seed)
        elif settings.time is not None:
            found = by_time(table, settings.time, given, val, test)
        else:
            assert settings.split is not None
            found = by_column(table, settings.split, given)
        rows = tuple(map(torch.from_numpy, found))  # type: ignore[assignment]
        if not len(rows[1]):
            train, middle = in_two(rows[0], y[rows[0]] if classes else None, val, settings.seed, "dataset.split")
            rows = (train, middle, rows[2])
    else:
        train, middle, last = deal_at_random(len(kept), val, test, settings.generator(), labels)
        rows = (kept[train], kept[middle], kept[last])
    if classes:
        missing = set(y[kept].unique().tolist()) - set(y[rows[0]].unique().tolist())
        if missing:
            raise ConfigError(
                f"{table.where}: {pluralize(len(missing), 'class')} of the target "
                f"{'is' if len(missing) == 1 else 'are'} in no training row; split the rows in another way."
            )
    return rows


def _fit(kind: Kind, values: Tensor, train: Tensor, scale: Scale) -> Column:
    """A column with its raw values [N], fitted to its training rows."""
    if isinstance(kind, Categories):
        return Category.fit(kind.name, kind.values, values[train], missing=bool((values == MISSING).any()))
    missing = bool(values.isnan().any())
    if isinstance(kind, Dates):
        return Date.fit(kind.name, kind.order, values[train], missing=missing)
    return Number.fit(kind.name, values[train], scale, missing=missing)


def _on_columns(kinds: Sequence[Kind], beside: Sequence[str]) -> list[str]:
    """What is to be known of the columns: which ones are categories and dates, and which are left out, and why."""
    notes = []
    for word, plural in (("category", "categories"), ("date", "dates")):
        names = [short(kind.name) for kind in kinds if kind.word == word]
        if names:
            notes.append(f"{plural}: {_listed(names)}")
    if beside:
        notes.append(f"splits the rows and is no input: {_listed([short(name) for name in beside])}")
    left = [
        f"{short(kind.name)} ({kind.reason})" for kind in kinds if isinstance(kind, Ignored) and kind.name not in beside
    ]
    if left:
        notes.append(f"left out: {_listed(left)}")
    missing = [
        f"{short(kind.name)} {kind.n_missing:,}" for kind in kinds if kind.n_missing and not isinstance(kind, Ignored)
    ]
    if missing:
        notes.append(f"missing values: {_listed(missing)}")
    return notes


def _on_values(outputs: Sequence[Target]) -> str:
    parts = []
    for target in outputs:
        name = {"none": "{}", "log": "ln {}", "log1p": "ln(1 + {})"}[target.transform].format(short(target.name))
        parts.append(
            f"{name} is standardised with {target.mean:.4g} ± {target.deviation:.4g}; the loss is in these units"
            f"{', and R² is that of ' + name if target.transform != 'none' else ''}"
        )
    return "; ".join(parts)


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return ", ".join(texts[:_MOST_NAMED]) + more
