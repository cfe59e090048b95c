"""`mlpexp predict`: writes what a run, or the best setting of a sweep, predicts for each row of a file."""

from __future__ import annotations

from pathlib import Path

from mlpexp.cli.arguments import Parser, changes, new_file

_ALLOWED = ["device", "plugins"]
_FILE = (
    "a table, whose columns are matched by name; of a run on images a folder of images, one image, or an .npz or .npy "
    "file; of a run on arrays an .npz or .npy file"
)


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp predict", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "run",
        metavar="RUN_OR_SWEEP",
        type=Path,
        help="a run directory; or a sweep, of which the best setting by validation is taken, all its seeds together",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help=_FILE)
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
        help="a column of FILE to write too, or an array of one value a row; may be repeated",
    )
    args = parser.parse_args(arguments)
    changed = changes(args.changes, _ALLOWED)
    out = new_file(args.out, ".csv")

    from mlpexp.cli.console import console, print_text
    from mlpexp.errors import pluralize
    from mlpexp.run.record import NAME
    from mlpexp.training.predict import predict_file

    if (args.run / NAME).exists() or not args.run.is_dir():
        runs: tuple[Path, ...] = (args.run,)
        whose = "the weights of epoch {}"
    else:
        from mlpexp.comparison.best import best_setting

        best = best_setting(args.run)
        runs = best.directories
        whose = f"the mean of {pluralize(len(runs), 'run')} of {best.label}, the best mean {best.metric.words}"
    found = predict_file(runs, args.file, out, proba=args.proba, keep=args.keep, changes=changed)
    rows, of = pluralize(found.n_rows, "row"), whose.format(found.epochs[0])
    print_text(console(), f"{rows} predicted with {of}; written to {found.file}")
    return 0
