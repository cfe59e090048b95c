"""`mlpexp train`: Hydra's command line, around one run or a sweep of them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

import hydra
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.utils import get_args_parser
from hydra.core.utils import configure_log, run_job
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from mlpexp.cli.sweep import SweepTask, check_sweep, fixed
from mlpexp.config.compose import checked, compose_raw, quote
from mlpexp.config.explain import explain, explain_value
from mlpexp.config.locate import CONF
from mlpexp.errors import ConfigError, MlpexpError, RunError


def run(arguments: list[str]) -> int:
    """Shows what Hydra is asked to show, or trains. Everything is checked before anything is written."""
    args = _parse(arguments)
    if args.help or args.hydra_help or args.cfg or args.info or args.shell_completion:
        _hand_over(_never, arguments, args)
        return 0
    if not (args.multirun or "hydra.mode=MULTIRUN" in args.overrides):
        raw = _composed(args)
        # An experiment may say that it is a sweep.
        if str(raw.hydra.mode) != "RunMode.MULTIRUN":
            return _run_alone(raw, args.config_name)
    return _run_sweep(args)


def _composed(args: argparse.Namespace) -> DictConfig:
    """The config of a single run, or that of a sweep without the values that it sweeps over."""
    of_one_value = fixed(args.overrides)
    if len(of_one_value) < len(args.overrides):
        try:
            raw = compose_raw(of_one_value, args.config_dir, args.config_name, with_hydra=True)
        except ConfigError:
            pass  # Whatever that was, the whole of it has an error to show.
        else:
            if str(raw.hydra.mode) == "RunMode.MULTIRUN":
                return raw
    return compose_raw(args.overrides, args.config_dir, args.config_name, with_hydra=True)


def _run_sweep(args: argparse.Namespace) -> int:
    """The jobs of a sweep, by Hydra's sweeper and launcher."""
    raw = check_sweep(args.overrides, args.config_dir, args.config_name)
    # One that no other sweep has, now that all jobs are checked.
    sweep = _claim(raw, "hydra.sweep.dir")
    # Written anew, as overrides must stand together: behind `seed=0,1 -m` none can be added.
    arguments = ["--config-name", args.config_name, *(["--multirun"] if args.multirun else [])]
    if args.config_dir is not None:
        arguments += ["--config-dir", args.config_dir]
    task = SweepTask()
    try:
        _hand_over(task, [*arguments, *args.overrides, f"hydra.sweep.dir={quote(str(sweep))}"], args)
    except MlpexpError:
        if not task.failed:
            raise
    if task.failed:
        jobs = "job" if len(task.failed) == 1 else "jobs"
        listed = ", ".join(task.failed)
        raise RunError(f"{len(task.failed)} {jobs} of the sweep failed ({listed}); sweep directory: {sweep}")
    return 0


def _never(_: DictConfig) -> None:
    raise AssertionError("Hydra shows what it is asked for without running anything")


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Hydra's own parser, which answers a wrong option in one line."""
    parser = get_args_parser()

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


def _run_alone(raw: DictConfig, config_name: str) -> int:
    """One run of a composed config, as Hydra would run it. Asking Hydra itself would compose it twice more."""
    from mlpexp.prepare import prepare

    config = checked(raw)
    prepared = prepare(config)
    path = _claim(raw, "hydra.run.dir")
    if raw.hydra.job.chdir:
        path = path.absolute()

    failed: list[Exception] = []

    def task(_: DictConfig) -> None:
        from mlpexp.cli.terminal import Terminal
        from mlpexp.training import run_in

        terminal = Terminal()
        try:
            terminal.concluded(run_in(path, prepared, terminal))
        except Exception as error:
            # Hydra would announce it in words of its own; it is ours to report.
            failed.append(error)

    with flag_override(raw, ["readonly", "struct"], False), flag_override(raw.hydra, ["readonly", "struct"], False):
        raw.hydra.mode = RunMode.RUN
        raw.hydra.run.dir = str(path)
    configure_log(raw.hydra.hydra_logging, raw.hydra.verbose)
    callbacks = Callbacks(raw)
    callbacks.on_run_start(config=raw, config_name=config_name)
    context = HydraContext(ConfigLoaderImpl(ConfigSearchPathImpl()), callbacks)
    done = run_job(
        task_function=task, config=raw, job_dir_key="hydra.run.dir", job_subdir_key=None, hydra_context=context
    )
    callbacks.on_run_end(config=raw, config_name=config_name, job_return=done)
    for error in failed:
        raise error
    return 0


def _claim(raw: DictConfig, key: str) -> Path:
    """The directory that the config gives at `key`, made; where the user named it, it must be empty."""
    from mlpexp.run.directory import claim_named, claim_new

    try:
        path = str(OmegaConf.select(raw, key, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise ConfigError(explain_value(error, raw)) from error
    if not path.strip():
        raise ConfigError(f"{key}=: must name a directory.")
    named = any(override.lstrip("+").startswith(f"{key}=") for override in raw.hydra.overrides.hydra)
    return claim_named(Path(path), key) if named else claim_new(Path(path))


def _hand_over(task: hydra.types.TaskFunction, arguments: list[str], args: argparse.Namespace) -> None:
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
