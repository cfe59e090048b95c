"""Hydra's command line as part of ours: its parser, its entry point, its directories."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

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
    named = any(override.lstrip("+").startswith(f"{key}=") for override in raw.hydra.overrides.hydra)
    return claimed(Path(path), key if named else None)


def hand_over(task: hydra.types.TaskFunction, arguments: list[str], args: argparse.Namespace) -> None:
    """Calls Hydra's entry point as if `mlpexp train` were a program of its own."""
    argv = sys.argv
    full_error = os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["mlpexp train", *arguments]
    # Hydra then raises its errors instead of printing them over many lines and exiting with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(task)()
    except (HydraException, OmegaConfBaseException, ValueError, TypeError, AssertionError) as error:
        if isinstance(error, MlpexpError) or full_error == "1":
            raise
        raise ConfigError(explain(error, args.overrides, args.config_dir)) from error
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def never(_: DictConfig) -> None:
    raise AssertionError("Hydra shows what it is asked for without running anything")
