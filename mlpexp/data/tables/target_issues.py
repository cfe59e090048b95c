"""Issues of the target, and of its relation to the input columns."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from mlpexp.data.identity import DataIssue
from mlpexp.data.tables.issue_rows import ENOUGH_ROWS, Rows, are, have, listed, near_one, of_all, percent
from mlpexp.data.tables.kinds import Dates, Numbers
from mlpexp.data.tables.raw import short
from mlpexp.data.tables.relations import (
    best_accuracy,
    best_r2,
    count_determined,
    count_repeated,
    most_determined,
    rank_correlation,
)
from mlpexp.errors import pluralize

# A column is taken to reveal the class if it leaves at most this share of the errors of a constant answer. The best
# column of iris, whose classes are easy to predict, leaves 0.06.
_LEAKS = 0.01
# A column is taken to reveal the value if their rank correlation is higher: only neighbouring ranks are exchanged.
_SAME_ORDER = 0.999
# Below this score, equal inputs with different targets are the main reason why no network reaches a perfect score.
_REACHABLE = 0.999
# Ratio of the largest to the smallest class, and share of the largest class, from which classes are imbalanced: small
# classes are learned late, and accuracy says little about them.
_IMBALANCED, _LARGEST_SHARE = 10, 0.8
# A class needs this many rows for train, val and test.
_FEWEST = 3
# Ratio of the largest to the smallest value of a positive target: three decades.
_WIDE = 1000


def target_issues(rows: Rows) -> Iterator[DataIssue]:
    """The issues of the target; none if there are no rows."""
    if not rows.n:
        return
    yield from _leakage(rows)
    yield from _of_classes(rows) if rows.target.classes else _of_values(rows)
    yield from _equal_rows(rows)
    yield from _too_few_rows(rows)


def _leakage(rows: Rows) -> Iterator[DataIssue]:
    """Columns that alone determine the class, or the order of the values."""
    name = short(rows.target.name)
    if rows.n < ENOUGH_ROWS:
        return
    counts = rows.y.unique_counts().to_numpy()
    # The errors of the constant answer.
    wrong = rows.n - int(counts.max())
    for place, kind in enumerate(rows.kinds):
        column, said = rows.inputs[str(place)], ""
        if rows.target.classes:
            least = rows.n - _LEAKS * wrong
            missing = column.null_count()
            sizes = np.append(rows.counts[place], missing) if missing else rows.counts[place]
            # Classes of at most two rows each are determined by nearly any column. The upper bound is fast to compute
            # and excludes most columns.
            if not wrong or 2 * len(counts) >= rows.n or most_determined(sizes, len(counts)) < least:
                continue
            if (n := count_determined(column, rows.y)) >= least:
                said = f"determines the class in {of_all(n, rows)}"
        elif isinstance(kind, Numbers | Dates):
            rho = rank_correlation(column, rows.y)
            if abs(rho) > _SAME_ORDER:
                order = "the same order as" if rho > 0 else "the opposite order of"
                said = f"has {order} {name} (rank correlation {near_one(rho)})"
        if said:
            evidence = f"{short(kind.name)} alone {said}; leave it out if it is unknown when {name} is to be predicted"
            yield DataIssue("target_leakage", (kind.name,), evidence, rows.ignore_override(place))


def _of_classes(rows: Rows) -> Iterator[DataIssue]:
    name, classes = rows.target.name, rows.target.classes
    counts = np.bincount(rows.y.to_numpy(), minlength=len(classes))
    if len(classes) == 1:
        yield DataIssue("constant_target", (name,), f"{short(name)} is {short(classes[0])} in every row")
        return
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    if counts[largest] >= _IMBALANCED * counts[smallest] or counts[largest] >= _LARGEST_SHARE * rows.n:
        most, least = (f"{short(classes[k])} ({percent(counts[k] / rows.n)})" for k in (largest, smallest))
        evidence = (
            f"the largest class of {short(name)} is {most}, the smallest {least}; a constant answer has "
            f"the accuracy {counts[largest] / rows.n:.4f}"
        )
        yield DataIssue("class_imbalance", (name,), evidence)
    rare = [f"{short(label)} ({n})" for label, n in zip(classes, counts, strict=True) if n < _FEWEST]
    if rare:
        evidence = (
            f"{'a class' if len(rare) == 1 else f'{len(rare)} classes'} of {short(name)} {have(len(rare))} fewer than "
            f"{_FEWEST} rows, too few for train, val and test: {listed(rare)}"
        )
        remedies = ["dataset.rare=merge", "dataset.rare=drop"]
        if all(map(_is_number, classes)):
            # If most of the numbers have one or two rows, they are values rather than classes.
            remedies.insert(0 if 2 * len(rare) > len(classes) else 2, "dataset.task=regression")
        yield DataIssue("rare_classes", (name,), evidence, remedies[0], tuple(remedies[1:]))


def _of_values(rows: Rows) -> Iterator[DataIssue]:
    name, low, high = rows.target.name, float(rows.y.min()), float(rows.y.max())  # type: ignore[arg-type]
    if low == high:
        yield DataIssue("constant_target", (name,), f"{short(name)} is {low:.6g} in every row")
    elif low > 0 and high > _WIDE * low:
        decades = f"{np.log10(high) - np.log10(low):.1f} decades"
        evidence = (
            f"{short(name)} goes from {low:.6g} to {high:.6g}, over {decades}; the largest values dominate the loss"
        )
        yield DataIssue("wide_target_range", (name,), evidence, "dataset.target_transform=log")


def _equal_rows(rows: Rows) -> Iterator[DataIssue]:
    if not rows.kinds:
        return
    repeated = count_repeated(rows.inputs.with_columns(y=rows.y))
    if repeated:
        evidence = f"{of_all(repeated, rows)} {are(repeated)} equal to an earlier row in all inputs and the target"
        yield DataIssue("duplicate_rows", (), f"{evidence}; train and test may share such rows")
    best, score = (best_accuracy, "accuracy") if rows.target.classes else (best_r2, "R²")
    highest, n = best(rows.inputs, rows.y)
    if highest < _REACHABLE:
        evidence = f"{of_all(n, rows)} have equal inputs and different targets; {score} is at most {highest:.4f}"
        yield DataIssue("conflicting_targets", (rows.target.name,), evidence)


def _too_few_rows(rows: Rows) -> Iterator[DataIssue]:
    if len(rows.kinds) > rows.n:
        evidence = f"{len(rows.kinds):,} input columns and {pluralize(rows.n, 'row')}; a network can memorise the rows"
        yield DataIssue("more_columns_than_rows", (), evidence, "regularizer=l2")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d+)?", text) is not None
