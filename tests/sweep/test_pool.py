"""Stacks that train at the same time, each in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from mlpexp.cli.main import call
from mlpexp.config.schema import Config
from mlpexp.run import history
from mlpexp.run.sweep_record import read
from mlpexp.sweep import processes
from mlpexp.sweep.jobs import Job
from mlpexp.sweep.plan import PlannedStack, plan, why_apart
from mlpexp.sweep.pool import Ended, Pool
from mlpexp.training.prepare import Preparations

Small = Callable[..., Config]

SWEEP = [
    *["train", "-m", "dataset=moons", "dataset.n_samples=80", "model.hidden=[8]", "epochs=30", "device=cpu"],
    *["regularizer=[dropout,early_stopping]", "log.figures=false", "activation=relu,tanh", "seed=range(6)"],
    *["hydra.sweep.subdir=${hydra.job.num}", "stack.max_members=3"],
]


def sweep(name: str, n: int, *words: str) -> list[str]:
    return [*SWEEP, f"hydra.sweep.dir={name}", f"stack.processes={n}", *words]


def compared(found: dict[str, Any]) -> dict[str, Any]:
    """Without what differs in the command."""
    for name, left in found.items():
        if name != "table":
            del left["run.json"]["config"]["stack"]
    return found


def writers(directory: Path) -> set[str]:
    """The processes that have trained runs, by the names of TensorBoard's files."""
    return {path.name.split(".")[-2] for path in directory.glob("*/events*")}


def waited(there: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := there()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first stack begins here only when a worker has begun another."""
    trained_here = Pool._trained_here

    def patient(pool: Pool, index: int) -> Iterator[Ended]:
        waited(lambda: not pool._workers or pool._watchers or not pool._events.empty())
        return trained_here(pool, index)

    monkeypatch.setattr(Pool, "_trained_here", patient)


@pytest.mark.usefixtures("shared")
def test_two_processes_leave_what_one_does(here: Path, contents: Callable[..., Any], capfd: Any) -> None:
    assert call(sweep("one", 1)) == 0
    assert call(sweep("two", 2)) == 0
    assert compared(contents(here / "two")) == compared(contents(here / "one"))
    assert len(writers(here / "one")) == 1
    assert len(writers(here / "two")) == 2
    assert read(here / "two").stacks == read(here / "one").stacks
    assert not (here / "two" / ".stacks").exists()
    shown = capfd.readouterr().out
    assert "12 runs: 4 stacks of 3, 3, 3, 3 in 2 processes; sweep directory: two" in shown
    for number in (1, 2, 3, 4):
        assert f"stack {number}/4 (3 runs)  epoch 30/30" in shown


PLUGIN = ["--config-dir=conf", "plugins=[own]"]


def plugin(statement: str) -> None:
    """The module own.py, whose activation `own` begins with a statement on its inputs x."""
    lines = [
        "import os",
        "from dataclasses import dataclass",
        "import torch",
        "from mlpexp.components import Activation, activations",
        "class Own(torch.nn.Module):",
        "    def forward(self, x):",
        statement,
        "        return x.tanh()",
        "@activations.register('own')",
        "@dataclass(frozen=True)",
        "class OwnActivation(Activation):",
        "    def build(self): return Own()",
    ]
    Path("own.py").write_text("\n".join(lines))
    Path("conf/activation").mkdir(parents=True)
    Path("conf/activation/own.yaml").write_text("name: own\n")


@pytest.mark.usefixtures("shared", "registries")
def test_what_hydra_sets_for_the_jobs_holds_in_all_processes(here: Path, contents: Callable[..., Any]) -> None:
    plugin("        x = x * float(os.environ.get('SLOPE', '1'))")
    for n in (1, 2):
        words = [*PLUGIN, "activation=own", "+hydra.job.env_set.SLOPE='3'"]
        assert call(sweep(f"sweep{n}", n, *words)) == 0
        assert len(writers(here / f"sweep{n}")) == n
    assert compared(contents(here / "sweep1")) == compared(contents(here / "sweep2"))


@pytest.mark.usefixtures("shared", "registries")
def test_a_run_that_fails_in_another_process(here: Path, capfd: Any) -> None:
    """Is told as one that fails here, and its activation's own code is named."""
    plugin("        if x.ndim > 1 and x.shape[-2] == 48 and x.abs().max() > 100: raise ArithmeticError('too steep')")
    told = []
    for n in (1, 2):
        words = [
            *PLUGIN,
            "activation=relu,own",
            "batch_size=48",
            "optimizer.lr=1e4",
            "optimizer=sgd",
        ]
        assert call(sweep(f"sweep{n}", n, *words)) == 1
        told.append(sorted(line for line in capfd.readouterr().err.splitlines() if line.startswith("mlpexp: job")))
        assert len(writers(here / f"sweep{n}")) == n
    assert [line.replace("sweep1", "sweep2") for line in told[0]] == told[1]
    assert any("own.py:7: ArithmeticError: too steep" in line for line in told[0])


@contextmanager
def started(words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-m", "mlpexp", *words], stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def children(process: subprocess.Popen[str]) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(pid) for path in listed for pid in path.read_text().split()]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("which", ["worker", pytest.param("main", marks=pytest.mark.long)])
def test_a_process_is_killed(which: str, here: Path, contents: Callable[..., Any], capfd: Any) -> None:
    """The other stacks end; those of the process that was killed go on, to the same bits."""
    long = ["epochs=50", "regularizer=[dropout]", "checkpoint.every_seconds=0"]
    assert call(sweep("whole", 2, *long)) == 0
    with started(sweep("it", 2, *long)) as process:
        (worker,) = waited(lambda: [pid for pid in children(process) if "sweep.worker" in command_of(pid)])
        waited(lambda: str(worker) in writers(here / "it"))
        time.sleep(0.1)
        os.kill(worker if which == "worker" else process.pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == (1 if which == "worker" else -signal.SIGKILL)
    # A worker sees at once that it is alone.
    waited(lambda: not Path(f"/proc/{worker}").exists())
    if which == "worker":
        assert "the process that trained it was killed" in errors
    assert call(["resume", "it"]) == 0
    assert compared(contents(here / "it")) == compared(contents(here / "whole"))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_lets_the_epoch_end_everywhere(number: signal.Signals, here: Path) -> None:
    with started(sweep("it", 2, "epochs=100000", "seed=0,1", "activation=relu", "regularizer=[]")) as process:
        runs = [here / "it" / str(seed) for seed in (0, 1)]
        waited(lambda: all((run / "metrics.csv").exists() for run in runs))
        (worker,) = [pid for pid in children(process) if "sweep.worker" in command_of(pid)]
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors == "mlpexp: the sweep is interrupted; go on with: mlpexp resume it\n"
    assert not Path(f"/proc/{worker}").exists()
    for run in runs:
        said = json.loads((run / "run.json").read_text())
        assert said["state"] == "interrupted"
        assert history.read(run / "metrics.csv")["epoch"] == list(range(1, said["epochs_done"] + 1))


def said_of(run: Path) -> str:
    return (run / "run.json").read_text() if (run / "run.json").exists() else ""


def test_a_signal_while_only_another_process_trains(here: Path) -> None:
    words = ["sweep.settings=[['epochs=1000'],['epochs=1000000']]", "activation=relu", "regularizer=[]", "seed=1"]
    with started([word for word in sweep("it", 2, *words) if word != "epochs=30"]) as process:
        last = here / "it" / "1" / "metrics.csv"
        waited(lambda: '"state": "completed"' in said_of(here / "it" / "0") and last.exists())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "mlpexp: the sweep is interrupted; go on with: mlpexp resume it\n"
    states = [json.loads((here / "it" / name / "run.json").read_text())["state"] for name in "01"]
    assert states == ["completed", "interrupted"]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_second_signal_ends_them_all_at_once(here: Path) -> None:
    """Of which the epoch takes minutes."""
    long = ["dataset.n_samples=100000", "batch_size=1", "model.hidden=[512,512]", "device.threads=1", "epochs=1"]
    with started(sweep("it", 2, *long, "seed=0,1", "activation=relu", "stack.max_members=1")) as process:
        waited(lambda: all((here / "it" / str(seed) / "run.json").exists() for seed in (0, 1)))
        (worker,) = [pid for pid in children(process) if "sweep.worker" in command_of(pid)]
        # Until the first epochs go on.
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert not Path(f"/proc/{worker}").exists()
    for seed in (0, 1):
        assert json.loads(said_of(here / "it" / str(seed)))["state"] == "interrupted"


def planned(configs: Sequence[Config]) -> list[PlannedStack]:
    return plan([Job(number, [], config) for number, config in enumerate(configs)], Preparations())


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "usable_cores", lambda: 8)


def sizes(stacks: Sequence[PlannedStack]) -> list[int]:
    return [len(stack.jobs) for stack in stacks]


@pytest.mark.usefixtures("eight_cores")
def test_stacks_are_split_where_further_processes_pay(small: Small) -> None:
    def of(n: int, *words: str) -> list[PlannedStack]:
        return planned([small("dataset=digits", f"seed={seed}", *words) for seed in range(n)])

    # About 0.09 s each, and 1.5 s are worth a process.
    assert sizes(of(20, "epochs=30")) == [20]
    two = of(40, "epochs=30")
    assert sizes(two) == [20, 20]
    assert why_apart(two, 1) == "split for 2 processes"
    assert sizes(of(80, "epochs=30")) == [16] * 5
    assert sizes(of(80, "epochs=3000")) == [10] * 8
    assert sizes(of(80, "epochs=3000", "stack.processes=3")) == [27, 26, 27]
    assert sizes(of(5, "epochs=1", "stack.processes=2")) == [2, 3]
    assert sizes(of(80, "epochs=3000", "stack.processes=1")) == [80]
    assert sizes(of(80, "epochs=30", "stack.max_members=10")) == [10] * 8


@pytest.mark.usefixtures("eight_cores")
def test_what_takes_all_cores_is_not_split(small: Small) -> None:
    wide = [small("dataset=digits", "model.hidden=[1024,1024]", "epochs=1000", f"seed={seed}") for seed in range(4)]
    assert sizes(planned(wide)) == [4]
    # Whoever says how many threads there are to be does not expect more.
    threads = [
        small("dataset=digits", "epochs=3000", "device=cpu", "device.threads=1", f"seed={seed}") for seed in range(80)
    ]
    assert sizes(planned(threads)) == [80]


@pytest.mark.usefixtures("eight_cores")
def test_each_process_has_a_part_of_what_takes_long(small: Small) -> None:
    """Of two groups that take as long as each other, each is half; a small one stays whole."""
    widths = [f"model.hidden=[{width}]" for width in (64, 65)]
    even = [small("dataset=digits", "epochs=300", width, f"seed={seed}") for width in widths for seed in range(16)]
    assert sizes(planned([dataclasses.replace(each, stack=two(each)) for each in even])) == [16, 16]
    uneven = [*even[:16], small("dataset=digits", "epochs=300", "model.hidden=[65]")]
    assert sizes(planned([dataclasses.replace(each, stack=two(each)) for each in uneven])) == [8, 8, 1]


def two(config: Config) -> Any:
    return dataclasses.replace(config.stack, processes=2)


@pytest.mark.usefixtures("eight_cores")
def test_stacks_that_train_at_the_same_time_share_the_memory(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [small("dataset=digits", "epochs=3000", f"seed={seed}", "dataset.seed=0") for seed in range(80)]
    alone = planned([small("dataset=digits", "epochs=1", "dataset.seed=0")])[0].n_bytes
    # For 40 members in 60 % of it.
    monkeypatch.setattr("mlpexp.sweep.plan.free_memory", lambda _: int(40 * alone / 0.6) + 1)
    assert sizes(planned(configs)) == [5] * 16
    assert sizes(planned([dataclasses.replace(each, stack=one(each)) for each in configs])) == [40, 40]


def one(config: Config) -> Any:
    return dataclasses.replace(config.stack, processes=1)


def test_components_that_another_process_cannot_import_stay_here(small: Small) -> None:
    config = small("dataset=moons")
    preparations = Preparations()
    assert processes.beside_others([config] * 4, preparations)

    class Mine(type(config.activation)):  # type: ignore[misc]
        pass

    of_a_program = dataclasses.replace(config, activation=Mine())
    assert not processes.beside_others([config, of_a_program], preparations)
    module = Mine.__module__.partition(".")[0]
    assert processes.beside_others([dataclasses.replace(of_a_program, plugins=(module,))], preparations)


def test_a_gpu_is_for_one_process(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small("dataset=moons")
    monkeypatch.setattr(type(config.device), "find", lambda _: torch.device("cuda"))
    assert not processes.beside_others([config], Preparations())
