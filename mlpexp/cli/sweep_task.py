"""The task function that Hydra's launchers call to run the jobs of a sweep: all at once, or one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mlpexp.cli.job_log import JobLog
from mlpexp.cli.main import report
from mlpexp.cli.sweep_terminal import SweepTerminal, report_failure
from mlpexp.config.compose import Composer, checked
from mlpexp.engine.heap import keep_freed_memory
from mlpexp.errors import DivergedError
from mlpexp.interruption import InterruptedRunError
from mlpexp.run.directory import locked
from mlpexp.run.names import directory_name, varied
from mlpexp.run.record import NAME, Record
from mlpexp.sweep.jobs import Job
from mlpexp.sweep.train import note_overrides, train_jobs
from mlpexp.sweep.workers import Workers
from mlpexp.training.attempt import Run
from mlpexp.training.prepare import Preparations
from mlpexp.training.watcher import Watcher


class SweepTask:
    """The task function of a sweep: runs its jobs at once (see sweep/hydra_launcher.py) or one by one.

    It reports failures when they happen. Launchers that use other processes send a copy to each; the original is then
    never called.
    """

    def __init__(
        self,
        directory: Path | None = None,
        jobs: Sequence[Job] = (),
        preparations: Preparations | None = None,
        workers: Workers | None = None,
        *,
        composer: Composer | None = None,
        line: Sequence[str] = (),
        searching: bool = False,
        sent: bool = False,
    ) -> None:
        """`directory` is that of the sweep. `jobs` are already checked, their data are in `preparations`,
        and `workers` may have been started for them.

        Jobs that a sweeper chooses later are composed by `composer`, and their directories are named after the
        overrides that differ from `line`, those of the sweep. With `searching`, a sweeper minimises the values that
        jobs return. With `sent`, the task came from another process.
        """
        self._directory = directory
        self._jobs = {job.number: job for job in jobs}
        self._preparations = preparations or Preparations()
        self._workers = workers
        self._composer = composer
        self._line = line
        self._searching = searching
        self._sent = sent
        self.called = False

    def __reduce__(self) -> tuple[Any, ...]:
        # The copy for another process has no jobs and no data.
        return _sent, (self._searching,)

    def __call__(self, raw: DictConfig) -> float:
        """Runs one job, for launchers that run them one by one. Returns the value that a search minimises."""
        from mlpexp.cli.terminal import Terminal

        self.called = True
        hydra = HydraConfig.get()
        number = hydra.job.num
        terminal = JobLog(number) if self._sent else Terminal()
        try:
            run = self._run(Path(hydra.runtime.output_dir), Path(hydra.runtime.cwd), raw, terminal)
        except InterruptedRunError as error:
            # Ctrl-C and SystemExit end the whole sweep.
            report(f"job {number} {error}")
            raise SystemExit(error.exit_code) from error
        except Exception as error:
            if isinstance(terminal, JobLog):
                terminal.failed(error)
            else:
                report_failure([number], error)
            value = self._value(error)
            if isinstance(value, Exception):
                raise
            return value
        terminal.concluded(run)
        return objective(run.record)

    def _run(self, path: Path, started_in: Path, raw: DictConfig, watcher: Watcher) -> Run:
        from mlpexp.training.single import resume, run_in

        # Relative paths refer to the directory of the command, even if the job has its own working directory.
        with chdir(started_in):
            config = checked(raw)
            if (path / NAME).exists():
                # A cluster has stopped the job and started it again; no other job uses this directory.
                return resume(path, {"plugins": list(config.plugins)}, watcher)
            prepared = self._preparations.of(config)
        with locked(path):
            return run_in(path, replace(prepared, config=config), watcher)

    def run_jobs(self, overrides: Sequence[Sequence[str]], first: int) -> Sequence[float | Exception]:
        """Trains all jobs in stacks; returns the objective or the error of each."""
        assert self._directory is not None
        self.called = True
        jobs = [self._job(number, list(given)) for number, given in enumerate(overrides, first)]
        note_overrides(self._directory, jobs)
        try:
            terminal = SweepTerminal(self._directory)
            outcomes = train_jobs(self._directory, jobs, self._preparations, terminal, self._workers)
        except InterruptedRunError as error:
            report(str(error))
            raise SystemExit(error.exit_code) from error
        return [self._value(outcomes[job.number]) for job in jobs]

    def _value(self, outcome: Record | Exception) -> float | Exception:
        if isinstance(outcome, Record):
            return objective(outcome)
        # For a search, a run that diverged has the value ∞.
        return math.inf if self._searching and isinstance(outcome, DivergedError) else outcome

    def _job(self, number: int, overrides: list[str]) -> Job:
        known = self._jobs.get(number)
        if known is not None:
            return known
        assert self._composer is not None
        name = directory_name(number, overrides, varied([self._line, overrides]))
        return Job(number, overrides, self._composer.config(overrides), self._composer.place(overrides, number, name))


def _sent(searching: bool) -> SweepTask:
    """The task in another process, which the command line started."""
    keep_freed_memory()
    return SweepTask(searching=searching, sent=True)


def objective(record: Record) -> float:
    """The validation loss of the best weights, which a search minimises."""
    return record.metrics["val"]["loss"]
