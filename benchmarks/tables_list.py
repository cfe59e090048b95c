"""The tables that benchmarks of `dataset=table` train on: all that this project's own packages bring offline.

    python benchmarks/tables_list.py      # each as it is read from pandas' and from R's CSV: rows, columns, target

Counted are real tables with at least 100 rows, 4 columns and a column that one would predict. The list and the targets
were written down before a model saw any of them. scikit-learn loads five; its own tests read excerpts of OpenML, seven
of which are large enough; matplotlib has a table of prices. Left out: linnerud (20 rows), the excerpts of 7 to 13 rows,
scipy's NIST problems (a report around 2 columns), grids and made-up sets. Tables of statsmodels, vega_datasets,
palmerpenguins and R's data sets need packages that mlpexp does not.
"""

from __future__ import annotations

import csv
import importlib.util
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from mlpexp.data.tables.finding import find_kinds
from mlpexp.data.tables.raw import RawTable
from mlpexp.data.tables.reading import read_table
from mlpexp.data.tables.targets import find_target
from mlpexp.data.tables.values import texts_of

Style = Literal["pandas", "R"]


@dataclass(frozen=True)
class Table:
    """`source` is a function of sklearn.datasets, or a file in a package; `ignore` are columns that tell the target."""

    name: str
    source: str
    target: str
    task: Literal["classification", "regression"]
    ignore: tuple[str, ...] = ()


_OPENML = "sklearn/datasets/tests/data/openml"
TABLES = (
    Table("iris", "load_iris", "target", "classification"),
    Table("wine", "load_wine", "target", "classification"),
    Table("breast_cancer", "load_breast_cancer", "target", "classification"),
    Table("digits", "load_digits", "target", "classification"),
    Table("diabetes", "load_diabetes", "target", "regression"),
    # Text, holes and ids. The lifeboat and the body's number are known of survivors and victims only.
    Table("titanic", f"{_OPENML}/id_40945/data-v1-dl-16826755.arff.gz", "survived", "classification", ("boat", "body")),
    Table("penguins", f"{_OPENML}/id_42585/data-v1-dl-21854866.arff.gz", "species", "classification"),
    Table("zoo", f"{_OPENML}/id_62/data-v1-dl-52352.arff.gz", "type", "classification"),
    Table("kr-vs-kp", f"{_OPENML}/id_3/data-v1-dl-3.arff.gz", "class", "classification"),
    Table("glass2", f"{_OPENML}/id_40675/data-v1-dl-4965250.arff.gz", "class", "classification"),
    Table("cpu", f"{_OPENML}/id_561/data-v1-dl-52739.arff.gz", "class", "regression"),
    Table("iris_openml", f"{_OPENML}/id_61/data-v1-dl-61.arff.gz", "class", "classification"),
    # Dates and holes.
    Table("stocks", "matplotlib/mpl-data/sample_data/Stocks.csv", "IBM", "regression"),
)


def rows_of(table: Table) -> tuple[list[str], list[list[str]]]:
    """The names of a table's columns, and its rows as text; a missing value is empty."""
    if table.source.startswith("load_"):
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, table.source)()
        names = [*bunch.feature_names, "target"]
        labels = [str(bunch.target_names[label]) for label in bunch.target] if "target_names" in bunch else bunch.target
        return names, [[*map(repr, map(float, row)), str(label)] for row, label in zip(bunch.data, labels, strict=True)]
    read = read_table(_file(table.source), table.name)
    columns = [texts_of(column).fill_null("").to_list() for column in read.columns]
    return list(read.names), [list(row) for row in zip(*columns, strict=True)]


def _file(source: str) -> Path:
    package, inner = source.split("/", 1)
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / inner


def write(table: Table, path: Path, style: Style) -> None:
    """The table as `DataFrame.to_csv(path)` of pandas writes it, or `write.csv(d, path)` of R: with their index."""
    names, rows = rows_of(table)
    with path.open("w", newline="", encoding="utf-8") as file:
        if style == "pandas":
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["", *names])
            writer.writerows([[str(index), *row] for index, row in enumerate(rows)])
            return
        # R quotes all text, and row names as well; NA stands without quotes.
        file.write(",".join(f'"{name}"' for name in ["", *names]) + "\n")
        for index, row in enumerate(rows, 1):
            file.write(",".join([f'"{index}"', *map(_as_r, row)]) + "\n")


def _as_r(cell: str) -> str:
    if not cell:
        return "NA"
    try:
        float(cell)
    except ValueError:
        doubled = cell.replace('"', '""')
        return f'"{doubled}"'
    return cell


def describe(read: RawTable, table: Table) -> str:
    kinds = find_kinds(read, ignore=table.ignore, targets=[table.target])
    counts = Counter(kind.word for kind in kinds)
    target = find_target(read, read.column(table.target, "target"), table.task)
    found = ", ".join(f"{n} {word}" for word, n in sorted(counts.items()))
    what = f"{len(target.classes)} classes" if target.classes else "values"
    return f"{read.n_rows} rows, {found}; {table.target}: {what}"


def main() -> None:
    with TemporaryDirectory() as directory:
        for table in TABLES:
            styles: tuple[Style, ...] = ("pandas", "R")
            lines = []
            for style in styles:
                path = Path(directory) / f"{table.name}.{style}.csv"
                write(table, path, style)
                lines.append(describe(read_table(path, table.name), table))
            print(f"{table.name:14} {lines[0]}{'' if lines[0] == lines[1] else f'  BUT AS R WRITES IT: {lines[1]}'}")


if __name__ == "__main__":
    main()
