"""One run: trained from the start in a new directory, or resumed where it stopped."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlpexp.config.schema import Config, parse
from mlpexp.config.user_code import load_plugins, refused
from mlpexp.data.table import Table
from mlpexp.data.tables.formats import read_parquet
from mlpexp.data.tables.frames import parquet, rows_and_targets
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import convert, show
from mlpexp.run import checkpoint, record
from mlpexp.run.directory import claimed, locked
from mlpexp.run.record import Record
from mlpexp.training.attempt import Pending, Run
from mlpexp.training.prepare import Prepared, data_dir, load_again, prepare
from mlpexp.training.saved import newest
from mlpexp.training.stack import Watcher, train_stack


def train(config: Config, directory: str | Path, data: Any = None) -> Run:
    """Trains one run and leaves all of it in `directory`, which must be new or empty.

    `data`, in place of the config's dataset, are a data frame of any library, a pair (X, y) of arrays or frames, or a
    Bunch of scikit-learn's. The run keeps them, as data.parquet. Settings of the config's `dataset=table` hold.
    ConfigError where the config cannot be run, with nothing written; RunError where the run fails.
    """
    if data is None:
        prepared, content = prepare(config), None
    else:
        prepared, content = _prepared_with(config, Path(directory) / "data.parquet", data)
    with claimed(Path(directory), "directory") as path:
        if content is not None:
            (path / "data.parquet").write_bytes(content)
        return run_in(path, prepared)


def _prepared_with(config: Config, file: Path, data: Any) -> tuple[Prepared, bytes]:
    """The config with data from Python, and these as the content of the file in which the run keeps them."""
    frame, target = rows_and_targets(data, "data")
    content = parquet(frame)
    given = config.dataset if isinstance(config.dataset, Table) else None
    if target is None and given is not None:
        target = given.target
    changes: Any = {"path": str(file), "target": target, "recommended": config.dataset.recommended}
    dataset = Table(**changes) if given is None else replace(given, **changes)
    table = read_parquet(content, "data")
    config = replace(config, dataset=dataset)
    return prepare(config, dataset.learned(table, hashlib.sha256(content).hexdigest())), content


def resume(
    directory: str | Path,
    changes: dict[str, Any] | None = None,
    watcher: Watcher | None = None,
    data: str | Path | None = None,
) -> Run:
    """Continues a run where it stopped, in place.

    `changes` may give other values of `epochs`, `device`, `data_dir` and `plugins`; `data` is where its table lies now.
    """
    path = Path(directory)
    # Where there is no run, there is nothing to lock either.
    record.read(path)
    with locked(path):
        return _resumed(path, changes or {}, watcher or Watcher(), None if data is None else Path(data))


def _resumed(path: Path, changes: dict[str, Any], watcher: Watcher, file: Path | None) -> Run:
    found = record.read(path)
    config = saved_config(found, path, changes)
    last = newest(path)
    try:
        done = last.state["epoch"] if last else 0
        stopped_early = convert(last.state["member"]["stopped_early"], bool, "stopped_early") if last else False
    except checkpoint.MISMATCHES as error:
        assert last is not None
        raise checkpoint.mismatch(last.path, error) from error
    if found.state == "completed" and stopped_early:
        raise ConfigError(f"{path}: has completed: it stopped early, after epoch {done}.")
    if found.state == "completed" and config.epochs <= done:
        raise ConfigError(
            f"{path}: has completed its {done} epochs; to train it longer, give it more, such as epochs={2 * done}."
        )
    if config.epochs < done:
        raise ConfigError(f"epochs={config.epochs}: {path} has trained {done} epochs already; give at least as many.")
    prepared = prepare(config, load_again(config, record.identity(found, path), path, file))
    if last is not None and last.damaged:
        watcher.note(f"{last.damaged[0]} Going on from {last.path}, after epoch {done}.")
    return _alone(Pending(config, path, resumed=found, state=last.state if last else None), prepared, watcher)


def saved_config(found: Record, path: Path, changes: dict[str, Any], *, data: bool = True) -> Config:
    """The config of a recorded run with `changes`; see `checked_config`."""
    return checked_config(found.config, path / record.NAME, changes, data=data)


def checked_config(saved: dict[str, Any], file: Path, changes: dict[str, Any], *, data: bool = True) -> Config:
    """The config that a `file` holds, with `changes`; callers without `data` call `refuse_to_fetch` before loading any.

    Plugins are imported only where `changes` names them.
    """
    raw = {**saved, **changes}
    named = saved.get("plugins")
    if named and "plugins" not in changes:
        raise ConfigError(
            f"{file.parent}: was made with plugins={show(named)}; modules that a run directory names are imported only "
            f"on request: add plugins={show(named)}."
        )
    load_plugins(raw.get("plugins"))
    try:
        with refused():
            config = parse(raw)
    except ConfigError as error:
        if re.split(r"[=.:\[]", str(error))[0] in changes:
            raise
        # Of a damaged file the first fault is enough.
        raise ConfigError(f"{file}: {error.lines[0]}") from None
    if data:
        refuse_to_fetch(config, file.parent, changes)
    return config


def refuse_to_fetch(config: Config, directory: Path, changes: dict[str, Any]) -> None:
    """ConfigError where data would be fetched to a place that only a run directory names."""
    if config.data_dir is not None and "data_dir" not in changes and config.dataset.missing_files(data_dir(config)):
        raise ConfigError(
            f"{directory}: was made with data_dir={config.data_dir}, where data are missing; they are not fetched to "
            "where a run directory says: add data_dir=DIR."
        )


def run_in(path: Path, prepared: Prepared, watcher: Watcher | None = None) -> Run:
    """Trains one run in a directory that is the caller's already, and locked."""
    return _alone(Pending(prepared.config, path), prepared, watcher)


def _alone(run: Pending, prepared: Prepared, watcher: Watcher | None) -> Run:
    """A stack of one; its error is raised."""
    (outcome,) = train_stack([run], [prepared], watcher)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
