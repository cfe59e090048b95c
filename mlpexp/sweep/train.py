"""Trains the stacks of a sweep one after the other. What happens to one does not keep the others from training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpexp.config.jobs import Job
from mlpexp.interruption import InterruptedRunError, stopped_with
from mlpexp.prepare import Preparations, Prepared
from mlpexp.run.record import Record
from mlpexp.training.attempt import Outcome, Pending, Run
from mlpexp.training.stack import Watcher, train_stack

# Where the checkpoints of stacks lie within a sweep's directory while these train.
CHECKPOINTS = ".stacks"


@dataclass(frozen=True)
class StackToTrain:
    """Runs that train together, and what they share. It can be sent to wherever a stack is to run."""

    runs: tuple[Pending, ...]
    prepared: Prepared
    checkpoint: Path | None = None
    size: int | None = None  # of the stack when it began, where some of it have ended since

    @property
    def numbers(self) -> list[int]:
        """Those of the runs that leave something."""
        return [run.number for run in self.runs if run.directory is not None]


class SweepWatcher(Watcher):
    """Is told how a sweep goes; for each stack also what any watcher is told."""

    def stack(self, index: int, stacks: Sequence[StackToTrain]) -> None:
        """Before each stack."""

    def outcome(self, number: int, outcome: Outcome) -> None:
        """What became of a job, when its stack has ended."""


def stack_to_train(
    jobs: Sequence[Job], directories: Mapping[int, Path], preparations: Preparations, checkpoint: Path | None
) -> StackToTrain:
    """Jobs that have not begun, in the directories of their numbers."""
    runs = tuple(Pending(job.config, directories[job.number], job.number) for job in jobs)
    return StackToTrain(runs, preparations.of(jobs[0].config), checkpoint)


def checkpoint_of(directory: Path, numbers: Sequence[int]) -> Path | None:
    """The file for the checkpoints of all members of a stack, named after the first; a run alone has its own."""
    return directory / CHECKPOINTS / f"{numbers[0]}.pt" if len(numbers) > 1 else None


def train_stacks(
    directory: Path, stacks: Sequence[StackToTrain], watcher: SweepWatcher
) -> dict[int, Record | Exception]:
    """What became of each job, by its number. Interruptions end the sweep, with a word on how to go on with it."""
    outcomes: dict[int, Record | Exception] = {}
    said = f"the sweep is interrupted; go on with: mlpexp resume {directory}"
    with stopped_with(said):
        for index, stack in enumerate(stacks):
            watcher.stack(index, stacks)
            ended = _train(stack, watcher)
            for number, outcome in zip(stack.numbers, ended, strict=True):
                watcher.outcome(number, outcome)
                # Not the network and the data, of which a long sweep has many.
                outcomes[number] = outcome.record if isinstance(outcome, Run) else outcome
    return outcomes


def _train(stack: StackToTrain, watcher: SweepWatcher) -> list[Outcome]:
    try:
        ended = train_stack(stack.runs, stack.prepared, watcher, stack.checkpoint, stack.size)
    except InterruptedRunError:
        raise
    except Exception as error:
        return [error] * len(stack.numbers)
    tidy(stack.checkpoint)
    return ended


def tidy(path: Path | None) -> None:
    """Removes the checkpoint of a stack that has ended, and the directory of them with the last."""
    if path is not None:
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
