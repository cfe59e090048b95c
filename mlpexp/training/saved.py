"""What there is of a run to go on from or to judge: the newest of its checkpoints that is whole.

A run has its own; one that trains in a stack also has its part of the stack's, which lies in the sweep's directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpexp.errors import ConfigError, MlpexpError
from mlpexp.run import checkpoint, history
from mlpexp.run.directory import RunDirectory
from mlpexp.sweep import record as sweep

State = dict[str, Any]


@dataclass(frozen=True)
class Saved:
    """A checkpoint that is whole, and what was wrong with others."""

    path: Path
    state: State
    damaged: tuple[str, ...]  # a line each


def newest(directory: Path) -> Saved | None:
    """The checkpoint of the most epochs from which a run can go on; None where it has none yet.

    An earlier one leads to the same result: the epochs since are trained once more. ConfigError where there are
    checkpoints and all of them are damaged, or the history is damaged before the earliest.
    """
    found: list[tuple[int, Path, State]] = []
    damaged: list[str] = []
    for path, state_of in _sources(directory):
        try:
            state = state_of(checkpoint.load(path))
            if state is None:
                continue
            epoch = _epoch(state, path)
            history.check(RunDirectory(directory).history, {**_history(state, path), "rows": epoch})
        except ConfigError as error:
            damaged.append(str(error))
        else:
            found.append((epoch, path, state))
    if found:
        _, path, state = max(found, key=lambda entry: entry[0])
        return Saved(path, state, tuple(damaged))
    if damaged:
        raise ConfigError(
            f"{damaged[0]} No checkpoint before that is there to go on from; `mlpexp eval` may still do. With "
            f"{RunDirectory(directory).checkpoints} moved away, the run begins anew."
        )
    return None


def best(directory: Path, final: bool) -> tuple[Path, State]:
    """The best epoch of a run: its number and weights, and the file that they are from.

    Of one that has completed, which makes it `final`, that is best.pt, or where this is damaged what last.pt has of
    it; of others, the latest that any checkpoint has. ConfigError where there is none.
    """
    own = RunDirectory(directory).best
    try:
        found = [(own, checkpoint.load(own))]
        if final:
            return found[0]
        error = None
    except ConfigError as caught:
        found, error = [], caught
    for path, state_of in _sources(directory):
        try:
            state = state_of(checkpoint.load(path))
            if state is not None and state["member"]["best"]["epoch"]:
                found.append((path, state["member"]["best"]))
        except (ConfigError, *checkpoint.MISFITS):
            continue
    if not found:
        assert error is not None
        raise error
    try:
        return max(found, key=lambda entry: int(entry[1]["epoch"]))
    except checkpoint.MISFITS as caught:
        raise checkpoint.misfit(own, caught) from caught


def _sources(directory: Path) -> Iterator[tuple[Path, Callable[[State], State | None]]]:
    """The files that may hold a run's state, and how it is found in what they hold; the newer of two first."""
    for path in _both(RunDirectory(directory).last):
        yield path, lambda content: content
    together = _stack_of(directory)
    if together is not None:
        stack, number = together
        for path in _both(stack):
            yield path, lambda content: _part(content, number)


def _both(path: Path) -> list[Path]:
    return [one for one in (path, checkpoint.previous(path)) if one.exists()]


def _stack_of(directory: Path) -> tuple[Path, int] | None:
    """The file for the checkpoints of the stack that a run trains in, and the run's number; None where it has none."""
    here = directory.resolve()
    for above in here.parents:
        if (above / sweep.NAME).exists():
            break
    else:
        return None
    try:
        found = sweep.read(above)
    except MlpexpError:
        # Who wants to go on with the sweep is told of it; a run can be gone on with by itself.
        return None
    for job in found.jobs:
        if (above / job.directory).resolve() == here:
            (numbers,) = [stack for stack in found.stacks if job.number in stack]
            path = sweep.checkpoint_of(above, numbers)
            return None if path is None else (path, job.number)
    return None


def _part(content: State, number: int) -> State | None:
    """A run's state among those of its stack; None where it had ended before."""
    states = content.get("states")
    return states.get(number) if isinstance(states, dict) else None


def _epoch(state: State, path: Path) -> int:
    try:
        return int(state["epoch"])
    except checkpoint.MISFITS as error:
        raise checkpoint.misfit(path, error) from error


def _history(state: State, path: Path) -> dict[str, Any]:
    try:
        return dict(state["history"])
    except checkpoint.MISFITS as error:
        raise checkpoint.misfit(path, error) from error
