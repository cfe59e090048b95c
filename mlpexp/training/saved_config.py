"""The config of a run directory, with what a caller changes in it. Nothing that it names is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mlpexp.config.schema import Config, parse
from mlpexp.config.user_code import load_plugins, refused
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import show
from mlpexp.run import record
from mlpexp.run.record import Record
from mlpexp.training.prepare import data_dir


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
