"""`mlpexp eval`: evaluates a run's best checkpoint on the test split again, from the run's own config."""

from __future__ import annotations

from pathlib import Path

from mlpexp.cli.arguments import changes, run_parser
from mlpexp.cli.main import report

ALLOWED = ["device", "data_dir", "plugins"]
_DATA = "the run's table where it lies now, or another one, of which all rows are evaluated"

_IMPORTANCE = "also how much each column matters: how far the score falls where its values are shuffled"


def run(arguments: list[str]) -> int:
    parser = run_parser("eval", __doc__.split(": ", 1)[1], ALLOWED, _DATA)
    parser.add_argument("--importance", action="store_true", help=_IMPORTANCE)
    args = parser.parse_intermixed_args(arguments)
    changed = changes(args.changes, ALLOWED)

    from rich.text import Text

    from mlpexp.cli.console import console
    from mlpexp.cli.terminal import (
        confusions,
        importance_table,
        metrics_table,
        show_findings,
        undefined_metrics,
        weights_title,
    )
    from mlpexp.config.metric import picking
    from mlpexp.run import record
    from mlpexp.training.evaluate import evaluate

    evaluation = evaluate(args.run, changed, args.data, importance=args.importance)
    out = console()
    task = evaluation.results.task
    found = record.read(Path(args.run))
    title = weights_title(picking(found.config["metric"], task), str(evaluation.epoch))
    out.print(metrics_table(evaluation.metrics, evaluation.constant, task, title))
    for line in undefined_metrics(evaluation.undefined):
        out.print(Text(line))
    if task.kind == "classification":
        out.print(confusions(evaluation.results, "the test split" if "test" in evaluation.metrics else "the table"))
    if evaluation.importance is not None:
        out.print(importance_table(evaluation.importance))
    for remark in evaluation.remarks:
        report(remark)
    show_findings(found.findings, out)
    out.print(Text(f"written to {evaluation.directory}"))
    return 0
