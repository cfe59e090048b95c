"""`mlpexp predict`: writes what a run predicts for each row of a file."""

from __future__ import annotations

from pathlib import Path

from mlpexp.cli.arguments import Parser, changes, new_file

_ALLOWED = ["device", "plugins"]


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp predict", description=__doc__.split(": ", 1)[1])
    parser.add_argument("run", metavar="RUN", help="a run directory")
    parser.add_argument("file", type=Path, metavar="FILE", help="a table; columns are matched by name")
    parser.add_argument(
        "changes", nargs="*", default=[], metavar="KEY=VALUE", help=f"other values of {', '.join(_ALLOWED)}"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("predictions.csv"), metavar="FILE", help="a new CSV file (predictions.csv)"
    )
    parser.add_argument("--proba", action="store_true", help="the probability of each class too")
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column of FILE to write too; may be repeated",
    )
    args = parser.parse_intermixed_args(arguments)
    changed = changes(args.changes, _ALLOWED)
    out = new_file(args.out, ".csv")

    from rich.text import Text

    from mlpexp.cli.console import console
    from mlpexp.errors import pluralize
    from mlpexp.training.predict import predict_file

    found = predict_file(args.run, args.file, out, proba=args.proba, keep=args.keep, changes=changed)
    rows = pluralize(found.n_rows, "row")
    console().print(Text(f"{rows} predicted with the weights of epoch {found.epoch}; written to {found.file}"))
    return 0
