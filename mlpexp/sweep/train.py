"""Trains a sweep: the stacks of its jobs are planned, recorded in sweep.json, and trained one after the other.

A failure of one stack does not stop the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import OmegaConf

from mlpexp.errors import ConfigError, MlpexpError
from mlpexp.interruption import InterruptedRunError, stopped_with
from mlpexp.run import record, sweep_record
from mlpexp.run.checkpoint import previous
from mlpexp.run.directory import locked
from mlpexp.run.files import allow_open_files, writing
from mlpexp.run.record import Record
from mlpexp.run.sweep_record import checkpoint_of
from mlpexp.sweep.jobs import Job, job_records
from mlpexp.sweep.plan import plan
from mlpexp.training.attempt import Outcome, Pending, Run
from mlpexp.training.prepare import Preparations
from mlpexp.training.stack import Watcher, train_stack


@dataclass(frozen=True)
class StackToTrain:
    """Runs that train together. It can be pickled for another process."""

    runs: tuple[Pending, ...]
    checkpoint: Path | None = None
    stack_size: int | None = None  # the number of runs at the start, if some have ended since

    @property
    def numbers(self) -> list[int]:
        """The numbers of the runs that have a directory."""
        return [run.number for run in self.runs if run.directory is not None]


class SweepWatcher(Watcher):
    """Receives the events of a sweep, and those of each stack."""

    def stack(self, index: int, stacks: Sequence[StackToTrain]) -> None:
        """Called before each stack."""

    def left_out(self, numbers: Sequence[int], error: Exception) -> None:
        """Called before the first stack, for jobs that are too damaged to be resumed."""

    def outcome(self, numbers: Sequence[int], outcome: Outcome) -> None:
        """Called when a stack has ended, with the outcome of a job, or of several jobs with the same error."""


def stack_to_train(jobs: Sequence[Job], directories: Mapping[int, Path], checkpoint: Path | None) -> StackToTrain:
    """A stack of jobs that have not begun; `directories` are given by job number."""
    runs = tuple(Pending(job.config, directories[job.number], job.number) for job in jobs)
    return StackToTrain(runs, checkpoint)


def train_stacks(
    directory: Path, stacks: Sequence[StackToTrain], preparations: Preparations, watcher: SweepWatcher
) -> dict[int, Record | Exception]:
    """The record or error of each job, by its number.

    An interruption ends the sweep, with a message that has the command to resume it.
    """
    outcomes: dict[int, Record | Exception] = {}
    said = f"the sweep is interrupted; go on with: mlpexp resume {directory}"
    with stopped_with(said):
        for index, stack in enumerate(stacks):
            watcher.stack(index, stacks)
            ended = _train(stack, preparations, watcher)
            alike: dict[int, list[int]] = {}
            for number, outcome in zip(stack.numbers, ended, strict=True):
                alike.setdefault(id(outcome), []).append(number)
                # Only the record is kept: the networks and data of a long sweep would fill the memory.
                outcomes[number] = outcome.record if isinstance(outcome, Run) else outcome
            for outcome in ended:
                if numbers := alike.pop(id(outcome), None):
                    watcher.outcome(numbers, outcome)
    return outcomes


def _train(stack: StackToTrain, preparations: Preparations, watcher: SweepWatcher) -> list[Outcome]:
    """The outcome of each run of the stack that has a directory."""
    # For each member the lock, metrics.csv and TensorBoard's file; and 200 for the rest of the program.
    allow_open_files(3 * len(stack.numbers) + 200)
    with ExitStack() as locks:
        refused = {run.number: error for run in stack.runs if (error := _refusal(run, locks)) is not None}
        # Refused runs are replayed, since the others have the same bits only in a stack with all members.
        runs = [replace(run, directory=None) if run.number in refused else run for run in stack.runs]
        trained = [run.number for run in runs if run.directory is not None]
        try:
            # Loaded here and not before, so that only the data of one stack are in memory.
            prepared = [preparations.of(run.config) for run in runs] if trained else []
            ended = train_stack(runs, prepared, watcher, stack.checkpoint, stack.stack_size) if trained else []
        except InterruptedRunError:
            raise
        except Exception as error:
            ended = [error] * len(trained)
        else:
            if not refused:
                tidy(stack.checkpoint)
    outcomes: dict[int, Outcome] = {**refused, **dict(zip(trained, ended, strict=True))}
    return [outcomes[number] for number in stack.numbers]


def _refusal(run: Pending, locks: ExitStack) -> MlpexpError | None:
    """Locks a run's directory. Returns an error if another process writes there, or has resumed the run meanwhile."""
    if run.directory is None:
        return None
    try:
        locks.enter_context(locked(run.directory))
        now = record.read(run.directory) if (run.directory / record.NAME).exists() else None
    except MlpexpError as error:
        return error
    if now != run.resumed:
        return ConfigError(f"{run.directory}: another process has resumed it meanwhile.")
    return None


def tidy(path: Path | None) -> None:
    """Removes the checkpoints of a stack that has ended, and their directory once it is empty."""
    if path is not None:
        path.unlink(missing_ok=True)
        previous(path).unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def note_overrides(directory: Path, jobs: Sequence[Job]) -> None:
    """Writes the overrides of each job to .hydra/overrides.yaml in its directory, as Hydra does."""
    for job in jobs:
        own = directory / job.directory / ".hydra"
        with writing(own):
            own.mkdir(parents=True, exist_ok=True)
            (own / "overrides.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(job.overrides)))


def train_jobs(
    directory: Path, jobs: Sequence[Job], preparations: Preparations, watcher: SweepWatcher
) -> dict[int, Record | Exception]:
    """Trains jobs in their directories within that of the sweep. The record or error of each, by its number."""
    records = job_records(jobs)
    at = {job.number: directory / job.directory for job in jobs}
    stacks = plan(jobs, preparations)
    sweep_record.read(directory).extended(records, [stack.numbers for stack in stacks]).write(directory)
    to_train = [stack_to_train(stack.jobs, at, checkpoint_of(directory, stack.numbers)) for stack in stacks]
    return train_stacks(directory, to_train, preparations, watcher)
