"""`mlpexp extend`: trains more seeds or other values of a sweep, in its directory; trained runs are kept."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from mlpexp.cli.arguments import Parser


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp extend", description=__doc__.split(": ", 1)[1])
    parser.add_argument("sweep", metavar="SWEEP", type=Path, help="the directory of a sweep")
    parser.add_argument(
        "overrides",
        nargs="+",
        metavar="KEY=VALUES",
        help="values to add to those of the key, such as seed=range(10,20) or activation=mish: every job of the sweep "
        "is trained with each of them",
    )
    parser.add_argument("--data", type=Path, metavar="FILE", help="the path of the sweep's table, if that was moved")
    parser.add_argument("--config-dir", metavar="DIR", help="a directory with your own options, as with train")
    args = parser.parse_args(arguments)

    from mlpexp.cli.console import console, waiting

    with ExitStack() as preparing:
        preparing.enter_context(waiting("composing the jobs that are new"))
        n_new = _extend(args, preparing)
    if not n_new:
        console().print(
            f"{args.sweep}: already has every job with these values; there is nothing to train", markup=False
        )
    return 0


def _extend(args: argparse.Namespace, preparing: ExitStack) -> int:
    """Trains the new jobs, and shows the table of the whole sweep; how many were new."""
    from mlpexp.cli.sweep_terminal import SweepTerminal, conclude
    from mlpexp.config.locate import config_directory
    from mlpexp.figures.drawing import Drawing, process_beside
    from mlpexp.sweep.extend import extend_sweep

    config_dir = None if args.config_dir is None else str(config_directory(args.config_dir))
    with Drawing(process_beside()) as drawing:
        drawing.start()
        n_new = extend_sweep(args.sweep, args.overrides, SweepTerminal(args.sweep, preparing), config_dir, args.data)
        if n_new:
            preparing.close()
            conclude(args.sweep, drawing)
    return n_new
