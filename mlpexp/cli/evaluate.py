"""`mlpexp eval`: judges a run's best checkpoint on the test split once more, from the run's own config."""

from __future__ import annotations

from mlpexp.cli.arguments import Parser, changes

_ALLOWED = ["device", "data_dir", "plugins"]


def run(arguments: list[str]) -> int:
    parser = Parser(prog="mlpexp eval", description=__doc__.split(": ", 1)[1])
    parser.add_argument("run", metavar="RUN", help="a run directory")
    parser.add_argument(
        "changes", nargs="*", default=[], metavar="KEY=VALUE", help=f"other values of {', '.join(_ALLOWED)}"
    )
    args = parser.parse_args(arguments)
    changed = changes(args.changes, _ALLOWED)

    from rich.text import Text

    from mlpexp.cli.terminal import confusions, console, metrics_table
    from mlpexp.evaluation import evaluate

    evaluation = evaluate(args.run, changed)
    out = console()
    task = evaluation.results.data.task
    out.print(metrics_table(evaluation.metrics, task.score, f"Weights of epoch {evaluation.epoch}"))
    if task.kind == "classification":
        out.print(confusions(evaluation.results))
    out.print(Text(f"written to {evaluation.directory}"))
    return 0
