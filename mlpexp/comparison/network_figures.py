"""Figures that show the trained networks of settings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlpexp.comparison.compare import Comparison
from mlpexp.comparison.histories import MOST
from mlpexp.comparison.runs import StoredRun, natural
from mlpexp.comparison.summary import Summary
from mlpexp.config.metric import Metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mlpexp.run.results import Results

# At most so many panels, one for each setting, fit into a figure.
_MOST_PANELS = 12


def median_first(summary: Summary, metric: Metric) -> list[StoredRun]:
    """The runs of a setting, that with the median score first."""
    values = np.array([run.value(metric) for run in summary.runs])
    # For an even number, the worse of the two in the middle, so that the setting does not look better than it is.
    middle = int(np.argsort(values, kind="stable")[(len(values) - metric.higher_is_better) // 2])
    return [summary.runs[middle], *(run for k, run in enumerate(summary.runs) if k != middle)]


class _Loader:
    """Loads the networks of runs; data that several runs share are loaded once."""

    def __init__(self) -> None:
        from mlpexp.training.prepare import Preparations

        self._preparations = Preparations()

    def __call__(self, run: StoredRun, weights: Literal["best", "last"] = "best") -> Results:
        from mlpexp.training.evaluate import load

        plugins = run.record.config.get("plugins")
        # Plugins are used only if they are already imported, as at the end of a sweep: a run directory must not cause
        # code to be imported.
        here = isinstance(plugins, list) and all(name in sys.modules for name in plugins)
        changes = {"plugins": plugins} if plugins and here else {}
        return load(run.directory, changes, weights=weights, preparations=self._preparations)[0]


def decision_boundaries(comparison: Comparison) -> Figure | None:
    """The decision boundaries of each setting's run with the median score; None unless data have two features."""
    from mlpexp.figures.sweeps.boundaries import MOST_COLUMNS, Network, boundaries
    from mlpexp.run.pictures import points

    load = _Loader()
    networks = {}
    # In the order of the sweep, so that similar settings are neighbours.
    with_runs = sorted((summary for summary in comparison.summaries if summary.runs), key=first_started)
    with_runs, columns = crossed(with_runs, MOST_COLUMNS)
    for summary in with_runs[:_MOST_PANELS]:
        results = load(median_first(summary, comparison.metric)[0])
        data = results.data
        if data.task.kind != "classification" or data.n_axes != 2:
            continue
        names = (data.feature_names[0], data.feature_names[1])
        networks[summary.label] = Network(
            results.predict, points(data), data.task.classes, names, _remark(comparison, summary)
        )
    if not networks:
        return None
    return boundaries(networks, _notes(with_runs, len(networks)), columns if len(networks) == len(with_runs) else None)


def crossed(summaries: list[Summary], most: int) -> tuple[list[Summary], int | None]:
    """The settings row by row, and the number of columns, if they are all combinations of the values of two keys.

    The columns are the values of the key that has more of them. For other settings, or more than `most` columns, the
    order is kept and the number is None.
    """
    listed = {key: list(dict.fromkeys(one.setting.values[key] for one in summaries)) for key in _keys(summaries)}
    varied = sorted((key for key, values in listed.items() if len(values) > 1), key=lambda key: len(listed[key]))
    if len(varied) != 2 or len(listed[varied[0]]) * len(listed[varied[1]]) != len(summaries):
        return summaries, None
    if len(listed[varied[1]]) > most:
        return summaries, None

    def place(summary: Summary) -> list[int]:
        return [listed[key].index(summary.setting.values[key]) for key in varied]

    return sorted(summaries, key=place), len(listed[varied[1]])


def _keys(summaries: Sequence[Summary]) -> list[str]:
    return list(summaries[0].setting.values) if summaries else []


def first_started(summary: Summary) -> list[tuple[int, str]]:
    return min(natural(run.directory) for run in summary.runs)


def _remark(comparison: Comparison, summary: Summary) -> str:
    """A setting's mean with its confidence interval."""
    metric = comparison.metric
    found = summary.estimate(metric)
    assert found is not None
    spread = "" if found.half_width is None else f" ± {metric.shown(found.half_width)}"
    return f"{metric.title}: {metric.shown(found.mean)}{spread}"


def _notes(with_runs: Sequence[Summary], n_shown: int) -> list[str]:
    notes = ["each panel: the seed of median score"] if any(len(summary.runs) > 1 for summary in with_runs) else []
    if n_shown < len(with_runs):
        notes.append(f"{n_shown} of {len(with_runs)} settings")
    return notes


def fitted_curves(comparison: Comparison) -> Figure | None:
    """The functions of one feature that the networks of all seeds have learned, at the best and at the last epoch.

    Runs with other data than the first run are left out, since the points shown are those of its data.
    """
    from mlpexp.figures.sweeps.fits import fits
    from mlpexp.run.pictures import points, true_function

    load = _Loader()
    with_runs = [summary for summary in comparison.summaries if summary.runs][:MOST]
    if not with_runs:
        return None
    first = with_runs[0].runs[0]
    shown = load(first).data
    if shown.task.kind != "regression" or shown.n_axes != 1:
        return None
    same = {
        summary.label: runs
        for summary in with_runs
        if (runs := [run for run in median_first(summary, comparison.metric) if _data_of(run) == _data_of(first)])
    }
    moments: dict[str, dict[str, list[Callable[[np.ndarray], np.ndarray]]]] = {}
    moments["weights of the best epoch, which are kept"] = {
        label: [load(run).predict for run in runs] for label, runs in same.items()
    }
    moments["weights of the last epoch"] = {
        label: [load(run, "last").predict for run in runs] for label, runs in same.items()
    }
    return fits(moments, points(shown), true_function(shown), (shown.feature_names[0], shown.target_name))


def _data_of(run: StoredRun) -> tuple[object, object]:
    return run.record.config.get("dataset"), run.record.config.get("data_dir")


def reliability_diagrams(comparison: Comparison) -> Figure | None:
    """Accuracy against confidence on the test split, pooled over the seeds of a setting.

    For calibrated runs, the curve before calibration is shown too.
    """
    from mlpexp.figures.sweeps.reliability import Reliability, reliability
    from mlpexp.run.results import Calibration

    load = _Loader()
    error = Metric("calibration_error", "test")
    settings = {}
    for summary in [summary for summary in comparison.summaries if summary.runs][:MOST]:
        results = [load(run) for run in summary.runs]
        if any(result.data.task.kind != "classification" for result in results):
            continue
        found = Calibration.pooled([result.calibration(result.data.test) for result in results])
        before = None
        if any(result.temperature != 1 for result in results):
            plain = [replace(result, temperature=1.0) for result in results]
            before = Calibration.pooled([result.calibration(result.data.test) for result in plain]).known
        mean = summary.estimate(error)
        remark = "" if mean is None else f"calibration error: {error.shown(mean.mean)} %"
        if mean is not None and mean.half_width is not None:
            remark = f"calibration error: ({error.shown(mean.mean)} ± {error.shown(mean.half_width)}) %"
        settings[summary.label] = Reliability(found.counts, found.confidence, found.accuracy, remark, before)
    return reliability(settings, ["test split, all seeds together"]) if settings else None
