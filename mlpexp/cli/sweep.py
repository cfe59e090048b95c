"""A sweep of `mlpexp train`: what is wrong with any of its jobs, found before the first starts; and running one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import ValueType
from omegaconf import DictConfig

from mlpexp.config.compose import checked, compose_raw
from mlpexp.config.jobs import check_jobs, expand
from mlpexp.config.overrides import parse_override
from mlpexp.errors import ConfigError, MlpexpError
from mlpexp.interruption import InterruptedRunError

# The sweepers whose jobs are all combinations of the values. What others try is theirs to choose.
_GRID = (".BasicSweeper", ".CheckedSweeper")
# Of a longer range another sweeper's values are looked at as far as this.
_MOST_VALUES = 1000


def fixed(overrides: Sequence[str]) -> list[str]:
    """The overrides that give one value."""
    return [given for given in overrides if not parse_override(given).is_sweep_override()]


def check_sweep(overrides: Sequence[str], config_dir: str | None, config_name: str) -> DictConfig:
    """ConfigError with whatever is wrong with the jobs; else the config of the sweep, with Hydra's node.

    For sweepers that choose the values as they go, each listed value of a key is tried with the first of all others.
    """
    about_hydra = [given for given in overrides if given.lstrip("+~").startswith(("hydra.", "hydra/"))]
    ours = [given for given in overrides if given not in about_hydra]
    sweep = _sweep_config(about_hydra, fixed(ours), config_dir, config_name)
    sweeper = sweep.hydra.sweeper
    grid = str(sweeper._target_).endswith(_GRID)
    if grid:
        params = {str(key): str(value) for key, value in (sweeper.params or {}).items()}
        jobs = expand(ours, params, config_dir)
    else:
        jobs = _one_key_at_a_time(ours)
    check_jobs(jobs, about_hydra, config_dir, config_name, numbered=grid)
    return sweep


def _sweep_config(about_hydra: list[str], ours: list[str], config_dir: str | None, config_name: str) -> DictConfig:
    """Where the sweep goes, which sweeper makes its jobs, and of what: an experiment may say it."""
    try:
        return compose_raw([*about_hydra, *ours], config_dir, config_name, with_hydra=True)
    except ConfigError:
        # Something is wrong with all jobs: they are checked nevertheless, as other things may be wrong with some.
        experiments = [given for given in ours if given.startswith("experiment=")]
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


class SweepTask:
    """The task function of a sweep: trains a job, and notes the numbers of those that failed; see sweep/task.py."""

    reported = MlpexpError

    def __init__(self) -> None:
        self.failed: list[str] = []

    def __call__(self, raw: DictConfig) -> None:
        from mlpexp.cli.terminal import Terminal
        from mlpexp.prepare import prepare
        from mlpexp.training import run_in

        hydra = HydraConfig.get()
        terminal = Terminal()
        try:
            terminal.concluded(run_in(Path(hydra.runtime.output_dir), prepare(checked(raw)), terminal))
        except InterruptedRunError as error:
            # What is no Exception ends the whole sweep: nobody presses Ctrl-C once for each of its jobs.
            print(f"mlpexp: job {hydra.job.num} {error}", file=sys.stderr)
            raise SystemExit(error.exit_code) from error
        except MlpexpError as error:
            # The launcher runs on; each failure is reported when it happens.
            self.failed.append(str(hydra.job.num))
            print(f"mlpexp: job {hydra.job.num} failed: {error}", file=sys.stderr)
            raise
