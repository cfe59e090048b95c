"""Findings on a table before training: sentences with figures and, if there is one, a remedy.

Only rows whose target is known count, and only columns that are learned from, where nothing else is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from mlpexp.data.oddity import Oddity
from mlpexp.data.tables.kinds import MOST_VALUES, Categories, Dates, Ignored, Kind, Numbers
from mlpexp.data.tables.odd_targets import of_target
from mlpexp.data.tables.oddity import (
    ENOUGH_ROWS,
    Rows,
    are,
    lack,
    listed,
    named,
    near_one,
    of_all,
    percent,
    rows_of,
)
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.relations import centred, median, on_a_line, one_to_one
from mlpexp.data.tables.targets import Target
from mlpexp.errors import pluralize

# A value of so many of the rows leaves few of the others to each of train, val and test.
_NEARLY_CONSTANT = 0.99
# Above it, more of a column is filled in than was measured.
_MUCH_MISSING = 0.5
# Fewer rows with missing values can be dropped at little loss.
_SOME_MISSING = 0.05
# What is measured twice, in inches and centimetres with three digits, is above it; two measurements are not.
_ON_A_LINE = 0.9999
# In robust standard deviations. Of a normal distribution none is beyond 7 in a billion rows, of an exponential one 30.
_FAR = 50
# A standard deviation in medians of |x − median|, and in distances between the quartiles, of a normal distribution.
_MAD, _QUARTILES = 1.4826, 0.7413


def find_oddities(table: RawTable, kinds: Sequence[Kind], target: Target) -> list[Oddity]:
    """All that is odd, what concerns whole columns first. `kinds` and `target` are those found in the table."""
    rows = rows_of(table, kinds, target)
    return [
        *_ignored(kinds),
        *_missing(rows, table.n_rows),
        *_nearly_constant(rows),
        *_spellings(rows),
        *_tails(rows),
        *_redundant(rows),
        *of_target(rows),
    ]


def _ignored(kinds: Sequence[Kind]) -> Iterator[Oddity]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for kind in kinds:
        if isinstance(kind, Ignored) and kind.reason not in ("as said", "splits the rows", "weights the rows"):
            empty = kind.reason.startswith("all values are missing")
            constant = kind.reason.startswith("constant")
            reasons["empty" if empty else "constant" if constant else "id_like"].append(kind.name)
    said = {
        "empty": "ignored, since all values are missing",
        "constant": "ignored, since the value is the same in every row",
        "id_like": "ignored, since the values count or name the rows, which says nothing of other rows",
    }
    for symptom, names in reasons.items():
        yield Oddity(symptom, tuple(names), f"{named(names)}: {said[symptom]}")
    if all(isinstance(kind, Ignored) for kind in kinds):
        evidence = "every column but the target is ignored: nothing is left to learn from"
        yield Oddity("no_inputs", tuple(kind.name for kind in kinds), evidence)


def _missing(rows: Rows, n_rows: int) -> Iterator[Oddity]:
    import polars as pl

    name, n = rows.target.name, rows.target.n_missing
    if n:
        evidence = f"{pluralize(n, 'row')} of {n_rows:,} {lack(n)} the target {short(name)} and {are(n)} left out"
        yield Oddity("missing_targets", (name,), evidence)
    missing = [column.null_count() / max(1, rows.n) for column in rows.inputs.iter_columns()]
    much = [place for place, share in enumerate(missing) if share > _MUCH_MISSING]
    if much:
        names = [rows.kinds[place].name for place in much]
        shares = [f"{short(name)} ({percent(missing[place])})" for name, place in zip(names, much, strict=True)]
        evidence = f"most values are missing in {listed(shares)}"
        yield Oddity("much_missing", tuple(names), evidence, rows.ignoring(*much))
    if not rows.kinds:
        return
    some = int(rows.inputs.select(pl.any_horizontal(pl.all().is_null()).sum()).item())
    if some > _SOME_MISSING * rows.n:
        names = [kind.name for kind, share in zip(rows.kinds, missing, strict=True) if share]
        evidence = (
            f"{of_all(some, rows)} {lack(some)} a value; dataset.missing=drop would leave {rows.n - some:,} rows, "
            "and the default fills them in"
        )
        yield Oddity("rows_with_missing", tuple(names), evidence)


def _nearly_constant(rows: Rows) -> Iterator[Oddity]:
    least = _NEARLY_CONSTANT * rows.n
    found = [place for place, counts in enumerate(rows.counts) if len(counts) > 1 and counts.max() >= least]
    if found:
        names = tuple(rows.kinds[place].name for place in found)
        evidence = f"{named(names)}: one value in at least {percent(_NEARLY_CONSTANT)} of the rows"
        yield Oddity("nearly_constant", names, evidence, rows.ignoring(*found))


def _spellings(rows: Rows) -> Iterator[Oddity]:
    of_columns = [(kind.name, "categories", kind.values) for kind in rows.kinds if isinstance(kind, Categories)]
    for name, what, values in [(rows.target.name, "classes", rows.target.classes), *of_columns]:
        same: dict[str, list[str]] = defaultdict(list)
        for value in values[:MOST_VALUES]:
            same[" ".join(value.casefold().split())].append(f"'{short(value)}'")
        several = [", ".join(sorted(texts)) for texts in same.values() if len(texts) > 1]
        if several:
            evidence = f"{short(name)} has spellings that count as different {what}: {listed(several, '; ')}"
            yield Oddity("several_spellings", (name,), evidence)


def _tails(rows: Rows) -> Iterator[Oddity]:
    found = {}
    for place in rows.places(Numbers):
        x = rows.inputs[str(place)].drop_nulls().to_numpy()
        if not len(x):
            continue
        z = centred(x, np.median)
        distances = np.abs(z)
        deviation = _MAD * float(np.median(distances))
        if not deviation:
            # Where half of the values are equal; where three quarters are, nothing can be said of the others.
            deviation = _QUARTILES * float(np.subtract(*np.percentile(z, [75, 25])))
        far = int(distances.argmax())
        if deviation and distances[far] > _FAR * deviation:
            found[place] = f"{short(rows.kinds[place].name)} ({x[far]:.6g}, the median is {median(x):.6g})"
    if found:
        names = tuple(rows.kinds[place].name for place in found)
        evidence = f"values more than {_FAR} robust deviations from the median in {listed(list(found.values()))}"
        yield Oddity("heavy_tails", names, evidence, "dataset.scale=quantile", ("dataset.scale=robust",))


def _redundant(rows: Rows) -> Iterator[Oddity]:
    if rows.n < ENOUGH_ROWS:
        return
    numeric, categories = rows.places(Numbers, Dates), rows.places(Categories)
    found: dict[tuple[int, str], list[int]] = defaultdict(list)
    if len(numeric) > 1:
        x = rows.inputs.select(map(str, numeric)).fill_null(float("nan")).to_numpy()
        for i, j, r in on_a_line(x, _ON_A_LINE):
            equal = np.array_equal(x[:, i], x[:, j], equal_nan=True)
            how = "equal to" if equal else f"on a straight line with (correlation {near_one(r)})"
            found[numeric[i], how].append(numeric[j])
    of_categories = {rows.inputs[str(place)].n_unique() for place in categories}
    alike = [
        place
        for place, column in enumerate(rows.inputs.iter_columns())
        if of_categories and column.n_unique() in of_categories
    ]
    for i, j in one_to_one(rows.inputs.select(map(str, alike))):
        if {alike[i], alike[j]} & set(categories):
            found[alike[i], "one to one with"].append(alike[j])
    for (place, how), others in found.items():
        names = [rows.kinds[other].name for other in others]
        relation, _, figure = how.partition(" (")
        evidence = f"{named(names)} {are(len(names))} {relation} {short(rows.kinds[place].name)}"
        evidence += f" ({figure}" if figure else ""
        yield Oddity("redundant", (rows.kinds[place].name, *names), evidence, rows.ignoring(*others))
