"""`mlpexp list`: the groups, or the options of one, each with a line on what it is. Imports no torch."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from mlpexp.cli.arguments import Parser
from mlpexp.cli.console import console
from mlpexp.config.locate import config_directory, groups, options
from mlpexp.errors import ConfigError, unknown


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp list", description=__doc__.split(": ", 1)[1])
    parser.add_argument("group", nargs="?", metavar="GROUP", help="a group of options, such as activation")
    parser.add_argument("--config-dir", metavar="DIR", help="a directory of your own options beside mlpexp's")
    args = parser.parse_args(arguments)
    more = [] if args.config_dir is None else [config_directory(args.config_dir)]
    if args.group is None:
        _print([(group, ", ".join(option.name for option in options(group, *more))) for group in groups(*more)])
        console().print("\nmlpexp list GROUP says what each is; mlpexp train GROUP=NAME chooses one.")
        return 0
    if args.group not in groups(*more):
        raise ConfigError(unknown(f"{args.group}: no such group", args.group, groups(*more)))
    _print([(option.name, option.comment) for option in options(args.group, *more)])
    return 0


def _print(rows: list[tuple[str, str]]) -> None:
    """Names and what they are, in two columns; folded to the terminal's width, one line each in a pipe."""
    out = console()
    if not out.is_terminal:
        width = max(len(name) for name, _ in rows)
        for name, what in rows:
            out.print(Text(f"{name:<{width}}  {what}"))
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for name, what in rows:
        table.add_row(name, Text(what))
    out.print(table)
