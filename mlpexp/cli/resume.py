"""`mlpexp resume`: goes on with a run where it stopped, in place."""

from __future__ import annotations

from mlpexp.cli.arguments import Parser, changes

_ALLOWED = ["epochs", "device", "data_dir", "plugins"]


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp resume", description=__doc__.split(": ", 1)[1])
    parser.add_argument("run", metavar="RUN", help="a run directory")
    parser.add_argument(
        "changes", nargs="*", default=[], metavar="KEY=VALUE", help=f"other values of {', '.join(_ALLOWED)}"
    )
    args = parser.parse_args(arguments)
    changed = changes(args.changes, _ALLOWED)

    from mlpexp.cli.terminal import Terminal
    from mlpexp.training import resume

    terminal = Terminal()
    terminal.concluded(resume(args.run, changed, terminal))
    return 0
