"""What a sweep gains by training its runs as one stack, and the same sweep in JAX.

    python benchmarks/sweeps.py [--turns 5] [--mnist-turns 3] [--command-turns 3]
                                [--no-xor] [--no-digits] [--no-mnist] [--no-rates] [--no-commands]
                                [--jax-python PYTHON] [--device cuda] [--clock processor]

- Training loops: an engine for each seed, one after the other in one process, against one engine for all of them.
  The engines record what they always do; nothing is written. Building them is not timed.
- Splits: 10 seeds of the digits with splits of their own against 10 on one split, in one stack each.
- Rates and activations: one stack in which members differ in both, against a stack for each activation in which each
  rate has an optimizer of its own. Of XOR 32 rates, against 32 seeds.
- JAX: the MNIST sweep with jit, scan and vmap (jax_mnist.py), in a process of its own that takes its turn like the
  others and sleeps between. Needs `pip install 'mlpexp[bench]'`, here or for the interpreter that --jax-python names.
- Whole commands: `mlpexp train -m` with Hydra's basic launcher against mlpexp's own, figures drawn (by basic of every
  run, by mlpexp's of the best) or not; a sweep of 80 digits runs, and what a run of 500 costs beyond a sweep of 20, in
  one process and in several; and the MNIST sweep against its training loop alone.

Sides take turns, in changing order, so that a change of the machine's speed meets all alike; printed are medians of
seconds, and medians of the ratios within a turn. The first turn of the loops warms up and is not counted. On a machine
that does other work, `--clock processor` counts the seconds that a side has computed, not those that it took.

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
from mlpexp.engine import group
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
COMMAND = ["dataset=xor", "seed=range(32)"]
COMMAND_GOAL = 5
STUDY = [
    *["dataset=digits", "activation=relu,tanh,gelu,silu", "init=xavier_uniform,kaiming_uniform", "seed=range(10)"],
    "log.figures=false",
]
MANY = ["dataset=xor", "epochs=20", "log.figures=false"]
FEW_RUNS, MANY_RUNS = 20, 520
# Workers beside the command's own process, or none.
PROCESSES = {"one process": ["stack.processes=1"], "several": []}
WEIGHTS_FOR_A_RATE = group._WEIGHTS_FOR_A_RATE
ACTIVATIONS = ["relu", "tanh", "gelu", "silu"]


def wall() -> float:
    return time.perf_counter()


def processor() -> float:
    """Of this process and of those that it has waited for."""
    return sum(os.times()[:4])


CLOCKS = {"wall": wall, "processor": processor}
clock = wall


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

    def __init__(
        self, sweep: Sweep, prepared: Prepared, stacks: Sequence[Sequence[Config]], *, shared: bool = True
    ) -> None:
        """Unless `shared`, each rate has an optimizer of its own."""
        self._sweep, self._prepared, self._stacks = sweep, prepared, stacks
        preparations = Preparations()
        self._data = [[preparations.of(config).data for config in configs] for configs in stacks]
        self._weights_for_a_rate = WEIGHTS_FOR_A_RATE if shared else 0
        self.accuracy = 0.0

    def __call__(self) -> float:
        group._WEIGHTS_FOR_A_RATE = self._weights_for_a_rate
        pairs = zip(self._stacks, self._data, strict=True)
        engines = [Engine(configs, data, self._prepared.device) for configs, data in pairs]
        last = []
        began = clock()
        for engine, configs in zip(engines, self._stacks, strict=True):
            step = len(configs) * configs[0].batch_size * self._prepared.n_linear_parameters
            with suited_threads(step, len(configs)):
                *_, rows = islice(engine.epochs(), self._sweep.epochs)
            last += rows
        seconds = clock() - began
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


def rates(turns: int, device: str) -> None:
    """Members with rates, and activations, of their own."""
    by_activation = [compose([*DIGITS.overrides, f"activation={name}", f"device={device}"]) for name in ACTIVATIONS]
    prepared = prepare(by_activation[0])
    stacks = [
        [at_rate(config, factor, seed) for factor in (0.25, 0.5, 1, 2, 4) for seed in range(4)]
        for config in by_activation
    ]
    whole = [[config for stack in stacks for config in stack]]
    apart, one = Training(DIGITS, prepared, stacks, shared=False), Training(DIGITS, prepared, whole)
    report("digits, 4 activations × 5 rates × 4 seeds", measure({"apart": apart, "one stack": one}, turns), 1 / 0.6)
    prepared = prepare(compose([*XOR.overrides, f"device={device}"]))
    alike = [at_rate(prepared.config, 1, seed) for seed in range(XOR.members)]
    differing = [[at_rate(prepared.config, 1.1**k, k) for k in range(XOR.members)]]
    sides: dict[str, Side] = {
        "an optimizer a rate": Training(XOR, prepared, differing, shared=False),
        "32 rates": Training(XOR, prepared, differing),
        "32 seeds": Training(XOR, prepared, [alike]),
    }
    times = measure(sides, turns)
    report("XOR, 32 rates", times)
    report("XOR, 32 rates and 32 seeds", {name: times[name] for name in ("32 rates", "32 seeds")})


def at_rate(config: Config, factor: float, seed: int) -> Config:
    """The config with another learning rate and seed."""
    return replace(config, seed=seed, optimizer=replace(config.optimizer, lr=factor * config.optimizer.lr))


def command(*words: str) -> Side:
    """A whole sweep as a process, in a directory of its own."""

    def turn() -> float:
        with tempfile.TemporaryDirectory() as directory:
            began = clock()
            line = [sys.executable, "-m", "mlpexp", "train", "-m", *words]
            done = subprocess.run(line, cwd=directory, capture_output=True, text=True)
            seconds = clock() - began
        if done.returncode:
            sys.exit(f"mlpexp train -m {' '.join(words)} failed:\n{done.stderr}")
        return seconds

    return turn


def beyond_start_up(turns: int, device: str) -> None:
    """Milliseconds of a run of many, beyond those of a sweep of few, in one process and in several."""
    sides = {
        f"{n} {name}": command(*MANY, f"seed=range({n})", f"device={device}", *more)
        for n in (MANY_RUNS, FEW_RUNS)
        for name, more in PROCESSES.items()
    }
    times = measure(sides, turns, False)
    for name in PROCESSES:
        pairs = zip(times[f"{MANY_RUNS} {name}"], times[f"{FEW_RUNS} {name}"], strict=True)
        each = statistics.median(1000 * (many - few) / (MANY_RUNS - FEW_RUNS) for many, few in pairs)
        print(f"mlpexp train -m, XOR, 500 runs more, {name}: {each:.1f} ms each   goal: at most 8", flush=True)


def around_training(turns: int, device: str) -> None:
    """The whole command of the MNIST sweep, and its training loop."""
    given = [*MNIST.overrides, "dataset.seed=0", f"device={device}"]
    prepared = prepare(compose(given))
    configs = [replace(prepared.config, seed=seed) for seed in range(MNIST.members)]
    words = [*given, f"seed=range({MNIST.members})", f"epochs={MNIST.epochs}", "log.figures=false"]
    loop = Training(MNIST, prepared, [configs])
    sides: dict[str, Side] = {"whole command": command(*words), "training loop": loop}
    report(f"MNIST, {MNIST.members} seeds, {MNIST.epochs} epoch", measure(sides, turns, False), 1.5, "at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--turns", type=int, default=5, help="of the XOR and digits loops")
    parser.add_argument("--mnist-turns", type=int, default=3, help="of the MNIST loops and JAX")
    parser.add_argument("--command-turns", type=int, default=3, help="of the whole commands")
    for part in ("xor", "digits", "mnist", "rates", "commands"):
        parser.add_argument(f"--no-{part}", action="store_true")
    parser.add_argument("--jax-python", default=sys.executable, help="the interpreter that has jax and optax")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where all sides compute")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="which seconds are counted")
    args = parser.parse_args()
    global clock
    clock = CLOCKS[args.clock]
    keep_freed_memory()  # as the command line does
    print(f"torch {torch.__version__}, at most {torch.get_num_threads()} threads")
    if not args.no_xor:
        loops(XOR, args.turns, args.device)
    if not args.no_digits:
        loops(DIGITS, args.turns, args.device)
        splits(args.turns, args.device)
    if not args.no_mnist:
        loops(MNIST, args.mnist_turns, args.device, args.jax_python)
    if not args.no_rates:
        rates(args.turns, args.device)
    if not args.no_commands:
        for name, drawn, alone in (("", "true", "all"), (", no figures", "false", "false")):
            more = [*COMMAND, f"device={args.device}"]
            sides = {
                "basic": command("hydra/launcher=basic", f"log.figures={alone}", *more),
                "stacked": command(f"log.figures={drawn}", *more),
            }
            report(f"mlpexp train -m, XOR, 32 seeds{name}", measure(sides, args.command_turns, False), COMMAND_GOAL)
        sides = {name: command(*STUDY, *more, f"device={args.device}") for name, more in PROCESSES.items()}
        report("mlpexp train -m, digits, 80 runs", measure(sides, args.command_turns, False))
        beyond_start_up(args.command_turns, args.device)
        if not args.no_mnist:
            around_training(args.mnist_turns, args.device)


if __name__ == "__main__":
    main()
