"""Trains one stack of a sweep, in this process: locks the directories of its runs, loads their data, cleans up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from mlpexp.errors import ConfigError, MlpexpError
from mlpexp.interruption import InterruptedRunError
from mlpexp.run import record
from mlpexp.run.checkpoint import previous
from mlpexp.run.directory import locked
from mlpexp.run.files import allow_open_files
from mlpexp.sweep.jobs import Job
from mlpexp.training.attempt import Outcome, Pending
from mlpexp.training.prepare import Preparations
from mlpexp.training.stack import train_stack
from mlpexp.training.watcher import Watcher


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


def stack_to_train(jobs: Sequence[Job], directories: Mapping[int, Path], checkpoint: Path | None) -> StackToTrain:
    """A stack of jobs that have not begun; `directories` are given by job number."""
    runs = tuple(Pending(job.config, directories[job.number], job.number) for job in jobs)
    return StackToTrain(runs, checkpoint)


def train(stack: StackToTrain, preparations: Preparations, watcher: Watcher) -> list[Outcome]:
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
