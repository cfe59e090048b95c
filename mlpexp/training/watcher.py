"""What is told while a stack trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from mlpexp.engine.loop import Engine, Row
from mlpexp.training.prepare import Prepared


class Epochs(Protocol):
    """How far a stack is: an engine, or what another process tells of its own."""

    @property
    def epoch(self) -> int:
        """The number of epochs that are done."""

    @property
    def total_epochs(self) -> int:
        """The number of epochs that it is to make."""


class Watcher:
    """Receives the events of a stack. This one does nothing; those of the command line show them on the terminal."""

    def note(self, line: str) -> None:
        """A note before the first epoch, such as that a damaged checkpoint is left out."""

    def set_up(self, prepared: Prepared, engine: Engine, directories: Sequence[Path]) -> None:
        """What will be trained; only for a stack of this process."""

    def started(self, prepared: Prepared, epochs: Epochs) -> None:
        """Before the first epoch."""

    def epoch(self, epochs: Epochs, rows: Sequence[Row]) -> None:
        """After each epoch, with a row for each member that was in it."""

    def doing(self, what: str) -> None:
        """After the last epoch: what becomes of the runs next, in a word or two."""

    def ended(self) -> None:
        """At the end of the stack, for any reason."""
