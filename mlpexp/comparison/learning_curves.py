"""The learning curves of settings: validation loss and score over the epochs, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpexp.comparison.metric import SCORES
from mlpexp.comparison.runs import StoredRun
from mlpexp.comparison.summary import Summary
from mlpexp.errors import ConfigError
from mlpexp.figures.bands import COLOURS, Band
from mlpexp.run import history


def learning_curves(summaries: Sequence[Summary]) -> tuple[dict[str, Band], str, list[str]]:
    """The curves of the best eight settings, the score's name, and remarks on what is not shown.

    A mean over the seeds that happen to be left, after others have stopped early, would jump: a setting's curve
    ends with the first of its seeds. Runs without a readable metrics.csv, or with another score, are left out.
    """
    with_runs = [summary for summary in summaries if summary.runs]
    columns = {summary.label: _columns(summary.runs) for summary in with_runs[: len(COLOURS)]}
    measured = [name for name in SCORES if any(name in _names(found) for runs in columns.values() for found in runs)]
    if not measured:
        return {}, "accuracy", []
    score = measured[0]
    bands: dict[str, Band] = {}
    shortened, n_left_out = False, 0
    for label, found in columns.items():
        usable = [history for history in found if score in _names(history)]
        n_left_out += len(found) - len(usable)
        if not usable:
            continue
        lengths = {len(history["epoch"]) for history in usable}
        shortened |= len(lengths) > 1
        loss, scores = (
            np.array([history[tag][: min(lengths)] for history in usable]) for tag in ("loss/val", f"{score}/val")
        )
        bands[label] = Band(loss, scores)
    remarks = []
    if len(with_runs) > len(COLOURS):
        remarks.append(f"the best {len(COLOURS)} of {len(with_runs)} settings")
    if shortened:
        remarks.append("a curve ends where the first of its seeds stopped")
    if n_left_out:
        remarks.append(f"runs left out, whose metrics.csv lacks these columns: {n_left_out}")
    return bands, score, remarks


def _columns(runs: Sequence[StoredRun]) -> list[dict[str, list[float]]]:
    """Each run's metrics.csv; empty where it cannot be read."""
    found = []
    for run in runs:
        try:
            found.append(_history(run))
        except ConfigError:
            found.append({})
    return found


def _history(run: StoredRun) -> dict[str, list[float]]:
    return history.read(run.paths.history, run.record.history)


def damaged_histories(summaries: Sequence[Summary]) -> list[str]:
    """A line on each run that the curves leave out since its metrics.csv is damaged."""
    lines = []
    for summary in [summary for summary in summaries if summary.runs][: len(COLOURS)]:
        for run in summary.runs:
            if not run.paths.history.exists():
                continue
            try:
                _history(run)
            except ConfigError as error:
                lines.append(f"left out of the curves: {error}")
    return lines


def _names(columns: dict[str, list[float]]) -> set[str]:
    """The scores that a history holds whole."""
    return {name for name in SCORES if {"epoch", "loss/val", f"{name}/val"} <= columns.keys()}
