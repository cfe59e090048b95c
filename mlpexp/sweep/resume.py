"""Goes on with a sweep: what is missing is trained, what is unfinished goes on, what has ended stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlpexp.comparison.report import TABLE
from mlpexp.config.jobs import Job
from mlpexp.config.schema import Config
from mlpexp.engine.common import in_common
from mlpexp.engine.member import DIVERGED
from mlpexp.errors import ConfigError, RunError
from mlpexp.prepare import Preparations
from mlpexp.run import checkpoint, record
from mlpexp.run.directory import RunDirectory, check_not_running
from mlpexp.run.record import Record
from mlpexp.sweep.plan import plan
from mlpexp.sweep.record import NAME, JobRecord, SweepRecord, read
from mlpexp.sweep.train import StackToTrain, SweepWatcher, checkpoint_of, stack_to_train, tidy, train_stacks
from mlpexp.training.attempt import Pending
from mlpexp.training.single import checked_config


@dataclass(frozen=True)
class _Found:
    """A job as its directory shows it."""

    job: Job
    planned: Config  # that of the sweep; the run's own is another where it was gone on with by itself
    directory: Path
    record: Record | None

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do.

        A run that failed of something outside, such as a full disk, is tried again.
        """
        if self.record is None:
            return False
        return self.record.state == "completed" or self.diverged

    @property
    def failed(self) -> bool:
        return self.record is not None and self.record.state == "failed"

    @property
    def diverged(self) -> bool:
        return self.failed and self.record is not None and (self.record.reason or "").startswith(DIVERGED)

    @property
    def apart(self) -> bool:
        """Whether the run can no longer go on with its stack, since it was given more epochs or another device."""
        return in_common(self.job.config) != in_common(self.planned)

    @property
    def judged(self) -> bool:
        """Whether only figures can be missing."""
        return self.record is not None and bool(self.record.metrics) and RunDirectory(self.directory).last.exists()

    def pending(self, state: dict[str, Any] | None) -> Pending:
        """The run, to go on from a checkpoint's `state`; from the start without one."""
        return Pending(self.job.config, self.directory, self.job.number, self.record, state)

    def from_its_own(self) -> Pending:
        """The run, to go on from its own last checkpoint."""
        last = RunDirectory(self.directory).last
        return self.pending(checkpoint.load(last) if last.exists() else None)

    def along(self, state: dict[str, Any] | None) -> Pending:
        """The run as company for others."""
        return Pending(self.planned, None, self.job.number, None, state)


def resume_sweep(directory: Path, changes: dict[str, Any], watcher: SweepWatcher) -> None:
    """Trains what is left of a sweep, and says once more what had diverged. ConfigError where nothing is left."""
    saved = read(directory)
    if not saved.jobs:
        raise ConfigError(f"{directory}: holds no job of a sweep.")
    found = {job.number: _look(directory, job, changes) for job in saved.jobs}
    noted, stacks = _to_finish(directory, saved, found)
    # A sweep that died in the meantime still lacks its table.
    if not stacks and (directory / TABLE).exists():
        raise ConfigError(f"{directory}: all {len(saved.jobs)} jobs of the sweep have ended.")
    replace(noted, jobs=[replace(job, config={**job.config, **changes}) for job in noted.jobs]).write(directory)
    for number, entry in found.items():
        if entry.diverged and entry.record is not None:
            watcher.outcome(number, RunError(entry.record.reason))
    for stack in stacks:
        for run in stack.runs:
            if run.directory is not None:
                run.directory.mkdir(parents=True, exist_ok=True)
    train_stacks(directory, stacks, watcher)


def _to_finish(
    directory: Path, saved: SweepRecord, found: Mapping[int, _Found]
) -> tuple[SweepRecord, list[StackToTrain]]:
    """What is left to train of a sweep, as it was to train together; and its record, with jobs stacked anew."""
    for entry in found.values():
        if entry.record is not None and not entry.ended:
            check_not_running(entry.directory, entry.record)
    preparations = Preparations()
    to_train: list[StackToTrain] = []
    missing: list[Job] = []
    for numbers in saved.stacks:
        entries = [found[number] for number in numbers]
        if all(entry.ended for entry in entries):
            tidy(checkpoint_of(directory, numbers))
            continue
        if len(entries) == 1 and entries[0].record is None:
            missing.append(entries[0].job)
            continue
        for runs, path in _resumed(directory, entries):
            size = len(entries) if path is not None else None
            to_train.append(StackToTrain(tuple(runs), preparations.of(runs[0].config), path, size))
    # Jobs that another launcher was to run one by one can as well train together, now that they have not begun.
    planned = plan(missing, preparations)
    at = {number: entry.directory for number, entry in found.items()}
    for stack in planned:
        to_train.append(stack_to_train(stack.jobs, at, preparations, checkpoint_of(directory, stack.numbers)))
    return saved.extended([], [stack.numbers for stack in planned]), to_train


def _look(directory: Path, job: JobRecord, changes: dict[str, Any]) -> _Found:
    path = directory / job.directory
    entry = record.read(path) if (path / record.NAME).exists() else None
    raw, source = (job.config, directory / NAME) if entry is None else (entry.config, path / record.NAME)
    config = checked_config(raw, source, changes)
    planned = config if raw == job.config else checked_config(job.config, directory / NAME, changes)
    return _Found(Job(job.number, job.overrides, config), planned, path, entry)


def _resumed(directory: Path, entries: Sequence[_Found]) -> list[tuple[list[Pending], Path | None]]:
    """The runs of a stack that has begun, in the company that they had.

    Members that have ended since the last checkpoint train along from there once more, so that the numbers of the
    others come out as if nothing had been; those that ended before it are not in it.
    """
    path = checkpoint_of(directory, [entry.job.number for entry in entries])
    if path is None:
        return [([entries[0].from_its_own()], None)]
    # Without a checkpoint, from the start: where one has ended for good, the others must have its company again.
    states = _states(path) if path.exists() else {entry.job.number: None for entry in entries}
    inside = [entry for entry in entries if entry.job.number in states]
    here = [entry for entry in inside if not (entry.ended or entry.apart or (entry.judged and not path.exists()))]
    if not path.exists() and len(here) < len(entries) and all(entry.failed for entry in here):
        # The stack has been through: for what failed of a full disk it is not to train once more.
        here = []
    runs = [(entry.pending if entry in here else entry.along)(states[entry.job.number]) for entry in inside]
    alone = [([entry.from_its_own()], None) for entry in entries if entry not in here and not entry.ended]
    return [*([(runs, path)] if here else []), *alone]


def _states(path: Path) -> dict[int, dict[str, Any] | None]:
    saved = checkpoint.load(path)
    try:
        return {int(number): state for number, state in saved["states"].items()}
    except checkpoint.MISFITS as error:
        raise ConfigError(f"{path}: is damaged; without it these runs begin anew: {error}") from None
