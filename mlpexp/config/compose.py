"""From overrides to a checked config, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlpexp.config.composer import Composer
from mlpexp.config.effects import check_keys
from mlpexp.config.overrides import is_about_hydra
from mlpexp.config.schema import Config


def compose(overrides: Sequence[str] = (), config_dir: str | Path | None = None, config_name: str = "config") -> Config:
    """The config that `mlpexp train OVERRIDE…` would run.

    >>> compose(["dataset=xor", "activation=tanh"]).activation
    Tanh()

    `config_dir` is a directory of your own options, as with --config-dir. ConfigError has a line for each thing that
    is wrong.
    """
    about_hydra = [given for given in overrides if is_about_hydra(given)]
    ours = [given for given in overrides if not is_about_hydra(given)]
    config = Composer(config_dir, config_name, about_hydra).config(ours)
    check_keys([(config, ours)])
    return config
