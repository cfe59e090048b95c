"""Jobs that run together have around them what each of them would have alone under Hydra's basic launcher."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import ConfigCompositionException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from mlpexp.config.compose import hydra_on

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

    reported: ClassVar[Any] = ()

    def run_jobs(self, jobs: Sequence[DictConfig]) -> Sequence[Any]:
        self.seen.append(jobs)
        self.directories = [Path(job.hydra.runtime.output_dir) for job in jobs]
        self.prepared = [(path / ".hydra" / "config.yaml").exists() for path in self.directories]
        self.variable = os.environ.get("A_VARIABLE")
        return [ValueError(f"seed {job.seed}") if job.seed == 13 else job.seed for job in jobs]


class Recorder(Callback):
    """Notes what Hydra calls, and of which job `HydraConfig` is at that moment."""

    calls: ClassVar[list[Any]] = []

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        self.calls.append(("start", config.hydra.job.num, HydraConfig.get().job.num))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        self.calls.append(("end", config.hydra.job.num, HydraConfig.get().job.num, job_return.status.name))


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


def test_all_jobs_are_handed_over_in_one_call(multirun: Multirun, here: Path) -> None:
    task = Together()
    ((first, second, third),) = multirun(task, "seed=4,5,6", "optimizer=sgd")
    (jobs,) = task.seen
    assert [job.seed for job in jobs] == [first.return_value, second.return_value, third.return_value] == [4, 5, 6]
    assert [(job.hydra.job.num, job.hydra.job.id) for job in jobs] == [(0, "0"), (1, "1"), (2, "2")]
    assert task.directories == [here / "sweep" / name for name in "012"]
    assert task.prepared == [True, True, True]
    assert first.overrides == ["seed=4", "optimizer=sgd"]
    assert first.task_name == "mlpexp"
    assert first.working_dir == str(here)
    assert first.cfg is not None
    assert "hydra" not in first.cfg
    assert (first.cfg.seed, first.cfg.optimizer.name) == (4, "sgd")
    assert first.hydra_cfg is not None
    assert first.hydra_cfg.hydra.job.override_dirname == "optimizer=sgd,seed=4"
    assert not HydraConfig.initialized()


def test_each_batch_is_handed_over_in_its_turn(multirun: Multirun) -> None:
    task = Together()
    batches = multirun(task, "seed=range(5)", "hydra.sweeper.max_batch_size=2")
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert [[job.hydra.job.num for job in jobs] for jobs in task.seen] == [[0, 1], [2, 3], [4]]


def test_a_task_of_one_job_is_called_with_each(multirun: Multirun) -> None:
    task = OneByOne()
    ((first, second),) = multirun(task, "seed=4,5")
    assert [config.seed for config in task.seen] == [first.return_value, second.return_value] == [4, 5]


@pytest.mark.parametrize(
    "own",
    ["hydra.job.chdir=true", "hydra/job_logging=default", "+hydra.job.env_set.A_VARIABLE=${hydra.job.num}"],
)
def test_jobs_that_change_the_process_each_in_its_own_way_run_one_by_one(own: str, multirun: Multirun) -> None:
    task = Together()
    multirun(task, "seed=4,5", own)
    assert [config.seed for config in task.seen] == [4, 5]


def test_what_the_jobs_set_alike_is_set(multirun: Multirun) -> None:
    task = Together()
    multirun(task, "seed=4,5", "+hydra.job.env_set.A_VARIABLE=x")
    assert (len(task.seen), task.variable) == (1, "x")
    assert "A_VARIABLE" not in os.environ


def test_one_failure_is_the_failure_of_one_job(multirun: Multirun, capsys: pytest.CaptureFixture[str]) -> None:
    task = Together()
    with pytest.raises(ValueError, match="seed 13"):
        multirun(task, "seed=12,13,14")
    assert "Error executing job with overrides: ['seed=13']" in capsys.readouterr().err


@pytest.fixture
def launched(multirun: Multirun, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[JobReturn]]:
    """What the launcher returns, which a sweeper then turns into an error."""
    from mlpexp.sweep import launch as module

    returns: list[JobReturn] = []
    original = module.run_together

    def kept(*arguments: Any) -> list[JobReturn]:
        returns.extend(original(*arguments))
        return returns

    monkeypatch.setattr(module, "run_together", kept)

    def launch(task: Any, *overrides: str) -> list[JobReturn]:
        with pytest.raises(Exception, match=r"seed 13|broken"):
            multirun(task, *overrides)
        return returns

    return launch


def test_each_job_has_a_status_of_its_own(launched: Callable[..., list[JobReturn]]) -> None:
    returns = launched(Together(), "seed=12,13,14")
    assert [done.status for done in returns] == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED]
    assert (returns[0].return_value, returns[2].return_value) == (12, 14)
    with pytest.raises(ValueError, match="seed 13"):
        _ = returns[1].return_value


def test_an_error_that_is_raised_fails_all_jobs(launched: Callable[..., list[JobReturn]]) -> None:
    class Broken(Together):
        def run_jobs(self, jobs: Sequence[DictConfig]) -> Sequence[Any]:
            raise RuntimeError("broken")

    assert [done.status for done in launched(Broken(), "seed=1,2")] == [JobStatus.FAILED, JobStatus.FAILED]


def test_what_is_no_exception_ends_the_sweep(multirun: Multirun) -> None:
    class Interrupted(Together):
        def run_jobs(self, jobs: Sequence[DictConfig]) -> Sequence[Any]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        multirun(Interrupted(), "seed=1,2")
    assert not HydraConfig.initialized()


@pytest.mark.parametrize("launcher", ["stacked", "basic"])
def test_reported_failures_are_not_announced_and_stop_no_batch(
    launcher: str, multirun: Multirun, capsys: pytest.CaptureFixture[str]
) -> None:
    class Reporting(Together):
        reported = ValueError

        def __call__(self, config: DictConfig) -> Any:
            super().__call__(config)
            if config.seed == 13:
                raise ValueError("seed 13")

    task = Reporting()
    with pytest.raises(ValueError, match="seed 13"):
        multirun(task, "seed=13,14,15", "hydra.sweeper.max_batch_size=1", f"hydra/launcher={launcher}")
    assert len(task.seen) == 3
    assert capsys.readouterr().err == ""


def test_callbacks_are_called_for_each_job(multirun: Multirun, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder.calls.clear()
    monkeypatch.setitem(sys.modules, "recorder_of_jobs", sys.modules[__name__])
    with pytest.raises(ValueError, match="seed 13"):
        multirun(Together(), "seed=13,14", "+hydra.callbacks.recorder._target_=recorder_of_jobs.Recorder")
    assert Recorder.calls == [
        ("start", 0, 0),
        ("start", 1, 1),
        ("end", 0, 0, "FAILED"),
        ("end", 1, 1, "COMPLETED"),
    ]


def test_an_error_in_one_job_comes_before_the_first_starts(multirun: Multirun, here: Path) -> None:
    task = OneByOne()
    with pytest.raises(ConfigCompositionException, match=r"optimizer\.amsgrad"):
        multirun(task, "optimizer=adam,sgd", "optimizer.amsgrad=true")
    assert task.seen == []
    assert [path.name for path in (here / "sweep").iterdir()] == ["multirun.yaml"]


def written(sweep: Path) -> dict[str, str]:
    """What is in the directories of a sweep's jobs, but for the name of the launcher."""
    found = {}
    for path in sorted(sweep.rglob("*.yaml")):
        text = re.sub(r"(?m)^ *(- )?(hydra/launcher|_target_: .*Launcher).*\n", "", path.read_text())
        found[str(path.relative_to(sweep))] = text
    return found


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=range(3)"],
        [
            "optimizer=sgd,adam",
            "regularizer=[],[l2]",
            "data_dir='é: [1] \"x\"','no',\"1e3\"",
            "+hydra.job.env_set.X='1'",
        ],
        ["log={figures:false}", "optimizer.lr=${seed},1e-3", "hydra.sweep.subdir=${hydra.job.override_dirname}"],
        ["seed=1", "hydra.sweep.dir=a/../${seed}${now:%Y}", "hydra.output_subdir=h"],
        ["seed=1,2", "hydra.output_subdir=null", "hydra.sweep.subdir=${hydra:job.num}x"],
        ["+hydra.sweeper.params.seed='1,2'", "optimizer=sgd"],
    ],
    ids=str,
)
def test_hydras_files_are_those_of_the_basic_launcher(overrides: list[str], multirun: Multirun, here: Path) -> None:
    found = []
    for launcher in ("stacked", "basic"):
        directory = here / launcher
        directory.mkdir()
        os.chdir(directory)
        multirun(Together(), *overrides, f"hydra/launcher={launcher}")
        found.append({name: text.replace(str(directory), "HERE") for name, text in written(directory).items()})
        assert list(directory.rglob("multirun.yaml"))
    ours, theirs = found
    assert list(ours) == list(theirs)
    assert ours == theirs
