"""Hydra's command line as part of ours: its options, its directories, what it shows."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlpexp.cli.arguments import unrecognized
from mlpexp.cli.streams import columns, folded
from mlpexp.config import hydra_adapter
from mlpexp.config.interpolation import selected
from mlpexp.config.locate import config_directory
from mlpexp.errors import ConfigError, MlpexpError, unknown

# Options that show something and train nothing.
_SHOWING = ("help", "hydra_help", "cfg", "info")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Hydra's own options and --dry-run; a wrong one is a ConfigError of one line."""
    parser = hydra_adapter.argument_parser()
    parser.add_argument("--dry-run", action="store_true", help="Check everything and show the plan; train nothing")

    def error(message: str) -> NoReturn:
        raise ConfigError(f"train: {message}; see mlpexp train --help.")

    parser.error = error  # type: ignore[method-assign]
    # Options may stand between overrides.
    args, unknown_words = parser.parse_known_intermixed_args(arguments)
    if unknown_words:
        error(unrecognized(unknown_words, parser))
    args.config_name = args.config_name or "config"
    if args.config_dir is not None:
        args.config_dir = str(config_directory(args.config_dir))
    if args.config_path is not None:
        raise ConfigError(f"--config-path={args.config_path}: would hide mlpexp's configs; use --config-dir.")
    if args.experimental_rerun is not None:
        raise ConfigError(f"--experimental-rerun={args.experimental_rerun}: mlpexp resume RUN continues a run.")
    if args.shell_completion:
        raise ConfigError("--shell-completion: mlpexp completion SHELL prints what completes command lines.")
    modes = {"--run": args.run, "--multirun": args.multirun, "--cfg": args.cfg, "--info": args.info}
    if sum(map(bool, modes.values())) > 1:
        raise ConfigError("train: only one of --run, --multirun, --cfg and --info can be given.")
    if args.resolve and not (args.cfg or args.help):
        raise ConfigError("train: --resolve goes with --cfg.")
    if args.package is not None and not args.cfg:
        raise ConfigError(f"train: --package={args.package} goes with --cfg.")
    if args.dry_run and shows(args):
        raise ConfigError("train: --dry-run shows the plan of a run or a sweep; leave out what else is to be shown.")
    return args


def check_package(args: argparse.Namespace, raw: DictConfig) -> None:
    """ConfigError where the config that --cfg shows has no part --package."""
    package = args.package
    if package in (None, "_global_"):
        return
    keys = [str(key) for key in raw if args.cfg != "job" or key != "hydra"]
    try:
        found = OmegaConf.select(OmegaConf.masked_copy(raw, keys), package)
    except OmegaConfBaseException:
        found = None
    if not isinstance(found, DictConfig | ListConfig):
        parts = [key for key in keys if isinstance(OmegaConf.select(raw, key), DictConfig | ListConfig)]
        raise ConfigError(unknown(f"--package={package}: no such part of the config", package, parts))


def shows(args: argparse.Namespace) -> bool:
    """Whether Hydra is asked to show something instead of running anything."""
    return any(getattr(args, name) for name in _SHOWING)


def show(arguments: list[str]) -> None:
    """Shows what Hydra is asked to show; what is asked for has been checked."""
    with errors_of_ours():
        hydra_adapter.hand_over(_never, arguments)


def show_help(arguments: list[str]) -> None:
    """Shows Hydra's help, its long lines broken at words on a terminal."""
    # Hydra exits once it has shown its help.
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        show(arguments)
    print(folded(text.getvalue(), columns(sys.stdout)), end="")


def claim(raw: DictConfig, key: str) -> AbstractContextManager[Path]:
    """The directory that the config gives at `key`, made and locked; where the user named it, it must be empty."""
    from mlpexp.run.directory import claimed

    path = str(selected(raw, key))
    if not path.strip():
        raise ConfigError(f"{key}=: must name a directory.")
    # As written: `${hydra.job.num}` in one of them has no value yet.
    overrides: Any = OmegaConf.to_container(raw.hydra.overrides.hydra, resolve=False)
    named = any(override.lstrip("+").startswith(f"{key}=") for override in overrides)
    return claimed(Path(path).expanduser(), key if named else None)


@contextmanager
def errors_of_ours() -> Iterator[None]:
    """Within, errors of Hydra and OmegaConf are raised as ConfigError, in one line."""
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError, TypeError, AssertionError) as error:
        if isinstance(error, MlpexpError) or full_error:
            raise
        raise ConfigError(" ".join(str(error).split()) or type(error).__name__) from error


def _never(_: DictConfig) -> None:
    raise AssertionError("Hydra shows what it is asked for without running anything")
