"""`mlpexp plot`: the pictures that need no run: activations, optimizers, schedules, data."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from mlpexp.cli.arguments import Parser, add_format, new_file
from mlpexp.cli.streams import columns, folded
from mlpexp.errors import ConfigError, refusal, unknown
from mlpexp.figures.formats import FORMATS

# Each is a module of mlpexp.plots with `draw(overrides, config_dir) -> (figure, notes)`; it needs torch.
KINDS = {
    "activations": "functions and their derivatives: mlpexp plot activations activation=gelu,silu",
    "optimizers": "paths and losses on x² + 10y²: mlpexp plot optimizers optimizer=sgd,adam optimizer.lr=0.1",
    "schedulers": "learning rate by step: mlpexp plot schedulers scheduler=step,cosine epochs=30 scheduler.warmup=2",
    "dataset": "samples and class counts: mlpexp plot dataset dataset=spirals dataset.noise=0.2",
}
_MODULES = {"schedulers": "schedules"}


def run(arguments: list[str]) -> int:
    args = _parse(arguments)
    if args.kind not in KINDS:
        raise ConfigError(unknown(f"plot {args.kind}: no such picture", args.kind, KINDS))
    named = None
    if args.out is not None:
        named = new_file(Path(args.out), *(f".{format}" for format in FORMATS if args.format in (None, format)))
    ending = named.suffix.lower() if named else f".{args.format or FORMATS[0]}"
    format = next(format for format in FORMATS if ending == f".{format}")

    module = importlib.import_module(f"mlpexp.plots.{_MODULES.get(args.kind, args.kind)}")
    figure, notes = module.draw(args.overrides, args.config_dir)

    from mlpexp.cli.console import console, print_text
    from mlpexp.figures.style import drawn
    from mlpexp.run.files import write_bytes

    content = drawn(figure, format)
    path = _claim(iter([named]) if named else _numbered(Path("outputs", "plots", args.kind), format))
    try:
        write_bytes(path, content)
    except BaseException:
        # The name was reserved by an empty file.
        path.unlink(missing_ok=True)
        raise
    out = console()
    for note in notes:
        print_text(out, note)
    print_text(out, f"written to {path}")
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    width = columns(sys.stdout)
    kinds = "\n".join(folded(f"  {name:<13}{what}", width, " " * 15) for name, what in KINDS.items())
    usage = "mlpexp plot KIND [OVERRIDE ...] [--out FILE] [--format FORMAT] [--config-dir DIR]"
    overrides = (
        "Overrides are those of `mlpexp train`; several values make several curves, and without a choice all options "
        "of the group are drawn."
    )
    parser = Parser(
        prog="mlpexp plot",
        usage=folded(usage, width and width - len("usage: "), " " * len("usage: mlpexp plot ")),
        description=f"Draws a picture that needs no run.\n\n{kinds}\n\n{folded(overrides, width, '')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", nargs="?", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="such as activation=gelu,silu or epochs=30")
    parser.add_argument("--out", metavar="FILE", help="a new .png, .svg or .pdf file; else one in outputs/plots")
    add_format(parser, default=None)
    parser.add_argument("--config-dir", "-cd", metavar="DIR", help="a directory of your own options beside mlpexp's")
    args = parser.parse_args(arguments)
    if args.kind is None:
        parser.error("the following arguments are required: KIND")
    return args


def _numbered(path: Path, format: str) -> Iterator[Path]:
    """path.png, path_1.png, path_2.png and so on."""
    return (path.with_name(f"{path.name}{f'_{n}' if n else ''}.{format}") for n in count())


def _claim(candidates: Iterator[Path]) -> Path:
    """The first of the candidates that is free, made as an empty file, so that no other command takes it too."""
    path = Path()
    try:
        for path in candidates:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise refusal(error)(f"{path}: cannot be made: {error.strerror}.") from None
    # All candidates are taken only where the user gave the one name.
    return new_file(path, path.suffix.lower())
