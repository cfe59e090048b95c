"""Hydra's command line as part of ours: its parser, its entry point, its directories."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.callbacks import Callbacks
from hydra._internal.utils import get_args_parser
from hydra.core.plugins import Plugins
from hydra.core.utils import configure_log
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from mlpexp.config.compose import hydra_on, quote
from mlpexp.config.explain import explain, explain_value
from mlpexp.config.locate import CONF
from mlpexp.errors import ConfigError, MlpexpError


def parse(arguments: list[str]) -> argparse.Namespace:
    """Hydra's own parser, which answers a wrong option in one line."""
    parser = get_args_parser()
    parser.add_argument("--dry-run", action="store_true", help="Check everything and show the plan; train nothing")

    def error(message: str) -> NoReturn:
        raise ConfigError(f"train: {message}; see mlpexp train --help.")

    parser.error = error  # type: ignore[method-assign]
    args = parser.parse_args(arguments)
    args.config_name = args.config_name or "config"
    if args.config_path is not None:
        raise ConfigError(f"--config-path={args.config_path}: would hide mlpexp's configs; use --config-dir.")
    if sum(map(bool, (args.run, args.cfg, args.multirun, args.shell_completion, args.info))) > 1:
        raise ConfigError("train: only one of --run, --multirun, --cfg and --info can be given.")
    if args.resolve and not (args.cfg or args.help):
        raise ConfigError("train: --resolve goes with --cfg.")
    return args


def claim(raw: DictConfig, key: str) -> AbstractContextManager[Path]:
    """The directory that the config gives at `key`, made and locked; where the user named it, it must be empty."""
    from mlpexp.run.lock import claimed

    try:
        path = str(OmegaConf.select(raw, key, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise ConfigError(explain_value(error, raw)) from error
    if not path.strip():
        raise ConfigError(f"{key}=: must name a directory.")
    # As written: `${hydra.job.num}` in one of them has no value yet.
    overrides: Any = OmegaConf.to_container(raw.hydra.overrides.hydra, resolve=False)
    named = any(override.lstrip("+").startswith(f"{key}=") for override in overrides)
    return claimed(Path(path), key if named else None)


def hand_over(task: TaskFunction, arguments: list[str], args: argparse.Namespace) -> None:
    """Calls Hydra's entry point as if `mlpexp train` were a program of its own."""
    argv = sys.argv
    sys.argv = ["mlpexp train", *arguments]
    try:
        with _errors_of_ours(args):
            hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(task)()
    finally:
        sys.argv = argv


def sweep_by_hydra(task: TaskFunction, raw: DictConfig, directory: Path, args: argparse.Namespace) -> None:
    """Runs the sweep of a composed config in its directory. Asking Hydra itself would compose it twice more."""
    with flag_override(raw.hydra, ["readonly", "struct"], False):
        raw.hydra.sweep.dir = str(directory)
        # What jobs are composed of.
        raw.hydra.overrides.hydra.append(f"hydra.sweep.dir={quote(str(directory))}")
    with _errors_of_ours(args), hydra_on(args.config_dir) as app:
        configure_log(raw.hydra.hydra_logging, raw.hydra.verbose)
        callbacks = Callbacks(raw)
        callbacks.on_multirun_start(config=raw, config_name=args.config_name)
        context = HydraContext(app.config_loader, callbacks)
        sweeper = Plugins.instance().instantiate_sweeper(hydra_context=context, task_function=task, config=raw)
        # As written: `${hydra.job.num}` in one of them has no value yet.
        overrides: Any = OmegaConf.to_container(raw.hydra.overrides.task, resolve=False)
        sweeper.sweep(arguments=overrides)
        callbacks.on_multirun_end(config=raw, config_name=args.config_name)


@contextmanager
def _errors_of_ours(args: argparse.Namespace) -> Iterator[None]:
    """What Hydra and OmegaConf raise, as errors of ours."""
    full_error = os.environ.get("HYDRA_FULL_ERROR")
    # Hydra then raises its errors instead of printing them over many lines and exiting with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError, TypeError, AssertionError) as error:
        if isinstance(error, MlpexpError) or full_error == "1":
            raise
        raise ConfigError(explain(error, args.overrides, args.config_dir)) from error
    finally:
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def never(_: DictConfig) -> None:
    raise AssertionError("Hydra shows what it is asked for without running anything")
