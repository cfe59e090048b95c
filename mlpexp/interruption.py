"""SIGINT, SIGTERM and SIGHUP as a request to stop after the current epoch."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from mlpexp.errors import MlpexpError

# Ctrl-C, a request to end, and a closed terminal (not on Windows).
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
# It comes once from the shell and once more from the system.
_COMES_TWICE = getattr(signal, "SIGHUP", None)


# A display of progress bars writes so many lines again and again, the last of them where the cursor is.
_lines_of_bars = 1


def leave_lines(n: int) -> None:
    """Has what is said at a signal stand above the `n` lines of progress bars, which would overwrite it."""
    global _lines_of_bars
    _lines_of_bars = max(1, n)


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
    """Notes the first of the signals; a second one acts as it would have without us.

    Those that are ignored, as nohup has it with SIGHUP and a shell's `&` with SIGINT, stay ignored.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers; elsewhere signals keep their meaning.
        yield interruption
        return
    before = _handlers()

    def note(number: int, _frame: FrameType | None) -> None:
        interruption.signal_number = number
        _ignore_repeated(number, before)
        _restore(before)
        if _at_terminal():
            # Not by print: the signal may have come while something else was being printed.
            with suppress(OSError):
                os.write(2, b"\nmlpexp: stopping after this epoch; once more to stop at once" + b"\n" * _lines_of_bars)

    for number in before:
        signal.signal(number, note)
    try:
        yield interruption
    finally:
        _restore(before)


class _StoppedError(KeyboardInterrupt):
    """Another signal, as Ctrl-C is raised."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def stopped_with(message: str) -> Iterator[None]:
    """Raises InterruptedRunError with `message` where a signal ends what goes on, in a run or beside one."""

    def end(number: int, _frame: FrameType | None) -> None:
        _ignore_repeated(number, before)
        raise _StoppedError(number)

    main = threading.current_thread() is threading.main_thread()
    # Python itself raises Ctrl-C.
    before = _handlers() if main else {}
    before.pop(signal.SIGINT, None)
    for number in before:
        signal.signal(number, end)
    try:
        yield
    except InterruptedRunError as error:
        raise InterruptedRunError(message, error.signal_number) from None
    except KeyboardInterrupt as error:
        raise InterruptedRunError(message, getattr(error, "number", signal.SIGINT)) from None
    finally:
        _restore(before)


def _at_terminal() -> bool:
    """Whether stderr is the terminal that this process belongs to, as it is not for the workers of a sweep."""
    try:
        return os.tcgetpgrp(2) == os.getpgrp()
    except AttributeError:
        # Windows has no such groups.
        return os.isatty(2)
    except OSError:
        return False


def _handlers() -> dict[signal.Signals, Any]:
    """What the signals do now, except those that are ignored, or that are not Python's to set."""
    found = {number: signal.getsignal(number) for number in _SIGNALS}
    return {number: handler for number, handler in found.items() if handler not in (signal.SIG_IGN, None)}


def _ignore_repeated(number: int, before: dict[signal.Signals, Any]) -> None:
    """Ignores the second signal of a closed terminal."""
    if number == _COMES_TWICE:
        signal.signal(number, signal.SIG_IGN)
        before.pop(signal.Signals(number), None)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
