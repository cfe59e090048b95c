"""Resumes a sweep: missing runs are trained, unfinished ones are resumed, and ended ones stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlpexp.comparison.report import TABLE
from mlpexp.config.schema import Config
from mlpexp.engine.stack_key import stack_key
from mlpexp.errors import ConfigError, DivergedError
from mlpexp.run import checkpoint, record
from mlpexp.run.directory import RunDirectory, locked, refuse_link
from mlpexp.run.files import remove_unfinished
from mlpexp.run.record import Record
from mlpexp.run.sweep_record import CHECKPOINTS, NAME, JobRecord, SweepRecord, checkpoint_of, read
from mlpexp.sweep.jobs import Job
from mlpexp.sweep.one_stack import StackToTrain, stack_to_train, tidy
from mlpexp.sweep.plan import plan
from mlpexp.sweep.train import SweepWatcher, train_stacks
from mlpexp.training.attempt import Pending
from mlpexp.training.prepare import Preparations
from mlpexp.training.saved import newest
from mlpexp.training.saved_config import checked_config


@dataclass(frozen=True)
class _Found:
    """A job, with the state found in its directory."""

    job: Job
    planned: Config  # the config in the sweep; the run's own differs if it was resumed alone with changes
    directory: Path
    record: Record | None
    damaged: ConfigError | None  # what is wrong with run.json

    @property
    def ended(self) -> bool:
        """Whether the job is completed, has diverged, or is damaged.

        A run that failed for an external reason, such as a full disk, has not ended: it is trained again.
        """
        if self.damaged is not None:
            return True
        if self.record is None:
            return False
        return self.record.state == "completed" or self.diverged

    @property
    def gone(self) -> bool:
        """Whether the directory has no run; an earlier one may have been removed."""
        return self.record is None and self.damaged is None

    @property
    def failed(self) -> bool:
        return self.record is not None and self.record.state == "failed"

    @property
    def diverged(self) -> bool:
        return self.record is not None and self.record.diverged

    @property
    def apart(self) -> bool:
        """Whether the run can no longer train in its stack, since its epochs or device were changed."""
        return stack_key(self.job.config) != stack_key(self.planned)

    @property
    def evaluated(self) -> bool:
        """Whether the run is trained and evaluated, so that only figures may be missing."""
        return self.record is not None and bool(self.record.metrics) and RunDirectory(self.directory).last.exists()

    def pending(self, state: dict[str, Any] | None) -> Pending:
        """The run, to be resumed from a checkpoint's `state`; from the start if that is None."""
        return Pending(self.job.config, self.directory, self.job.number, self.record, state)

    def from_its_own(self) -> Pending:
        """The run, to be resumed from its own last checkpoint."""
        last = newest(self.directory)
        return self.pending(last.state if last else None)

    def replay_only(self, state: dict[str, Any] | None) -> Pending:
        """The run, to be replayed without writing files, so that the other runs of its stack get the same bits."""
        return Pending(self.planned, None, self.job.number, None, state)


# The numbers of jobs that cannot be resumed, and the error.
LeftOut = tuple[list[int], ConfigError]


def resume_sweep(directory: Path, changes: dict[str, Any], watcher: SweepWatcher, file: Path | None = None) -> None:
    """Trains the missing and unfinished runs of a sweep, and reports again which runs diverged.

    `changes` are as in `single.resume`; `file` is the path of the sweep's table, if that was moved. ConfigError if
    nothing is left to train.
    """
    try:
        known = read(directory)
    except ConfigError as error:
        raise ConfigError(f"{error} Runs with checkpoints of their own can go on one by one.") from None
    if not known.jobs:
        raise ConfigError(f"{directory}: holds no job of a sweep.")
    with locked(directory):
        finish(directory, changes, watcher, file)


def unfinished(directory: Path) -> bool:
    """Whether a run of a sweep is missing or has not ended."""
    return not all(_look(directory, job, {}).ended for job in read(directory).jobs)


def finish(directory: Path, changes: dict[str, Any], watcher: SweepWatcher, file: Path | None) -> None:
    """As `resume_sweep`, in a directory that the caller has locked."""
    saved = read(directory)
    found = {job.number: _look(directory, job, changes) for job in saved.jobs}
    # Before the checkpoints of ended stacks are removed, since their directory must be empty to be removed too.
    for place in (directory, directory / CHECKPOINTS):
        remove_unfinished(place)
    preparations = Preparations(file)
    noted, stacks, left_out = _to_finish(directory, saved, found, preparations)
    not_chosen = _not_chosen(saved)
    # A sweep that was killed after its last run still lacks its table.
    if not stacks and not left_out and (directory / TABLE).exists():
        ended = f"{directory}: all {len(saved.jobs)} jobs of the sweep have ended."
        raise ConfigError(f"{ended} {not_chosen}" if not_chosen else ended)
    replace(noted, jobs=[replace(job, config={**job.config, **changes}) for job in noted.jobs]).write(directory)
    if not_chosen:
        watcher.note(f"{directory}: {not_chosen}")
    for numbers, error in left_out:
        watcher.left_out(numbers, error)
    for number, entry in found.items():
        if entry.diverged and entry.record is not None:
            watcher.outcome([number], DivergedError(entry.record.reason))
    for stack in stacks:
        for run in stack.runs:
            if run.directory is not None:
                run.directory.mkdir(parents=True, exist_ok=True)
    train_stacks(directory, stacks, preparations, watcher)
    _tidy_ended(directory, saved, changes)


def _tidy_ended(directory: Path, saved: SweepRecord, changes: dict[str, Any]) -> None:
    """Removes the checkpoints of stacks whose last runs were resumed alone."""
    jobs = {job.number: job for job in saved.jobs}
    for numbers in saved.stacks:
        path = checkpoint_of(directory, numbers)
        if path is None or not path.exists():
            continue
        if all(_look(directory, jobs[number], changes).ended for number in numbers):
            tidy(path)


def _not_chosen(saved: SweepRecord) -> str:
    """A note on the jobs that the sweeper of a search had not chosen yet, which cannot be resumed; else empty."""
    if saved.search is None:
        return ""
    sweeper, n_trials = saved.search.get("sweeper"), saved.search.get("n_trials")
    if not isinstance(n_trials, int):
        return f"hydra/sweeper={sweeper} chose its jobs during the search; resume finishes those and chooses no more."
    missing = n_trials - len(saved.jobs)
    if missing <= 0:
        return ""
    return f"{missing} of its {n_trials} trials had not been chosen by hydra/sweeper={sweeper}; resume chooses none."


def _to_finish(
    directory: Path, saved: SweepRecord, found: Mapping[int, _Found], preparations: Preparations
) -> tuple[SweepRecord, list[StackToTrain], list[LeftOut]]:
    """The record of a sweep with new stacks of missing jobs; the stacks to train; and the jobs that are too damaged."""
    left_out: list[LeftOut] = [([number], entry.damaged) for number, entry in found.items() if entry.damaged]
    # Jobs that start again use the data of the other runs; their splits may differ.
    needed = [entry.job.config.dataset.unsplit for entry in found.values() if not entry.ended]
    for entry in sorted(found.values(), key=lambda entry: entry.ended):
        if entry.record is not None and entry.job.config.dataset.unsplit in needed:
            preparations.go_on(entry.job.config, record.identity(entry.record, entry.directory), entry.directory)
    to_train: list[StackToTrain] = []
    missing: list[Job] = []
    for numbers in saved.stacks:
        entries = [found[number] for number in numbers]
        if all(entry.ended for entry in entries):
            if not any(entry.damaged for entry in entries):
                tidy(checkpoint_of(directory, numbers))
            continue
        if len(entries) == 1 and entries[0].record is None:
            missing.append(entries[0].job)
            continue
        try:
            resumed = _resumed(directory, entries)
        except ConfigError as error:
            left_out.append(([entry.job.number for entry in entries if not entry.ended], error))
            continue
        for runs, path in resumed:
            stack_size = len(entries) if path is not None else None
            for run in runs:
                preparations.of(run.config)
            to_train.append(StackToTrain(tuple(runs), path, stack_size))
    # Jobs that another launcher would have run one by one can share stacks, since they have not begun.
    planned = plan(missing, preparations)
    at = {number: entry.directory for number, entry in found.items()}
    for stack in planned:
        to_train.append(stack_to_train(stack.jobs, at, checkpoint_of(directory, stack.numbers)))
    return saved.extended([], [stack.numbers for stack in planned]), to_train, left_out


def _look(directory: Path, job: JobRecord, changes: dict[str, Any]) -> _Found:
    path = directory / job.directory
    for part in (path, *path.parents[: len(Path(job.directory).parts) - 1]):
        refuse_link(part)
    entry, damaged = None, None
    try:
        entry = record.read(path) if (path / record.NAME).exists() else None
    except ConfigError as error:
        damaged = ConfigError(f"{error} With {path} moved away, the job is trained anew.")
    raw, source = (job.config, directory / NAME) if entry is None else (entry.config, path / record.NAME)
    config = checked_config(raw, source, changes)
    planned = config if raw == job.config else checked_config(job.config, directory / NAME, changes)
    return _Found(Job(job.number, job.overrides, config, job.directory), planned, path, entry, damaged)


def _resumed(directory: Path, entries: Sequence[_Found]) -> list[tuple[list[Pending], Path | None]]:
    """The runs of a stack that has begun, and the file of their checkpoints.

    Members that have ended since the last checkpoint are replayed from it, so that the numbers of the other members are
    those of a sweep without interruption. Members that ended earlier are not in the checkpoint.
    """
    # Without replayed members the others would have different bits: torch's fused optimizers round the last elements of
    # a tensor of K members differently from the rest, and products of one network use another routine than those of
    # two. With one member less for an epoch (digits, 64 hidden units, Adam) the weights of 2 members in 21 differed in
    # stacks of 8, and of 1 in 2 in stacks of 2.
    path = checkpoint_of(directory, [entry.job.number for entry in entries])
    if path is None:
        return [([entries[0].from_its_own()], None)]
    states = _states(path)
    if states is None or any(entry.job.number in states for entry in entries if entry.gone):
        # All members start again; those that have ended are replayed.
        begun, states = False, {entry.job.number: None for entry in entries}
    else:
        begun = True
    inside = [entry for entry in entries if entry.job.number in states]
    here = [entry for entry in inside if not (entry.ended or entry.apart or (entry.evaluated and not begun))]
    if not begun and len(here) < len(entries) and all(entry.failed for entry in here):
        # All other members have been trained. The stack is not trained again for members that failed, for example on a
        # full disk; these are resumed alone.
        here = []
    runs = [(entry.pending if entry in here else entry.replay_only)(states[entry.job.number]) for entry in inside]
    alone = [([entry.from_its_own()], None) for entry in entries if entry not in here and not entry.ended]
    return [*([(runs, path)] if here else []), *alone]


def _states(path: Path) -> dict[int, dict[str, Any] | None] | None:
    """The states of a stack's members, by job number, in its newest intact checkpoint; None if it has none yet."""
    damaged = []
    for source in (path, checkpoint.previous(path)):
        if not source.exists():
            continue
        try:
            states = checkpoint.load(source)["states"]
            return {int(number): checkpoint.check_state(source, state) for number, state in states.items()}
        except ConfigError as error:
            damaged.append(str(error))
        except checkpoint.MISMATCHES as error:
            damaged.append(str(checkpoint.mismatch(source, error)))
    if damaged:
        raise ConfigError(f"{damaged[0]} With {path.parent} moved away, these runs begin anew.")
    return None
