"""Findings on the target, and on its relation to the other columns."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from mlpexp.data.oddity import Oddity
from mlpexp.data.tables.kinds import Dates, Numbers
from mlpexp.data.tables.oddity import ENOUGH_ROWS, Rows, have, listed, near_one, of_all, percent
from mlpexp.data.tables.raw import short
from mlpexp.data.tables.relations import best_accuracy, best_r2, count_repeated, count_told, most_told, rank_correlation
from mlpexp.errors import pluralize

# One column that leaves at most so many of the errors of a constant answer is taken to be the target in other words. Of
# iris, where one column is as good as columns get, it leaves 0.06.
_GIVEN_AWAY = 0.01
# As for classes, in ranks: of n rows, neighbours at most have changed places.
_SAME_ORDER = 0.999
# Below it, equal rows with different targets are what keeps a network from a perfect score.
_REACHABLE = 0.999
# Classes as unequal are learned late, and accuracy says little of them.
_LOPSIDED, _LARGEST_SHARE = 10, 0.8
# Fewer rows are not enough for train, val and test.
_LEAST_OF_CLASS = 3
# The largest value of a positive target, in smallest ones: three decades.
_WIDE = 1000


def of_target(rows: Rows) -> Iterator[Oddity]:
    """What is odd in the target; without any row, nothing is."""
    if not rows.n:
        return
    yield from _giveaways(rows)
    yield from _of_classes(rows) if rows.target.classes else _of_values(rows)
    yield from _equal_rows(rows)
    yield from _too_few_rows(rows)


def _giveaways(rows: Rows) -> Iterator[Oddity]:
    name = short(rows.target.name)
    if rows.n < ENOUGH_ROWS:
        return
    # Classes of two rows and less are told by nearly any column.
    counts = rows.answers.unique_counts().to_numpy()
    wrong = rows.n - int(counts.max())
    for place, kind in enumerate(rows.kinds):
        column, said = rows.inputs[str(place)], ""
        if rows.target.classes:
            least = rows.n - _GIVEN_AWAY * wrong
            missing = column.null_count()
            sizes = np.append(rows.counts[place], missing) if missing else rows.counts[place]
            # What takes long is left out for columns of which too few values have enough rows.
            if not wrong or 2 * len(counts) >= rows.n or most_told(sizes, len(counts)) < least:
                continue
            if (told := count_told(column, rows.answers)) >= least:
                said = f"tells the class in {of_all(told, rows)}"
        elif isinstance(kind, Numbers | Dates):
            rho = rank_correlation(column, rows.answers)
            if abs(rho) > _SAME_ORDER:
                order = "the same order as" if rho > 0 else "the opposite order of"
                said = f"has {order} {name} (rank correlation {near_one(rho)})"
        if said:
            evidence = f"{short(kind.name)} alone {said}; leave it out if it is known only once {name} is"
            yield Oddity("gives_target_away", (kind.name,), evidence, rows.ignoring(place))


def _of_classes(rows: Rows) -> Iterator[Oddity]:
    name, classes = rows.target.name, rows.target.classes
    counts = np.bincount(rows.answers.to_numpy(), minlength=len(classes))
    if len(classes) == 1:
        yield Oddity("constant_target", (name,), f"{short(name)} is {short(classes[0])} in every row")
        return
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    if counts[largest] >= _LOPSIDED * counts[smallest] or counts[largest] >= _LARGEST_SHARE * rows.n:
        most, least = (f"{short(classes[k])} ({percent(counts[k] / rows.n)})" for k in (largest, smallest))
        evidence = (
            f"the largest class of {short(name)} is {most}, the smallest {least}; a constant answer has "
            f"the accuracy {counts[largest] / rows.n:.4f}"
        )
        yield Oddity("imbalance", (name,), evidence)
    rare = [f"{short(label)} ({n})" for label, n in zip(classes, counts, strict=True) if n < _LEAST_OF_CLASS]
    if rare:
        evidence = (
            f"{'a class' if len(rare) == 1 else f'{len(rare)} classes'} of {short(name)} {have(len(rare))} fewer than "
            f"{_LEAST_OF_CLASS} rows, too few for train, val and test: {listed(rare)}"
        )
        remedies = ["dataset.rare=merge", "dataset.rare=drop"]
        if all(map(_is_number, classes)):
            # Numbers of which most stand in one or two rows are values.
            remedies.insert(0 if 2 * len(rare) > len(classes) else 2, "dataset.task=regression")
        yield Oddity("rare_classes", (name,), evidence, remedies[0], tuple(remedies[1:]))


def _of_values(rows: Rows) -> Iterator[Oddity]:
    name, low, high = rows.target.name, float(rows.answers.min()), float(rows.answers.max())  # type: ignore[arg-type]
    if low == high:
        yield Oddity("constant_target", (name,), f"{short(name)} is {low:.6g} in every row")
    elif low > 0 and high > _WIDE * low:
        decades = f"{np.log10(high) - np.log10(low):.1f} decades"
        evidence = (
            f"{short(name)} goes from {low:.6g} to {high:.6g}, over {decades}; errors of the greatest count alone"
        )
        yield Oddity("wide_target", (name,), evidence, "dataset.target_transform=log")


def _equal_rows(rows: Rows) -> Iterator[Oddity]:
    if not rows.kinds:
        return
    repeated = count_repeated(rows.inputs.with_columns(answer=rows.answers))
    if repeated:
        evidence = f"{of_all(repeated, rows)} {'repeats' if repeated == 1 else 'repeat'} an earlier row"
        ignored = "in the target and all columns that are learned from; train and test may share them"
        yield Oddity("duplicate_rows", (), f"{evidence} {ignored}")
    best, score = (best_accuracy, "accuracy") if rows.target.classes else (best_r2, "R²")
    reached, n = best(rows.inputs, rows.answers)
    if reached < _REACHABLE:
        evidence = f"{of_all(n, rows)} have equal inputs and different targets; no {score} can exceed {reached:.4f}"
        yield Oddity("contradictions", (rows.target.name,), evidence)


def _too_few_rows(rows: Rows) -> Iterator[Oddity]:
    if len(rows.kinds) > rows.n:
        evidence = f"{len(rows.kinds):,} columns to learn from and {pluralize(rows.n, 'row')}; they can be memorised"
        yield Oddity("more_columns_than_rows", (), evidence, "regularizer=l2")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d+)?", text) is not None
