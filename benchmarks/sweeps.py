"""What a sweep gains by training its runs as one stack, and the same sweep in JAX.

    python benchmarks/sweeps.py [--turns 5] [--mnist-turns 3] [--command-turns 3]
                                [--no-xor] [--no-digits] [--no-mnist] [--no-commands] [--jax-python PYTHON]
                                [--device cuda]

- Training loops: an engine for each seed, one after the other in one process, against one engine for all of them.
  The engines record what they always do; nothing is written. Building them is not timed.
- Splits: 10 seeds of the digits with splits of their own against 10 on one split, in one stack each.
- JAX: the MNIST sweep with jit, scan and vmap (jax_mnist.py), in a process of its own that takes its turn like the
  others and sleeps between. Needs `pip install 'mlpexp[bench]'`, here or for the interpreter that --jax-python names.
- Whole commands: `mlpexp train -m` with Hydra's basic launcher against mlpexp's own, figures drawn or not.

Sides take turns, in changing order, so that a change of the machine's speed meets all alike; printed are medians of
seconds, and medians of the ratios within a turn. The first turn of the loops warms up and is not counted.

Threads: mlpexp trains tiny networks on one, as it always does (engine/threads.py), larger ones on as many as torch
chooses; XLA takes as many as there are cores. `taskset -c 0,1` holds all sides to two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from mlpexp.config.compose import Composer, compose
from mlpexp.config.schema import Config
from mlpexp.engine.heap import keep_freed_memory
from mlpexp.engine.loop import Engine
from mlpexp.engine.process import suited_threads
from mlpexp.training.prepare import Preparations, Prepared, prepare

# One turn of a side: does its work, and gives the seconds that it took.
Side = Callable[[], float]


@dataclass(frozen=True)
class Sweep:
    """Seeds of one config, of whose epochs the first few are trained."""

    name: str
    overrides: list[str]
    members: int
    epochs: int
    goal: float


XOR = Sweep("XOR", ["dataset=xor"], members=32, epochs=200, goal=15)
SPLITS = Sweep("digits", ["dataset=digits"], members=10, epochs=10, goal=1.1)
DIGITS = Sweep("digits", ["dataset=digits"], members=16, epochs=5, goal=4)
MNIST = Sweep(
    "MNIST",
    [
        "dataset=mnist",
        "model.hidden=[256,256]",
        "regularizer=[batchnorm,dropout]",
        "regularizer.dropout.p=0.2",
        "optimizer=adam",
        "optimizer.lr=0.001",
        "batch_size=64",
    ],
    members=8,
    epochs=1,
    goal=1.5,
)
COMMAND = ["-m", "mlpexp", "train", "-m", "dataset=xor", "seed=range(32)"]
COMMAND_GOAL = 5


def measure(sides: dict[str, Side], turns: int, warm_up: bool = True) -> dict[str, list[float]]:
    """The seconds of each turn, by side."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-1 if warm_up else 0, turns):
        for name in list(sides)[:: 1 if turn % 2 else -1]:
            seconds = sides[name]()
            if turn >= 0:
                times[name].append(seconds)
    return times


def report(what: str, times: dict[str, list[float]], goal: float | None = None, bound: str = "at least") -> None:
    """One line for the first two sides and how often the second goes into the first."""
    (slow, slow_times), (fast, fast_times), *_ = times.items()
    ratio = statistics.median(one / other for one, other in zip(slow_times, fast_times, strict=True))
    said = f"{what:<43} {slow} {statistics.median(slow_times):.2f} s ÷ {fast} {statistics.median(fast_times):.2f} s"
    aim = "" if goal is None else f"   goal: {bound} {goal:g}"
    print(f"{said} = {ratio:.2f}   ({len(slow_times)} turns){aim}", flush=True)


class Training:
    """Trains the members of a sweep in such stacks, one stack after the other."""

    def __init__(self, sweep: Sweep, prepared: Prepared, stacks: Sequence[Sequence[Config]]) -> None:
        self._sweep, self._prepared, self._stacks = sweep, prepared, stacks
        preparations = Preparations()
        self._data = [[preparations.of(config).data for config in configs] for configs in stacks]
        self.accuracy = 0.0

    def __call__(self) -> float:
        pairs = zip(self._stacks, self._data, strict=True)
        engines = [Engine(configs, data, self._prepared.device) for configs, data in pairs]
        last = []
        began = time.perf_counter()
        for engine, configs in zip(engines, self._stacks, strict=True):
            with suited_threads(len(configs) * configs[0].batch_size * self._prepared.n_linear_parameters):
                *_, rows = islice(engine.epochs(), self._sweep.epochs)
            last += rows
        seconds = time.perf_counter() - began
        self.accuracy = statistics.mean(row["accuracy/val"] for row in last)
        return seconds


class Jax:
    """The process that trains an epoch in JAX whenever it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.first_accuracy: float | None = None

    def __call__(self) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        seconds, _, _, _, accuracies = json.loads(self._process.stdout.readline())
        if self.first_accuracy is None:
            self.first_accuracy = statistics.mean(accuracies)
        return float(seconds)


@contextmanager
def jax_side(python: str, prepared: Prepared, device: str) -> Iterator[Jax | None]:
    """None, and a line that says so, where that interpreter has no JAX."""
    if subprocess.run([python, "-c", "import jax, optax"], capture_output=True).returncode:
        print(f"JAX: {python} has no jax and optax: pip install 'mlpexp[bench]', or choose another by --jax-python")
        yield None
        return
    data = prepared.data
    x, y, x_val, y_val = data.inputs(data.train.x), data.train.y.int(), data.inputs(data.val.x), data.val.y.int()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "mnist.npz")
        np.savez(path, x=x, y=y, x_val=x_val, y_val=y_val)
        command = [python, str(Path(__file__).with_name("jax_mnist.py")), str(path), "--members", str(MNIST.members)]
        environment = {**os.environ, "JAX_PLATFORMS": device}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            yield Jax(process)
            assert process.stdin is not None
            process.stdin.close()


def loops(sweep: Sweep, turns: int, device: str, jax_python: str | None = None) -> None:
    prepared = prepare(compose([*sweep.overrides, f"device={device}"]))
    # On one split.
    configs = [replace(prepared.config, seed=seed) for seed in range(sweep.members)]
    stacked = Training(sweep, prepared, [configs])
    sides: dict[str, Side] = {"alone": Training(sweep, prepared, [[config] for config in configs]), "stacked": stacked}
    what = f"{sweep.name}, {sweep.members} seeds, {sweep.epochs} epochs"
    if jax_python is None:
        report(what, measure(sides, turns), sweep.goal)
        return
    with jax_side(jax_python, prepared, device) as jax:
        if jax is not None:
            sides["JAX"] = jax
        times = measure(sides, turns)
        report(what, times, sweep.goal)
        if jax is not None:
            report("    mlpexp and JAX", {"stacked": times["stacked"], "JAX": times["JAX"]})
            each = [statistics.median(times[name]) / sweep.members / sweep.epochs for name in ("stacked", "JAX")]
            print(f"    a member-epoch: {each[0]:.2f} s and {each[1]:.2f} s; ", end="")
            print(f"mean validation accuracy after one epoch: {stacked.accuracy:.4f} and {jax.first_accuracy:.4f}")


def splits(turns: int, device: str) -> None:
    """What it costs that each seed has a split of its own."""
    composer = Composer()
    sides: dict[str, Side] = {}
    for name, split in (("own splits", []), ("one split", ["dataset.seed=0"])):
        given = [*SPLITS.overrides, *split, f"device={device}"]
        configs = [composer.config([*given, f"seed={seed}"]) for seed in range(SPLITS.members)]
        sides[name] = Training(SPLITS, prepare(configs[0]), [configs])
    what = f"{SPLITS.name}, {SPLITS.members} seeds, {SPLITS.epochs} epochs"
    report(what, measure(sides, turns), SPLITS.goal, "at most")


def command(*more: str) -> Side:
    """The whole sweep as a process, in a directory of its own."""

    def turn() -> float:
        with tempfile.TemporaryDirectory() as directory:
            began = time.perf_counter()
            done = subprocess.run([sys.executable, *COMMAND, *more], cwd=directory, capture_output=True, text=True)
            seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(f"mlpexp {' '.join(more)} failed:\n{done.stderr}")
        return seconds

    return turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--turns", type=int, default=5, help="of the XOR and digits loops")
    parser.add_argument("--mnist-turns", type=int, default=3, help="of the MNIST loops and JAX")
    parser.add_argument("--command-turns", type=int, default=3, help="of the whole commands")
    for part in ("xor", "digits", "mnist", "commands"):
        parser.add_argument(f"--no-{part}", action="store_true")
    parser.add_argument("--jax-python", default=sys.executable, help="the interpreter that has jax and optax")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where all sides compute")
    args = parser.parse_args()
    keep_freed_memory()  # as the command line does
    print(f"torch {torch.__version__}, at most {torch.get_num_threads()} threads")
    if not args.no_xor:
        loops(XOR, args.turns, args.device)
    if not args.no_digits:
        loops(DIGITS, args.turns, args.device)
        splits(args.turns, args.device)
    if not args.no_mnist:
        loops(MNIST, args.mnist_turns, args.device, args.jax_python)
    if not args.no_commands:
        for name, more in (("", []), (", no figures", ["log.figures=false"])):
            more = [*more, f"device={args.device}"]
            sides = {"basic": command("hydra/launcher=basic", *more), "stacked": command(*more)}
            report(f"mlpexp train -m, XOR, 32 seeds{name}", measure(sides, args.command_turns, False), COMMAND_GOAL)


if __name__ == "__main__":
    main()
