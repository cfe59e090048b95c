"""One run: trained in a new directory, reused if it is already there, or resumed where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from mlpexp.config.reproduce import differences
from mlpexp.config.schema import Config
from mlpexp.data.table import Table
from mlpexp.errors import ConfigError, unknown
from mlpexp.fields.convert import convert, show
from mlpexp.run import checkpoint, record
from mlpexp.run.directory import claimed, free_name, locked
from mlpexp.training.attempt import Pending, Run
from mlpexp.training.evaluate import load
from mlpexp.training.notebook_bar import notebook_watcher
from mlpexp.training.prepare import Prepared, load_again, prepare
from mlpexp.training.saved import newest
from mlpexp.training.saved_config import saved_config
from mlpexp.training.stack import train_stack
from mlpexp.training.watcher import Watcher

# How many differences of configs a message names.
_MOST_SHOWN = 3
# What to do with a directory that is not empty.
Exist = Literal["error", "new", "reuse"]


def train(config: Config, directory: str | Path, data: Any = None, *, exist: Exist = "error") -> Run:
    """Trains one run and writes all its files to `directory`, which must be new or empty.

    `data` takes the place of the config's dataset: a data frame of any library, a pair (X, y) of arrays or frames, or
    a Bunch of scikit-learn's. The run keeps it as data.parquet. If the config has `dataset=table`, its settings apply.
    `exist` says what happens if the directory is not empty: "error" raises; "new" trains in the first of directory_1,
    directory_2, … that is free; "reuse" returns the run in it, resumed if it is unfinished, and raises if its config
    or data differ.
    ConfigError where the config cannot be run, and nothing is written; RunError where the run fails.
    """
    path = chosen(Path(directory), exist)
    if data is None:
        prepared, content = prepare(config), None
    else:
        prepared, content = _prepared_with(config, path / "data.parquet", data)
    if exist == "reuse" and (path / record.NAME).exists():
        return _reused(path, prepared)
    with claimed(path, "directory"):
        if content is not None:
            (path / "data.parquet").write_bytes(content)
        return run_in(path, prepared, notebook_watcher())


def chosen(directory: Path, exist: Exist) -> Path:
    """The directory to train in, given the one that the caller named. ConfigError for an unknown `exist`."""
    if exist not in get_args(Exist):
        raise ConfigError(unknown(f"exist={show(exist)}: no such choice", str(exist), get_args(Exist)))
    return free_name(directory) if exist == "new" else directory


def other_config(directory: Path, differing: Sequence[str]) -> ConfigError:
    """The error for a directory that cannot be reused; `differing` are the overrides that its run does not have."""
    more = f" and {len(differing) - _MOST_SHOWN} more" if len(differing) > _MOST_SHOWN else ""
    shown = f"{', '.join(differing[:_MOST_SHOWN])}{more}"
    return ConfigError(f"directory={directory}: was trained with another config, without {shown}; try exist='new'.")


def _reused(path: Path, prepared: Prepared) -> Run:
    """The run in a directory, resumed if it is unfinished. ConfigError where its config or data differ."""
    found = record.read(path)
    if differing := differences(prepared.config.to_dict(), found.config):
        raise other_config(path, differing)
    known, here = record.identity(found, path).source, prepared.data.source
    if known is not None and here is not None and known.sha256 != here.sha256:
        raise ConfigError(f"directory={path}: was trained on other data: {known.difference(here)}; try exist='new'.")
    if found.state != "completed":
        return resume(path)
    results, _ = load(path)
    return Run(path, found, results)


def _prepared_with(config: Config, file: Path, data: Any) -> tuple[Prepared, bytes]:
    """The config prepared with data from Python, and these data as the bytes of the run's data.parquet."""
    from mlpexp.data.tables.formats import read_parquet
    from mlpexp.data.tables.frames import parquet, rows_and_targets

    frame, target = rows_and_targets(data, "data")
    content = parquet(frame)
    given = config.dataset if isinstance(config.dataset, Table) else None
    if target is None and given is not None:
        target = given.target
    changes: Any = {"path": str(file), "target": target, "recommended": config.dataset.recommended}
    dataset = Table(**changes) if given is None else replace(given, **changes)
    table = read_parquet(content, "data")
    config = replace(config, dataset=dataset)
    return prepare(config, dataset.prepared(table, hashlib.sha256(content).hexdigest())), content


def resume(
    directory: str | Path,
    changes: dict[str, Any] | None = None,
    watcher: Watcher | None = None,
    data: str | Path | None = None,
) -> Run:
    """Continues a run where it stopped, in its directory.

    `changes` may give other values of `epochs`, `device`, `data_dir` and `plugins`; `data` is the path of its table, if
    that was moved. ConfigError where there is nothing left to train; RunError where the run fails.
    """
    path = Path(directory)
    # Raises where there is no run, before anything is locked.
    record.read(path)
    with locked(path):
        return _resumed(path, changes or {}, watcher or notebook_watcher(), None if data is None else Path(data))


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


def run_in(path: Path, prepared: Prepared, watcher: Watcher | None = None) -> Run:
    """Trains one run in a directory that the caller has claimed and locked."""
    return _alone(Pending(prepared.config, path), prepared, watcher)


def _alone(run: Pending, prepared: Prepared, watcher: Watcher | None) -> Run:
    """Trains a stack of one run, and raises its error."""
    (outcome,) = train_stack([run], [prepared], watcher)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
