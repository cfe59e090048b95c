"""Trains a sweep: the stacks of its jobs are planned, recorded in sweep.json, and trained, some at the same time.

A failure of one stack does not stop the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from mlpexp.interruption import stopped_with
from mlpexp.run import sweep_record
from mlpexp.run.files import writing
from mlpexp.run.record import Record
from mlpexp.run.sweep_record import checkpoint_of
from mlpexp.sweep.jobs import Job, job_records
from mlpexp.sweep.one_stack import StackToTrain, stack_to_train
from mlpexp.sweep.plan import plan
from mlpexp.sweep.pool import Ended, Pool
from mlpexp.sweep.processes import beside_others, n_processes
from mlpexp.sweep.workers import Workers
from mlpexp.training.prepare import Preparations
from mlpexp.training.watcher import Watcher


class SweepWatcher:
    """Receives the events of a sweep. This one does nothing; those of the command line show them on the terminal."""

    def note(self, line: str) -> None:
        """A note before the first stack, such as on jobs that were never chosen."""

    def left_out(self, numbers: Sequence[int], error: Exception) -> None:
        """Called before the first stack, for jobs that are too damaged to be resumed."""

    def stacks(self, stacks: Sequence[StackToTrain], n_processes: int) -> None:
        """Called once, before the first stack."""

    def stack(self, index: int, stacks: Sequence[StackToTrain]) -> Watcher:
        """Called before each stack; what is told while it trains. Several may train at the same time."""
        return Watcher()

    def outcome(self, numbers: Sequence[int], outcome: Record | Exception) -> None:
        """Called when a stack has ended, with the outcome of a job, or of several jobs with the same error."""


def train_stacks(
    directory: Path,
    stacks: Sequence[StackToTrain],
    preparations: Preparations,
    watcher: SweepWatcher,
    workers: Workers | None = None,
) -> dict[int, Record | Exception]:
    """The record or error of each job, by its number. `workers` are those that were started already.

    An interruption ends the sweep, with a message that has the command to resume it.
    """
    outcomes: dict[int, Record | Exception] = {}
    said = f"the sweep is interrupted; go on with: mlpexp resume {directory}"
    with stopped_with(said):
        for index, ended in _ended(stacks, preparations, watcher, workers or Workers()):
            alike: dict[int, list[int]] = {}
            for number, outcome in zip(stacks[index].numbers, ended, strict=True):
                alike.setdefault(id(outcome), []).append(number)
                outcomes[number] = outcome
            for outcome in ended:
                if numbers := alike.pop(id(outcome), None):
                    watcher.outcome(numbers, outcome)
    return outcomes


def _ended(
    stacks: Sequence[StackToTrain], preparations: Preparations, watcher: SweepWatcher, workers: Workers
) -> Iterator[Ended]:
    """The stacks as they end: first those that train beside others, then those that take the whole machine."""
    configs = [[run.config for run in stack.runs] for stack in stacks]
    beside = [index for index, own in enumerate(configs) if beside_others(own, preparations)]
    together = [config for index in beside for config in configs[index]]
    taken = workers.taken(max(0, min(len(beside), n_processes(together, preparations)) - 1))
    watcher.stacks(stacks, 1 + len(taken))

    def watch(index: int) -> Watcher:
        return watcher.stack(index, stacks)

    with Pool({index: stacks[index] for index in beside}, preparations, watch, taken) as pool:
        yield from pool.ended()
    rest = {index: stack for index, stack in enumerate(stacks) if index not in beside}
    with Pool(rest, preparations, watch, []) as pool:
        yield from pool.ended()


def note_overrides(directory: Path, jobs: Sequence[Job]) -> None:
    """Writes the overrides of each job to .hydra/overrides.yaml in its directory, as Hydra does."""
    for job in jobs:
        own = directory / job.directory / ".hydra"
        with writing(own):
            own.mkdir(parents=True, exist_ok=True)
            (own / "overrides.yaml").write_text(yaml.safe_dump(job.overrides, allow_unicode=True, width=math.inf))


def train_jobs(
    directory: Path,
    jobs: Sequence[Job],
    preparations: Preparations,
    watcher: SweepWatcher,
    workers: Workers | None = None,
) -> dict[int, Record | Exception]:
    """Trains jobs in their directories within that of the sweep. The record or error of each, by its number.

    `workers` are those that were started already.
    """
    records = job_records(jobs)
    at = {job.number: directory / job.directory for job in jobs}
    stacks = plan(jobs, preparations)
    sweep_record.read(directory).extended(records, [stack.numbers for stack in stacks]).write(directory)
    to_train = [stack_to_train(stack.jobs, at, checkpoint_of(directory, stack.numbers)) for stack in stacks]
    return train_stacks(directory, to_train, preparations, watcher, workers)
