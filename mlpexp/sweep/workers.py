"""Processes that train stacks of a sweep beside the one that was started, as that one sees them; see worker.py.

Not by `multiprocessing`: see figures/drawing_process.py. torch is not imported here, so that a worker can import it at
the same time as this process.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlpexp.cores import usable_cores

if TYPE_CHECKING:
    from mlpexp.sweep.one_stack import StackToTrain
    from mlpexp.training.prepare import Preparations

# The same modules are found as here, whatever the working directory is by now.
_CODE = "import sys; sys.path[:] = sys.argv[1:]; from mlpexp.sweep.worker import serve; serve()"
# A process for each so many jobs is started before it is known how long they take. One that turns out not to pay has
# then cost two seconds of another core.
_JOBS_FOR_A_PROCESS = 20

# What happens to a stack: the name of an event and its values, as worker.py tells them; at its end ("outcomes", …) with
# the record or error of each run, or ("interrupted",).
Message = tuple[Any, ...]


class Worker:
    """A process that trains one stack at a time. It ends with this process, or when it is closed."""

    def __init__(self) -> None:
        """OSError where no process can be started."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C at the terminal goes to this process alone, which then interrupts that one.
            start_new_session=True,
        )

    def prepare(self, plugins: Sequence[str], preparations: Preparations) -> None:
        """Has it import the modules `plugins`. EOFError or OSError where it has ended, here and below."""
        # The directory and the variables are those of now: Hydra sets some after the process has been started.
        # What is pickled may be of classes of the plugins.
        self._send((Path.cwd(), dict(os.environ), list(plugins), pickle.dumps(preparations)))
        self._receive()

    def train(self, stack: StackToTrain) -> Iterator[Message]:
        """What happens to the stack, to its end."""
        self._send(stack)
        while True:
            what, *values = self._receive()
            yield (what, *map(_received, values)) if what == "outcomes" else (what, *values)
            if what in ("outcomes", "interrupted"):
                return

    def _send(self, what: Any) -> None:
        assert self._process.stdin is not None
        pickle.dump(pickle.dumps(what), self._process.stdin)
        self._process.stdin.flush()

    def _receive(self) -> Message:
        assert self._process.stdout is not None
        message: Message = pickle.load(self._process.stdout)
        return message

    def interrupt(self) -> None:
        """Asks it to stop its stack after the current epoch, or the second time at once, and to end."""
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Ends the process and closes its pipes. No call of `train` may be waiting."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


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
