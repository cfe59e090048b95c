"""Starts a sweep: plans the stacks of its jobs, notes them in sweep.json, and trains them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.config.composer import Composer
from mlpexp.config.jobs import Job, check_jobs, expand
from mlpexp.prepare import Preparations
from mlpexp.run.lock import claimed
from mlpexp.run.record import Record
from mlpexp.sweep.plan import plan
from mlpexp.sweep.record import checkpoint_of, job_records, read
from mlpexp.sweep.train import SweepWatcher, stack_to_train, train_stacks

if TYPE_CHECKING:
    from mlpexp.comparison.compare import Comparison


def train_sweep(
    overrides: Sequence[str],
    directory: str | Path,
    config_dir: str | None = None,
    watcher: SweepWatcher | None = None,
) -> Comparison:
    """Trains every combination of the values that the overrides list, and compares the settings over seeds.

    >>> comparison = train_sweep(["dataset=xor", "activation=relu,tanh", "seed=range(4)"], "runs/xor")
    >>> [summary.label for summary in comparison.summaries]
    ['activation=relu', 'activation=tanh']

    `directory` must be new or empty. ConfigError with whatever is wrong with any job, and nothing written; a job that
    fails is counted in the comparison and does not keep the others from training.
    """
    from mlpexp.comparison.report import sweep_summary

    preparations = Preparations()
    jobs = check_jobs(expand(overrides, config_dir=config_dir), Composer(config_dir), preparations=preparations)
    with claimed(Path(directory), "directory") as path:
        for job in jobs:
            (path / job.directory).mkdir()
        train_jobs(path, jobs, preparations, watcher or SweepWatcher())
        return sweep_summary(path)


def train_jobs(
    directory: Path, jobs: Sequence[Job], preparations: Preparations, watcher: SweepWatcher
) -> dict[int, Record | Exception]:
    """Trains jobs in their directories, within that of their sweep; what became of each, by its number."""
    records = job_records(jobs)
    at = {job.number: directory / job.directory for job in jobs}
    stacks = plan(jobs, preparations)
    read(directory).extended(records, [stack.numbers for stack in stacks]).write(directory)
    to_train = [
        stack_to_train(stack.jobs, at, preparations, checkpoint_of(directory, stack.numbers)) for stack in stacks
    ]
    return train_stacks(directory, to_train, watcher)
