"""Ctrl-C and SIGTERM: the first lets the epoch end and says how to go on, the second ends it at once."""

from __future__ import annotations

import json
import os
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


KINDS = {"run": (["hydra.run.dir=it"], "it"), "sweep": (["seed=0,1", "hydra.sweep.dir=it", "-m"], "it/0")}


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
        ("sweep", signal.SIGINT, 130),
        pytest.param("run", signal.SIGINT, 130, marks=pytest.mark.long),
        pytest.param("sweep", signal.SIGTERM, 143, marks=pytest.mark.long),
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
