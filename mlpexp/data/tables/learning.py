"""From a table to the data of a training: columns, targets, and the split of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlpexp.data.columns import MISSING, Category, Column, Date, Number, Scale, constant
from mlpexp.data.identity import DataIssue
from mlpexp.data.preprocessing import BOUNDS, Preprocessing, Target
from mlpexp.data.tables.cells import is_missing
from mlpexp.data.tables.finding import find_kinds
from mlpexp.data.tables.issues import find_issues
from mlpexp.data.tables.kinds import Categories, Dates, Ignored, Kind
from mlpexp.data.tables.matrix import check_classes, classes_of, holes_of, require, targets_of, values_of
from mlpexp.data.tables.notes import on_columns, on_values
from mlpexp.data.tables.rare import FEWEST, classes_left, merged
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.settings import TableSettings
from mlpexp.data.tables.splitting import by_column, by_group, by_time, in_two
from mlpexp.data.tables.targets import FEWEST as _FEWEST
from mlpexp.data.tables.targets import Target as Found
from mlpexp.data.tables.targets import find_target
from mlpexp.data.tables.weights import check_column, weights_of
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError, pluralize

if TYPE_CHECKING:
    from torch import Tensor

# At most this many columns are named in a note.
_MOST_NAMED = 8
# The search of 500,000 rows takes 2 s and five times the memory of the file.
_MOST_SEARCHED = 100_000


@dataclass(frozen=True)
class Learned:
    """Raw rows `x` [N, R], classes or values `y`, and their description: the same for all seeds."""

    table: RawTable
    """Only the column by which rows are split, if there is one."""
    x: Tensor
    y: Tensor
    task: Task
    kept: Tensor
    """The rows in use."""
    tested: Tensor | None
    """The test rows, if they are in a separate file; they follow the others in `x` and `y`."""
    weight: Tensor | None
    """[N]: the sample weights, greater than 0 for rows in use; None: all rows have the same weight."""
    kinds: tuple[Kind, ...]
    with_holes: tuple[bool, ...]
    """For each column, whether values are missing."""
    targets: tuple[str, ...]
    merged: tuple[str, ...]
    notes: tuple[str, ...]
    issues: tuple[DataIssue, ...]

    def dealt(self, settings: TableSettings) -> Dealt:
        """Splits the rows, and fits the preprocessing to those of train; ConfigError if the rows cannot be split."""
        rows = _split(self, settings)
        train = rows[0]
        columns = [
            _fit(kind, self.x[:, at], train, settings.scale, self.with_holes[at]) for at, kind in enumerate(self.kinds)
        ]
        if self.task.classes:
            return Dealt(rows, Preprocessing(tuple(columns), Target(self.targets[0], merged=self.merged)), self.notes)
        outputs = [
            Target.fit(name, self.y[train, at], settings.target_transform) for at, name in enumerate(self.targets)
        ]
        fitted = Preprocessing(tuple(columns), outputs[0], tuple(outputs[1:]))
        return Dealt(rows, fitted, (*self.notes, on_values(outputs)))


@dataclass(frozen=True)
class Dealt:
    """The rows of train, val and test, and the preprocessing fitted to those of train."""

    rows: tuple[Tensor, Tensor, Tensor]
    fitted: Preprocessing
    notes: tuple[str, ...]


def learn(table: RawTable, test: RawTable | None, settings: TableSettings) -> Learned:
    """Determines the inputs and the target of a table, and the rows in use.

    `test` has the test rows, where they lie in a file of their own. ConfigError with a line for each thing wrong.
    """
    import torch

    names = _target_names(table, settings)
    # A setting for rare classes implies that the target holds classes.
    fewest = _FEWEST if settings.rare == "refuse" else 1
    found = [
        find_target(table, table.column(name, f"dataset.target={short(name)}"), settings.task, fewest) for name in names
    ]
    _check_several(found)
    rules = [name for name in (settings.group, settings.time, settings.split) if name is not None]
    for key, name in (("group", settings.group), ("time", settings.time), ("split", settings.split)):
        if name is not None:
            table.column(name, f"dataset.{key}={short(name)}")
    # A column that splits the rows is an input only if `columns` lists it.
    beside = [name for name in rules if name not in settings.columns and name not in names]
    if settings.weight is not None:
        check_column(table, settings.weight, names, settings.columns)
    kinds = _kinds(table, settings, names, beside)
    used = _used(table, kinds, names)
    x = values_of(table, used)
    holes = holes_of(used, x)
    if settings.missing == "refuse":
        _check_missing(table, used, names, holes)
    if found[0].classes:
        y, target, notes = classes_left(table, found[0], settings)
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
    weight = None
    if settings.weight is not None:
        weight = weights_of(table, settings.weight, ~without)
        if n := int((weight[~without] == 0).sum()):
            notes.append(f"{pluralize(n, 'row')} of weight 0 left out")
        without = without | (weight == 0)
    kept = (~without).nonzero().squeeze(1)
    if len(kept) < FEWEST:
        raise ConfigError(
            f"{table.where}: has {pluralize(len(kept), 'row')} to learn from; at least {FEWEST} are needed, for "
            "train, val and test."
        )
    _check_target(table, names, y, kept, settings, bool(target.classes))
    with_holes = holes[kept].any(0)
    n_rows, tested = len(x), None
    if test is not None:
        x_test, y_test, tested = _of_test(test, used, names, found[0], target, settings)
        if weight is not None and settings.weight is not None:
            is_tested = torch.isin(torch.arange(len(x_test)), tested)
            require(test, [settings.weight])
            of_test = weights_of(test, settings.weight, is_tested)
            tested, weight = tested[of_test[tested] > 0], torch.cat([weight, of_test])
        if n := len(x_test) - len(tested):
            notes.append(f"{pluralize(n, 'row')} of {settings.test_path} left out likewise")
        with_holes |= holes_of(used, x_test[tested]).any(0)
        x, y, tested = torch.cat([x, x_test]), torch.cat([y, y_test]), n_rows + tested
    task = Task("classification", target.classes) if target.classes else Task("regression", n_values=len(names))
    notes = [*table.notes, *on_columns(kinds, beside), *notes, *(note for part in found for note in part.notes)]
    issues: tuple[DataIssue, ...] = ()
    if table.n_rows > _MOST_SEARCHED:
        notes.append(f"not searched for issues (more than {_MOST_SEARCHED:,} rows); mlpexp look searches all rows")
    elif len(names) == 1:
        issues = tuple(find_issues(table, kinds, found[0]))
    of_rules = tuple(column for column in table.columns if column.name in rules)
    return Learned(
        table=RawTable(table.where, of_rules, places=table.places),
        x=x,
        y=y,
        task=task,
        kept=kept,
        tested=tested,
        weight=weight,
        kinds=tuple(used),
        with_holes=tuple(with_holes.tolist()),
        targets=names,
        merged=merged(found[0], target) if target.classes else (),
        notes=tuple(notes),
        issues=issues,
    )


def fitted_columns(table: RawTable, settings: TableSettings, train: Tensor) -> tuple[list[Column], Tensor]:
    """The columns of a table without a target, fitted to its `train` rows, and their raw values [N, R].

    Rows with missing values are kept.
    """
    used = _used(table, _kinds(table, settings, (), ()), ())
    x = values_of(table, used)
    with_holes = holes_of(used, x).any(0)
    return [_fit(kind, x[:, at], train, settings.scale, bool(with_holes[at])) for at, kind in enumerate(used)], x


def _of_test(
    test: RawTable, kinds: Sequence[Kind], names: Sequence[str], found: Found, target: Found, settings: TableSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Raw values and targets of a file of test rows, and which of its rows are tested.

    `found` is the target with all of its classes, `target` with those that are left.
    """
    require(test, [*(kind.name for kind in kinds), *names])
    x = values_of(test, kinds)
    holes = holes_of(kinds, x)
    if settings.missing == "refuse":
        _check_missing(test, kinds, names, holes)
    if target.classes:
        known = Target(names[0], merged=merged(found, target))
        y = classes_of(test, known, target.classes)
        check_classes(test, names[0], classes_of(test, Target(names[0]), found.classes), found.classes)
        without = y < 0
    else:
        y = targets_of(test, names)
        without = y.isnan().any(1)
    if bool(without.all()):
        raise ConfigError(f"{test.where}: no row has a value of {', '.join(map(short, names))}.")
    if settings.missing == "drop":
        without = without | holes.any(1)
    rows = (~without).nonzero().squeeze(1)
    if not len(rows):
        raise ConfigError(f"{test.where}: all rows have missing values, and dataset.missing=drop leaves them out.")
    _check_transform(test, names, y, rows, settings)
    return x, y, rows


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


def _used(table: RawTable, kinds: Sequence[Kind], targets: Sequence[str]) -> list[Kind]:
    """Those that a network learns from; ConfigError where there are none."""
    used = [kind for kind in kinds if not isinstance(kind, Ignored)]
    if not used:
        reasons = "; ".join(f"{short(kind.name)}: {kind.reason}" for kind in kinds[:_MOST_NAMED])
        besides = f" besides {', '.join(map(short, targets))}" if targets else ""
        raise ConfigError(f"{table.where}: has no column to learn from{besides} ({reasons}).")
    return used


def _kinds(table: RawTable, settings: TableSettings, targets: Sequence[str], beside: Sequence[str]) -> tuple[Kind, ...]:
    """What each column but the targets is; those that split the rows are no inputs."""
    said = [(name, f"columns.{short(name)}={short(word)}") for name, word in settings.columns.items()]
    said += [(name, f"ignore={short(name)}") for name in settings.ignore]
    lines = [
        f"dataset.{given}: {short(name)} is the target; dataset.task says what it holds, dataset.target=NAME names "
        "another one."
        for name, given in said
        if name in targets
    ]
    if lines:
        raise ConfigError(*lines)
    reasons = dict.fromkeys(beside, "splits the rows")
    if settings.weight is not None:
        reasons.setdefault(settings.weight, "weights the rows")
    kinds = find_kinds(table, settings.columns, (*settings.ignore, *reasons), targets)
    return tuple(Ignored(kind.name, reasons[kind.name]) if kind.name in reasons else kind for kind in kinds)


def _check_several(found: Sequence[Found]) -> None:
    classes = [part.name for part in found if part.classes]
    if len(found) > 1 and classes:
        raise ConfigError(
            f"dataset.target: {short(classes[0])} holds classes; several columns can be predicted together where all "
            "hold values (dataset.task=regression takes whole numbers for values)."
        )


def _check_missing(table: RawTable, kinds: Sequence[Kind], targets: Sequence[str], holes: Tensor) -> None:
    """ConfigError with a line for each column of which values [N, R] are missing, and each target."""
    import torch

    missing = [torch.from_numpy(is_missing(table.column(name, "").cells).to_numpy()) for name in targets]
    names = [*(kind.name for kind in kinds), *targets]
    lines = []
    for name, column in zip(names, [*holes.T, *missing], strict=True):
        if n := int(column.sum()):
            lines.append(
                f"{table.where}: {table.place(int(column.nonzero()[0]))}, column '{short(name)}': the value is missing "
                f"({pluralize(n, 'such cell')}); dataset.missing=impute or dataset.missing=drop takes such rows."
            )
    if lines:
        raise ConfigError(*lines)


def _check_target(
    table: RawTable, names: Sequence[str], y: Tensor, kept: Tensor, settings: TableSettings, classes: bool
) -> None:
    if classes:
        if settings.target_transform != "none":
            raise ConfigError(
                f"dataset.target_transform={settings.target_transform}: is for values; {names[0]} has classes."
            )
        return
    for at, name in enumerate(names):
        if constant(y[kept, at]):
            raise ConfigError(f"dataset.target={short(name)}: is {y[kept[0], at]:g} in every row: nothing to learn.")
    _check_transform(table, names, y, kept, settings)


def _check_transform(table: RawTable, names: Sequence[str], y: Tensor, rows: Tensor, settings: TableSettings) -> None:
    """ConfigError for the first of the rows' values that has no logarithm."""
    if settings.target_transform == "none":
        return
    least = BOUNDS[settings.target_transform]
    for at, name in enumerate(names):
        low = rows[y[rows, at] <= least]
        if len(low):
            raise ConfigError(
                f"dataset.target_transform={settings.target_transform}: needs values greater than {least:g}; in "
                f"{table.where} {table.place(int(low[0]))} has {short(name)} = {y[low[0], at]:g}."
            )


def _split(learned: Learned, settings: TableSettings) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of train, val and test."""
    import torch

    table, kept, y, names = learned.table, learned.kept, learned.y, learned.targets
    classes = bool(learned.task.classes)
    labels = y[kept] if classes else None
    val = settings.val_fraction
    if learned.tested is not None:
        train, middle = in_two(kept, labels, val, settings.seed, f"dataset.test_path={settings.test_path}")
        rows = (train, middle, learned.tested)
    elif settings.group is not None or settings.time is not None or settings.split is not None:
        given = kept.numpy()
        if settings.group is not None:
            found = by_group(table, settings.group, given, settings)
        elif settings.time is not None:
            word = settings.columns.get(settings.time, "date")
            found = by_time(table, settings.time, given, settings, word)
        else:
            assert settings.split is not None
            found = by_column(table, settings.split, given)
        rows = tuple(map(torch.from_numpy, found))  # type: ignore[assignment]
        if not len(rows[1]):
            train, middle = in_two(
                rows[0], y[rows[0]] if classes else None, val, settings.seed, f"dataset.split={settings.split}"
            )
            rows = (train, middle, rows[2])
    else:
        train, middle, last = settings.deal_whole(len(kept), labels)
        rows = (kept[train], kept[middle], kept[last])
    rows = (settings.part_of(rows[0], y if classes else None), *rows[1:])
    if classes:
        missing = set(y[kept].unique().tolist()) - set(y[rows[0]].unique().tolist())
        if missing:
            raise ConfigError(
                f"{table.where}: {pluralize(len(missing), 'class')} of the target "
                f"{'is' if len(missing) == 1 else 'are'} in no training row; split the rows in another way."
            )
        return rows
    for at, name in enumerate(names):
        if constant(values := y[rows[0], at]):
            raise ConfigError(
                f"dataset.target={short(name)}: is {values[0]:g} in every training row: nothing to learn; split the "
                "rows in another way."
            )
    return rows


def _fit(kind: Kind, values: Tensor, train: Tensor, scale: Scale, missing: bool) -> Column:
    """A column with its raw values [N], fitted to its training rows; `missing`: rows of some split have no value."""
    if isinstance(kind, Categories):
        return Category.fit(kind.name, kind.values, values[train], missing=missing)
    if isinstance(kind, Dates):
        return Date.fit(kind.name, kind.order, values[train], missing=missing)
    return Number.fit(kind.name, values[train], scale, missing=missing)
