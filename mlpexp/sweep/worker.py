"""What a worker does: it trains stacks of a sweep beside the process that was started, and tells it what happens.

The other side is workers.py.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, BinaryIO

from mlpexp.config.metric import shown_score
from mlpexp.config.user_code import in_one_line, load_plugins
from mlpexp.engine.heap import keep_freed_memory
from mlpexp.engine.loop import Row
from mlpexp.errors import RunError
from mlpexp.interruption import InterruptedRunError, stopped_with
from mlpexp.sweep.one_stack import train
from mlpexp.training.attempt import Run
from mlpexp.training.prepare import Prepared
from mlpexp.training.watcher import Epochs, Watcher


class _Relay(Watcher):
    """Tells what happens in plain data."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._score = ""

    def started(self, prepared: Prepared, epochs: Epochs) -> None:
        self._score = f"{shown_score(prepared.config.metric, prepared.data.task)}/val"
        self._tell("started", epochs.epoch, epochs.total_epochs)

    def epoch(self, epochs: Epochs, rows: Sequence[Row]) -> None:
        """Of the rows only the score that is shown."""
        self._tell("epoch", epochs.epoch, epochs.total_epochs, self._score, [row[self._score] for row in rows])

    def doing(self, what: str) -> None:
        self._tell("doing", what)

    def ended(self) -> None:
        self._tell("ended")


def serve() -> None:
    """The main loop of the process: trains the stacks from its input until that is closed."""
    # As in cli/main.py.
    gc.set_threshold(50_000, 5, 5)
    keep_freed_memory()
    # What users' code prints must not come between the messages.
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    given: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, given), daemon=True).start()

    def tell(*message: Any) -> None:
        pickle.dump(message, messages)
        messages.flush()

    # Even where it is ignored by the process that has started this one.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with stopped_with("the stack is interrupted"):
            directory, variables, plugins, pickled = pickle.loads(given.get())
            os.chdir(directory)
            os.environ.clear()
            os.environ.update(variables)
            load_plugins(plugins)
            preparations = pickle.loads(pickled)
            tell("ready")
            while True:
                outcomes = train(pickle.loads(given.get()), preparations, _Relay(tell))
                tell("outcomes", *map(_sent, outcomes))
    except InterruptedRunError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        tell("interrupted")


def _read(pipe: BinaryIO, given: SimpleQueue[bytes]) -> None:
    """Passes on what comes; ends the process when the one that started it has ended."""
    try:
        while True:
            given.put(pickle.load(pipe))
    except EOFError:
        os._exit(1)


def _sent(outcome: Run | Exception) -> Any:
    """A run's record; or its error, with the traceback of it as text."""
    if isinstance(outcome, Run):
        return outcome.record
    where = "".join(traceback.format_exception(outcome))
    try:
        pickle.loads(pickle.dumps(outcome))
    except Exception:
        return RunError(in_one_line(outcome)), where
    return outcome, where
