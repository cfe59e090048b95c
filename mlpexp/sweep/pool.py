"""Trains the stacks of a sweep at the same time: one in this process, the others in workers."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType

from mlpexp.engine.loop import Engine, Row
from mlpexp.errors import RunError
from mlpexp.interruption import InterruptedRunError, watched
from mlpexp.run.record import Record
from mlpexp.sweep.one_stack import StackToTrain, train
from mlpexp.sweep.workers import Message, Worker
from mlpexp.training.attempt import Run
from mlpexp.training.prepare import Preparations, Prepared
from mlpexp.training.watcher import Epochs, Watcher

_SECONDS_BETWEEN_LOOKS = 0.1
# Two signals that come at once may arrive as one.
_SECONDS_BETWEEN_SIGNALS = 0.1
# In which a worker notes in the directories of its runs that they are interrupted.
_SECONDS_TO_END = 5.0
# A stack that has ended: its index, and the record or error of each of its runs that has a directory.
Ended = tuple[int, list[Record | Exception]]


class Pool:
    """Stacks, of which each process takes the next one when it is free. It is a context.

    What happens to them is told in this thread only: while it trains a stack of its own, or waits.
    """

    def __init__(
        self,
        stacks: Mapping[int, StackToTrain],
        preparations: Preparations,
        watch: Callable[[int], Watcher],
        workers: Sequence[Worker],
    ) -> None:
        """`stacks` are given by index; `watch` is called with that before a stack begins, and gives its watcher.

        The `workers` end with the pool.
        """
        self._stacks, self._preparations, self._watch = stacks, preparations, watch
        # The lock is that of these two: the stacks that wait, and those that workers have.
        self._lock = threading.Lock()
        self._waiting = deque(stacks)
        self._away: set[int] = set()
        self._events: SimpleQueue[tuple[int, Message]] = SimpleQueue()
        self._watchers: dict[int, Watcher] = {}
        self._workers = workers
        self._threads = [threading.Thread(target=self._serve, args=(worker,), daemon=True) for worker in workers]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """After an interruption workers end their epochs; after another signal, or an error, they end at once."""
        with self._lock:
            self._waiting.clear()
        try:
            if isinstance(error, InterruptedRunError):
                self._interrupt()
                for thread in self._threads:
                    thread.join()
            elif self._away:
                # As for this process, the second signal ends an epoch.
                for _repeat in range(2):
                    self._interrupt()
                    time.sleep(_SECONDS_BETWEEN_SIGNALS)
                for thread in self._threads:
                    thread.join(_SECONDS_TO_END)
        finally:
            for worker in self._workers:
                worker.kill()
            for thread in self._threads:
                thread.join()
            for worker in self._workers:
                worker.close()
            for watcher in self._watchers.values():
                watcher.ended()

    def _interrupt(self) -> None:
        for worker in self._workers:
            worker.interrupt()

    def ended(self) -> Iterator[Ended]:
        """The stacks as they end."""
        while True:
            with self._lock:
                if not self._waiting:
                    break
                index = self._waiting.popleft()
            yield from self._trained_here(index)
        with watched() as interruption:
            while self._away:
                with suppress(Empty):
                    yield from self._told(*self._events.get(timeout=_SECONDS_BETWEEN_LOOKS))
                if interruption.signal_number is not None:
                    raise InterruptedRunError("the sweep is interrupted", interruption.signal_number)

    def _trained_here(self, index: int) -> Iterator[Ended]:
        elsewhere: list[Ended] = []

        def look() -> None:
            while not self._events.empty():
                elsewhere.extend(self._told(*self._events.get()))

        outcomes = train(self._stacks[index], self._preparations, _Looking(self._watch(index), look))
        # Only the record is kept: the networks and data of a long sweep would fill the memory.
        yield index, [outcome.record if isinstance(outcome, Run) else outcome for outcome in outcomes]
        yield from elsewhere

    def _told(self, index: int, message: Message) -> Iterator[Ended]:
        """Tells the stack's watcher what a worker has told; the stack, if that was its end."""
        what, *values = message
        if what == "taken":
            self._watchers[index] = self._watch(index)
            return
        watcher = self._watchers[index]
        if what == "started":
            watcher.started(self._preparations.of(self._stacks[index].runs[0].config), _There(*values))
        elif what == "epoch":
            done, total, score, scores = values
            watcher.epoch(_There(done, total), [{"epoch": done, score: value} for value in scores])
        elif what == "doing":
            watcher.doing(*values)
        elif what == "ended":
            watcher.ended()
        else:
            # One that was killed has not told that it ended.
            self._watchers.pop(index).ended()
            self._away.discard(index)
            yield index, values

    def _serve(self, worker: Worker) -> None:
        """A thread for each worker: gives it stacks, and passes on what it tells."""
        with suppress(EOFError, OSError):
            configs = [run.config for stack in self._stacks.values() for run in stack.runs]
            plugins = list(dict.fromkeys(name for config in configs for name in config.plugins))
            worker.prepare(plugins, self._preparations)
            while True:
                with self._lock:
                    if not self._waiting:
                        break
                    index = self._waiting.popleft()
                    self._away.add(index)
                self._events.put((index, ("taken",)))
                self._pass_on(index, worker)
        worker.kill()

    def _pass_on(self, index: int, worker: Worker) -> None:
        n = len(self._stacks[index].numbers)
        try:
            for message in worker.train(self._stacks[index]):
                if message == ("interrupted",):
                    stopped = RunError("the process that trained it was asked to stop; `mlpexp resume` goes on")
                    self._events.put((index, ("outcomes", *[stopped] * n)))
                else:
                    self._events.put((index, message))
        except (EOFError, OSError):
            killed = RunError("the process that trained it was killed; `mlpexp resume` goes on")
            self._events.put((index, ("outcomes", *[killed] * n)))
            raise


@dataclass(frozen=True)
class _There:
    """How far a stack is in another process."""

    epoch: int
    total_epochs: int


class _Looking(Watcher):
    """Passes on the events of a stack of this process, and looks each time what the others have told meanwhile."""

    def __init__(self, watcher: Watcher, look: Callable[[], None]) -> None:
        self._watcher, self._look = watcher, look

    def note(self, line: str) -> None:
        self._watcher.note(line)

    def set_up(self, prepared: Prepared, engine: Engine, directories: Sequence[Path]) -> None:
        self._watcher.set_up(prepared, engine, directories)

    def started(self, prepared: Prepared, epochs: Epochs) -> None:
        self._watcher.started(prepared, epochs)
        self._look()

    def epoch(self, epochs: Epochs, rows: Sequence[Row]) -> None:
        self._watcher.epoch(epochs, rows)
        self._look()

    def doing(self, what: str) -> None:
        self._watcher.doing(what)
        self._look()

    def ended(self) -> None:
        self._watcher.ended()
        self._look()
