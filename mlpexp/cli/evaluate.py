"""`mlpexp eval`: evaluates a run's best checkpoint on the test split again, from the run's own config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlpexp.cli.arguments import add_format, changes, run_parser
from mlpexp.cli.main import report

ALLOWED = ["device", "data_dir", "plugins"]
_DATA = "the run's table, if it was moved; or another table, of which all rows are evaluated"

_ENSEMBLE = (
    "RUN is a sweep: the seeds of its best setting by validation together, on rows that none of them has learned from"
)
_IMPORTANCE = "also how much each column matters: how far the score falls where its values are shuffled"


def run(arguments: list[str]) -> int:
    parser = run_parser("eval", __doc__.split(": ", 1)[1], ALLOWED, _DATA)
    parser.add_argument("--importance", action="store_true", help=_IMPORTANCE)
    parser.add_argument("--ensemble", action="store_true", help=_ENSEMBLE)
    add_format(parser)
    args = parser.parse_args(arguments)
    changed = changes(args.changes, ALLOWED)
    if args.ensemble:
        if args.importance:
            parser.error("--importance is for a run, and --ensemble for a sweep: give one of them")
        return _ensemble(Path(args.run), changed, args.data)

    from mlpexp.cli.console import console, print_text, waiting

    with waiting("evaluating"):
        from mlpexp.training.evaluate import evaluate

        evaluation = evaluate(args.run, changed, args.data, importance=args.importance, format=args.format)
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

    out = console()
    task = evaluation.results.task
    found = record.read(Path(args.run))
    title = weights_title(picking(found.config["metric"], task), str(evaluation.epoch))
    out.print(metrics_table(evaluation.metrics, evaluation.constant, task, title))
    for line in undefined_metrics(evaluation.undefined):
        print_text(out, line)
    if task.kind == "classification":
        print_text(
            out, confusions(evaluation.results, "the test split" if "test" in evaluation.metrics else "the table")
        )
    if evaluation.importance is not None:
        out.print(importance_table(evaluation.importance))
    for remark in evaluation.remarks:
        report(remark)
    show_findings(found.findings, out)
    print_text(out, f"written to {evaluation.directory}")
    return 0


def _ensemble(sweep: Path, changed: dict[str, Any], data: Path | None) -> int:
    """Shows how the mean of the best setting's seeds is judged, beside the seeds themselves."""
    from rich.table import Table

    from mlpexp.cli.console import console, print_text
    from mlpexp.comparison.best import best_setting
    from mlpexp.config.metric import KINDS, Metric
    from mlpexp.errors import ConfigError, pluralize
    from mlpexp.run.record import NAME
    from mlpexp.training.ensemble import evaluate_ensemble, mean_of_members

    if (sweep / NAME).exists():
        raise ConfigError(f"{sweep}: is one run; --ensemble is for a sweep, whose seeds it averages.")
    best = best_setting(sweep)
    found = evaluate_ensemble(best.directories, sweep, changed, data)
    runs = pluralize(len(best.directories), "run")
    title = f"{best.label}, the best mean {best.metric.words}: {runs} on {found.rows}"
    table = Table(title=title, title_justify="left", title_style="")
    for name in ("metric", "ensemble", "mean of its runs", "least to greatest"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for name, (mean, least, most) in mean_of_members(found).items():
        metric = Metric(name, "test")
        shown = [metric.shown(value) for value in (found.metrics[name], mean, least, most)]
        unit = " (%)" if metric.percent else " (own units)" if KINDS[name].own_units else ""
        table.add_row(f"{KINDS[name].words}{unit}", *shown[:2], f"{shown[2]} to {shown[3]}")
    out = console()
    out.print(table)
    if "accuracy" in found.metrics:
        said = f"{100 * found.disagreement:.2f} % of their answers differ from the ensemble's"
    else:
        said = f"the runs' values for a row have a mean standard deviation of {found.disagreement:.3g} (own units)"
    print_text(out, f"disagreement: {said}")
    print_text(out, f"written to {found.directory}")
    return 0
