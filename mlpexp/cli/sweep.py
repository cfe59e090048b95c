"""`mlpexp train -m`: all jobs of a sweep checked before the first starts, run by Hydra's launcher, and summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import ValueType
from omegaconf import DictConfig, OmegaConf, flag_override

from mlpexp.cli.dry_run import show_plan
from mlpexp.cli.hydra_app import claim, errors_of_ours
from mlpexp.cli.main import report
from mlpexp.cli.sweep_task import SweepTask
from mlpexp.cli.sweep_terminal import conclude
from mlpexp.config import hydra_adapter
from mlpexp.config.compose import AUTO, Composer
from mlpexp.config.effects import repeats
from mlpexp.config.overrides import count, parse_override, quote, values
from mlpexp.config.schema import Sweep
from mlpexp.errors import ConfigError, MlpexpError, RunError
from mlpexp.figures.drawing import Drawing, process_beside
from mlpexp.interruption import InterruptedRunError, stopped_with
from mlpexp.run.record import NAME
from mlpexp.run.sweep_record import SweepRecord
from mlpexp.sweep.jobs import Job, check_jobs, expand, job_records
from mlpexp.training.prepare import Preparations

# At most this many values of a key are checked for sweepers that choose the jobs.
_MOST_VALUES = 1000


def run_sweep(checked: CheckedSweep, composer: Composer, *, dry_run: bool) -> int:
    """Runs the jobs of a sweep by Hydra's sweeper and launcher; then shows their results."""
    if repeated := repeats([job.config for job in checked.jobs or []]):
        report(f"{repeated}.")
    if dry_run:
        stacked = checked.raw.hydra.launcher._target_.endswith(".StackedLauncher")
        show_plan(checked.jobs, checked.preparations, stacked=stacked)
        return 0
    # A directory of its own, made only now that all jobs are checked.
    with claim(checked.raw, "hydra.sweep.dir") as sweep:
        _run_in(sweep, checked, composer)
    return 0


def _run_in(sweep: Path, checked: CheckedSweep, composer: Composer) -> None:
    """Runs the jobs of a sweep in its directory; then shows their results."""
    raw, jobs = checked.raw, checked.jobs
    with flag_override(raw.hydra, ["readonly", "struct"], False):
        raw.hydra.sweep.dir = str(sweep)
    # The plan of the sweep, so that it can be resumed at any time.
    records = job_records(jobs or [])
    SweepRecord(records, [[job.number] for job in records], search=_search(raw) if jobs is None else None).write(sweep)
    line = list(raw.hydra.overrides.task)
    task = SweepTask(sweep, jobs or [], checked.preparations, composer=composer, line=line, searching=jobs is None)
    # Its process imports matplotlib while the jobs train.
    with Drawing(process_beside()) as drawing:
        drawing.start()
        try:
            with stopped_with(f"the sweep is interrupted; go on with: mlpexp resume {sweep}"), errors_of_ours():
                _launch(task, checked, composer)
        except InterruptedRunError:
            raise
        except Exception as error:
            ours = isinstance(error, MlpexpError) or task.called
            said = f"hydra/launcher={raw.hydra.runtime.choices['hydra/launcher']} ended with {_in_a_line(error)}"
            if any(sweep.glob(f"**/{NAME}")):
                # Jobs have failed; their directories show which.
                if not ours:
                    report(said)
                conclude(sweep, drawing, told=task.called)
            if ours:
                raise
            raise RunError(said) from error
        conclude(sweep, drawing, told=task.called)


def _launch(task: SweepTask, checked: CheckedSweep, composer: Composer) -> None:
    """Jobs that are known go to the launcher; otherwise the sweeper chooses them. Raises the first error of a job."""
    if checked.jobs is None:
        if checked.raw.hydra.sweep.subdir == AUTO:
            # For other launchers than ours: which values there will be is not known here.
            with flag_override(checked.raw.hydra, ["readonly", "struct"], False):
                checked.raw.hydra.overrides.hydra.append("hydra.sweep.subdir=${hydra.job.num}")
        hydra_adapter.search(task, checked.raw, composer.loader, composer.config_name)
        return
    # Each launcher uses the directories that the jobs have been given.
    jobs = [[*job.overrides, f"hydra.sweep.subdir={quote(job.directory)}"] for job in checked.jobs]
    returns = hydra_adapter.launch(task, checked.raw, jobs, composer.loader, composer.config_name)
    for error in map(hydra_adapter.error_of, returns):
        if error is not None:
            raise error


def _in_a_line(error: Exception) -> str:
    """The message of another library's error, without tracebacks of other processes that may follow it."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


def _search(raw: DictConfig) -> dict[str, Any]:
    """The sweeper that chooses the jobs, and its number of trials, where it has one."""
    n_trials = raw.hydra.sweeper.get("n_trials")
    return {
        "sweeper": str(raw.hydra.runtime.choices["hydra/sweeper"]),
        "n_trials": n_trials if isinstance(n_trials, int) else None,
    }


@dataclass(frozen=True)
class CheckedSweep:
    """A sweep whose jobs can be run: its config with Hydra's node, and the jobs, where they are known beforehand."""

    raw: DictConfig
    jobs: list[Job] | None
    preparations: Preparations


def check_sweep(composer: Composer, overrides: Sequence[str]) -> CheckedSweep:
    """The sweep, or ConfigError with whatever is wrong with its jobs.

    For sweepers that choose the values, each listed value of a key is tried with the first of all others.
    """
    raw = composer.of_sweep(overrides)
    for name in ("launcher", "sweeper"):
        if OmegaConf.is_missing(raw.hydra, name) or not raw.hydra[name] or "_target_" not in raw.hydra[name]:
            raise ConfigError(f"hydra/{name}: a sweep needs one {name}.")
        target = str(raw.hydra[name]._target_)
        if not target.startswith(hydra_adapter.PLUGINS):
            raise ConfigError(
                f"hydra.{name}._target_={target}: is no plugin of Hydra's; choose one by hydra/{name}=NAME."
            )
    sweeper = raw.hydra.sweeper
    # All combinations of the values; other sweepers choose their own.
    grid = str(sweeper.get("_target_")).endswith(".BasicSweeper")
    layout = composer.sweep(overrides)
    if grid:
        params = {str(key): str(value) for key, value in (sweeper.params or {}).items()}
        jobs = expand(overrides, params, composer.config_dir, layout)
    elif layout != Sweep():
        raise ConfigError(
            "sweep.zip and sweep.settings: are for a sweep over given values; this sweeper chooses its own."
        )
    else:
        jobs = _one_key_at_a_time(overrides)
    preparations = Preparations()
    known = check_jobs(jobs, composer, numbered=grid, preparations=preparations)
    if grid:
        job_records(known)
    return CheckedSweep(raw, known if grid else None, preparations)


def _one_key_at_a_time(overrides: Sequence[str]) -> list[list[str]]:
    """The job of the first values, then one for each further value: n keys of m values make about n·m jobs, not mⁿ."""
    first: list[str] = []
    further: list[tuple[int, str]] = []
    for given in overrides:
        override = parse_override(given)
        if not override.is_sweep_override():
            first.append(given)
        elif override.is_discrete_sweep() and override.value_type != ValueType.GLOB_CHOICE_SWEEP:
            count(override)
            listed = list(islice(values(override), _MOST_VALUES))
            further += [(len(first), other) for other in listed[1:]]
            first += listed[:1]
        # The sweeper chooses the values of interval(0,1); those of glob(*) are known.
    return [first, *([*first[:at], other, *first[at + 1 :]] for at, other in further)]
