"""Processes that train stacks of a sweep beside the one that was started, as that one sees them; see worker.py.

torch is not imported here, so that a worker can import it at the same time as this process.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlpexp.child_process import ChildProcess
from mlpexp.cores import usable_cores

if TYPE_CHECKING:
    from mlpexp.sweep.one_stack import StackToTrain
    from mlpexp.training.prepare import Preparations

# A process for each so many jobs is started before it is known how long they take. One that turns out not to pay has
# then cost two seconds of another core.
_JOBS_FOR_A_PROCESS = 20

# What happens to a stack: the name of an event and its values, as worker.py tells them; at its end ("outcomes", …) with
# the record or error of each run, or ("interrupted",).
Message = tuple[Any, ...]


class Worker(ChildProcess):
    """A process that trains one stack at a time."""

    def __init__(self) -> None:
        super().__init__("mlpexp.sweep.worker")

    def prepare(self, plugins: Sequence[str], preparations: Preparations) -> None:
        """Has it import the modules `plugins`. EOFError or OSError where it has ended, here and below."""
        # The directory and the variables are those of now: Hydra sets some after the process has been started.
        # What is pickled may be of classes of the plugins.
        self._send((Path.cwd(), dict(os.environ), list(plugins), pickle.dumps(preparations)))
        self.receive()

    def train(self, stack: StackToTrain) -> Iterator[Message]:
        """What happens to the stack, to its end."""
        self._send(stack)
        while True:
            what, *values = self.receive()
            yield (what, *map(_received, values)) if what == "outcomes" else (what, *values)
            if what in ("outcomes", "interrupted"):
                return

    def _send(self, what: Any) -> None:
        # As bytes of bytes: it takes them from the pipe before it can make objects of them.
        self.send(pickle.dumps(pickle.dumps(what)))

    def interrupt(self) -> None:
        """Asks it to stop its stack after the current epoch, or the second time at once, and to end."""
        self.terminate()


class _ErrorThereError(Exception):
    """The traceback of an error in the other process, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _received(sent: Any) -> Any:
    """The record of a run; or its error, caused by one with the traceback."""
    if isinstance(sent, tuple):
        error, where = sent
        error.__cause__ = _ErrorThereError(where)
        return error
    return sent


class Workers:
    """Workers that nobody uses yet. It is a context, at whose end they end."""

    def __init__(self) -> None:
        self._free: list[Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def start_for(self, n_jobs: int, n_processes: int | None) -> None:
        """Starts, ahead of time, the workers that so many jobs may need, or so many processes less this one."""
        self._start((n_processes or min(usable_cores(), n_jobs // _JOBS_FOR_A_PROCESS)) - 1)

    def taken(self, n: int) -> list[Worker]:
        """`n` workers for the caller to close, or as many as can be started; those that are left over end."""
        self._start(n)
        taken, self._free = self._free[:n], self._free[n:]
        self.close()
        return taken

    def close(self) -> None:
        while self._free:
            self._free.pop().close()

    def _start(self, n: int) -> None:
        with suppress(OSError):
            while len(self._free) < n:
                self._free.append(Worker())
