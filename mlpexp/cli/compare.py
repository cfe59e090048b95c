"""`mlpexp compare`: groups runs by what differs, averages over seeds, tests the differences, and draws them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.cli.arguments import Parser, add_format

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mlpexp.comparison.compare import Comparison

# At most this many rows, sentences and runs without a result are shown on the terminal; comparison.md has them all.
_MOST_ROWS, _MOST_SENTENCES, _MOST_LOST = 40, 12, 5


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp compare", description=__doc__.split(": ", 1)[1])
    parser.add_argument("paths", nargs="+", metavar="RUN_OR_SWEEP", help="a run, or a directory with runs below it")
    parser.add_argument(
        "--baseline", metavar="SETTING", help="the setting to compare with, such as activation=relu; else the best"
    )
    parser.add_argument("--metric", metavar="TAG", help="what to compare, such as loss/test; else the test score")
    parser.add_argument(
        "--failed",
        choices=["constant", "ignore"],
        default="constant",
        help="runs that diverged count as what a constant answer scores (the default), or are left out",
    )
    parser.add_argument(
        "--worth",
        type=float,
        metavar="SIZE",
        help="the least difference that matters, in the unit of the table: each is then said to be better or worse by "
        "that, equal in practice, or undecided",
    )
    parser.add_argument("--wide", action="store_true", help="print all columns, however narrow the terminal is")
    parser.add_argument("--latex", action="store_true", help="write the table for LaTeX too, with booktabs' rules")
    parser.add_argument("--out", metavar="DIR", help="a new directory for Markdown, CSV and figures")
    add_format(parser)
    args = parser.parse_args(arguments)

    from mlpexp.cli.console import console, print_text, waiting

    with waiting("comparing the runs, and drawing"):
        from mlpexp.comparison.compare import compare
        from mlpexp.comparison.histories import damaged_histories
        from mlpexp.comparison.report import write_report
        from mlpexp.run.directory import claim_named, claim_new

        paths, out_dir = args.paths, args.out
        comparison = compare(paths, baseline=args.baseline, metric=args.metric, failed=args.failed, worth=args.worth)
        directory = claim_new(_default_directory(paths)) if out_dir is None else claim_named(Path(out_dir), "--out")
        command = ["mlpexp", "compare", *arguments]
        written = write_report(comparison, directory, command, args.format, latex=args.latex)

    out = console()
    show(comparison, out, wide=args.wide)
    for line in damaged_histories(comparison.summaries):
        print_text(out, line)
    names = ", ".join(path.name for path in written)
    print_text(out, f"written to {directory}: {names}")
    return 0


def _default_directory(paths: list[str]) -> Path:
    """Within the sweep (or day) that is looked at; beside the runs, in Hydra's layout, for a run or several paths."""
    from mlpexp.run import record
    from mlpexp.run.directory import refuse_links

    now = datetime.now()
    if len(paths) == 1 and not (Path(paths[0]) / record.NAME).exists():
        refuse_links(Path(paths[0]))
        return Path(paths[0]) / "comparisons" / f"{now:%Y-%m-%d_%H-%M-%S}"
    return Path("outputs") / "comparisons" / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}"


def show(comparison: Comparison, out: Console, *, wide: bool = False) -> None:
    """Prints the tables and the verdict in sentences; of several datasets, those of each before those over all."""
    from rich.text import Text

    from mlpexp.cli.console import print_text
    from mlpexp.comparison.verdict import verdict

    for name, each in comparison.datasets.items():
        out.print(Text(name, style="bold"))
        show(each, out, wide=wide)
        out.print()
    show_settings(comparison, out, wide=wide, each_dataset=False)
    if comparison.contrasts:
        _show_contrasts(comparison, out, wide)
    for sentence in verdict(comparison, _MOST_SENTENCES):
        print_text(out, sentence)


def _show_contrasts(comparison: Comparison, out: Console, wide: bool) -> None:
    from mlpexp.comparison.table import contrasts_rows, contrasts_title, rich_table

    rows = contrasts_rows(comparison)[: 1 + _MOST_ROWS]
    _print(rich_table(comparison, rows, contrasts_title(comparison), None if wide else out.width), out, wide)


def _print(table: Table, out: Console, wide: bool) -> None:
    """A table; a wide one in lines as long as it takes."""
    if wide:
        out.print(table, width=max(out.width, out.measure(table).maximum), no_wrap=True, crop=False, overflow="ignore")
    else:
        out.print(table)


def show_settings(comparison: Comparison, out: Console, *, wide: bool = False, each_dataset: bool = True) -> None:
    """Prints the table of settings, notes on it, and the runs without a result.

    Of several datasets it is the table over them, after that of each, or alone.
    """
    from rich.text import Text

    from mlpexp.cli.console import print_text
    from mlpexp.comparison.report import claim_lines, lost_runs

    if comparison.over_datasets is None:
        n_settings = _show_table(comparison, out, wide)
    else:
        n_settings = len(comparison.over_datasets.standings)
        if each_dataset:
            for name, each in comparison.datasets.items():
                out.print(Text(name, style="bold"))
                _show_table(each, out, wide)
        _show_over_datasets(comparison, out, wide)
    if n_settings > _MOST_ROWS:
        print_text(out, f"and {n_settings - _MOST_ROWS} more settings")
    lost = lost_runs(comparison)
    more = [f"and {len(lost) - _MOST_LOST} more runs without a result"] if len(lost) > _MOST_LOST else []
    for line in [*lost[:_MOST_LOST], *more, *comparison.notes, *claim_lines(comparison)]:
        print_text(out, line)


def _show_table(comparison: Comparison, out: Console, wide: bool) -> int:
    """Prints the table of settings, the first of them where they are many, and gives how many there are."""
    from mlpexp.comparison.table import rich_table, settings_rows, settings_title

    rows = settings_rows(comparison)
    shown = rich_table(comparison, rows[: 1 + _MOST_ROWS], settings_title(comparison), None if wide else out.width)
    _print(shown, out, wide)
    return len(rows) - 1


def _show_over_datasets(comparison: Comparison, out: Console, wide: bool) -> None:
    from mlpexp.comparison.datasets_table import datasets_rows, datasets_title
    from mlpexp.comparison.table import fitting_datasets, rich_table, within

    found = comparison.over_datasets
    assert found is not None
    rows = datasets_rows(found, comparison.metric)[: 1 + _MOST_ROWS]
    if not wide:
        rows = fitting_datasets(rows, len(rows[0]) - len(found.names), out.width)
    title = datasets_title(found, comparison.metric, comparison.ranking)
    _print(rich_table(within(comparison), rows, title, None if wide else out.width), out, wide)
