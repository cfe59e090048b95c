"""Finding stored runs below the paths that a user names."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlpexp.config.metric import Metric
from mlpexp.errors import ConfigError
from mlpexp.run import record
from mlpexp.run.directory import RunDirectory
from mlpexp.run.history import read
from mlpexp.run.record import Record

Repeat = tuple[int, int]


@dataclass(frozen=True)
class StoredRun:
    """A run directory and what its run.json says."""

    directory: Path
    record: Record

    @property
    def paths(self) -> RunDirectory:
        return RunDirectory(self.directory)

    @property
    def fold(self) -> int:
        """Which part of the rows its test split is, in cross-validation; else 0."""
        dataset = self.record.config.get("dataset")
        fold = dataset.get("fold") if isinstance(dataset, dict) else None
        return fold if isinstance(fold, int) else 0

    @property
    def repeat(self) -> Repeat:
        """What tells the run from others of its setting: its seed, and its fold."""
        return self.record.seed, self.fold

    @property
    def history(self) -> dict[str, list[float]]:
        """The columns of its metrics.csv; empty where the file is missing or damaged."""
        return self._history[0]

    @property
    def damage(self) -> str | None:
        """What is wrong with its metrics.csv, where there is one."""
        return self._history[1]

    def value(self, metric: Metric) -> float:
        """What the best weights reach; nan where there is no value, or none that is finite."""
        return metric.value_in(self.record.metrics)

    def constant_value(self, metric: Metric) -> float:
        """What the best constant answer scores on the run's data; nan where run.json does not say."""
        return metric.value_in(self.record.constant)

    def counted_value(self, metric: Metric) -> float:
        """What the run counts as: its value, or that of a constant answer where it has none that is finite."""
        value = self.value(metric)
        return value if math.isfinite(value) else self.constant_value(metric)

    def why_undefined(self, metric: Metric) -> str | None:
        """Why no network has such a value on the run's data, such as R² where targets do not vary; None where one can.

        A run that has not been evaluated does not say.
        """
        return self.record.undefined.get(metric.split, {}).get(metric.name)

    @cached_property
    def _history(self) -> tuple[dict[str, list[float]], str | None]:
        try:
            return read(self.paths.history, self.record.history), None
        except ConfigError as error:
            return {}, str(error) if self.paths.history.exists() else None


def find_runs(paths: Sequence[str | Path]) -> tuple[list[StoredRun], list[str]]:
    """The runs in and below `paths`, each once, and a line on each that cannot be read.

    A path is a run directory, or a directory with runs anywhere below it, such as a sweep or a day; hidden
    directories and what lies within a run are not searched. ConfigError where a path holds no run.
    """
    runs: dict[Path, StoredRun] = {}
    unreadable: dict[Path, str] = {}
    notes: list[str] = []
    for path in map(Path, paths):
        if not path.is_dir():
            what = "is a file; name a directory of runs" if path.exists() else "there is no such directory"
            raise ConfigError(f"{path}: {what}.")
        directories, closed = _run_directories(path)
        if not directories:
            what = f" {closed[0]}" if closed else ""
            raise ConfigError(f"{path}: holds no run: there is no {record.NAME} in it or below it.{what}")
        notes += [f"left out: {line}" for line in closed]
        for directory in directories:
            real = directory.resolve()
            if real in runs or real in unreadable:
                continue
            try:
                runs[real] = StoredRun(directory, record.read(directory))
            except ConfigError as error:
                unreadable[real] = f"left out: {error}"
    if not runs:
        raise ConfigError(f"no run can be read: {next(iter(unreadable.values())).removeprefix('left out: ')}")
    return list(runs.values()), [*unreadable.values(), *notes]


def _run_directories(path: Path) -> tuple[list[Path], list[str]]:
    """`path` if it is a run, else the runs below it, job 2 before job 10; and a line on each that cannot be entered."""
    found = []
    closed: list[str] = []
    for here, names, files in os.walk(path, onerror=lambda error: closed.append(_closed(error))):
        if record.NAME in files:
            found.append(Path(here))
            names.clear()
        names[:] = [name for name in names if not name.startswith(".")]
    return sorted(found, key=natural), sorted(closed)


def _closed(error: OSError) -> str:
    return f"{os.fsdecode(error.filename)}: cannot be read: {error.strerror}."


def natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts numbers in names by their value."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
