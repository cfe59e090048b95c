"""A sweep trained from Python: `mlpexp.train_sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.comparison.report import TABLE, sweep_summary
from mlpexp.config.compose import Composer
from mlpexp.config.reproduce import differences
from mlpexp.errors import ConfigError, pluralize
from mlpexp.run import sweep_record
from mlpexp.run.directory import claimed
from mlpexp.sweep.jobs import Job, check_jobs, expand
from mlpexp.sweep.one_stack import StackToTrain
from mlpexp.sweep.resume import resume_sweep, unfinished
from mlpexp.sweep.train import SweepWatcher, train_jobs
from mlpexp.training.notebook_bar import NotebookBar, in_notebook
from mlpexp.training.prepare import Preparations
from mlpexp.training.single import Exist, chosen, other_config
from mlpexp.training.watcher import Watcher

if TYPE_CHECKING:
    from mlpexp.comparison.compare import Comparison


def train_sweep(
    overrides: Sequence[str],
    directory: str | Path,
    config_dir: str | None = None,
    watcher: SweepWatcher | None = None,
    *,
    exist: Exist = "error",
) -> Comparison:
    """Trains every combination of the values that the overrides list, and compares the settings over seeds.

    >>> comparison = train_sweep(["dataset=xor", "activation=relu,tanh", "seed=range(4)"], "runs/xor")
    >>> [summary.label for summary in comparison.summaries]
    ['activation=relu', 'activation=tanh']

    `directory` must be new or empty. `exist` says what happens if it is not empty: "error" raises; "new" trains in the
    first of directory_1, directory_2, … that is free; "reuse" compares the runs of the sweep in it, after training
    those that are missing, and raises if it is another sweep. ConfigError with each mistake in any job, and nothing is
    written. A job that fails does not stop the others; the comparison counts it.
    """
    path = chosen(Path(directory), exist)
    watcher = watcher or (_NotebookSweep() if in_notebook() else SweepWatcher())
    preparations = Preparations()
    composer = Composer(config_dir)
    listed = expand(overrides, config_dir=config_dir, sweep=composer.sweep(overrides))
    jobs = check_jobs(listed, composer, preparations=preparations)
    if exist == "reuse" and sweep_record.is_sweep(path):
        return _reused(path, jobs, watcher)
    with claimed(path, "directory"):
        for job in jobs:
            (path / job.directory).mkdir()
        train_jobs(path, jobs, preparations, watcher)
        return sweep_summary(path)


def _reused(path: Path, jobs: Sequence[Job], watcher: SweepWatcher) -> Comparison:
    """The comparison of the sweep in a directory, after it is resumed if unfinished. ConfigError if its jobs differ."""
    known = sweep_record.read(path).jobs
    if len(known) != len(jobs):
        raise ConfigError(f"directory={path}: holds a sweep of {pluralize(len(known), 'job')}, not {len(jobs)}.")
    for job, its in zip(jobs, known, strict=True):
        if differing := differences(job.config.to_dict(), its.config):
            raise other_config(path / its.directory, differing)
    if unfinished(path) or not (path / TABLE).exists():
        resume_sweep(path, {}, watcher)
    return sweep_summary(path)


class _NotebookSweep(SweepWatcher):
    """The progress bars of a sweep, one for each stack."""

    def note(self, line: str) -> None:
        print(line)

    def stack(self, index: int, stacks: Sequence[StackToTrain]) -> Watcher:
        runs = pluralize(len(stacks[index].numbers), "run")
        return NotebookBar(f"stack {index + 1}/{len(stacks)} ({runs}) ")
