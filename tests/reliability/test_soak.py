"""A sweep of five hundred runs: the last hundred take what the second hundred took, in memory, files and time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpexp.cli.main import call

# Of each seed one run in a stack, of 25 in the long form, and one alone: quasi-Newton steps do not stack. What comes
# last varies fastest, so that a stack and the runs alone of its seeds take turns.
SWEEP = ["train", "-m", "dataset=xor", "epochs=3", "hydra.sweep.dir=sweep"]
KINDS = "optimizer=adam,lbfgs"

# Runs a command, and notes after each run that has ended what the process holds.
_WATCHED = """
import gc, json, os, sys, time
from pathlib import Path
from mlpexp.cli.main import call
from mlpexp.cli.sweep_terminal import SweepTerminal

outcome, done, samples = SweepTerminal.outcome, 0, []

def sample(self, numbers, ended):
    global done
    outcome(self, numbers, ended)
    done += len(numbers)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    pyplot = sys.modules.get("matplotlib.pyplot")
    samples.append({
        "runs": done,
        "MB": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "files": len(os.listdir("/proc/self/fd")),
        "figures": len(pyplot.get_fignums()) if pyplot else 0,
        "objects": len(gc.get_objects()),
        "seconds": time.process_time(),
    })

SweepTerminal.outcome = sample
code = call(sys.argv[1:])
Path("samples.json").write_text(json.dumps(samples))
sys.exit(code)
"""


@pytest.mark.parametrize("n", [pytest.param(40), pytest.param(500, marks=pytest.mark.long)])
def test_nothing_grows(n: int, here: Path) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("what a process holds is read from Linux's /proc")
    words = [*SWEEP, f"seed=range({n // 2})", KINDS, f"stack.max_members={n // 20}", "stack.processes=1"]
    if n < 500:
        words.append("log.figures=false")
    done = subprocess.run([sys.executable, "-c", _WATCHED, *words], cwd=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    samples = json.loads((here / "samples.json").read_text())
    assert samples[-1]["runs"] == n
    # What is loaded at the first stack and the first figure is there by then.
    early, late = between(samples, n / 5, 2 * n / 5), between(samples, 4 * n / 5, n)
    assert {sample["files"] for sample in early + late} == {early[0]["files"]}
    assert {sample["figures"] for sample in samples} == {0}
    # What became of a run is kept for the table: a record. Garbage waits for its collector: of objects there are never
    # less than the least, and the system is never asked for more memory than at the peak.
    runs = late[0]["runs"] - early[0]["runs"]
    assert min(of(late, "objects")) - min(of(early, "objects")) < 40 * runs
    assert max(of(late, "MB")) - max(of(early, "MB")) < 15
    if n == 500:
        # Generous: other things run on the machine.
        assert each(late) < 1.5 * each(early)


def test_a_stack_of_more_members_than_files_may_be_open(here: Path) -> None:
    resource = pytest.importorskip("resource", reason="a limit on open files is a matter of POSIX")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        words = ["dataset=xor", "epochs=2", "log.figures=false", "seed=range(60)", "hydra.sweep.dir=sweep"]
        assert call(["train", "-m", *words]) == 0
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > few
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def between(samples: list[dict[str, Any]], first: float, last: float) -> list[dict[str, Any]]:
    return [sample for sample in samples if first < sample["runs"] <= last]


def of(samples: list[dict[str, Any]], name: str) -> list[float]:
    return [sample[name] for sample in samples]


def each(samples: list[dict[str, Any]]) -> float:
    """The processor's seconds that a run took, in the mean: half of them share those of a stack."""
    return (samples[-1]["seconds"] - samples[0]["seconds"]) / (len(samples) - 1)
