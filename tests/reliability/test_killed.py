"""A run and a sweep of stacks, killed at random instants and gone on with, end as if nothing had been: to the bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlpexp.cli.main import call
from mlpexp.run import history

# All that has a state: dropout, batch statistics, mixup, momentum, a schedule that waits, early stopping that waits.
LEARNING = [
    "device=cpu",
    "dataset=moons",
    "dataset.n_samples=143",
    "batch_size=20",
    "model.hidden=[8]",
    "epochs=40",
    "optimizer=momentum",
    "scheduler=plateau",
    "scheduler.patience=1",
    "scheduler.threshold=0.2",
    "regularizer=[dropout,batchnorm,mixup,early_stopping]",
    "regularizer.early_stopping.patience=6",
    "log.figures=false",
]
KINDS = {
    "run": ["train", *LEARNING, "seed=1", "hydra.run.dir=it"],
    "sweep": [
        *["train", "-m", *LEARNING, "activation=relu,tanh", "optimizer.lr=0.3,0.001", "seed=0,1,2"],
        *["stack.max_members=4", "hydra.sweep.dir=it", "hydra.sweep.subdir=${hydra.job.num}"],
    ],
}
KINDS["processes"] = [*KINDS["sweep"], "stack.processes=2"]
# Seconds between checkpoints: at every epoch, often, never before the end.
EVERY = [0, 0, 0.02, 0.1, 1000]


@dataclass(frozen=True)
class Whole:
    """What nobody has killed: what it left, how long it took, and how often it put a file in place."""

    contents: dict[str, Any]
    seconds: float
    n_steps: int


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, contents: Callable[[Path], dict[str, Any]]) -> Any:
    known: dict[str, Whole] = {}

    def of(kind: str) -> Whole:
        if kind not in known:
            directory = tmp_path_factory.mktemp("whole")
            n_steps = 0

            def counted(original: Callable[..., Any]) -> Callable[..., Any]:
                def count(*arguments: Any) -> Any:
                    nonlocal n_steps
                    n_steps += 1
                    return original(*arguments)

                return count

            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(directory)
                for name in ("fsync", "replace"):
                    patch.setattr(os, name, counted(getattr(os, name)))
                began = time.monotonic()
                assert call([*KINDS[kind], "checkpoint.every_seconds=0"]) == 0
            left = compared(contents(directory / "it"))
            known[kind] = Whole(left, time.monotonic() - began, n_steps)
        return known[kind]

    return of


def compared(found: dict[str, Any]) -> dict[str, Any]:
    """Without what says how often there was a checkpoint."""
    for name, left in found.items():
        if name != "table":
            del left["run.json"]["config"]["checkpoint"]
    return found


# Runs a command that is killed at the nth time that it puts a file in place: before the file is whole, or before it
# takes its name.
_KILLED = """
import os, signal, sys
from mlpexp.cli.main import call

nth, *words = sys.argv[1:]
left = int(nth)
fsync, replace = os.fsync, os.replace

def due():
    global left
    left -= 1
    return left == 0

def killed_in_fsync(descriptor):
    if due():
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)

def killed_in_replace(*paths):
    if due():
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)

os.fsync, os.replace = killed_in_fsync, killed_in_replace
sys.exit(call(words))
"""


def killed_while_writing(words: list[str], cwd: Path, nth: int) -> int:
    return subprocess.run(
        [sys.executable, "-c", _KILLED, str(nth), *words], cwd=cwd, capture_output=True, timeout=300
    ).returncode


def begun(directory: Path, kind: str) -> Path:
    """The file with which there is something to go on with."""
    return directory / "it" / ("run.json" if kind == "run" else "sweep.json")


def cases(n_short: int, n: int, kinds: Iterable[str] = KINDS) -> list[Any]:
    """A kind and a seed each, of which all but the first few are left to `make test-reliability`."""
    return [
        pytest.param(kind, i, marks=[] if i < n_short and kind != "processes" else [pytest.mark.long])
        for kind in kinds
        for i in range(n)
    ]


@pytest.mark.parametrize(("kind", "seed"), cases(1, 20))
def test_killed_at_any_instant(
    kind: str,
    seed: int,
    here: Path,
    whole: Callable[[str], Whole],
    contents: Callable[[Path], dict[str, Any]],
    mlpexp: Callable[..., Any],
) -> None:
    """By a SIGKILL from outside; one of three is killed again when it has gone on."""
    source = random.Random(f"{kind} {seed}")
    expected = whole(kind)
    words = [*KINDS[kind], f"checkpoint.every_seconds={source.choice(EVERY)}"]
    mlpexp(words, here, kill=(begun(here, kind), source.uniform(0, expected.seconds)))
    while source.random() < 1 / 3:
        mlpexp(["resume", "it"], here, kill=(begun(here, kind), source.uniform(2, 2 + expected.seconds)))
    gone_on(here, kind, expected, contents)


# Of several processes it is not known which puts a file in place.
@pytest.mark.parametrize(("kind", "seed"), cases(0, 10, ["run", "sweep"]))
def test_killed_while_a_file_is_put_in_place(
    kind: str,
    seed: int,
    here: Path,
    whole: Callable[[str], Whole],
    contents: Callable[[Path], dict[str, Any]],
) -> None:
    """With half of it in a temporary file, or before that gets its name."""
    source = random.Random(f"{kind} {seed} writing")
    expected = whole(kind)
    words = [*KINDS[kind], "checkpoint.every_seconds=0"]
    # At the first there may be nothing yet to go on with.
    first = 3
    assert killed_while_writing(words, here, source.randint(first, expected.n_steps)) == -signal.SIGKILL
    while source.random() < 1 / 3:
        killed_while_writing(["resume", "it"], here, source.randint(1, expected.n_steps))
    gone_on(here, kind, expected, contents)


def gone_on(here: Path, kind: str, expected: Whole, contents: Callable[[Path], dict[str, Any]]) -> None:
    """Goes on to the end, where all must be as if nothing had been."""
    code = call(["resume", "it"])
    # It may have ended before it was killed.
    assert code in (0, 2)
    found = compared(contents(here / "it"))
    assert found == expected.contents
    for run in (here / "it").rglob("run.json"):
        epochs = history.read(run.parent / "metrics.csv")["epoch"]
        assert epochs == list(range(1, len(epochs) + 1))
    assert [path for path in (here / "it").rglob("*.tmp") if path.is_file()] == []
    assert not (here / "it" / ".stacks").exists()


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_early_stopping_is_in_play(kind: str, whole: Callable[[str], Whole]) -> None:
    """Or the tests above would show less than they say."""
    lengths = {left["run.json"]["epochs_done"] for name, left in whole(kind).contents.items() if name != "table"}
    assert min(lengths) < 40
    assert kind == "run" or len(lengths) > 3
