"""The setting of a sweep that is best on validation rows, and its runs: what one would use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlpexp.comparison.compare import compare_runs, own_metric, report_of
from mlpexp.comparison.metric import choose_metric
from mlpexp.comparison.runs import find_runs
from mlpexp.config.metric import Metric
from mlpexp.errors import ConfigError


@dataclass(frozen=True)
class Best:
    """A setting, its runs that have a result, one a seed, and the metric by which it is best."""

    label: str
    directories: tuple[Path, ...]
    metric: Metric


def best_setting(path: str | Path) -> Best:
    """The setting below `path` with the best mean on validation rows; ConfigError for none, and several datasets.

    The test split has no say in it: what it says of the setting then holds for new rows too.
    """
    runs, notes = find_runs([path])
    report = report_of(runs)
    metric = choose_metric(runs, f"{own_metric(runs, report).name}/val")
    comparison = compare_runs(runs, notes, None, metric, report)
    if comparison.datasets:
        names = ", ".join(comparison.datasets)
        raise ConfigError(
            f"{path}: its runs are on several datasets ({names}), which no one network is for; name a run."
        )
    found = comparison.best
    if found is None:
        raise ConfigError(f"{path}: no run below it has completed with a {metric.words}.")
    return Best(found.label, tuple(run.directory for run in found.runs), metric)
