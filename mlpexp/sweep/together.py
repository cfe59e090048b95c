"""Around jobs that run together: for each of them what Hydra's `run_job` does around the one that it runs."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import version
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, _flush_loggers, configure_log, env_override
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from mlpexp.sweep.shared_yaml import SharedYaml


def run_together(
    run_jobs: Callable[[Sequence[DictConfig]], Sequence[Any]],
    jobs: Sequence[DictConfig],
    context: HydraContext,
    task: TaskFunction,
) -> list[JobReturn]:
    """Calls `run_jobs` with all jobs, which are `place`d; each has its own status in the end."""
    if not jobs:
        return []
    dump = SharedYaml()
    returns = [_prepare(job, dump) for job in jobs]
    hydra = jobs[0].hydra
    configure_log(hydra.job_logging, hydra.verbose)
    with env_override(hydra.job.env_set):
        for job in jobs:
            with _current(job):
                context.callbacks.on_job_start(config=job, task_function=task)
        try:
            results = run_jobs(jobs)
        except Exception as error:
            results = [error] * len(jobs)
    assert len(results) == len(jobs), f"run_jobs gave {len(results)} results for {len(jobs)} jobs"
    for job, done, result in zip(jobs, returns, results, strict=True):
        done.return_value = result
        done.status = JobStatus.FAILED if isinstance(result, Exception) else JobStatus.COMPLETED
        done.task_name = JobRuntime.instance().get("name")
        with _current(job):
            _flush_loggers()
            context.callbacks.on_job_end(config=job, job_return=done)
    return returns


def place(job: DictConfig, number: int) -> None:
    """Writes into a job's config what number it has and where its directory is."""
    hydra = job.hydra
    hydra.job.id = hydra.job.num = number
    with _current(job):
        directory = Path(str(hydra.sweep.dir)) / str(hydra.sweep.subdir)
        # As Hydra does: Path.absolute would leave a `..` in it.
        hydra.runtime.output_dir = os.path.abspath(directory)  # noqa: PTH100
    # As HydraConfig has it while a job runs.
    OmegaConf.set_readonly(hydra, True)


def can_share_a_process(jobs: Sequence[DictConfig]) -> bool:
    """Whether no job is to have a working directory, environment variables or a log file of its own."""
    return not any(_changes_directory(job) for job in jobs) and all(
        _process_state(job) == _process_state(jobs[0]) for job in jobs[1:]
    )


def _changes_directory(job: DictConfig) -> bool:
    chdir = job.hydra.job.chdir
    # What Hydra does unasked depends on the version that an app was written for.
    return bool(not version.base_at_least("1.2") if chdir is None else chdir)


def _process_state(job: DictConfig) -> Any:
    with _current(job):
        return [OmegaConf.to_container(part, resolve=True) for part in (job.hydra.job.env_set, job.hydra.job_logging)]


@contextmanager
def _current(job: DictConfig) -> Iterator[None]:
    """Within, `HydraConfig` is that of the job, for callbacks and for `${hydra:…}`."""
    instance = HydraConfig.instance()
    before = instance.cfg
    # `set_config` would copy the node, which takes longer than all else that is done for a job here.
    instance.cfg = job  # type: ignore[assignment]
    try:
        yield
    finally:
        instance.cfg = before


def _prepare(job: DictConfig, dump: SharedYaml) -> JobReturn:
    """Makes the job's directory, with Hydra's files in it."""
    hydra = job.hydra
    overrides = OmegaConf.to_container(hydra.overrides.task)
    directory = Path(hydra.runtime.output_dir)
    directory.mkdir(parents=True, exist_ok=True)
    if hydra.output_subdir is not None:
        files = directory / hydra.output_subdir
        files.mkdir(parents=True, exist_ok=True)
        config: Any = OmegaConf.to_container(job, enum_to_str=True)
        for name, content in {
            "hydra": dump.nested("hydra", config.pop("hydra")),
            "config": dump(config),
            "overrides": dump(overrides),
        }.items():
            (files / f"{name}.yaml").write_text(content, encoding="utf-8")
    ours, theirs = _split(job)
    return JobReturn(overrides, cfg=ours, hydra_cfg=theirs, working_dir=str(Path.cwd()))  # type: ignore[arg-type]


def _split(job: DictConfig) -> tuple[DictConfig, DictConfig]:
    """Copies of the job's own part and of Hydra's: a callback or the task may change the config."""
    ours: DictConfig = pickle.loads(pickle.dumps(job))
    OmegaConf.set_struct(ours, False)
    hydra = ours.pop("hydra")
    OmegaConf.set_struct(ours, True)
    return ours, DictConfig({"hydra": hydra}, flags={"no_deepcopy_set_nodes": True})
