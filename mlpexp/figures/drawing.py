"""Drawing many pictures: on all cores, where that pays."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from mlpexp.cores import usable_cores
from mlpexp.figures.drawing_process import DrawingProcess
from mlpexp.figures.formats import Format
from mlpexp.figures.picture import Picture

# A process takes half a second to import matplotlib, in which another draws a dozen pictures.
_WORTH_A_PROCESS = 12
# More would wait for this process, which sends them the pictures and writes the files.
_MOST_PROCESSES = 16
# At most this many pictures are begun for each process, since their data take memory.
_BEGUN = 16
# This many of the latest pictures are kept, and not drawn a second time.
_REMEMBERED = 32


def processes_for(n_pictures: int) -> int:
    """How many processes pay for so many pictures that are to be drawn at once; none on a single core."""
    cores = usable_cores()
    return min(n_pictures // _WORTH_A_PROCESS, cores, _MOST_PROCESSES) if cores > 1 else 0


def process_beside() -> int:
    """1 where a process can import matplotlib while this one trains, 0 on a single core."""
    return int(usable_cores() > 1)


class Drawing:
    """Draws pictures in so many processes of its own, from `start` on.

    Where there are none, or one fails, pictures are drawn here, when they are asked for.
    """

    def __init__(self, n_processes: int) -> None:
        self._n = n_processes
        self._idle: SimpleQueue[DrawingProcess] = SimpleQueue()
        self._processes: list[DrawingProcess] = []
        self._threads: ThreadPoolExecutor | None = None
        self._submit: Callable[[bytes], Future[bytes]] | None = None

    def start(self) -> None:
        """Starts the processes. They need some time until they can draw: call it ahead of `begin`."""
        if self._processes or not self._n:
            return
        with suppress(OSError):
            for _ in range(self._n):
                self._processes.append(DrawingProcess())
        if self._processes:
            threads = self._threads = ThreadPoolExecutor(len(self._processes))
            # Runs that agree, such as all that make no mistake, share a picture.
            self._submit = lru_cache(_REMEMBERED)(lambda pickled: threads.submit(self._drawn, pickled))
        for process in self._processes:
            self._idle.put(process)

    def __enter__(self) -> Drawing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.close()

    @property
    def ahead(self) -> int:
        """How many pictures are worth beginning before the first is asked for."""
        return _BEGUN * len(self._processes)

    def begin(self, picture: Picture[Any], format: Format = "png") -> Callable[[], bytes]:
        """Begins to draw a picture; returns a function that waits for the file."""
        if self._submit is None:
            return lambda: picture.drawn(format)
        begun = self._submit(pickle.dumps((picture, format)))
        return lambda: _result(begun) or picture.drawn(format)

    def _drawn(self, pickled: bytes) -> bytes:
        process = self._idle.get()
        try:
            return process.drawn(pickled)
        finally:
            self._idle.put(process)


def _result(begun: Future[bytes]) -> bytes | None:
    """None where the process failed: drawing here then succeeds, or raises the reason."""
    try:
        return begun.result()
    except Exception:
        return None
