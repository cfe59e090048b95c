"""Issues of a table, found before training: sentences with figures and, if there is one, a remedy.

Unless a rule says otherwise, they are searched in the rows whose target is known and in the input columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from mlpexp.data.identity import DataIssue
from mlpexp.data.tables.issue_rows import (
    ENOUGH_ROWS,
    Rows,
    are,
    have,
    lack,
    listed,
    named,
    near_one,
    of_all,
    percent,
    rows_of,
)
from mlpexp.data.tables.kinds import MOST_VALUES, Categories, Dates, Ignored, Kind, Numbers
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.relations import centred, collinear_pairs, median, one_to_one_pairs
from mlpexp.data.tables.target_issues import target_issues
from mlpexp.data.tables.targets import TargetColumn
from mlpexp.errors import pluralize

# If one value has this share of the rows, train, val and test have few rows with other values.
_NEARLY_CONSTANT = 0.99
# Above this share, most values of a column are imputed.
_MUCH_MISSING = 0.5
# Up to this share of rows with missing values, dropping them loses little.
_SOME_MISSING = 0.05
# One quantity in inches and in centimetres, each with three digits, has a higher correlation; two measurements of it a
# lower one.
_COLLINEAR = 0.9999
# In robust standard deviations. In a billion rows, a normal distribution has no value beyond 7, and an exponential one
# hardly any beyond 30.
_FAR = 50
# The standard deviation of a normal distribution, in median absolute deviations and in interquartile ranges.
_MAD, _QUARTILES = 1.4826, 0.7413


def find_issues(table: RawTable, kinds: Sequence[Kind], target: TargetColumn) -> list[DataIssue]:
    """The issues of a table with these columns and this target; those of input columns come first."""
    rows = rows_of(table, kinds, target)
    return [
        *_ignored(kinds),
        *_missing(rows, table.n_rows),
        *_nearly_constant(rows),
        *_spellings(rows),
        *_tails(rows),
        *_redundant(rows),
        *target_issues(rows),
    ]


def _ignored(kinds: Sequence[Kind]) -> Iterator[DataIssue]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for kind in kinds:
        if isinstance(kind, Ignored) and kind.reason not in ("as given", "splits the rows", "weights the rows"):
            empty = kind.reason.startswith("all values are missing")
            constant = kind.reason.startswith("constant")
            reasons["empty" if empty else "constant" if constant else "id_like"].append(kind.name)
    said = {
        "empty": "ignored, since all values are missing",
        "constant": "ignored, since the value is the same in every row",
        "id_like": "ignored, since the values number or name the rows, which says nothing about other rows",
    }
    for symptom, names in reasons.items():
        yield DataIssue(symptom, tuple(names), f"{named(names)}: {said[symptom]}")
    if all(isinstance(kind, Ignored) for kind in kinds):
        evidence = "every column but the target is ignored, so there are no inputs"
        yield DataIssue("no_inputs", tuple(kind.name for kind in kinds), evidence)


def _missing(rows: Rows, n_rows: int) -> Iterator[DataIssue]:
    import polars as pl

    name, n = rows.target.name, rows.target.n_missing
    if n:
        evidence = f"{pluralize(n, 'row')} of {n_rows:,} {lack(n)} the target {short(name)} and {are(n)} left out"
        yield DataIssue("missing_targets", (name,), evidence)
    missing = [column.null_count() / max(1, rows.n) for column in rows.inputs.iter_columns()]
    much = [place for place, share in enumerate(missing) if share > _MUCH_MISSING]
    if much:
        names = [rows.kinds[place].name for place in much]
        shares = [f"{short(name)} ({percent(missing[place])})" for name, place in zip(names, much, strict=True)]
        evidence = f"most values are missing in {listed(shares)}"
        yield DataIssue("mostly_missing", tuple(names), evidence, rows.ignore_override(*much))
    if not rows.kinds:
        return
    some = int(rows.inputs.select(pl.any_horizontal(pl.all().is_null()).sum()).item())
    if some > _SOME_MISSING * rows.n:
        names = [kind.name for kind, share in zip(rows.kinds, missing, strict=True) if share]
        evidence = (
            f"{of_all(some, rows)} {have(some)} missing values, which are imputed; dataset.missing=drop would leave "
            f"{rows.n - some:,} rows"
        )
        yield DataIssue("rows_with_missing", tuple(names), evidence)


def _nearly_constant(rows: Rows) -> Iterator[DataIssue]:
    least = _NEARLY_CONSTANT * rows.n
    found = [place for place, counts in enumerate(rows.counts) if len(counts) > 1 and counts.max() >= least]
    if found:
        names = tuple(rows.kinds[place].name for place in found)
        evidence = f"{named(names)}: one value in at least {percent(_NEARLY_CONSTANT)} of the rows"
        yield DataIssue("nearly_constant", names, evidence, rows.ignore_override(*found))


def _spellings(rows: Rows) -> Iterator[DataIssue]:
    of_columns = [(kind.name, "categories", kind.values) for kind in rows.kinds if isinstance(kind, Categories)]
    for name, what, values in [(rows.target.name, "classes", rows.target.classes), *of_columns]:
        same: dict[str, list[str]] = defaultdict(list)
        for value in values[:MOST_VALUES]:
            same[" ".join(value.casefold().split())].append(f"'{short(value)}'")
        several = [", ".join(sorted(texts)) for texts in same.values() if len(texts) > 1]
        if several:
            evidence = f"{short(name)} has spellings that count as different {what}: {listed(several, '; ')}"
            yield DataIssue("inconsistent_spelling", (name,), evidence)


def _tails(rows: Rows) -> Iterator[DataIssue]:
    found = {}
    for place in rows.columns_of(Numbers):
        x = rows.inputs[str(place)].drop_nulls().to_numpy()
        if not len(x):
            continue
        z = centred(x, np.median)
        distances = np.abs(z)
        deviation = _MAD * float(np.median(distances))
        if not deviation:
            # At least half of the values are equal. If three quarters are, this is 0 too, and the column is skipped.
            deviation = _QUARTILES * float(np.subtract(*np.percentile(z, [75, 25])))
        far = int(distances.argmax())
        if deviation and distances[far] > _FAR * deviation:
            found[place] = f"{short(rows.kinds[place].name)} ({x[far]:.6g}, the median is {median(x):.6g})"
    if found:
        names = tuple(rows.kinds[place].name for place in found)
        evidence = (
            f"values more than {_FAR} robust standard deviations from the median in {listed(list(found.values()))}"
        )
        yield DataIssue("heavy_tails", names, evidence, "dataset.scale=quantile", ("dataset.scale=robust",))


def _redundant(rows: Rows) -> Iterator[DataIssue]:
    if rows.n < ENOUGH_ROWS:
        return
    numeric, categories = rows.columns_of(Numbers, Dates), rows.columns_of(Categories)
    found: dict[tuple[int, str], list[int]] = defaultdict(list)
    if len(numeric) > 1:
        x = rows.inputs.select(map(str, numeric)).fill_null(float("nan")).to_numpy()
        for i, j, r in collinear_pairs(x, _COLLINEAR):
            equal = np.array_equal(x[:, i], x[:, j], equal_nan=True)
            how = "equal to" if equal else f"linearly related to (correlation {near_one(r)})"
            found[numeric[i], how].append(numeric[j])
    # Columns can only be in one-to-one relation if they have equally many values.
    of_categories = {rows.inputs[str(place)].n_unique() for place in categories}
    alike = [
        place
        for place, column in enumerate(rows.inputs.iter_columns())
        if of_categories and column.n_unique() in of_categories
    ]
    for i, j in one_to_one_pairs(rows.inputs.select(map(str, alike))):
        if {alike[i], alike[j]} & set(categories):
            found[alike[i], "in one-to-one relation with"].append(alike[j])
    for (place, how), others in found.items():
        names = [rows.kinds[other].name for other in others]
        relation, _, figure = how.partition(" (")
        evidence = f"{named(names)} {are(len(names))} {relation} {short(rows.kinds[place].name)}"
        evidence += f" ({figure}" if figure else ""
        yield DataIssue("redundant", (rows.kinds[place].name, *names), evidence, rows.ignore_override(*others))
