"""`hydra/launcher=stacked`: passes the jobs of a sweep to a task that runs them all at once.

Any Hydra app can use the launcher. A task function that has a method

    run_jobs(overrides: Sequence[Sequence[str]], first: int) -> Sequence[Any | Exception]

is called once with the overrides of all jobs of a batch and the number of the first one. It returns the value of each
job, or the Exception with which it failed. A BaseException such as KeyboardInterrupt ends the sweep. Other task
functions are called job by job, by Hydra's basic launcher.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, env_override, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from mlpexp.config.hydra_adapter import BasicLauncher

log = logging.getLogger(__name__)


def launch(
    context: HydraContext, task: TaskFunction, sweep: DictConfig, batch: Sequence[Sequence[str]], first: int
) -> Sequence[JobReturn]:
    """Runs the jobs with the overrides in `batch`; `sweep` is the sweep's config, `first` the number of the first job.

    They run one by one if each needs its own working directory, environment, log file or callbacks.
    """
    run_jobs = getattr(task, "run_jobs", None)
    own = _own(sweep)
    if run_jobs is None or own is not None:
        if run_jobs is not None:
            log.info(f"{own} gives each job a part of the process for itself: the jobs run one by one")
        launcher = BasicLauncher()
        launcher.setup(hydra_context=context, task_function=task, config=sweep)
        return launcher.launch(batch, first)
    setup_globals()
    configure_log(sweep.hydra.hydra_logging, sweep.hydra.verbose)
    Path(str(sweep.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    log.debug(f"Launching {len(batch)} jobs together")
    configure_log(sweep.hydra.job_logging, sweep.hydra.verbose)
    with env_override(sweep.hydra.job.env_set):
        try:
            results = run_jobs(batch, first)
        except Exception as error:
            results = [error] * len(batch)
    assert len(results) == len(batch), f"run_jobs gave {len(results)} results for {len(batch)} jobs"
    return [_returned(overrides, result) for overrides, result in zip(batch, results, strict=True)]


def _returned(overrides: Sequence[str], result: Any) -> JobReturn:
    done = JobReturn(overrides=list(overrides), working_dir=str(Path.cwd()))
    done.return_value = result
    done.status = JobStatus.FAILED if isinstance(result, Exception) else JobStatus.COMPLETED
    return done


def _own(sweep: DictConfig) -> str | None:
    """The key by which each job has its own working directory, environment, log file or callbacks; None if unset."""
    if sweep.hydra.job.chdir:
        return "hydra.job.chdir"
    if OmegaConf.select(sweep, "hydra.callbacks"):
        return "hydra.callbacks"
    for key in ("hydra.job.env_set", "hydra.job_logging"):
        node = OmegaConf.select(sweep, key)
        if node is not None and "${hydra" in OmegaConf.to_yaml(node):
            return key
    return None
