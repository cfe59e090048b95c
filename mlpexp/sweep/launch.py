"""A batch of jobs from Hydra's sweeper: all composed, then run together if the task can, else one by one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, configure_log, filter_overrides, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from mlpexp.config.composer import JobComposer
from mlpexp.sweep.together import can_share_a_process, place, run_together

log = logging.getLogger(__name__)


def launch(
    context: HydraContext, task: TaskFunction, sweep: DictConfig, batch: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Runs the jobs that the overrides in `batch` make; `sweep` is the sweep's config, `first` the first number.

    All jobs go to the task's `run_jobs` in one call, if it has that method (see task.py). A task without it is called
    job by job, as by Hydra's basic launcher; so is any task where each job is to have a working directory, an
    environment or a log file of its own, which the jobs of one process cannot have at the same time.
    """
    setup_globals()
    configure_log(sweep.hydra.hydra_logging, sweep.hydra.verbose)
    Path(str(sweep.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    jobs = _composed(context, sweep, batch, first)
    run_jobs = getattr(task, "run_jobs", None)
    if run_jobs is not None and can_share_a_process(jobs):
        log.debug(f"Launching {len(jobs)} jobs together")
        return run_together(run_jobs, jobs, context, task)
    log.info(f"Launching {len(jobs)} jobs one by one")
    returns = []
    for job, overrides in zip(jobs, batch, strict=True):
        _announce(job, overrides)
        returns.append(run_job(task, job, "hydra.sweep.dir", "hydra.sweep.subdir", context))
        configure_log(sweep.hydra.hydra_logging, sweep.hydra.verbose)
    return returns


def _announce(job: DictConfig, overrides: Sequence[str]) -> None:
    log.info(f"\t#{job.hydra.job.num} : {' '.join(filter_overrides(overrides))}")


def _composed(context: HydraContext, sweep: DictConfig, batch: Sequence[Sequence[str]], first: int) -> list[DictConfig]:
    """The configs of all jobs, with Hydra's node; an error in one of them comes before the first starts."""
    loader = context.config_loader
    # As written: `${hydra.job.num}` in one of them has no value yet.
    about_hydra: Any = OmegaConf.to_container(sweep.hydra.overrides.hydra, resolve=False)
    compose = JobComposer(
        loader,
        sweep.hydra.job.config_name,
        about_hydra,
        lambda choices: loader.load_sweep_config(sweep, choices),
    )
    jobs = []
    for number, overrides in enumerate(batch, first):
        job = compose(overrides)
        place(job, number)
        jobs.append(job)
    return jobs
