"""`mlpexp train -m`: all jobs of a sweep checked before the first starts, run by Hydra's launcher, and summed up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hydra.core.override_parser.types import ValueType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mlpexp.cli.dry_run import show_plan
from mlpexp.cli.hydra_app import claim, sweep_by_hydra
from mlpexp.cli.main import report
from mlpexp.cli.sweep_task import SweepTask, note_jobs
from mlpexp.cli.sweep_terminal import conclude
from mlpexp.config.compose import compose_raw
from mlpexp.config.effects import repeats
from mlpexp.config.jobs import Job, check_jobs, expand
from mlpexp.config.overrides import fixed, parse_override
from mlpexp.errors import ConfigError, MlpexpError, RunError
from mlpexp.figures.drawing import Drawing, process_beside
from mlpexp.interruption import InterruptedRunError, stopped_with
from mlpexp.prepare import Preparations
from mlpexp.run.record import NAME

# The sweepers whose jobs are all combinations of the values. What others try is theirs to choose.
_GRID = (".BasicSweeper", ".CheckedSweeper")
# Of a longer range another sweeper's values are looked at as far as this.
_MOST_VALUES = 1000


def run_sweep(args: argparse.Namespace) -> int:
    """The jobs of a sweep, by Hydra's sweeper and launcher; in the end what has come of them."""
    checked = check_sweep(args.overrides, args.config_dir, args.config_name)
    raw, jobs = checked.raw, checked.jobs
    if repeated := repeats([job.config for job in jobs or []]):
        report(f"{repeated}.")
    if args.dry_run:
        stacked = raw.hydra.launcher._target_.endswith(".StackedLauncher")
        show_plan(jobs, checked.preparations, stacked=stacked)
        return 0
    # One that no other sweep has, now that all jobs are checked.
    with claim(raw, "hydra.sweep.dir") as sweep:
        _run_in(sweep, checked, args)
    return 0


def _run_in(sweep: Path, checked: CheckedSweep, args: argparse.Namespace) -> None:
    """The jobs of a sweep in its directory, and what has come of them."""
    raw, jobs = checked.raw, checked.jobs
    note_jobs(sweep, jobs or [], raw)
    task = SweepTask(jobs or [], checked.preparations, searching=jobs is None)
    # It imports what the last figure needs while the jobs train.
    with Drawing(process_beside()) as drawing:
        drawing.start()
        try:
            with stopped_with(f"the sweep is interrupted; go on with: mlpexp resume {sweep}"):
                sweep_by_hydra(task, raw, sweep, args)
        except InterruptedRunError:
            raise
        except Exception as error:
            ours = isinstance(error, MlpexpError) or task.called
            said = f"hydra/launcher={raw.hydra.runtime.choices['hydra/launcher']} ended with {_in_a_line(error)}"
            if any(sweep.glob(f"**/{NAME}")):
                # Jobs have failed; their directories tell which.
                if not ours:
                    report(said)
                conclude(sweep, drawing, told=task.called)
            if ours:
                raise
            raise RunError(said) from error
        conclude(sweep, drawing, told=task.called)


def _in_a_line(error: Exception) -> str:
    """What somebody else's error says, without the tracebacks of other processes that may stand behind it."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


@dataclass(frozen=True)
class CheckedSweep:
    """A sweep whose jobs can be run: its config with Hydra's node, and the jobs, where they are known beforehand."""

    raw: DictConfig
    jobs: list[Job] | None
    preparations: Preparations


def check_sweep(overrides: Sequence[str], config_dir: str | None, config_name: str) -> CheckedSweep:
    """The sweep, or ConfigError with whatever is wrong with its jobs.

    For sweepers that choose the values as they go, each listed value of a key is tried with the first of all others.
    """
    about_hydra = [given for given in overrides if given.lstrip("+~").startswith(("hydra.", "hydra/"))]
    ours = [given for given in overrides if given not in about_hydra]
    sweep = _sweep_config(about_hydra, ours, config_dir, config_name)
    for name in ("launcher", "sweeper"):
        if OmegaConf.is_missing(sweep.hydra, name):
            raise ConfigError(f"~hydra/{name}: a sweep needs one {name}.")
    sweeper = sweep.hydra.sweeper
    grid = str(sweeper._target_).endswith(_GRID)
    if grid:
        params = {str(key): str(value) for key, value in (sweeper.params or {}).items()}
        jobs = expand(ours, params, config_dir)
    else:
        jobs = _one_key_at_a_time(ours)
    preparations = Preparations()
    known = check_jobs(jobs, about_hydra, config_dir, config_name, numbered=grid, preparations=preparations)
    return CheckedSweep(sweep, known if grid else None, preparations)


def _sweep_config(about_hydra: list[str], ours: list[str], config_dir: str | None, config_name: str) -> DictConfig:
    """The config from which Hydra makes the sweep: where it goes, which sweeper makes its jobs, and of what."""
    # The last one counts.
    overrides = [*about_hydra, "hydra.mode=MULTIRUN", *ours]
    try:
        return compose_raw(overrides, config_dir, config_name, with_hydra=True, run_mode=RunMode.MULTIRUN)
    except ConfigError:
        # Something is wrong with all jobs: they are checked nevertheless, as other things may be wrong with some.
        experiments = [given for given in fixed(ours) if given.startswith("experiment=")]
        return compose_raw([*about_hydra, *experiments], config_dir, config_name, with_hydra=True)


def _one_key_at_a_time(overrides: Sequence[str]) -> list[list[str]]:
    """The job of the first values, then one for each further value: n keys of m values make about n·m jobs, not mⁿ."""
    first: list[str] = []
    further: list[tuple[int, str]] = []
    for given in overrides:
        override = parse_override(given)
        if not override.is_sweep_override():
            first.append(given)
        elif override.is_discrete_sweep() and override.value_type != ValueType.GLOB_CHOICE_SWEEP:
            values = islice(override.sweep_string_iterator(), _MOST_VALUES)
            listed = [f"{override.get_key_element()}={value}" for value in values]
            further += [(len(first), other) for other in listed[1:]]
            first += listed[:1]
        # The values of interval(0,1) are the sweeper's to choose, those of glob(*) exist.
    return [first, *([*first[:at], other, *first[at + 1 :]] for at, other in further)]
