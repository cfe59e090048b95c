"""A stack of three on MNIST on a quiet machine and beside busy loops: what its threads' waiting costs.

    python benchmarks/busy.py [--turns 5] [--loops 2] [--epochs 1] [--limit N]

Every side is `mlpexp train -m` in a process of its own, timed from the first epoch to the end of the runs (`seconds` in
run.json; imports are left out):

- mlpexp: as the command is, on as many threads as torch chooses;
- spinning: with GOMP_SPINCOUNT=300000, which is what libgomp does of its own accord;
- one thread: with device=cpu device.threads=1.

Sides take turns, in changing order, so that a change of the machine's speed meets all alike; printed are medians of
seconds, and medians of the ratios within a turn. Needs MNIST under MLPEXP_DATA_DIR or ./data, and otherwise a quiet
machine. `taskset -c 0,1` holds all sides and the loops to two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mlpexp.config.compose import compose
from mlpexp.training.prepare import data_dir

OVERRIDES = [
    "dataset=mnist",
    "model.hidden=[256,256]",
    "regularizer=[batchnorm,dropout]",
    "optimizer=adam",
    "batch_size=64",
    "seed=0,1,2",
    "log.figures=false",
    "log.tensorboard=false",
    "device=cpu",
    "hydra.sweep.dir=sweep",
]
QUIET_GOAL, BUSY_GOAL = 1.05, 1.3


@dataclass(frozen=True)
class Side:
    """A command, by what it has besides."""

    name: str
    overrides: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)


OURS = Side("mlpexp")
SPINNING = Side("spinning", environment={"GOMP_SPINCOUNT": "300000"})
ONE_THREAD = Side("one thread", overrides=["device.threads=1"])


def seconds(side: Side, overrides: Sequence[str], data: Path) -> float:
    """How long the runs of one command take together."""
    # What the command sets of its own accord must not be set by the caller's shell.
    unset = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    environment = {**unset, "MLPEXP_DATA_DIR": str(data), **side.environment}
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "mlpexp", "train", "-m", *overrides, *side.overrides]
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"mlpexp failed:\n{done.stderr}")
        records = list(Path(directory, "sweep").glob("*/run.json"))
        return max(json.loads(record.read_text())["seconds"] for record in records)


@contextmanager
def busy_loops(n: int) -> Iterator[None]:
    """Has `n` other processes compute all the time."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure(sides: Sequence[Side], turns: int, overrides: Sequence[str], data: Path) -> dict[str, list[float]]:
    """The seconds of each turn, by side."""
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    for turn in range(turns):
        for side in sides[:: 1 if turn % 2 else -1]:
            times[side.name].append(seconds(side, overrides, data))
    return times


def report(what: str, times: dict[str, list[float]], against: Side, goal: float) -> None:
    """Medians, and how long mlpexp takes by comparison."""
    listed = ", ".join(f"{name} {statistics.median(measured):.2f} s" for name, measured in times.items())
    pairs = zip(times[OURS.name], times[against.name], strict=True)
    ratio = statistics.median(ours / other for ours, other in pairs)
    print(f"{what}: {listed}", flush=True)
    print(f"    mlpexp ÷ {against.name}: {ratio:.2f}   goal: at most {goal:g}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--turns", type=int, default=5, help="of each side, quiet and busy")
    parser.add_argument("--loops", type=int, default=2, help="busy loops beside it")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--limit", type=int, help="rows of each split, for a quick try")
    args = parser.parse_args()
    limit = [] if args.limit is None else [f"dataset.limit={args.limit}"]
    overrides = [*OVERRIDES, f"epochs={args.epochs}", *limit]
    data = data_dir(compose(["dataset=mnist"])).absolute()
    report("quiet", measure([OURS, SPINNING], args.turns, overrides, data), SPINNING, QUIET_GOAL)
    with busy_loops(args.loops):
        times = measure([OURS, ONE_THREAD, SPINNING], args.turns, overrides, data)
    report(f"beside {args.loops} busy loops", times, ONE_THREAD, BUSY_GOAL)


if __name__ == "__main__":
    main()
