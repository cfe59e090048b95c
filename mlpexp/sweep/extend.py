"""Extends a sweep: adds each of its jobs with further values of some keys, in the same directory."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from mlpexp.comparison.settings import differences
from mlpexp.config.compose import Composer
from mlpexp.config.overrides import is_about_hydra, is_about_sweep, parse_override
from mlpexp.config.reproduce import listed, overrides, value_at
from mlpexp.config.schema import Config
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import show
from mlpexp.run import record, sweep_record
from mlpexp.run.directory import locked
from mlpexp.run.files import write_text
from mlpexp.run.hyperparameters import hyperparameters
from mlpexp.run.sweep_record import JobRecord, SweepRecord
from mlpexp.sweep.jobs import MOST_JOBS, Job, axes, check_jobs, job_records, too_many
from mlpexp.sweep.resume import finish
from mlpexp.sweep.train import SweepWatcher, note_overrides
from mlpexp.training.prepare import Preparations
from mlpexp.training.saved_config import checked_config

MULTIRUN = "multirun.yaml"
# The sweep's Hydra settings that new jobs use: only those that name directories.
_KEPT = ("hydra.sweep.subdir=", "hydra.job.config.override_dirname.")
# Keys that say where a sweep is trained: `mlpexp resume` may have changed them, and they do not make another setting.
_WHERE = ("device", "data_dir", "plugins")


def extend_sweep(
    directory: Path,
    given: Sequence[str],
    watcher: SweepWatcher,
    config_dir: str | None = None,
    file: Path | None = None,
) -> int:
    """Adds to a sweep each of its jobs with each of the `given` values, and trains what is missing.

    If the sweep has all combinations of some values, the extended one has all combinations of these and the given ones.
    A job is left out if the sweep has one with the same config. Returns the number of new jobs; if it is 0, nothing is
    written. ConfigError where a new job is wrong, or would be trained on other data than the earlier ones.

    `config_dir` is as with --config-dir; `file` is the path of the sweep's table, if that was moved.
    """
    if not sweep_record.is_sweep(directory):
        what = "is a run" if (directory / record.NAME).exists() else "holds no sweep"
        raise ConfigError(f"{directory}: {what if directory.is_dir() else 'there is no such directory'}; name a sweep.")
    if wrong := [
        f"{text}: a sweep keeps its settings of Hydra; leave it out." for text in given if is_about_hydra(text)
    ]:
        raise ConfigError(*wrong)
    if not sweep_record.read(directory).jobs:
        raise ConfigError(f"{directory}: holds no job of a sweep.")
    with locked(directory):
        known = sweep_record.read(directory)
        sweep = _Sweep(directory, known, given, config_dir)
        jobs = sweep.new_jobs(file)
        if not jobs:
            return 0
        records = job_records([*sweep.jobs, *jobs])
        noted = known.extended(records, [[job.number] for job in jobs])
        _note_line(directory / MULTIRUN, sweep.keys, noted)
        noted.write(directory)
        note_overrides(directory, jobs)
        finish(directory, sweep.changes, watcher, file)
    return len(jobs)


class _Sweep:
    """A sweep, and the values to add."""

    def __init__(self, directory: Path, known: SweepRecord, given: Sequence[str], config_dir: str | None) -> None:
        self._directory = directory
        where = [text for text in given if _key(text) in ("data_dir", "plugins")]
        self.changes: dict[str, Any] = {}
        for text in where:
            if (parsed := parse_override(text)).is_sweep_override():
                raise ConfigError(f"{text}: must be one value.")
            self.changes[_key(text)] = parsed.value()
        self._where = where
        self._composer = Composer(config_dir, about_hydra=_of_hydra(directory / MULTIRUN))
        line = [text for text in given if text not in where]
        # Without `sweep` of an experiment: the jobs of the sweep already include it.
        sweep = self._composer.sweep([text for text in line if is_about_sweep(text)])
        self._axes = axes(line, config_dir=config_dir, sweep=sweep)
        self.keys = list(dict.fromkeys(_key(text) for axis in self._axes for texts in axis for text in texts))
        self.jobs = [self._as_planned(job) for job in known.jobs]

    def _as_planned(self, job: JobRecord) -> Job:
        config = checked_config(job.config, self._directory / sweep_record.NAME, self.changes)
        # A job that a sweeper chose has no overrides; they follow from its config.
        given = job.overrides or overrides(job.config)
        given = [text for text in given if _key(text) not in self.changes and _key(text) != "plugins"]
        return Job(job.number, [*given, *self._where], config, job.directory)

    def new_jobs(self, file: Path | None) -> list[Job]:
        """The jobs to add, checked."""
        taken: set[Hashable] = {_identity(job.config) for job in self.jobs}
        self._check_composed(taken)
        new: dict[Hashable, list[str]] = {}
        for texts in self._again():
            try:
                identity = _identity(self._composer.config(texts))
            except ConfigError:
                identity = tuple(texts)
            if identity not in taken:
                new.setdefault(identity, texts)
        first = max(job.number for job in self.jobs) + 1
        preparations = Preparations(file)
        self._go_on(list(new.values()), preparations)
        beside = [(job.config, job.overrides) for job in self.jobs]
        found = check_jobs(
            list(new.values()), self._composer, numbered=False, preparations=preparations, first=first, beside=beside
        )
        for job in found:
            if (path := self._directory / job.directory).exists():
                raise ConfigError(f"{path}: is in the way of job {job.number}; move it away.")
        return found

    def _again(self) -> list[list[str]]:
        """The overrides of all jobs of the extended sweep: for each axis in turn, all jobs so far with each value."""
        found = {tuple(job.overrides): None for job in self.jobs}
        for axis in self._axes:
            if len(found) * (len(axis) + 1) > MOST_JOBS:
                raise too_many(len(found) * (len(axis) + 1))
            found |= {tuple(_with(texts, values)): None for texts in list(found) for values in axis}
        return [list(texts) for texts in found]

    def _check_composed(self, taken: set[Hashable]) -> None:
        """ConfigError if the overrides of a job now give another config than they did, since new jobs would differ too.

        Keys that resume may have changed, such as the device, do not count. The configs are added to `taken`.
        """
        for job in self.jobs:
            now = self._composer.config(job.overrides)
            flat = [hyperparameters(config.to_dict()) for config in (job.config, now)]
            differing = [key for key in _all_differences(flat) if key.split(".")[0] not in _WHERE]
            if differing:
                key = differing[0]
                was, would = (show(one.get(key, "–")) for one in flat)
                raise ConfigError(
                    f"{self._directory}: job {job.number} has {key}={was}, and with the option files and defaults of "
                    f"today it would have {would}; train a new sweep."
                )
            taken.add(_identity(now))

    def _go_on(self, new: Sequence[list[str]], preparations: Preparations) -> None:
        """Makes new jobs use the data of the existing runs; ConfigError if these have changed."""
        needed = []
        for texts in new:
            try:
                needed.append(self._composer.config(texts).dataset.unsplit)
            except ConfigError:
                # `check_jobs` reports it with all other mistakes.
                continue
        for job in self.jobs:
            path = self._directory / job.directory
            if job.config.dataset.unsplit in needed and (path / record.NAME).exists():
                preparations.go_on(job.config, record.identity(record.read(path), path), path)


def _key(text: str) -> str:
    """The key that an override sets or adds, with its package if there is one."""
    parsed = parse_override(text)
    return f"{parsed.key_or_group}@{parsed.package}" if parsed.package is not None else parsed.key_or_group


def _with(texts: Sequence[str], values: Sequence[str]) -> list[str]:
    """The overrides `texts`, where `values` replace those of the same keys; the others are appended."""
    by_key = {_key(text): text for text in texts}
    return list((by_key | {_key(value): value for value in values}).values())


def _identity(config: Config) -> Hashable:
    """The hyperparameters that distinguish runs in a comparison: runs with the same ones are repeats."""
    return frozenset(hyperparameters(config.to_dict()).items())


def _all_differences(flat: Sequence[Mapping[str, Any]]) -> list[str]:
    found = differences(flat)
    return [*found.keys, *found.implied, *(["seed"] if flat[0].get("seed") != flat[1].get("seed") else [])]


def _of_hydra(path: Path) -> list[str]:
    """The overrides that name the directories of a sweep's jobs."""
    given = _multirun(path).get("hydra", {}).get("overrides", {}).get("hydra", [])
    return [text for text in given if isinstance(text, str) and text.startswith(_KEPT)]


def _multirun(path: Path) -> dict[str, Any]:
    """The content of a sweep's multirun.yaml, which Hydra wrote; empty if it is missing or cannot be read."""
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(path))
    # The reader of YAML raises many kinds of errors.
    except Exception:
        return {}
    return content if isinstance(content, dict) else {}


def _note_line(path: Path, keys: Sequence[str], noted: SweepRecord) -> None:
    """Updates the values of the `keys` in multirun.yaml, where Hydra keeps the overrides of the sweep."""
    content = _multirun(path)
    if not content:
        return
    line = {_key(text): text for text in content["hydra"]["overrides"]["task"]}
    for key in keys:
        values = []
        for job in noted.jobs:
            own = [text.partition("=")[2] for text in job.overrides if _key(text) == key]
            values += own or [value_at(job.config, key)]
        line[key] = f"{key}={listed(list(dict.fromkeys(values)))}"
    content["hydra"]["overrides"]["task"] = list(line.values())
    write_text(path, OmegaConf.to_yaml(OmegaConf.create(content)))
