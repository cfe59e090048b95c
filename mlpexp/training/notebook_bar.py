"""The progress of a stack in Jupyter: a progress bar below the cell that trains."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from typing import Any

from mlpexp.config.metric import KINDS, shown_score
from mlpexp.engine.loop import Row
from mlpexp.training.prepare import Prepared
from mlpexp.training.watcher import Epochs, Watcher

_SECONDS_BETWEEN_UPDATES = 0.2


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    # A kernel has imported IPython.
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def notebook_watcher() -> Watcher:
    """A progress bar in a notebook; elsewhere a watcher that shows nothing."""
    return NotebookBar() if in_notebook() else Watcher()


class NotebookBar(Watcher):
    """A line with a progress bar: the epochs, and the mean validation score of the members that are still training."""

    def __init__(self, label: str = "") -> None:
        """`label` stands before the bar."""
        self._label = label
        self._shown: Any = None
        self._at = 0.0
        self._latest = ""
        self._score = "accuracy"

    def note(self, line: str) -> None:
        print(line)

    def started(self, prepared: Prepared, epochs: Epochs) -> None:
        from IPython.display import display

        self._score = shown_score(prepared.config.metric, prepared.data.task)
        self._latest = self._line(epochs, [])
        self._shown = display(_HTML(self._latest), display_id=True)

    def epoch(self, epochs: Epochs, rows: Sequence[Row]) -> None:
        self._latest = self._line(epochs, rows)
        if time.monotonic() - self._at >= _SECONDS_BETWEEN_UPDATES:
            self._show()

    def ended(self) -> None:
        self._show()

    def _show(self) -> None:
        self._at = time.monotonic()
        if self._shown is not None:
            self._shown.update(_HTML(self._latest))

    def _line(self, epochs: Epochs, rows: Sequence[Row]) -> str:
        scores = [row[f"{self._score}/val"] for row in rows]
        name = f"{'mean ' if len(rows) > 1 else ''}val {KINDS[self._score].words}"
        said = f", {name} {sum(scores) / len(scores):.4f}" if scores else ""
        done, total = epochs.epoch, epochs.total_epochs
        return f'{self._label}<progress value="{done}" max="{total}"></progress> epoch {done}/{total}{said}'


class _HTML:
    """HTML that a notebook displays unchanged; elsewhere its text without tags."""

    def __init__(self, html: str) -> None:
        self._html = html

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return re.sub("<[^>]*>", "", self._html).strip()
