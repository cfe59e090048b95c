"""What a sweep shows on the terminal: what will train together, how the stacks go, and how it all ended."""

from __future__ import annotations

import math
import os
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, TaskID

from mlpexp.cli.console import console, print_text
from mlpexp.cli.terminal import SECONDS_BETWEEN_UPDATES, add_bar, epoch_bars, room, score_name, score_text
from mlpexp.config.metric import shown_score
from mlpexp.engine.loop import Row
from mlpexp.errors import MlpexpError, RunError, pluralize
from mlpexp.figures.drawing import Drawing
from mlpexp.figures.formats import FORMATS
from mlpexp.interruption import leave_lines
from mlpexp.run.record import Record
from mlpexp.sweep.one_stack import StackToTrain
from mlpexp.sweep.train import SweepWatcher
from mlpexp.training.prepare import Prepared
from mlpexp.training.watcher import Epochs, Watcher

if TYPE_CHECKING:
    from mlpexp.comparison.summary import MissingResult

# Without a terminal about this many lines are printed for a sweep, and at least the last one for each stack.
_LINES = 20
# A terminal of fewer columns has no room for the minimum and maximum of the scores.
_WIDE = 100


class SweepTerminal(SweepWatcher):
    """Shows the stacks: a progress bar for each on a terminal, plain lines elsewhere.

    What shows that the stacks are being prepared is closed before the first of them.
    """

    def __init__(self, directory: Path, preparing: ExitStack | None = None) -> None:
        self._directory = directory
        self._console = console()
        self._preparing = preparing or ExitStack()
        self._bars = _Bars(self._console)

    def note(self, line: str) -> None:
        from mlpexp.cli.main import report

        report(line)

    def stacks(self, stacks: Sequence[StackToTrain], n_processes: int) -> None:
        self._preparing.close()
        where = f" in {n_processes} processes" if n_processes > 1 else ""
        sizes = [len(stack.numbers) for stack in stacks]
        print_text(self._console, f"{said_of(sizes)}{where}; sweep directory: {self._directory}")

    def stack(self, index: int, stacks: Sequence[StackToTrain]) -> Watcher:
        label = f"stack {index + 1}/{len(stacks)} ({pluralize(len(stacks[index].numbers), 'run')})"
        return StackTerminal(self._console, self._bars, label, _LINES / len(stacks))

    def left_out(self, numbers: Sequence[int], error: Exception) -> None:
        from mlpexp.cli.main import report

        report(f"{_jobs(numbers)} left out: {error}")

    def outcome(self, numbers: Sequence[int], outcome: Record | Exception) -> None:
        if isinstance(outcome, Exception):
            # Behind what the progress bar has left, and on stderr, where scripts look for it.
            report_failure(numbers, outcome)


class _Bars:
    """The progress bars of the stacks that train at the same time. Those of stacks that have ended stay as they are."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._n_training = 0

    def add(self, epochs: Epochs, label: str) -> TaskID:
        if self._progress is None:
            self._progress = epoch_bars(self._console, width=10)
        self._n_training += 1
        bar = add_bar(self._progress, epochs, label)
        leave_lines(len(self._progress.tasks))
        return bar

    def update(self, bar: TaskID, **changes: Any) -> None:
        assert self._progress is not None
        self._progress.update(bar, **changes)

    def end(self) -> None:
        """Called once for each stack that ends."""
        self._n_training -= 1
        if not self._n_training and self._progress is not None:
            self._progress.stop()
            self._progress = None
            leave_lines(1)


class StackTerminal(Watcher):
    """Shows one stack."""

    def __init__(self, console: Console, bars: _Bars, label: str, n_lines: float) -> None:
        """Without a terminal about `n_lines` lines are printed."""
        self._console, self._bars, self._label, self._n_lines = console, bars, label, n_lines
        self._bar: TaskID | None = None
        self._shown = 0.0
        self._last: tuple[Epochs, Sequence[Row]] | None = None
        self._last_numbers = ""
        self._score = "accuracy"

    def started(self, prepared: Prepared, epochs: Epochs) -> None:
        self._score = shown_score(prepared.config.metric, prepared.data.task)
        if self._console.is_terminal:
            label, numbers = f"{self._label}  epoch", f"mean val {score_name(self._score)} 0.0000"
            if room(self._console, epochs, label) < len(numbers):
                label = "epoch"
            self._bar = self._bars.add(epochs, label)

    def epoch(self, epochs: Epochs, rows: Sequence[Row]) -> None:
        epoch, total = epochs.epoch, epochs.total_epochs
        # Without a terminal, on the epochs at which a further line is due.
        due = int(epoch / total * self._n_lines) > int((epoch - 1) / total * self._n_lines)
        if self._bar is not None:
            due = time.monotonic() - self._shown >= SECONDS_BETWEEN_UPDATES
        self._last = epochs, rows
        if due:
            self._show()

    def _show(self) -> None:
        """Shows the latest epoch, once."""
        if self._last is None:
            return
        epochs, rows = self._last
        self._last, self._shown = None, time.monotonic()
        epoch = int(rows[0]["epoch"])
        if self._bar is None:
            where = f"{self._label}  epoch {epoch}/{epochs.total_epochs}"
            print_text(self._console, f"{where}  {self._numbers(rows)}")
        else:
            self._last_numbers = self._numbers(rows)
            self._bars.update(self._bar, completed=epoch, numbers=self._last_numbers)

    def _numbers(self, rows: Sequence[Row]) -> str:
        """The validation scores of the members that still learn."""
        # Members may have splits of their own, with R² or without.
        scores = [score for row in rows if not math.isnan(score := row[f"{self._score}/val"])]
        name = f"val {score_name(self._score)}"
        narrow = self._console.is_terminal and self._console.width < _WIDE
        if len(scores) <= 1:
            return f"{name} {score_text(*scores or [math.nan])}"
        mean = f"mean {name} {sum(scores) / len(scores):.4f}"
        return mean if narrow else f"{mean} ({min(scores):.4f} to {max(scores):.4f})"

    def doing(self, what: str) -> None:
        self._show()
        if self._bar is not None:
            self._bars.update(self._bar, numbers=what)

    def ended(self) -> None:
        self._show()
        if self._bar is not None:
            # What stays is the last epoch.
            self._bars.update(self._bar, numbers=self._last_numbers)
            self._bars.end()
            self._bar = None


def report_failure(numbers: Sequence[int], error: Exception) -> None:
    """A line on a job that has failed, or on several that failed of one thing."""
    from mlpexp.cli.main import report

    # What a component of the user's own raises may not say what is wrong, such as KeyError('x').
    kind = "" if isinstance(error, MlpexpError) else f"{type(error).__name__}: " if str(error) else type(error).__name__
    report(f"{_jobs(numbers)} failed: {kind}{error}")
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)


def _jobs(numbers: Sequence[int]) -> str:
    return f"{'job' if len(numbers) == 1 else 'jobs'} {_listed(numbers)}"


def _listed(names: Sequence[object]) -> str:
    """The names; only the first of them where there are many."""
    return ", ".join(map(str, names[:10])) + (", …" if len(names) > 10 else "")


def said_of(sizes: Sequence[int]) -> str:
    """How many runs there are, and of which sizes the stacks are."""
    together = [size for size in sizes if size > 1]
    alone = len(sizes) - len(together)
    parts = []
    if together:
        listed = ", ".join(map(str, together[:8])) + (", …" if len(together) > 8 else "")
        parts.append(f"{pluralize(len(together), 'stack')} of {listed}")
    if alone:
        parts.append(f"{alone} alone")
    return f"{pluralize(sum(sizes), 'run')}: {' and '.join(parts)}"


def conclude(directory: Path, drawing: Drawing, *, told: bool = True) -> None:
    """The table at the end of a sweep; RunError in the end where a job has failed or is unfinished.

    `drawing` draws its figure. Unless it was `told` already, there is a line on each of these.
    """
    from mlpexp.cli.compare import show_settings
    from mlpexp.comparison.report import sweep_summary, symptoms
    from mlpexp.run.sweep_record import job_of, jobs_without_run

    out = console()
    comparison = sweep_summary(directory, drawing)
    show_settings(comparison, out)
    for line in symptoms(comparison):
        print_text(out, line)
    lost = [entry for summary in comparison.summaries for entry in (*summary.failures, *summary.unfinished)]
    found = {run.directory for summary in comparison.summaries for run in summary.runs}
    without_run = jobs_without_run(directory, found)
    if not told:
        _report_lost(lost, without_run)
    names = [*(job_of(entry.run.directory.name) for entry in lost), *map(job_of, without_run)]
    figure = next(name for name in (f"sweep.{format}" for format in FORMATS) if (Path(directory) / name).exists())
    written = f"sweep directory: {directory} (sweep.csv, {figure})"
    if not names:
        hint = f"; is a difference real? mlpexp compare {directory}" if len(comparison.summaries) > 1 else ""
        print_text(out, f"{written}{hint}")
        return
    n_runs = sum(len(summary.runs) + len(summary.undefined) for summary in comparison.summaries) + len(names)
    raise RunError(f"{len(names)} of the sweep's {pluralize(n_runs, 'job')} failed ({_listed(names)}); {written}")


def _report_lost(lost: Sequence[MissingResult], without_run: Sequence[str]) -> None:
    """A line on each job that has no result."""
    from mlpexp.cli.main import report
    from mlpexp.run.sweep_record import job_of

    for entry in lost:
        report(f"job {job_of(entry.run.directory.name)} failed: {entry.reason}; run directory: {entry.run.directory}")
    for name in without_run:
        report(f"job {job_of(name)} failed: it has not begun")
