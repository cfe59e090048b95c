"""The lines that a job of a sweep prints if it runs in its own process, beside other jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from mlpexp.cli.console import console
from mlpexp.cli.streams import make_lasting
from mlpexp.cli.terminal import score_name, score_text
from mlpexp.config.metric import shown_score
from mlpexp.engine.loop import Engine, Row
from mlpexp.training.attempt import Run
from mlpexp.training.prepare import Prepared
from mlpexp.training.watcher import Epochs, Watcher

# A line is printed for each of this many parts of a run.
_PARTS = 4


class JobLog(Watcher):
    """Prints whole lines with the job's number, since progress bars of several jobs would overwrite each other."""

    def __init__(self, number: int) -> None:
        # `main` does this only in the process of the command line.
        make_lasting()
        self._number = number
        self._console = console()
        self._score = "accuracy"

    def set_up(self, prepared: Prepared, engine: Engine, directories: Sequence[Path]) -> None:
        self._score = shown_score(prepared.config.metric, prepared.data.task)
        self._say(f"started; run directory: {directories[0]}")

    def epoch(self, epochs: Epochs, rows: Sequence[Row]) -> None:
        epoch, total = epochs.epoch, epochs.total_epochs
        if epoch * _PARTS // total > (epoch - 1) * _PARTS // total:
            score = rows[0][f"{self._score}/val"]
            self._say(f"epoch {epoch}/{total}  val {score_name(self._score)} {score_text(score)}")

    def concluded(self, run: Run) -> None:
        """Prints the scores of a completed run."""
        record = run.record
        scores = "  ".join(
            f"{split} {score_name(self._score)} {score_text(record.metrics[split][self._score])}"
            for split in ("val", "test")
        )
        self._say(
            f"completed: {scores}  (weights of the best epoch, {record.best_epoch} of {record.epochs_done})  "
            f"{record.seconds:.1f} s"
        )

    def failed(self, error: Exception) -> None:
        """Prints that a run has failed. The process that started the jobs reports it on stderr at the end."""
        self._say(f"failed: {error or type(error).__name__}")

    def _say(self, what: str) -> None:
        self._console.print(Text(f"job {self._number}  {what}"), soft_wrap=True)
