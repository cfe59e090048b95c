"""Real processes that train, and are ended by whatever ends processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code (negative: the signal), and what it printed."""

    code: int
    out: str
    err: str


# Ends a command after so many seconds from the moment at which a file is there.
Kill = tuple[Path, float]


def run_command(words: Sequence[str], cwd: Path, kill: Kill | None = None) -> Ended:
    process = subprocess.Popen(
        [sys.executable, "-m", "mlpexp", *words],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Not through a terminal, nor with what a developer has set.
        env={**os.environ, "OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "0"},
    )
    with process:
        if kill is not None:
            path, seconds = kill
            while not path.exists() and process.poll() is None:
                time.sleep(0.002)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=300)
    return Ended(process.returncode, out, err)


@pytest.fixture
def mlpexp() -> Callable[..., Ended]:
    """Runs `mlpexp` in a process of its own; with `kill` it gets a SIGKILL some seconds after a file is there."""
    return run_command
