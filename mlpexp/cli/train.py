"""`mlpexp train`: Hydra's command line, around one run or a sweep of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from mlpexp.cli.console import waiting
from mlpexp.cli.hydra_app import check_package, claim, parse, show, show_help, shows
from mlpexp.cli.sweep_jobs import is_stacked, listed_sweep
from mlpexp.config import hydra_adapter
from mlpexp.config.compose import Composer
from mlpexp.config.effects import check_keys
from mlpexp.config.overrides import is_about_hydra
from mlpexp.errors import ConfigError
from mlpexp.run.files import writing
from mlpexp.sweep.workers import Workers

if TYPE_CHECKING:
    from mlpexp.training.prepare import Prepared


def run(arguments: list[str]) -> int:
    """Shows what Hydra is asked to show, or trains. Everything is checked before anything is written."""
    args = parse(arguments)
    # Hydra reads no options behind overrides.
    arguments = [*(word for word in arguments if word not in args.overrides), *args.overrides]
    if args.help or args.hydra_help:
        show_help(arguments)
        return 0
    about_hydra = [given for given in args.overrides if is_about_hydra(given)]
    ours = [given for given in args.overrides if not is_about_hydra(given)]
    composer = Composer(args.config_dir, args.config_name, about_hydra)
    if shows(args):
        check_package(args, composer.raw(ours))
        show(arguments)
        return 0
    if args.multirun or composer.is_sweep(ours):
        _refuse(about_hydra, "hydra.run.", "is for a single run; a sweep has hydra.sweep.dir")
        return _sweep(composer, ours, dry_run=args.dry_run)
    _refuse(about_hydra, ("hydra/launcher", "hydra/sweeper", "hydra.launcher", "hydra.sweep"), "is for sweeps; add -m")
    _refuse(ours, "sweep.", "is for sweeps; add -m")
    return _run_alone(composer, ours, dry_run=args.dry_run)


def _refuse(overrides: Sequence[str], keys: str | tuple[str, ...], why: str) -> None:
    """ConfigError for what would be ignored."""
    wrong = [f"{given}: {why}." for given in overrides if given.lstrip("+~").startswith(keys)]
    if wrong:
        raise ConfigError(*wrong)


def _sweep(composer: Composer, overrides: Sequence[str], *, dry_run: bool) -> int:
    """All jobs of a sweep, checked and run."""
    with Workers() as workers:
        with waiting("composing the jobs of the sweep"):
            listed = listed_sweep(composer, overrides)
            if not dry_run and is_stacked(listed.raw):
                # They import torch at the same time as this process.
                workers.start_for(len(listed.jobs), listed.n_processes)
            from mlpexp.cli.sweep import check_sweep, run_sweep

            checked = check_sweep(listed, composer)
        return run_sweep(checked, composer, workers, dry_run=dry_run)


def _run_alone(composer: Composer, overrides: Sequence[str], *, dry_run: bool) -> int:
    """One run, as Hydra would run it."""
    with waiting("composing the run"):
        config = composer.config(overrides)
        check_keys([(config, overrides)])
    if dry_run:
        from mlpexp.cli.dry_run import show_run

        show_run(config)
        return 0
    with waiting("preparing the data"):
        # It imports torch.
        from mlpexp.training.prepare import prepare

        prepared = prepare(config)
        raw = composer.raw(overrides)
    with claim(raw, "hydra.run.dir") as path:
        _run_in(path.absolute() if raw.hydra.job.chdir else path, prepared, raw, composer)
    return 0


def _run_in(path: Path, prepared: Prepared, raw: DictConfig, composer: Composer) -> None:
    failed: list[Exception] = []

    def task(_: DictConfig) -> None:
        from mlpexp.cli.terminal import Terminal
        from mlpexp.training.single import run_in

        terminal = Terminal()
        try:
            terminal.concluded(run_in(path, prepared, terminal))
        except Exception as error:
            # Hydra would print it in its own words; the caller reports it in one line.
            failed.append(error)

    # Hydra writes its own files there.
    with writing(path):
        hydra_adapter.run_one(task, raw, str(path), composer.loader, composer.config_name)
    for error in failed:
        raise error
