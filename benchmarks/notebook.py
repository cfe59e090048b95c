"""The whole notebook: `mlpexp notebook` against what loops as the course notebook writes them take for the same epochs.

    python benchmarks/notebook.py [--out DIR] [--only NAME,...]

One side is the whole command, from start to page: every experiment with all its seeds, figures and tables. The other
would take hours, so it is timed by the epoch and multiplied: for each setting of each experiment some epochs of the
same network on the same data, times the epochs that its runs went on for.

- MNIST: the notebook's loop as in training_loop.py (transforms for each sample, `.item()` after every batch);
- all else: tensors in memory, the whole of them or parts of batch_size, `.item()` of the loss after every step, a pass
  over the validation rows after every epoch. The notebook's figures, tables and imports are not counted.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from training_loop import notebook_loop  # type: ignore[import-not-found]

from mlpexp.comparison.compare import compare
from mlpexp.comparison.runs import StoredRun
from mlpexp.config.schema import parse
from mlpexp.engine.member import build_module
from mlpexp.training.prepare import Preparations, Prepared

GOAL = 3.0
_TIMED_SECONDS, _TURNS = 0.3, 3


def own_loop(prepared: Prepared, net: nn.Module) -> Callable[[], None]:
    """An epoch on tensors in memory, as the notebook trains its small networks."""
    data, size = prepared.data, prepared.config.batch_size
    x, y = data.inputs(data.train.x), data.train.y
    x_val, y_val = data.inputs(data.val.x), data.val.y
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    losses: list[float] = []

    def loss_of(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return prepared.loss.per_sample(net(inputs), targets).mean()

    def epoch() -> None:
        net.train()
        order = torch.randperm(len(x)) if size < len(x) else torch.arange(len(x))
        for rows in order.split(size):
            optimizer.zero_grad()
            loss = loss_of(x[rows], y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        net.eval()
        with torch.no_grad():
            losses.append(loss_of(x_val, y_val).item())

    return epoch


def seconds_an_epoch(epoch: Callable[[], None]) -> float:
    """The median over turns that last a while each; the first epoch warms up."""
    epoch()
    turns = []
    for _ in range(_TURNS):
        n, began = 0, time.perf_counter()
        while n == 0 or time.perf_counter() - began < _TIMED_SECONDS:
            epoch()
            n += 1
        turns.append((time.perf_counter() - began) / n)
    return statistics.median(turns)


class OwnLoops:
    """What the notebook's loops would take for stored runs."""

    def __init__(self) -> None:
        self._preparations = Preparations()
        self._mnist: float | None = None

    def seconds(self, run: StoredRun) -> float:
        """An epoch of one run."""
        config = parse(run.record.config)
        prepared = self._preparations.of(config)
        if prepared.data.name == "mnist":
            # Of the networks there only the classifier is timed: it is the reading of images that takes the time.
            if self._mnist is None:
                self._mnist = seconds_an_epoch(notebook_loop(prepared))
            return self._mnist
        # A network small enough for one thread is faster on one, also in the notebook.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return seconds_an_epoch(own_loop(prepared, build_module(config, prepared.data, prepared.loss)))
        finally:
            torch.set_num_threads(threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", help="a new directory to keep, for what `mlpexp notebook` leaves")
    parser.add_argument("--only", help="some of the exhibits")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(args.out or Path(temporary) / "notebook")
        command = [sys.executable, "-m", "mlpexp", "notebook", "--out", str(directory)]
        began = time.perf_counter()
        subprocess.run([*command, *(["--only", args.only] if args.only else [])], check=True, stdout=subprocess.DEVNULL)
        ours = time.perf_counter() - began
        report(directory, ours)


def report(directory: Path, ours: float) -> None:
    """A row an experiment, and the ratio of the whole."""
    loops = OwnLoops()
    table = Table(title=f"The notebook's loops, {torch.get_num_threads()} threads, torch {torch.__version__}")
    table.add_column("experiment")
    for column in ("runs", "epochs of all runs", "own loops, seconds"):
        table.add_column(column, justify="right")
    total = 0.0
    for sweep in sorted(path.parent for path in directory.glob("*/sweep.json")):
        n_runs, n_epochs, seconds = 0, 0, 0.0
        for summary in compare(sweep).summaries:
            epochs = sum(run.record.epochs_done for run in summary.runs)
            n_runs, n_epochs = n_runs + len(summary.runs), n_epochs + epochs
            seconds += epochs * loops.seconds(summary.runs[0])
        table.add_row(sweep.name, str(n_runs), f"{n_epochs:,}", f"{seconds:,.0f}")
        total += seconds
    Console().print(table)
    verdict = "holds" if total / ours >= GOAL else "does not hold"
    print(
        f"own loops {total:,.0f} s ÷ mlpexp notebook {ours:,.0f} s: {total / ours:.1f} (at least {GOAL:g}: {verdict})"
    )


if __name__ == "__main__":
    main()
