"""`mlpexp train`: Hydra's command line, around one run or a sweep of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.utils import configure_log, run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, flag_override

from mlpexp.cli.hydra_app import claim, hand_over, never, parse
from mlpexp.config.compose import checked, compose_raw
from mlpexp.config.effects import check_keys
from mlpexp.config.overrides import fixed
from mlpexp.errors import ConfigError
from mlpexp.run.files import writing

if TYPE_CHECKING:
    from mlpexp.config.schema import Config
    from mlpexp.prepare import Prepared


def run(arguments: list[str]) -> int:
    """Shows what Hydra is asked to show, or trains. Everything is checked before anything is written."""
    args = parse(arguments)
    if args.help or args.hydra_help or args.cfg or args.info or args.shell_completion:
        hand_over(never, arguments, args)
        return 0
    if not (args.multirun or "hydra.mode=MULTIRUN" in args.overrides):
        raw = _composed(args)
        # An experiment may say that it is a sweep.
        if str(raw.hydra.mode) != "RunMode.MULTIRUN":
            if args.dry_run:
                from mlpexp.cli.dry_run import show_run

                show_run(_checked(raw))
                return 0
            return _run_alone(raw, args.config_name)
    from mlpexp.cli.sweep import run_sweep

    return run_sweep(args)


def _composed(args: argparse.Namespace) -> DictConfig:
    """The config of a single run, or that of a sweep without the values that it sweeps over."""
    of_one_value = fixed(args.overrides)
    # What is wrong with all jobs of a sweep is told by the sweep itself; an experiment alone says whether it is one.
    alone = [given for given in of_one_value if given.startswith(("experiment=", "hydra."))]
    for given in (of_one_value, alone):
        try:
            raw = compose_raw(given, args.config_dir, args.config_name, with_hydra=True)
        except ConfigError:
            continue  # Whatever that was, the whole of it has an error to show.
        if given == args.overrides or str(raw.hydra.mode) == "RunMode.MULTIRUN":
            return raw
    return compose_raw(args.overrides, args.config_dir, args.config_name, with_hydra=True)


def _checked(raw: DictConfig) -> Config:
    """The config of a single run, all of whose keys have an effect."""
    config = checked(raw)
    check_keys([(config, list(raw.hydra.overrides.task))])
    return config


def _run_alone(raw: DictConfig, config_name: str) -> int:
    """One run of a composed config, as Hydra would run it. Asking Hydra itself would compose it twice more."""
    from mlpexp.prepare import prepare

    prepared = prepare(_checked(raw))
    with claim(raw, "hydra.run.dir") as path:
        _run_in(path.absolute() if raw.hydra.job.chdir else path, prepared, raw, config_name)
    return 0


def _run_in(path: Path, prepared: Prepared, raw: DictConfig, config_name: str) -> None:
    failed: list[Exception] = []

    def task(_: DictConfig) -> None:
        from mlpexp.cli.terminal import Terminal
        from mlpexp.training.single import run_in

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
    # Hydra writes its own files there.
    with writing(path):
        done = run_job(
            task_function=task, config=raw, job_dir_key="hydra.run.dir", job_subdir_key=None, hydra_context=context
        )
    callbacks.on_run_end(config=raw, config_name=config_name, job_return=done)
    for error in failed:
        raise error
