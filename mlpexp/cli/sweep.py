"""`mlpexp train -m`: all jobs of a sweep checked before the first starts, run by Hydra's launcher, and summed up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, flag_override

from mlpexp.cli.dry_run import show_plan
from mlpexp.cli.hydra_app import claim, errors_of_ours
from mlpexp.cli.main import report
from mlpexp.cli.sweep_jobs import ListedSweep, is_stacked
from mlpexp.cli.sweep_task import SweepTask
from mlpexp.cli.sweep_terminal import conclude
from mlpexp.config import hydra_adapter
from mlpexp.config.compose import AUTO, Composer
from mlpexp.config.effects import repeats
from mlpexp.config.overrides import quote
from mlpexp.errors import MlpexpError, RunError
from mlpexp.figures.drawing import Drawing, process_beside
from mlpexp.interruption import InterruptedRunError, stopped_with
from mlpexp.run.record import NAME
from mlpexp.run.sweep_record import SweepRecord
from mlpexp.sweep.jobs import Job, check_jobs, job_records
from mlpexp.sweep.workers import Workers
from mlpexp.training.prepare import Preparations


def run_sweep(checked: CheckedSweep, composer: Composer, workers: Workers, *, dry_run: bool) -> int:
    """Runs the jobs of a sweep by Hydra's sweeper and launcher; then shows their results.

    `workers` may have been started for them.
    """
    if repeated := repeats([job.config for job in checked.jobs or []]):
        report(f"{repeated}.")
    if dry_run:
        show_plan(checked.jobs, checked.preparations, stacked=is_stacked(checked.raw))
        return 0
    # A directory of its own, made only now that all jobs are checked.
    with claim(checked.raw, "hydra.sweep.dir") as sweep:
        _run_in(sweep, checked, composer, workers)
    return 0


def _run_in(sweep: Path, checked: CheckedSweep, composer: Composer, workers: Workers) -> None:
    """Runs the jobs of a sweep in its directory; then shows their results."""
    raw, jobs = checked.raw, checked.jobs
    with flag_override(raw.hydra, ["readonly", "struct"], False):
        raw.hydra.sweep.dir = str(sweep)
    # The plan of the sweep, so that it can be resumed at any time.
    records = job_records(jobs or [])
    SweepRecord(records, [[job.number] for job in records], search=_search(raw) if jobs is None else None).write(sweep)
    line = list(raw.hydra.overrides.task)
    task = SweepTask(
        sweep, jobs or [], checked.preparations, workers, composer=composer, line=line, searching=jobs is None
    )
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


def check_sweep(listed: ListedSweep, composer: Composer) -> CheckedSweep:
    """The sweep, or ConfigError with whatever is wrong with its jobs."""
    preparations = Preparations()
    known = check_jobs(listed.jobs, composer, numbered=listed.all, preparations=preparations)
    if listed.all:
        job_records(known)
    return CheckedSweep(listed.raw, known if listed.all else None, preparations)
