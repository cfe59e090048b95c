"""Writes the artefacts of one run, while it trains and when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mlpexp.config.schema import Config
from mlpexp.data.dataset import Data
from mlpexp.doctor.finding import markdown
from mlpexp.engine.loop import Row
from mlpexp.figures.drawing import Drawing
from mlpexp.run import checkpoint
from mlpexp.run.directory import RunDirectory
from mlpexp.run.files import make_directory, remove_unfinished, write_bytes, writing
from mlpexp.run.history import History, measured, read
from mlpexp.run.hyperparameters import hyperparameters, with_every_key
from mlpexp.run.record import Record, State
from mlpexp.run.results import Results

if TYPE_CHECKING:
    from mlpexp.run.tensorboard import TensorBoard


# An epoch can take less time than writing its numbers, so those of several are written together.
FLUSH_SECONDS = 1.0


def histograms_due(epoch: int, n: int, epochs: int) -> bool:
    """Whether `epoch` is among `n`, evenly spread, of `epochs`."""
    nearest = round(epoch * n / epochs)
    return any(round(epochs / n * i) == epoch for i in range(max(1, nearest - 1), nearest + 2))


class Recorder:
    """The artefacts of one member, kept up to date epoch by epoch."""

    def __init__(
        self, paths: RunDirectory, record: Record, config: Config, data: Data, state: dict[str, Any] | None = None
    ) -> None:
        """Begins where `state`, that of a checkpoint, was taken; without one the run is new.

        Nothing is written before `begin`.
        """
        self.paths, self.record = paths, record
        self.begun = False
        self._config, self._data = config, data
        self._state = state or {"epoch": 0, "history": {}}
        self._began = time.monotonic() - record.seconds
        self._last_checkpoint = self._last_flush = time.monotonic()
        self._n_histograms = min(config.log.histograms, config.epochs)
        self._history = History(paths.history)
        self._tensorboard: TensorBoard | None = None
        self._figures: dict[str, Callable[[], bytes]] = {}
        self._images: dict[str, Callable[[], bytes]] = {}  # for TensorBoard, where the figures are no PNG

    def begin(self, summary: Callable[[], str], weights: Callable[[], Mapping[str, Tensor]]) -> None:
        """Drops what was written past the epochs done, and notes what there is to show before the next one.

        `summary`, which is Markdown, and `weights` are asked only when they are due. A directory that cannot be
        written, or whose history lacks epochs, stays as it is.
        """
        epoch = self._state["epoch"]
        self._history.go_on(epoch, self._state["history"])
        for directory in (self.paths.path, self.paths.checkpoints, self.paths.figures):
            remove_unfinished(directory)
        self.update("running")
        self.begun = True
        if not self._config.log.tensorboard:
            return
        from mlpexp.run.tensorboard import TensorBoard

        board = TensorBoard(self.paths.path, epoch)
        self._tensorboard = board
        board.start(with_every_key(hyperparameters(self._config.to_dict())), self._data.task)
        if epoch == 0:
            board.text("model", summary())
            if self._n_histograms:
                board.histograms(weights(), 0)
        board.flush()

    def epoch(
        self, row: Row, weights: Callable[[], Mapping[str, Tensor]], results: Callable[[], Results], last: bool
    ) -> None:
        """Notes an epoch, the `last` one or not; `weights` and `results` are asked only when they are due."""
        self._history.add(row)
        if self._tensorboard is not None:
            self._show(self._tensorboard, row, weights, results, last)
        if last or time.monotonic() - self._last_flush >= FLUSH_SECONDS:
            self.flush()

    def _show(
        self,
        board: TensorBoard,
        row: Row,
        weights: Callable[[], Mapping[str, Tensor]],
        results: Callable[[], Results],
        last: bool,
    ) -> None:
        epoch = int(row["epoch"])
        board.scalars(measured(row), epoch)
        if self._n_histograms and (last or histograms_due(epoch, self._n_histograms, self._config.epochs)):
            board.histograms(weights(), epoch)
        every = self._config.log.confusion_every
        if every and epoch % every == 0 and self._data.task.kind == "classification":
            from mlpexp.figures.confusion import confusion
            from mlpexp.figures.style import drawn

            counts = results().confusion(self._data.val)
            figure = confusion(counts, self._data.task.classes, title=f"Validation, epoch {epoch}")
            board.image("confusion_matrix/val", drawn(figure), epoch)

    def flush(self) -> None:
        """Puts all that was noted where it outlives the process."""
        self._history.flush()
        if self._tensorboard is not None:
            self._tensorboard.flush()
        self._last_flush = time.monotonic()

    def checkpoint_due(self) -> bool:
        """Whether last.pt is older than the config allows."""
        return time.monotonic() - self._last_checkpoint >= self._config.checkpoint.every_seconds

    def checkpoint(self, state: dict[str, Any], final: bool = False) -> None:
        """Writes last.pt, from which the run can go on, and best.pt, which is evaluated.

        The last.pt before it stays beside it, but for the `final` one.
        """
        # First the numbers: a run that goes on from a checkpoint needs all of them up to it.
        self.flush()
        checkpoint.save(self.paths.last, self.complete(state), keep_previous=not final)
        self.save_best(state["member"]["best"])
        if final:
            with writing(self.paths.checkpoints):
                checkpoint.previous(self.paths.last).unlink(missing_ok=True)
        self.checkpointed()

    def complete(self, state: dict[str, Any]) -> dict[str, Any]:
        """The engine's part of a checkpoint with that of the history, which has been flushed."""
        return {**state, "history": self._history.written}

    def checkpointed(self) -> None:
        """Records that the run is saved as it is now."""
        self._last_checkpoint = time.monotonic()

    def save_best(self, best: dict[str, Any]) -> None:
        """Writes best.pt, where there has been an epoch with a finite validation loss.

        With what raw rows need to become inputs, `mean` and `std` [F], float64, all that the run notes of its data, and
        the `temperature` by which outputs are divided, None for 1.
        """
        if best["epoch"]:
            mean, std = self._data.preprocessing.moments
            raw = {"mean": mean, "std": std, "classes": self.record.data["classes"], "data": self.record.data}
            raw["temperature"] = self.record.temperature
            checkpoint.save(self.paths.best, {**best, **raw})

    def note(self, **changes: Any) -> None:
        """Notes values that the next `update` writes to run.json."""
        self.record = replace(self.record, **changes)

    def update(self, state: State, **changes: Any) -> Record:
        """Puts a new state, and what else has changed, in run.json."""
        seconds = round(time.monotonic() - self._began, 3)
        self.note(state=state, seconds=seconds, history=self._history.written, **changes)
        self.record.write(self.paths.path)
        return self.record

    def finish(self, findings: list[dict[str, Any]], *, completed: bool) -> None:
        """Notes the final metrics and what the doctor has found, and closes all files."""
        self._history.close()
        self.note(findings=findings)
        best_epoch = self.record.best_epoch
        if self._tensorboard is not None:
            if findings:
                self._tensorboard.text("doctor", markdown(findings), self.record.epochs_done)
            if completed:
                # The HParams tab takes every scalar for a metric and shows the first five of the alphabet unasked:
                # by this name metrics of the test split are always among them.
                at_best_epoch = {
                    f"best_epoch/{name}/{split}": value
                    for split, metrics in self.record.metrics.items()
                    for name, value in metrics.items()
                }
                self._tensorboard.scalars(measured(at_best_epoch), best_epoch)
            self._tensorboard.finish(completed=completed)

    def pause(self) -> None:
        """Closes all files of a run that is to go on later."""
        try:
            self._history.close()
        finally:
            if self._tensorboard is not None:
                self._tensorboard.close()

    def draw(self, results: Results, drawing: Drawing) -> None:
        """Begins to draw the figures."""
        if not self._config.log.figures:
            return
        from mlpexp.run.pictures import pictures

        self._history.close()
        history = read(self.paths.history)
        format = self._config.log.format
        for name, picture in pictures(results, history, self.record.best_epoch, self._config.metric):
            self._figures[name] = drawing.begin(picture, format)
            if self._tensorboard is not None and format != "png":
                # It shows PNG only.
                self._images[name] = drawing.begin(picture)

    def write_figures(self) -> None:
        """Writes those whose drawing has begun."""
        if not self._figures:
            return
        epoch = self.record.best_epoch
        make_directory(self.paths.figures)
        for name, drawn in self._figures.items():
            content = drawn()
            write_bytes(self.paths.figures / f"{name}.{self._config.log.format}", content)
            if self._tensorboard is not None:
                tag = "confusion_matrix/test" if name == "confusion_matrix" else f"figures/{name}"
                self._tensorboard.image(tag, self._images[name]() if name in self._images else content, epoch)
        self._figures, self._images = {}, {}
