"""What the runs of settings measured epoch by epoch, as arrays.

N seeds, E epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlpexp.comparison.runs import StoredRun
from mlpexp.comparison.summary import Summary
from mlpexp.config.metric import SCORES

# As many settings as can be told apart by colour.
MOST = 8


@dataclass(frozen=True)
class Histories:
    """Of each setting's runs the columns [N, E] by tag; `remarks` say what is not shown."""

    columns: dict[str, dict[str, np.ndarray]]
    runs: dict[str, list[StoredRun]]
    remarks: list[str]

    def of(self, tag: str) -> dict[str, np.ndarray]:
        """One column [N, E] by setting."""
        return {label: columns[tag] for label, columns in self.columns.items()}


def histories(summaries: Sequence[Summary], tags: Sequence[str]) -> Histories:
    """The columns `tags` of the best settings, at most `MOST`.

    A mean over the seeds that happen to be left, after others have stopped early, would jump: a setting's curve
    ends with the first of its seeds. Runs without a readable metrics.csv, or without these columns, are left out.
    """
    with_runs = [summary for summary in summaries if summary.runs]
    columns: dict[str, dict[str, np.ndarray]] = {}
    kept: dict[str, list[StoredRun]] = {}
    shortened, n_left_out = False, 0
    for summary in with_runs[:MOST]:
        usable = [run for run in summary.runs if {"epoch", *tags} <= run.history.keys()]
        n_left_out += len(summary.runs) - len(usable)
        if not usable:
            continue
        lengths = {len(run.history["epoch"]) for run in usable}
        shortened |= len(lengths) > 1
        columns[summary.label] = {tag: np.array([run.history[tag][: min(lengths)] for run in usable]) for tag in tags}
        kept[summary.label] = usable
    remarks = []
    if len(with_runs) > MOST:
        remarks.append(f"the best {MOST} of {len(with_runs)} settings")
    if shortened:
        remarks.append("a curve ends where the first of its seeds stopped")
    if n_diverged := sum(len(summary.diverged) for summary in with_runs[:MOST]):
        remarks.append(f"without the runs that diverged: {n_diverged}")
    if n_left_out:
        remarks.append(f"runs left out, whose metrics.csv lacks these columns: {n_left_out}")
    return Histories(columns, kept, remarks)


def score_of(summaries: Sequence[Summary]) -> str | None:
    """Which score the histories of the best settings hold; None where they hold none."""
    with_runs = [summary for summary in summaries if summary.runs][:MOST]
    tags = {tag for summary in with_runs for run in summary.runs for tag in run.history}
    return next((score for score in SCORES if f"{score}/val" in tags), None)


def damaged_histories(summaries: Sequence[Summary]) -> list[str]:
    """A line on each run that figures leave out since its metrics.csv is damaged."""
    runs = [run for summary in summaries for run in summary.runs]
    return [f"left out of the curves: {run.damage}" for run in runs if run.damage is not None]
