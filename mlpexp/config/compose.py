"""From overrides to a checked config, by Hydra's own composition."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from mlpexp.config.convert import show
from mlpexp.config.effects import check_keys, check_parts
from mlpexp.config.explain import explain, explain_value
from mlpexp.config.locate import CONF
from mlpexp.config.overrides import check_overrides
from mlpexp.config.schema import Config, parse
from mlpexp.errors import ConfigError


def compose(overrides: Sequence[str] = (), config_dir: str | Path | None = None, config_name: str = "config") -> Config:
    """The config that `mlpexp train OVERRIDE…` would run.

    >>> compose(["dataset=xor", "activation=tanh"]).activation
    Tanh()

    `config_dir` is a directory of your own options, as with --config-dir. ConfigError says what is wrong.
    """
    config = checked(compose_raw(overrides, config_dir, config_name))
    check_keys([(config, overrides)])
    return config


def compose_raw(
    overrides: Sequence[str],
    config_dir: str | Path | None = None,
    config_name: str = "config",
    *,
    with_hydra: bool = False,
    run_mode: RunMode = RunMode.RUN,
) -> DictConfig:
    """The composed config before it is checked; `with_hydra` leaves Hydra's own node in it.

    That of a sweep, in RunMode.MULTIRUN, lacks the values that it sweeps over.
    """
    check_overrides(overrides)
    check_config_dir(config_dir)
    try:
        return by_hydra(overrides, config_dir, config_name, with_hydra=with_hydra, run_mode=run_mode)
    # Hydra, OmegaConf, the YAML reader and the parser of overrides raise a great many kinds.
    except Exception as error:
        raise ConfigError(explain(error, overrides, config_dir)) from error


def check_config_dir(config_dir: str | Path | None) -> None:
    if config_dir is not None and not Path(config_dir).is_dir():
        raise ConfigError(f"--config-dir={config_dir}: there is no such directory.")


def by_hydra(
    overrides: Sequence[str],
    config_dir: str | Path | None,
    config_name: str,
    *,
    with_hydra: bool,
    run_mode: RunMode = RunMode.RUN,
) -> DictConfig:
    """What Hydra composes; raises whatever it raises."""
    with hydra_on(config_dir) as hydra:
        config = hydra.compose_config(config_name, list(overrides), run_mode, from_shell=False)
    if not with_hydra:
        with open_dict(config):
            del config["hydra"]
    return config


@contextmanager
def hydra_on(config_dir: str | Path | None) -> Iterator[Hydra]:
    """Hydra, set up on conf/ and on the directory that --config-dir names, as its command line sets it up."""
    # A program that calls us may have a Hydra of its own in use.
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    search_path = create_config_search_path(str(CONF))
    if config_dir is not None:
        own = f"file://{Path(config_dir).absolute()}"
        search_path.prepend(provider="command-line", path=own, anchor=SearchPathQuery(provider="schema"))
    try:
        with warnings.catch_warnings():
            # Hydra goes on without a config directory that is not there, and then misses what is in it.
            warnings.filterwarnings("error", "provider=.* is not available")
            yield Hydra.create_main_hydra2(task_name="mlpexp", config_search_path=search_path)
    finally:
        GlobalHydra.instance().hydra = outer


def checked(raw: DictConfig) -> Config:
    """The config as checked components; whatever node of Hydra's it holds is left out."""
    ours = OmegaConf.masked_copy(raw, [str(key) for key in raw if key != "hydra"]) if "hydra" in raw else raw
    try:
        plain: Any = OmegaConf.to_container(ours, resolve=True, throw_on_missing=False)
    except OmegaConfBaseException as error:
        raise ConfigError(explain_value(error, ours)) from error
    load_plugins(plain.get("plugins"))
    config = parse(plain)
    check_parts(config)
    return config


def load_plugins(names: object) -> None:
    """Imports the modules that `plugins` names, from the working directory too, so that they register components."""
    if names is None:
        return
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"plugins={show(names)}: must be a list of modules, such as [my_module].")
    for name in names:
        here = str(Path.cwd())
        added = here not in sys.path
        if added:
            sys.path.insert(0, here)
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever the module does
            reason = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
            raise ConfigError(f"plugins=[{name}]: cannot be imported: {reason.rstrip('.')}.") from error
        finally:
            if added and here in sys.path:
                sys.path.remove(here)


def quote(text: str) -> str:
    """A text as one value of Hydra's override grammar, whatever characters it holds."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
