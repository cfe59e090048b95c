"""The learning curves of a sweep's settings for TensorBoard: the mean over the seeds, with minimum and maximum."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from mlpexp.comparison.comparison import Comparison
from mlpexp.comparison.histories import histories, score_of
from mlpexp.comparison.settings import MISSING
from mlpexp.comparison.summary import Summary
from mlpexp.run.directory import refuse_link
from mlpexp.run.files import make_directory, writing
from mlpexp.run.names import setting_name
from mlpexp.run.sweep_record import SETTINGS

# For more runs, reading the histories would take too long.
_MOST_RUNS = 200


def write_mean_curves(directory: Path, comparison: Comparison) -> None:
    """Writes event files to `settings/` in a sweep's directory, and replaces earlier ones.

    TensorBoard shows each setting as a run. Its tab "Custom scalars" has a line for each setting, with a band from the
    lowest seed to the highest. Nothing is written if no setting has several runs, or the runs have no event files.
    """
    summaries = [summary for summary in comparison.summaries if summary.runs]
    runs = [run for summary in summaries for run in summary.runs]
    if all(len(summary.runs) < 2 for summary in summaries) or len(runs) > _MOST_RUNS:
        return
    score = score_of(summaries)
    if score is None or not any(runs[0].directory.glob("*tfevents*")):
        return
    from mlpexp.run.tensorboard import write_bands

    found = histories(summaries, ("loss/val", f"{score}/val"))
    refuse_link(directory / SETTINGS)
    make_directory(directory / SETTINGS)
    names = {_name(summary, summaries): summary.label for summary in summaries if summary.label in found.columns}
    _remove_others(directory / SETTINGS, names)
    for name, label in names.items():
        refuse_link(directory / SETTINGS / name)
        bands = {
            tag: np.stack([values.mean(axis=0), values.min(axis=0), values.max(axis=0)])
            for tag, values in found.columns[label].items()
        }
        write_bands(directory / SETTINGS / name, bands)


def _name(summary: Summary, summaries: Sequence[Summary]) -> str:
    values = {key: value for key, value in summary.setting.values.items() if value != MISSING}
    keys = dict.fromkeys(key for summary in summaries for key in summary.setting.values)
    return setting_name([f"{key}={value}" for key, value in values.items()], keys)


def _remove_others(directory: Path, names: Collection[str]) -> None:
    """Removes the event files of settings whose names changed when the sweep was extended."""
    for path in directory.glob("*/events.out.tfevents.*"):
        if path.parent.name not in names and not path.parent.is_symlink():
            with writing(path):
                path.unlink()
                if not any(path.parent.iterdir()):
                    path.parent.rmdir()
