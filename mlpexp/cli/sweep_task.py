"""What Hydra's launchers call to run the jobs of a sweep: all at once, or one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mlpexp.cli.sweep_terminal import SweepTerminal, report_failure
from mlpexp.config.compose import checked
from mlpexp.config.jobs import Job
from mlpexp.interruption import InterruptedRunError
from mlpexp.prepare import Preparations, prepare
from mlpexp.run.record import COMMAND, Record, command
from mlpexp.sweep.record import JobRecord, read
from mlpexp.sweep.start import train_jobs


class SweepTask:
    """The task function of a sweep, see sweep/task.py. It tells of failures when they happen."""

    reported = Exception

    def __init__(self, jobs: Sequence[Job] = (), preparations: Preparations | None = None) -> None:
        """`jobs` are those that are checked already, with what they need in `preparations`."""
        self._elsewhere = False
        self._jobs = {job.number: job for job in jobs}
        self._preparations = preparations or Preparations()

    def __reduce__(self) -> tuple[Any, ...]:
        # What goes to other processes makes do without what this one has in memory.
        return SweepTask.elsewhere, (command(),)

    @classmethod
    def elsewhere(cls, begun_by: str) -> SweepTask:
        """The task in a process that a launcher has started for a sweep that was `begun_by` a command."""
        os.environ[COMMAND] = begun_by
        task = cls()
        task._elsewhere = True
        return task

    def __call__(self, raw: DictConfig) -> float:
        """One job, for launchers that run them one by one. Gives what a search is to minimise."""
        from mlpexp.cli.terminal import Terminal
        from mlpexp.training.single import run_in

        hydra = HydraConfig.get()
        # Of many that write to one terminal each says how it ended, and no more.
        terminal = None if self._elsewhere else Terminal()
        try:
            run = run_in(Path(hydra.runtime.output_dir), prepare(checked(raw)), terminal)
        except InterruptedRunError as error:
            # What is no Exception ends the whole sweep: nobody presses Ctrl-C once for each of its jobs.
            print(f"mlpexp: job {hydra.job.num} {error}", file=sys.stderr)
            raise SystemExit(error.exit_code) from error
        except Exception as error:
            report_failure(hydra.job.num, error)
            raise
        if terminal is None:
            score, value = next(reversed(run.metrics["test"].items()))
            print(f"job {hydra.job.num}: test {score} {value:.4f}, {run.record.seconds:.1f} s", flush=True)
        else:
            terminal.concluded(run)
        return objective(run.record)

    def run_jobs(self, raws: Sequence[DictConfig]) -> Sequence[float | Exception]:
        """All jobs, in stacks."""
        directory = Path(str(raws[0].hydra.sweep.dir))
        jobs = [self._job(raw) for raw in raws]
        at = {job.number: Path(raw.hydra.runtime.output_dir) for job, raw in zip(jobs, raws, strict=True)}
        try:
            outcomes = train_jobs(directory, jobs, at, self._preparations, SweepTerminal(directory))
        except InterruptedRunError as error:
            print(f"mlpexp: {error}", file=sys.stderr)
            raise SystemExit(error.exit_code) from error
        found = [outcomes[job.number] for job in jobs]
        return [objective(outcome) if isinstance(outcome, Record) else outcome for outcome in found]

    def _job(self, raw: DictConfig) -> Job:
        number, overrides = raw.hydra.job.num, list(raw.hydra.overrides.task)
        known = self._jobs.get(number)
        return known if known and known.overrides == overrides else Job(number, overrides, checked(raw))


def objective(record: Record) -> float:
    """The validation loss of the best weights: a sweeper that searches makes it small."""
    return record.metrics["val"]["loss"]


def note_jobs(directory: Path, jobs: Sequence[Job], raw: DictConfig) -> None:
    """Notes in sweep.json what jobs there are, each by itself, so that the sweep can be gone on with from any instant.

    Where the user has changed the layout of directories, only jobs that have begun can be gone on with: other
    launchers tell where a job lies no sooner.
    """
    layout: Any = OmegaConf.to_container(raw.hydra.sweep, resolve=False)
    if layout["subdir"] == "${hydra.job.num}":
        records = [JobRecord(job.number, job.overrides, str(job.number), job.config.to_dict()) for job in jobs]
        read(directory).extended(records, [[job.number] for job in jobs]).write(directory)
