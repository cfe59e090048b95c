"""What a sweep shows on the terminal: what will train together, how the stacks go, and how it all ended."""

from __future__ import annotations

import math
import os
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress, TaskID

from mlpexp.cli.console import console, print_text
from mlpexp.cli.terminal import SECONDS_BETWEEN_UPDATES, epoch_bar, room, score_name, score_text
from mlpexp.config.metric import shown_score
from mlpexp.engine.loop import Engine, Row
from mlpexp.errors import MlpexpError, RunError, pluralize
from mlpexp.figures.drawing import Drawing
from mlpexp.figures.formats import FORMATS
from mlpexp.sweep.train import StackToTrain, SweepWatcher
from mlpexp.training.attempt import Outcome
from mlpexp.training.prepare import Prepared

if TYPE_CHECKING:
    from mlpexp.comparison.summary import MissingResult

# Without a terminal about this many lines are printed for a sweep, and at least the last one for each stack.
_LINES = 20
# A terminal of fewer columns has no room for the minimum and maximum of the scores.
_WIDE = 100


class SweepTerminal(SweepWatcher):
    """Shows stack after stack: a progress bar on a terminal, plain lines elsewhere.

    What shows that the stacks are being prepared is closed before the first of them.
    """

    def __init__(self, directory: Path, preparing: ExitStack | None = None) -> None:
        self._directory = directory
        self._console = console()
        self._preparing = preparing or ExitStack()
        self._progress: Progress | None = None
        self._bar: TaskID | None = None
        self._shown = 0.0
        self._last: tuple[Engine, Sequence[Row]] | None = None
        self._last_numbers = ""
        self._score = "accuracy"
        self._stack = ""
        self._every = 1.0

    def note(self, line: str) -> None:
        from mlpexp.cli.main import report

        report(line)

    def stack(self, index: int, stacks: Sequence[StackToTrain]) -> None:
        self._preparing.close()
        sizes = [len(stack.numbers) for stack in stacks]
        if index == 0:
            print_text(self._console, f"{said_of(sizes)}; sweep directory: {self._directory}")
        self._every = _LINES / len(stacks)
        self._stack = f"stack {index + 1}/{len(stacks)} ({pluralize(sizes[index], 'run')})"

    def started(self, prepared: Prepared, engine: Engine, directories: Sequence[Path]) -> None:
        self._score = shown_score(prepared.config.metric, prepared.data.task)
        if self._console.is_terminal:
            label, numbers = f"{self._stack}  epoch", f"mean val {score_name(self._score)} 0.0000"
            if room(self._console, engine, label) < len(numbers):
                label = "epoch"
            self._progress, self._bar = epoch_bar(self._console, engine, label, width=10)

    def epoch(self, engine: Engine, rows: Sequence[Row]) -> None:
        epoch, total = engine.epoch, engine.total_epochs
        # Without a terminal, on the epochs at which a further line is due.
        due = int(epoch / total * self._every) > int((epoch - 1) / total * self._every)
        if self._progress is not None:
            due = time.monotonic() - self._shown >= SECONDS_BETWEEN_UPDATES
        self._last = engine, rows
        if due:
            self._show()

    def _show(self) -> None:
        """Shows the latest epoch, once."""
        if self._last is None:
            return
        engine, rows = self._last
        self._last, self._shown = None, time.monotonic()
        epoch = int(rows[0]["epoch"])
        if self._progress is None:
            where = f"{self._stack}  epoch {epoch}/{engine.total_epochs}"
            print_text(self._console, f"{where}  {self._numbers(rows)}")
        else:
            assert self._bar is not None
            self._last_numbers = self._numbers(rows)
            self._progress.update(self._bar, completed=epoch, numbers=self._last_numbers)

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
        if self._progress is not None:
            assert self._bar is not None
            self._progress.update(self._bar, numbers=what)

    def ended(self) -> None:
        self._show()
        if self._progress is not None:
            # What stays is the last epoch.
            assert self._bar is not None
            self._progress.update(self._bar, numbers=self._last_numbers)
            self._progress.stop()
            self._progress = None

    def left_out(self, numbers: Sequence[int], error: Exception) -> None:
        from mlpexp.cli.main import report

        report(f"{_jobs(numbers)} left out: {error}")

    def outcome(self, numbers: Sequence[int], outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            # Behind what the progress bar has left, and on stderr, where scripts look for it.
            report_failure(numbers, outcome)


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
    without_run = jobs_without_run(directory)
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
