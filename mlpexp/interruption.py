"""SIGINT and SIGTERM as a request to stop after the current epoch."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mlpexp.errors import MlpexpError


class InterruptedRunError(MlpexpError):
    """The run was stopped from outside, after a checkpoint. Exit code 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


class Interruption:
    """Which signal has asked the run to stop, if any."""

    signal_number: int | None = None


@contextmanager
def watched() -> Iterator[Interruption]:
    """Notes the first SIGINT or SIGTERM; a second one acts as it would have without us."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers; elsewhere signals keep their meaning.
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: FrameType | None) -> None:
        interruption.signal_number = number
        _restore(before)
        if os.isatty(2):
            # Not by print: the signal may have come while something else was being printed.
            os.write(2, b"\nmlpexp: stopping after this epoch; once more to stop at once\n")

    for number in before:
        signal.signal(number, note)
    try:
        yield interruption
    finally:
        _restore(before)


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM, as Ctrl-C is raised."""


@contextmanager
def stopped_with(message: str) -> Iterator[None]:
    """Raises InterruptedRunError with `message` where SIGINT or SIGTERM ends what goes on, in a run or beside one."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _TerminatedError

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, end) if main else None
    try:
        yield
    except InterruptedRunError as error:
        raise InterruptedRunError(message, error.signal_number) from None
    except KeyboardInterrupt as error:
        number = signal.SIGTERM if isinstance(error, _TerminatedError) else signal.SIGINT
        raise InterruptedRunError(message, number) from None
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
