"""`mlpexp export`: writes a run's network, from raw columns to answers, for torch.export or ONNX."""

from __future__ import annotations

from pathlib import Path

from mlpexp.cli.arguments import Parser, changes

_ALLOWED = ["plugins"]


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp export", description=__doc__.split(": ", 1)[1])
    parser.add_argument("run", metavar="RUN", help="a run directory")
    parser.add_argument(
        "changes", nargs="*", default=[], metavar="KEY=VALUE", help=f"other values of {', '.join(_ALLOWED)}"
    )
    parser.add_argument(
        "--format",
        choices=["onnx", "torch"],
        default="onnx",
        help="onnx (needs mlpexp[onnx]), or torch",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("export"), metavar="DIR", help="a new or empty directory (export)"
    )
    args = parser.parse_args(arguments)
    changed = changes(args.changes, _ALLOWED)

    from mlpexp.cli.console import console, print_text, waiting

    with waiting("exporting"):
        from mlpexp.training.export import MODELS, export

        found = export(args.run, args.out, args.format, changed)
    print_text(
        console(),
        f"{found.directory / MODELS[args.format]}: the network with the weights of epoch {found.epoch}; "
        f"{found.directory / 'README.md'} shows how to use it",
    )
    return 0
