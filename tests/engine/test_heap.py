"""What a step frees stays with a process of the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The first large block of a process: of its own accord glibc hands it back to the system when it is freed.
_A_BLOCK = """
import contextlib, sys, torch
from pathlib import Path
import mlpexp, mlpexp.engine.loop
from mlpexp.cli.main import main

def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

if sys.argv[1] == "command line":
    sys.argv = ["mlpexp", "--version"]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
        main()
before = pages()
block = torch.ones(6 * 2**20)
del block
print(pages() - before)
"""


def pages_left(mode: str) -> int:
    """Pages of 4 KiB more than before that a process has when it has freed a block of 24 MiB, which are 6,144."""
    command = [sys.executable, "-c", _A_BLOCK, mode]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="malloc of glibc only")
def test_freed_memory_stays() -> None:
    assert pages_left("as ever") < 3_000
    assert pages_left("command line") > 6_000
