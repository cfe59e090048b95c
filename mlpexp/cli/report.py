"""`mlpexp report`: puts runs and sweeps on one page for a browser, with their figures, tables and claims."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from mlpexp.cli.arguments import Parser, add_format, new_file
from mlpexp.errors import ConfigError


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp report", description=__doc__.split(": ", 1)[1])
    parser.add_argument("paths", nargs="+", metavar="RUN_OR_SWEEP", help="a section each: a run, or runs below it")
    parser.add_argument("--title", default="mlpexp report", help="the title of the page")
    parser.add_argument("--out", metavar="FILE.html", help="a new file; else a new one in outputs/reports")
    # A page shows no PDF.
    add_format(parser, ["png", "svg"])
    args = parser.parse_args(arguments)
    named = None if args.out is None else _check_name(Path(args.out))

    from mlpexp.cli.console import console, print_text
    from mlpexp.report.page import page
    from mlpexp.report.section import section_of
    from mlpexp.run.directory import claim_new
    from mlpexp.run.files import write_text

    text = page(args.title, [section_of(Path(path), args.format) for path in args.paths])
    path = named or claim_new(Path(f"outputs/reports/{datetime.now():%Y-%m-%d_%H-%M-%S}")) / "report.html"
    write_text(path, text)
    print_text(console(), f"written to {path}")
    return 0


def _check_name(path: Path) -> Path:
    """The file that --out names, in a directory that exists, or ConfigError before anything is computed."""
    new_file(path, ".html", ".htm")
    if not path.parent.is_dir():
        raise ConfigError(f"--out={path}: there is no directory {path.parent}.")
    return path
