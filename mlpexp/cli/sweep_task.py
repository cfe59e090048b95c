"""What Hydra's launchers call to run the jobs of a sweep: all at once, or one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mlpexp.cli.job_log import JobLog
from mlpexp.cli.main import report
from mlpexp.cli.sweep_terminal import SweepTerminal, report_failure
from mlpexp.config.compose import checked
from mlpexp.config.jobs import Job
from mlpexp.config.schema import Config
from mlpexp.errors import DivergedError
from mlpexp.interruption import InterruptedRunError
from mlpexp.prepare import Preparations, prepare
from mlpexp.run.lock import locked
from mlpexp.run.record import NAME, Record, command_line
from mlpexp.sweep.record import JobRecord, SweepRecord
from mlpexp.sweep.start import train_jobs
from mlpexp.training.attempt import Run
from mlpexp.training.stack import Watcher


class SweepTask:
    """The task function of a sweep, see sweep/task.py. It tells of failures when they happen.

    Launchers of other processes send it there: the one here is then never called.
    """

    reported = Exception

    def __init__(
        self,
        jobs: Sequence[Job] = (),
        preparations: Preparations | None = None,
        *,
        searching: bool = False,
        sent_by: str | None = None,
    ) -> None:
        """`jobs` are those that are checked already, with what they need in `preparations`.

        With `searching` a sweeper makes small what the jobs give. `sent_by` is the command line of another process,
        which has sent the task to this one.
        """
        self._jobs = {job.number: job for job in jobs}
        self._preparations = preparations or Preparations()
        self._searching = searching
        self._sent_by = sent_by
        self.called = False

    def __reduce__(self) -> tuple[Any, ...]:
        # What goes to other processes makes do without what this one has in memory.
        return _sent, (self._searching, self._sent_by or command_line())

    def __call__(self, raw: DictConfig) -> float:
        """One job, for launchers that run them one by one. Gives what a search is to minimise."""
        from mlpexp.cli.terminal import Terminal

        self.called = True
        hydra = HydraConfig.get()
        number = hydra.job.num
        terminal = Terminal() if self._sent_by is None else JobLog(number)
        try:
            run = self._run(Path(hydra.runtime.output_dir), checked(raw), terminal)
        except InterruptedRunError as error:
            # What is no Exception ends the whole sweep: nobody presses Ctrl-C once for each of its jobs.
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

    def _run(self, path: Path, config: Config, watcher: Watcher) -> Run:
        from mlpexp.training.single import resume, run_in

        if (path / NAME).exists():
            # A cluster has stopped the job and begun it again, for it has a directory to itself.
            return resume(path, {"plugins": config.plugins}, watcher)
        with locked(path):
            return run_in(path, prepare(config), watcher, self._sent_by)

    def run_jobs(self, raws: Sequence[DictConfig]) -> Sequence[float | Exception]:
        """All jobs, in stacks."""
        self.called = True
        directory = Path(str(raws[0].hydra.sweep.dir))
        jobs = [self._job(raw) for raw in raws]
        at = {job.number: Path(raw.hydra.runtime.output_dir) for job, raw in zip(jobs, raws, strict=True)}
        try:
            outcomes = train_jobs(directory, jobs, at, self._preparations, SweepTerminal(directory))
        except InterruptedRunError as error:
            report(str(error))
            raise SystemExit(error.exit_code) from error
        return [self._value(outcomes[job.number]) for job in jobs]

    def _value(self, outcome: Record | Exception) -> float | Exception:
        if isinstance(outcome, Record):
            return objective(outcome)
        # A search learns from it, and goes on elsewhere.
        return math.inf if self._searching and isinstance(outcome, DivergedError) else outcome

    def _job(self, raw: DictConfig) -> Job:
        number, overrides = raw.hydra.job.num, list(raw.hydra.overrides.task)
        known = self._jobs.get(number)
        return known if known and known.overrides == overrides else Job(number, overrides, checked(raw))


def _sent(searching: bool, sent_by: str) -> SweepTask:
    """The task as it arrives in another process."""
    return SweepTask(searching=searching, sent_by=sent_by)


def objective(record: Record) -> float:
    """The validation loss of the best weights: a sweeper that searches makes it small."""
    return record.metrics["val"]["loss"]


def note_jobs(directory: Path, jobs: Sequence[Job], raw: DictConfig) -> None:
    """Notes in sweep.json what jobs there are, each by itself, so that the sweep can be gone on with from any instant.

    Where the user has changed the layout of directories, only jobs that have begun can be gone on with: other
    launchers tell where a job lies no sooner. So it is where a sweeper chooses the jobs as it goes.
    """
    layout: Any = OmegaConf.to_container(raw.hydra.sweep, resolve=False)
    known = jobs if layout["subdir"] == "${hydra.job.num}" else []
    records = [JobRecord(job.number, job.overrides, str(job.number), job.config.to_dict()) for job in known]
    SweepRecord(records, [[job.number] for job in known]).write(directory)
