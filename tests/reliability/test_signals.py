"""Ctrl-C, SIGTERM and a closed terminal: the first lets the epoch end and says how to go on, the second ends it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlpexp.cli.main import call
from mlpexp.run import history

QUICK = ["dataset=moons", "log.figures=false", "log.tensorboard=false"]
# An epoch of minutes, and many of milliseconds.
LONG = [*QUICK, "dataset.n_samples=100000", "batch_size=1", "model.hidden=[512,512]", "epochs=1"]
SHORT = [*QUICK, "epochs=100000"]


def started(words: list[str], here: Path, there: str) -> subprocess.Popen[str]:
    """A command that has come so far as to have written the file `there`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mlpexp", "train", *words],
        cwd=here,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while not (here / there).exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


NUMBERED = ["hydra.sweep.dir=it", "hydra.sweep.subdir=${hydra.job.num}"]
KINDS = {"run": (["hydra.run.dir=it"], "it"), "sweep": (["seed=0,1", *NUMBERED, "-m"], "it/0")}


@pytest.mark.parametrize("kind", ["run", pytest.param("sweep", marks=pytest.mark.long)])
def test_the_second_ends_it_at_once(kind: str, here: Path) -> None:
    words, run = KINDS[kind]
    with started([*LONG, *words], here, f"{run}/run.json") as process:
        # Until the first epoch goes on.
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    (line,) = errors.splitlines()
    assert line.startswith("mlpexp: ")
    assert "interrupted" in line
    assert json.loads((here / run / "run.json").read_text())["state"] == "interrupted"
    assert not (here / run / "metrics.csv").exists()


@pytest.mark.parametrize(
    ("kind", "number", "code"),
    [
        ("run", signal.SIGTERM, 143),
        ("run", signal.SIGHUP, 129),
        ("sweep", signal.SIGINT, 130),
        pytest.param("run", signal.SIGINT, 130, marks=pytest.mark.long),
        pytest.param("sweep", signal.SIGTERM, 143, marks=pytest.mark.long),
        pytest.param("sweep", signal.SIGHUP, 129, marks=pytest.mark.long),
    ],
)
def test_the_first_lets_the_epoch_end(kind: str, number: signal.Signals, code: int, here: Path) -> None:
    words, run = KINDS[kind]
    with started([*SHORT, *words], here, f"{run}/metrics.csv") as process:
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors.endswith("; go on with: mlpexp resume it\n")
    assert errors.count("\n") == 1
    said = json.loads((here / run / "run.json").read_text())
    assert said["state"] == "interrupted"
    done = said["epochs_done"]
    assert history.read(here / run / "metrics.csv")["epoch"] == list(range(1, done + 1))
    assert call(["resume", run, f"epochs={done + 1}"]) == 0
    assert history.read(here / run / "metrics.csv")["epoch"] == list(range(1, done + 2))


def test_a_terminal_that_is_closed(here: Path) -> None:
    """The system sends SIGHUP, and whatever is written to the terminal from then on fails."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    terminal, other_end = pty.openpty()
    name = os.ttyname(other_end)
    words = [sys.executable, "-m", "mlpexp", "train", *SHORT, "hydra.run.dir=it"]
    # The first terminal that the leader of a session opens is the one that it hangs on.
    shell = ["sh", "-c", f'exec "$@" <{name} >{name} 2>{name}', "sh", *words]
    with subprocess.Popen(shell, cwd=here, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not (here / "it" / "metrics.csv").exists():
                assert time.monotonic() < deadline
                if select.select([terminal], [], [], 0.02)[0]:
                    os.read(terminal, 4096)
            os.close(other_end)
            os.close(terminal)
            assert process.wait(60) == 129
        finally:
            process.kill()
    assert json.loads((here / "it" / "run.json").read_text())["state"] == "interrupted"
    assert (here / "it" / "checkpoints" / "last.pt").exists()


def test_a_signal_that_is_ignored_stays_so(here: Path) -> None:
    """As nohup has it with SIGHUP."""
    words = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-m", "mlpexp", "train", *SHORT]
    with subprocess.Popen(
        [*words, "hydra.run.dir=it"], cwd=here, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while not (here / "it" / "metrics.csv").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
