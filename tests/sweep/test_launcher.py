"""`hydra/launcher=stacked` hands all jobs to a task that can take them, and any other task one job at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import ConfigCompositionException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from mlpexp.config.hydra_adapter import hydra_on

Multirun = Callable[..., list[list[JobReturn]]]


class OneByOne:
    """A task function as most are: it is called with one job."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __call__(self, config: DictConfig) -> Any:
        self.seen.append(config)
        return config.seed


class Together(OneByOne):
    """A task function that takes all jobs at once, and fails one whose seed is 13."""

    def run_jobs(self, overrides: Sequence[Sequence[str]], first: int) -> Sequence[Any]:
        self.seen.append((list(map(list, overrides)), first))
        self.variable = os.environ.get("A_VARIABLE")
        seeds = [int(given.removeprefix("seed=")) for given, *_ in overrides]
        return [ValueError(f"seed {seed}") if seed == 13 else seed for seed in seeds]


class Silent(Callback):
    """A callback of the user's."""

    called: ClassVar[list[int]] = []

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        self.called.append(config.hydra.job.num)


@pytest.fixture(autouse=True)
def restored(hydra_restore_singletons: None) -> None:
    """Hydra as it was, whatever a test leaves behind, or one before it has left."""
    HydraConfig.instance().cfg = None


@pytest.fixture
def multirun(here: Path) -> Multirun:
    """A sweep by mlpexp's config under a task function; gives the returns by batches."""

    def run(task: Any, *overrides: str) -> list[list[JobReturn]]:
        with hydra_on(None) as hydra:
            returns: list[list[JobReturn]] = hydra.multirun(
                "config", task, ["hydra.mode=MULTIRUN", "hydra.sweep.dir=sweep", *overrides]
            )
        return returns

    return run


def test_all_jobs_are_handed_over_in_one_call(multirun: Multirun) -> None:
    task = Together()
    (returns,) = multirun(task, "seed=4,5,6", "optimizer=sgd")
    assert task.seen == [([[f"seed={seed}", "optimizer=sgd"] for seed in (4, 5, 6)], 0)]
    assert [done.return_value for done in returns] == [4, 5, 6]
    assert [done.overrides for done in returns] == task.seen[0][0]


def test_each_batch_is_handed_over_in_its_turn(multirun: Multirun) -> None:
    task = Together()
    batches = multirun(task, "seed=range(5)", "hydra.sweeper.max_batch_size=2")
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert [first for _, first in task.seen] == [0, 2, 4]


def test_a_task_of_one_job_is_called_with_each(multirun: Multirun) -> None:
    task = OneByOne()
    ((first, second),) = multirun(task, "seed=4,5")
    assert [config.seed for config in task.seen] == [first.return_value, second.return_value] == [4, 5]


@pytest.mark.parametrize(
    "own",
    [
        "hydra.job.chdir=true",
        "hydra/job_logging=default",
        "+hydra.job.env_set.A_VARIABLE=${hydra.job.num}",
        f"+hydra.callbacks.mine._target_={__name__}.Silent",
    ],
)
def test_jobs_with_a_part_of_the_process_for_themselves_run_one_by_one(own: str, multirun: Multirun) -> None:
    task = Together()
    multirun(task, "seed=4,5", own)
    assert [config.seed for config in task.seen] == [4, 5]


def test_the_environment_of_all_jobs_is_set_around_them(multirun: Multirun) -> None:
    task = Together()
    multirun(task, "seed=4,5", "+hydra.job.env_set.A_VARIABLE=x")
    assert (len(task.seen), task.variable) == (1, "x")
    assert "A_VARIABLE" not in os.environ


def test_each_job_has_a_status_of_its_own(multirun: Multirun, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlpexp.sweep import hydra_launcher as module

    returns: list[JobReturn] = []
    original = module.launch

    def kept(*given: Any) -> Sequence[JobReturn]:
        returns.extend(original(*given))
        return returns

    monkeypatch.setattr(module, "launch", kept)
    with pytest.raises(ValueError, match="seed 13"):
        multirun(Together(), "seed=12,13,14")
    assert [done.status for done in returns] == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED]
    assert (returns[0].return_value, returns[2].return_value) == (12, 14)


def test_an_error_that_is_raised_fails_all_jobs(multirun: Multirun) -> None:
    class Broken(Together):
        def run_jobs(self, overrides: Sequence[Sequence[str]], first: int) -> Sequence[Any]:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        multirun(Broken(), "seed=1,2")


def test_what_is_no_exception_ends_the_sweep(multirun: Multirun) -> None:
    class Interrupted(Together):
        def run_jobs(self, overrides: Sequence[Sequence[str]], first: int) -> Sequence[Any]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        multirun(Interrupted(), "seed=1,2")


def test_an_error_in_one_job_comes_before_the_first_starts(multirun: Multirun, here: Path) -> None:
    task = OneByOne()
    with pytest.raises(ConfigCompositionException, match=r"optimizer\.amsgrad"):
        multirun(task, "optimizer=adam,sgd", "optimizer.amsgrad=true")
    assert task.seen == []
