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
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, run_job
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from mlpexp.config.compose import checked, compose_raw, quote
from mlpexp.config.explain import explain, explain_value
from mlpexp.config.locate import CONF
from mlpexp.config.overrides import parse_override
from mlpexp.errors import ConfigError, MlpexpError, RunError
from mlpexp.interruption import InterruptedRunError


def run(arguments: list[str]) -> int:
    """Shows what Hydra is asked to show, or trains. Everything is checked before anything is written."""
    args = _parse(arguments)
    sweep: Path | None = None
    if not (args.help or args.hydra_help or args.cfg or args.info or args.shell_completion):
        if args.multirun or "hydra.mode=MULTIRUN" in args.overrides:
            sweep = _claim_sweep(args)
        else:
            raw = compose_raw(args.overrides, args.config_dir, args.config_name, with_hydra=True)
            if str(raw.hydra.mode) == "RunMode.MULTIRUN":
                sweep = _claim_sweep(args)
            else:
                return _run_alone(raw, args.config_name)
    if sweep is None:
        _hand_over(_never, arguments, args)
        return 0
    failed: list[str] = []
    try:
        _hand_over(lambda raw: _in_sweep(raw, failed), [*arguments, f"hydra.sweep.dir={quote(str(sweep))}"], args)
    except MlpexpError:
        if not failed:
            raise
    if failed:
        jobs = "job" if len(failed) == 1 else "jobs"
        raise RunError(f"{len(failed)} {jobs} of the sweep failed ({', '.join(failed)}); sweep directory: {sweep}")
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


def _claim_sweep(args: argparse.Namespace) -> Path:
    """A sweep directory that no other sweep has; made once all jobs are checked."""
    from mlpexp.cli.sweep import check_jobs

    about_hydra = [part for part in args.overrides if part.lstrip("+~").startswith(("hydra.", "hydra/"))]
    jobs = [part for part in args.overrides if part not in about_hydra]
    # An experiment may say where its sweeps go; of several that are swept over, none does.
    experiments = [
        part for part in jobs if part.startswith("experiment=") and not parse_override(part).is_sweep_override()
    ]
    raw = compose_raw([*about_hydra, *experiments], args.config_dir, args.config_name, with_hydra=True)
    check_jobs(jobs, args.config_dir, args.config_name, str(raw.hydra.sweeper._target_))
    return _claim(raw, "hydra.sweep.dir")


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


def _in_sweep(raw: DictConfig, failed: list[str]) -> None:
    """One job of a sweep that Hydra's launcher runs one by one; its number joins `failed` where it fails."""
    from mlpexp.cli.terminal import Terminal
    from mlpexp.prepare import prepare
    from mlpexp.training import run_in

    path = Path(HydraConfig.get().runtime.output_dir)
    terminal = Terminal()
    try:
        terminal.concluded(run_in(path, prepare(checked(raw)), terminal))
    except InterruptedRunError as error:
        # What is no Exception ends the whole sweep: nobody presses Ctrl-C once for each of its jobs.
        print(f"mlpexp: job {HydraConfig.get().job.num} {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from error
    except MlpexpError as error:
        # Hydra's basic launcher runs on, and in the end reports the first failure only.
        number = str(HydraConfig.get().job.num)
        failed.append(number)
        print(f"mlpexp: job {number} failed: {error}", file=sys.stderr)
        raise


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
