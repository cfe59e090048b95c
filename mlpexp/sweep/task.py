"""What a task function can offer so that the jobs of a sweep run together: the protocol, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from omegaconf import DictConfig


class JobsTask(Protocol):
    """A task function of `hydra.main` that takes all jobs of a batch at once.

    `hydra/launcher=stacked` looks for `run_jobs`, `hydra/sweeper=checked` for `reported`; a task may have either, and
    one without them is run as Hydra runs it.
    """

    reported: type[Exception] | tuple[type[Exception], ...]
    """Errors that the task has told the user of itself: the sweeper does not announce them in Hydra's words, goes on
    with later batches, and raises the first of them at the end."""

    def __call__(self, config: DictConfig) -> Any:
        """Runs one job, for other launchers and where jobs cannot share a process; Hydra's node is not in `config`."""

    def run_jobs(self, jobs: Sequence[DictConfig]) -> Sequence[Any | Exception]:
        """Runs all jobs; gives for each in turn its value, or the Exception that it failed with.

        Each config has Hydra's node in it: `hydra.job.num` is the job's number, `hydra.runtime.output_dir` its
        directory, which is there and holds `.hydra/`. The environment of `hydra.job.env_set` is set. `HydraConfig`,
        which has room for one job, is not: `${hydra:…}` does not resolve. An Exception that is raised instead of given
        fails all jobs; what is no Exception, such as KeyboardInterrupt, ends the sweep.
        """
