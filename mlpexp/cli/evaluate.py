"""`mlpexp eval`: evaluates a run's best checkpoint on the test split again, from the run's own config."""

from __future__ import annotations

from pathlib import Path

from mlpexp.cli.arguments import run_and_changes
from mlpexp.cli.main import report

ALLOWED = ["device", "data_dir", "plugins"]
_DATA = "the run's table where it lies now, or another one, of which all rows are evaluated"


def run(arguments: list[str]) -> int:
    directory, changed, file = run_and_changes("eval", __doc__.split(": ", 1)[1], ALLOWED, arguments, _DATA)

    from rich.text import Text

    from mlpexp.cli.console import console
    from mlpexp.cli.terminal import confusions, metrics_table, show_findings, undefined_metrics, weights_title
    from mlpexp.config.metric import picking
    from mlpexp.run import record
    from mlpexp.training.evaluate import evaluate

    evaluation = evaluate(directory, changed, file)
    out = console()
    task = evaluation.results.task
    found = record.read(Path(directory))
    title = weights_title(picking(found.config["metric"], task), str(evaluation.epoch))
    out.print(metrics_table(evaluation.metrics, evaluation.constant, task, title))
    for line in undefined_metrics(evaluation.undefined):
        out.print(Text(line))
    if task.kind == "classification":
        out.print(confusions(evaluation.results, "the test split" if "test" in evaluation.metrics else "the table"))
    for remark in evaluation.remarks:
        report(remark)
    show_findings(found.findings, out)
    out.print(Text(f"written to {evaluation.directory}"))
    return 0
