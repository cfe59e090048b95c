"""From a table to raw inputs and targets: the kind of each column, the target, and the rows in use.

N rows, R raw columns, T targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlpexp.data.columns import MISSING, Column, constant
from mlpexp.data.identity import DataIssue
from mlpexp.data.preprocessing import BOUNDS, Target
from mlpexp.data.tables.cells import is_missing
from mlpexp.data.tables.finding import find_kinds
from mlpexp.data.tables.issues import find_issues
from mlpexp.data.tables.kinds import Ignored, Kind
from mlpexp.data.tables.matrix import check_classes, classes_of, missing_mask, require, targets_of, values_of
from mlpexp.data.tables.notes import column_notes
from mlpexp.data.tables.prepared_table import PreparedTable, fit_column
from mlpexp.data.tables.rare import FEWEST, merged_classes, without_rare_classes
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.settings import TableSettings
from mlpexp.data.tables.targets import FEWEST as _FEWEST
from mlpexp.data.tables.targets import TargetColumn, find_target
from mlpexp.data.tables.weights import check_column, weights_of
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError, pluralize

if TYPE_CHECKING:
    from torch import Tensor

# At most this many columns are named in a note.
_MOST_NAMED = 8
# The search of 500,000 rows takes 2 s and five times the memory of the file.
_MOST_SEARCHED = 100_000


def prepare_table(table: RawTable, test: RawTable | None, settings: TableSettings) -> PreparedTable:
    """Determines the inputs and the target of a table, and the rows in use.

    `test` has the test rows, if they are in a separate file. ConfigError with a line for each mistake.
    """
    import torch

    names = _target_names(table, settings)
    # With a setting for rare classes, a target with rare values may hold classes too.
    fewest = _FEWEST if settings.rare == "refuse" else 1
    found = [
        find_target(table, table.column(name, f"dataset.target={short(name)}"), settings.task, fewest) for name in names
    ]
    _check_several(found)
    splitters = [name for name in (settings.group, settings.time, settings.split) if name is not None]
    for key, name in (("group", settings.group), ("time", settings.time), ("split", settings.split)):
        if name is not None:
            table.column(name, f"dataset.{key}={short(name)}")
    # A column that splits the rows is an input only if `columns` lists it.
    no_inputs = [name for name in splitters if name not in settings.columns and name not in names]
    if settings.weight is not None:
        check_column(table, settings.weight, names, settings.columns)
    kinds = _kinds(table, settings, names, no_inputs)
    inputs = _inputs(table, kinds, names)
    x = values_of(table, inputs)
    missing = missing_mask(inputs, x)
    if settings.missing == "refuse":
        _check_missing(table, inputs, names, missing)
    if found[0].classes:
        y, target, notes = without_rare_classes(table, found[0], settings)
        excluded = y < 0
    else:
        y, target, notes = targets_of(table, names), found[0], []
        excluded = y.isnan().any(1)
    if n := int((y == MISSING).sum() if target.classes else excluded.sum()):
        notes.append(f"{pluralize(n, 'row')} without {' or '.join(map(short, names))} left out")
    if settings.missing == "drop":
        left = missing.any(1) & ~excluded
        if n := int(left.sum()):
            notes.append(f"{pluralize(n, 'row')} with missing values left out")
        excluded = excluded | left
    weight = None
    if settings.weight is not None:
        weight = weights_of(table, settings.weight, ~excluded)
        if n := int((weight[~excluded] == 0).sum()):
            notes.append(f"{pluralize(n, 'row')} of weight 0 left out")
        excluded = excluded | (weight == 0)
    used = (~excluded).nonzero().squeeze(1)
    if len(used) < FEWEST:
        raise ConfigError(
            f"{table.where}: has {pluralize(len(used), 'row')} to use; at least {FEWEST} are needed, for train, "
            "val and test."
        )
    _check_target(table, names, y, used, settings, bool(target.classes))
    has_missing = missing[used].any(0)
    n_rows, test_rows = len(x), None
    if test is not None:
        x_test, y_test, test_rows = _of_test(test, inputs, names, found[0], target, settings)
        if weight is not None and settings.weight is not None:
            in_test = torch.isin(torch.arange(len(x_test)), test_rows)
            require(test, [settings.weight])
            test_weight = weights_of(test, settings.weight, in_test)
            test_rows, weight = test_rows[test_weight[test_rows] > 0], torch.cat([weight, test_weight])
        if n := len(x_test) - len(test_rows):
            notes.append(f"{pluralize(n, 'row')} of {settings.test_path} left out for the same reasons")
        has_missing |= missing_mask(inputs, x_test[test_rows]).any(0)
        x, y, test_rows = torch.cat([x, x_test]), torch.cat([y, y_test]), n_rows + test_rows
    task = Task("classification", target.classes) if target.classes else Task("regression", n_values=len(names))
    notes = [*table.notes, *column_notes(kinds, no_inputs), *notes, *(note for part in found for note in part.notes)]
    issues: tuple[DataIssue, ...] = ()
    if table.n_rows > _MOST_SEARCHED:
        notes.append(f"not searched for issues (more than {_MOST_SEARCHED:,} rows); mlpexp look searches all rows")
    elif len(names) == 1:
        issues = tuple(find_issues(table, kinds, found[0]))
    splitting = tuple(column for column in table.columns if column.name in splitters)
    return PreparedTable(
        table=RawTable(table.where, splitting, places=table.places),
        x=x,
        y=y,
        task=task,
        used=used,
        test=test_rows,
        weight=weight,
        kinds=tuple(inputs),
        has_missing=tuple(has_missing.tolist()),
        targets=names,
        merged=merged_classes(found[0], target) if target.classes else (),
        notes=tuple(notes),
        issues=issues,
    )


def fitted_columns(table: RawTable, settings: TableSettings, train: Tensor) -> tuple[list[Column], Tensor]:
    """The columns of a table without a target, fitted to its `train` rows, and their raw values [N, R].

    Rows with missing values are kept.
    """
    inputs = _inputs(table, _kinds(table, settings, (), ()), ())
    x = values_of(table, inputs)
    has_missing = missing_mask(inputs, x).any(0).tolist()
    fitted = [
        fit_column(kind, x[:, at], train, settings.scale, missing)
        for at, (kind, missing) in enumerate(zip(inputs, has_missing, strict=True))
    ]
    return fitted, x


def _of_test(
    test: RawTable,
    kinds: Sequence[Kind],
    names: Sequence[str],
    found: TargetColumn,
    target: TargetColumn,
    settings: TableSettings,
) -> tuple[Tensor, Tensor, Tensor]:
    """Raw values [N, R] and targets of a file of test rows, and the numbers of the rows to test.

    `found` is the target with all of its classes, `target` the one without rare classes. ConfigError if a class or
    column of the test file is not in the table, or no row can be tested.
    """
    require(test, [*(kind.name for kind in kinds), *names])
    x = values_of(test, kinds)
    missing = missing_mask(kinds, x)
    if settings.missing == "refuse":
        _check_missing(test, kinds, names, missing)
    if target.classes:
        known = Target(names[0], merged=merged_classes(found, target))
        y = classes_of(test, known, target.classes)
        check_classes(test, names[0], classes_of(test, Target(names[0]), found.classes), found.classes)
        excluded = y < 0
    else:
        y = targets_of(test, names)
        excluded = y.isnan().any(1)
    if bool(excluded.all()):
        raise ConfigError(f"{test.where}: no row has a value of {', '.join(map(short, names))}.")
    if settings.missing == "drop":
        excluded = excluded | missing.any(1)
    rows = (~excluded).nonzero().squeeze(1)
    if not len(rows):
        raise ConfigError(f"{test.where}: all rows have missing values, and dataset.missing=drop leaves them out.")
    _check_transform(test, names, y, rows, settings)
    return x, y, rows


def _target_names(table: RawTable, settings: TableSettings) -> tuple[str, ...]:
    """The target columns, by default the last column. ConfigError if one is missing, or no other column is left."""
    names = settings.target or table.names[-1:]
    lines = [table.no_column(name, f"dataset.target={short(name)}") for name in names if name not in table.names]
    if lines:
        raise ConfigError(*lines)
    if len(set(names)) < len(names):
        raise ConfigError(f"dataset.target=[{','.join(names)}]: names a column twice.")
    if len(table.names) == len(names):
        raise ConfigError(f"{table.where}: has no column besides {', '.join(map(short, names))}; inputs are needed.")
    return tuple(names)


def _inputs(table: RawTable, kinds: Sequence[Kind], targets: Sequence[str]) -> list[Kind]:
    """The input columns; ConfigError if there are none."""
    inputs = [kind for kind in kinds if not isinstance(kind, Ignored)]
    if not inputs:
        reasons = "; ".join(f"{short(kind.name)}: {kind.reason}" for kind in kinds[:_MOST_NAMED])
        besides = f" besides {', '.join(map(short, targets))}" if targets else ""
        raise ConfigError(f"{table.where}: has no input column{besides} ({reasons}).")
    return inputs


def _kinds(
    table: RawTable, settings: TableSettings, targets: Sequence[str], no_inputs: Sequence[str]
) -> tuple[Kind, ...]:
    """The kind of each column except the targets. Columns that only split or weight the rows are `Ignored`."""
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
    reasons = dict.fromkeys(no_inputs, "splits the rows")
    if settings.weight is not None:
        reasons.setdefault(settings.weight, "weights the rows")
    kinds = find_kinds(table, settings.columns, (*settings.ignore, *reasons), targets)
    return tuple(Ignored(kind.name, reasons[kind.name]) if kind.name in reasons else kind for kind in kinds)


def _check_several(found: Sequence[TargetColumn]) -> None:
    """ConfigError if there are several targets, and one of them holds classes."""
    classes = [part.name for part in found if part.classes]
    if len(found) > 1 and classes:
        raise ConfigError(
            f"dataset.target: {short(classes[0])} holds classes; several targets must all hold values "
            "(dataset.task=regression treats whole numbers as values)."
        )


def _check_missing(table: RawTable, kinds: Sequence[Kind], targets: Sequence[str], missing: Tensor) -> None:
    """ConfigError with a line for each input column and target with missing values; `missing` [N, R] marks inputs."""
    import torch

    of_targets = [torch.from_numpy(is_missing(table.column(name, "").cells).to_numpy()) for name in targets]
    names = [*(kind.name for kind in kinds), *targets]
    lines = []
    for name, column in zip(names, [*missing.T, *of_targets], strict=True):
        if n := int(column.sum()):
            lines.append(
                f"{table.where}: {table.place(int(column.nonzero()[0]))}, column '{short(name)}': the value is missing "
                f"({pluralize(n, 'such cell')}); dataset.missing=impute or dataset.missing=drop allows it."
            )
    if lines:
        raise ConfigError(*lines)


def _check_target(
    table: RawTable, names: Sequence[str], y: Tensor, rows: Tensor, settings: TableSettings, classes: bool
) -> None:
    """ConfigError if a target has one value in all rows, or values that its transform does not allow."""
    if classes:
        if settings.target_transform != "none":
            raise ConfigError(
                f"dataset.target_transform={settings.target_transform}: applies to values; {names[0]} holds classes."
            )
        return
    for at, name in enumerate(names):
        if constant(y[rows, at]):
            raise ConfigError(f"dataset.target={short(name)}: is {y[rows[0], at]:g} in every row: nothing to learn.")
    _check_transform(table, names, y, rows, settings)


def _check_transform(table: RawTable, names: Sequence[str], y: Tensor, rows: Tensor, settings: TableSettings) -> None:
    """ConfigError for the first value in `rows` that has no logarithm."""
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
