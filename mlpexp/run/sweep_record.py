"""sweep.json: the jobs of a sweep with their configs and directories, and which of them train together."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from mlpexp.errors import ConfigError
from mlpexp.fields.convert import build
from mlpexp.fields.ranges import Index
from mlpexp.figures.formats import FORMATS
from mlpexp.run import record as run
from mlpexp.run.files import read_bytes, with_checksum, without_checksum, write_text

NAME = "sweep.json"
# Bytes: a sweep of 100,000 jobs is less.
_MOST = 2**29
# Where the checkpoints of stacks lie within a sweep's directory while these train.
CHECKPOINTS = ".stacks"
# Where the mean curves of its settings lie, for TensorBoard.
SETTINGS = "settings"
# What a sweep itself keeps in its directory, and jobs cannot.
_OWN = {NAME, CHECKPOINTS, SETTINGS, ".lock", "multirun.yaml", "sweep.csv", *(f"sweep.{format}" for format in FORMATS)}


@dataclass(frozen=True)
class JobRecord:
    """A job: its number, what it adds to the config, its directory within the sweep's, and the whole config."""

    number: Index
    overrides: list[str]
    directory: str
    config: dict[str, Any]


@dataclass(frozen=True)
class SweepRecord:
    """The content of sweep.json. `stacks` holds the numbers of jobs that train as one model, in their order.

    `search` says of a sweep whose sweeper chooses the jobs as it goes which `sweeper` that is, and how many trials it
    was to make (`n_trials`, null where it does not say).
    """

    jobs: list[JobRecord] = field(default_factory=list)
    stacks: list[list[Index]] = field(default_factory=list)
    search: dict[str, Any] | None = None

    def extended(self, jobs: Sequence[JobRecord], stacks: Sequence[Sequence[int]]) -> SweepRecord:
        """With more jobs, such as the next batch of a sweeper; a number that is known keeps what it has."""
        known = {job.number for job in self.jobs}
        more = [job for job in jobs if job.number not in known]
        named = {number for stack in stacks for number in stack}
        kept = [[number for number in stack if number not in named] for stack in self.stacks]
        return SweepRecord([*self.jobs, *more], [*filter(None, kept), *map(list, stacks)], self.search)

    def write(self, directory: Path) -> None:
        """Puts sweep.json in place, whole or not at all, with the checksum of what it holds."""
        write_text(directory / NAME, json.dumps(with_checksum(dataclasses.asdict(self))) + "\n")


def is_sweep(directory: Path) -> bool:
    """Whether a directory is that of a sweep, of ours or of any sweeper of Hydra's."""
    return (directory / NAME).exists() or (directory / "multirun.yaml").exists()


def read(directory: Path) -> SweepRecord:
    """The record of a sweep directory; ConfigError where it is damaged.

    Where it names no jobs, since its sweeper chose them as it went, it is made of the runs that there are.
    """
    path = directory / NAME
    if not path.exists():
        return _of_runs(directory)
    try:
        content = without_checksum(json.loads(read_bytes(path, _MOST)))
        if lacking := [name for name in ("jobs", "stacks") if name not in content]:
            raise ValueError(f"'{lacking[0]}' is missing")
        found = build(SweepRecord, content, "")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        # Of a damaged file the first fault is enough.
        raise ConfigError(f"{path}: is damaged: {str(error).splitlines()[0].removesuffix('.')}.") from None
    _check(path, found)
    return found if found.jobs else replace(_of_runs(directory), search=found.search)


def checkpoint_of(directory: Path, numbers: Sequence[int]) -> Path | None:
    """The file for the checkpoints of all members of a stack, named after the first; a run alone has its own."""
    return directory / CHECKPOINTS / f"{numbers[0]}.pt" if len(numbers) > 1 else None


def jobs_without_run(directory: Path, read_already: Collection[Path] = ()) -> list[str]:
    """The directories of jobs, within the sweep's, that hold no run, or one whose record cannot be read.

    Those that were `read_already` hold one.
    """
    paths = {job.directory: directory / job.directory for job in read(directory).jobs}
    return [name for name, path in paths.items() if path not in read_already and not _holds_run(path)]


def job_of(directory: str) -> str:
    """The number with which the name of a job's directory begins; the whole name where the user has chosen it."""
    return found[1] if (found := re.match(r"(\d+)(_|$)", directory)) else directory


def _holds_run(directory: Path) -> bool:
    try:
        run.read(directory)
    except ConfigError:
        return False
    return True


def _of_runs(directory: Path) -> SweepRecord:
    found = sorted((path.parent for path in directory.glob(f"*/{run.NAME}")), key=_by_number)
    jobs = [JobRecord(number, [], path.name, run.read(path).config) for number, path in enumerate(found)]
    return SweepRecord(jobs, [[job.number] for job in jobs])


def _by_number(path: Path) -> tuple[int, Path]:
    """Job 2 before job 10: a job's name begins with its number, unless the user has chosen another."""
    number = re.match(r"\d+", path.name)
    return int(number[0]) if number else 0, path


def _check(path: Path, found: SweepRecord) -> None:
    if found.search is not None and not isinstance(found.search, dict):
        raise ConfigError(f"{path}: is damaged: its search is no mapping.")
    for job in found.jobs:
        if not lies_within(job.directory) or PurePath(job.directory).parts[0] in _OWN:
            raise ConfigError(f"{path}: is damaged: job {job.number} has no directory within the sweep's.")
    if len({PurePath(job.directory) for job in found.jobs}) < len(found.jobs):
        raise ConfigError(f"{path}: is damaged: two jobs have the same directory.")
    numbers = [job.number for job in found.jobs]
    if sorted(numbers) != sorted(number for stack in found.stacks for number in stack):
        raise ConfigError(f"{path}: is damaged: its stacks are not of its jobs.")


def lies_within(directory: str) -> bool:
    """Whether a relative path is that of something below the directory that it starts from."""
    path = PurePath(directory)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in directory
