"""`mlpexp look`: shows what a table holds before any training: its columns, its target, and its issues."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.cli.arguments import Parser
from mlpexp.errors import ConfigError, pluralize

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mlpexp.data.identity import DataIssue
    from mlpexp.data.tables.kinds import Kind
    from mlpexp.data.tables.raw import RawTable
    from mlpexp.data.tables.targets import TargetColumn

# At most so many values of a category, classes of a target, and columns on a terminal are shown.
_MOST_VALUES, _MOST_CLASSES, _MOST_COLUMNS = 3, 10, 60
# The widest name of a column on a terminal.
_WIDEST = 24


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp look", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "file", metavar="FILE", help="a table: CSV or similar, parquet, xlsx, ARFF, ...; may be compressed"
    )
    parser.add_argument("--target", metavar="NAME", help="the column to predict; else the last one")
    args = parser.parse_args(arguments)

    from rich.text import Text

    from mlpexp.cli.console import console
    from mlpexp.data.tables.finding import find_kinds
    from mlpexp.data.tables.issues import find_issues
    from mlpexp.data.tables.reading import read_table
    from mlpexp.data.tables.targets import find_target

    table = read_table(Path(args.file), args.file)
    name = table.names[-1] if args.target is None else args.target
    column = table.column(name, f"--target={name}")
    if len(table.columns) == 1:
        raise ConfigError(f"{args.file}: has only the column '{name}'; an input and a target are needed.")
    command = _command(args.file, name)
    kinds, target = find_kinds(table, targets=[name]), find_target(table, column)
    issues = find_issues(table, kinds, target)
    show(table, kinds, target, issues, console(), chosen=args.target is not None)
    # Not wrapped, so that it can be copied.
    console().print(Text.assemble(("\nbegin with\n", "bold"), command), soft_wrap=True)
    return 0


def show(
    table: RawTable,
    kinds: Sequence[Kind],
    target: TargetColumn,
    issues: Sequence[DataIssue],
    out: Console,
    chosen: bool,
) -> None:
    """Prints the table's size, its format, its target, its columns, and its issues."""
    from rich.text import Text

    from mlpexp.cli.console import labelled
    from mlpexp.doctor.finding import advice, named

    size = f"{pluralize(table.n_rows, 'row')}, {pluralize(len(table.columns), 'column')}"
    which = "as given" if chosen else "the last column; --target names another"
    parts = {
        "file": f"{table.where}: {size}",
        "read as": "; ".join(table.notes),
        "target": f"{target.name} ({which}): {_of_target(table, target)}",
    }
    # For text, the notes are about spellings, which are among the issues.
    if table.column(target.name, "").cells.dtype.is_numeric():
        parts["note"] = "; ".join(target.notes)
    out.print(labelled(out, parts.items()))
    out.print()
    shown = kinds[:_MOST_COLUMNS] if out.is_terminal else kinds
    out.print(_columns(table, shown, _WIDEST if out.is_terminal else None))
    if len(shown) < len(kinds):
        out.print(f"and {len(kinds) - len(shown):,} more columns; in a pipe all of them are shown")
    out.print()
    out.print(Text("issues" if issues else "no issues found", style="bold"))
    found = [asdict(_pasted(issue)) for issue in issues]
    said = ((named(finding), f"{finding['evidence']}.{advice(finding)}") for finding in found)
    out.print(labelled(out, said))


def _columns(table: RawTable, kinds: Sequence[Kind], widest: int | None) -> Table:
    """A row for each column: kind, missing values, range or most frequent values, and the reason for the kind.

    Names wider than `widest` are folded.
    """
    from rich.table import Table
    from rich.text import Text

    from mlpexp.data.tables.issue_rows import percent

    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    shown.add_column("column", style="bold", max_width=widest, overflow="fold")
    shown.add_column("kind", no_wrap=True)
    shown.add_column("missing", justify="right", no_wrap=True)
    shown.add_column("values", overflow="fold")
    shown.add_column("why", style="dim", overflow="fold")
    for kind in kinds:
        missing = f"{kind.n_missing:,} ({percent(kind.n_missing / table.n_rows)})" if kind.n_missing else "–"
        cells = (kind.name, kind.word, missing, _of_column(table, kind), kind.reason)
        shown.add_row(*map(Text, cells))
    return shown


def _of_column(table: RawTable, kind: Kind) -> str:
    """The range, or the most frequent values; empty for a column that is ignored."""
    from mlpexp.data.tables.kinds import Categories, Dates, Numbers
    from mlpexp.data.tables.values import numbers_of

    if isinstance(kind, Numbers):
        return _range(numbers_of(table, table.column(kind.name, "")))
    if isinstance(kind, Dates):
        return f"{kind.first} to {kind.last}"
    if isinstance(kind, Categories):
        return _frequent(kind.values, kind.counts, kind.n_values, table.n_rows, _MOST_VALUES)
    return ""


def _of_target(table: RawTable, target: TargetColumn) -> str:
    """The classes with their numbers of rows, or the range of the values."""
    import numpy as np

    from mlpexp.data.tables.targets import labels_of
    from mlpexp.data.tables.values import numbers_of

    column = table.column(target.name, "")
    if not target.classes:
        return f"values, {_range(numbers_of(table, column))}"
    labels = labels_of(column, target)
    counts = np.bincount(labels[labels >= 0], minlength=len(target.classes)).tolist()
    n = len(target.classes)
    listed = _frequent(target.classes, counts, n, sum(counts), _MOST_CLASSES, counted=True)
    return f"{'1 class' if n == 1 else f'{n:,} classes'}: {listed}"


def _frequent(
    values: Sequence[str], counts: Sequence[int], n_values: int, n_rows: int, most: int, counted: bool = False
) -> str:
    """Values with their shares of the rows; with `counted`, their numbers of rows too."""
    from mlpexp.data.tables.issue_rows import percent
    from mlpexp.data.tables.raw import short

    parts = [
        f"{short(value)} ({f'{count:,}, ' if counted else ''}{percent(count / n_rows)})"
        for value, count in list(zip(values, counts, strict=True))[:most]
    ]
    return ", ".join(parts) + (f" and {n_values - len(parts):,} more" if n_values > len(parts) else "")


def _range(values: object) -> str:
    import numpy as np

    from mlpexp.data.tables.relations import median

    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return ""
    low, high, middle = map(_number, (known.min(), known.max(), median(known)))
    return low if low == high else f"{low} to {high}, median {middle}"


def _number(value: float) -> str:
    """Whole numbers with all digits, others with five."""
    whole = abs(value) < 1e15 and float(value).is_integer()
    return f"{int(value)}" if whole else f"{value:.5g}"


def _command(path: str, target: str) -> str:
    """The command that trains on the table, as it can be pasted into a shell."""
    chosen = [_override("dataset.path", path), _override("dataset.target", target)]
    return shlex.join(["mlpexp", "train", "dataset=table", *chosen])


def _override(key: str, text: str) -> str:
    """An override that gives this text, in quotes where Hydra's grammar would read something else."""
    from mlpexp.config.overrides import parse_override, quote

    plain, quoted = f"{key}={text}", f"{key}={quote(text)}"
    if "${" in text:
        return quoted
    try:
        parsed = parse_override(plain)
    except ConfigError:
        # Also of a text that no quotes help.
        return parse_override(quoted).input_line or quoted
    return plain if not parsed.is_sweep_override() and parsed.value() == text else quoted


def _pasted(issue: DataIssue) -> DataIssue:
    """The issue with its remedies as they can be pasted into a shell: quoted only where that is needed."""
    remedy, *alternatives = (
        override if re.fullmatch(r"[\w.=,\[\]-]*", override) else shlex.quote(override)
        for override in (issue.remedy, *issue.alternatives)
    )
    return replace(issue, remedy=remedy, alternatives=tuple(alternatives))
