"""The checkpoint from which a run goes on or is evaluated: the newest of its checkpoints that is whole.

A run has its own; one that trains in a stack also has its part of the stack's, which lies in the sweep's directory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlpexp.errors import ConfigError
from mlpexp.run import checkpoint, history
from mlpexp.run import sweep_record as sweep
from mlpexp.run.directory import RunDirectory

State = dict[str, Any]
# A file that may hold a run's state, and how it is loaded.
Source = tuple[Path, Callable[[], State | None]]


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
    damaged: dict[Path, str] = {}
    for path, load in _sources(directory):
        try:
            state = load()
            if state is None:
                continue
            epoch = checkpoint.check_state(path, state)["epoch"]
            history.check(RunDirectory(directory).history, {**state["history"], "rows": epoch})
        except KeyError as error:
            damaged[path] = str(checkpoint.mismatch(path, error))
        except ConfigError as error:
            damaged[path] = str(error)
        else:
            found.append((epoch, path, state))
    if found:
        _, path, state = max(found, key=lambda entry: entry[0])
        return Saved(path, state, tuple(damaged.values()))
    if damaged:
        raise ConfigError(
            f"{next(iter(damaged.values()))} There is no other checkpoint to go on from. "
            f"With {' and '.join(map(str, damaged))} moved away, the run begins anew."
        )
    return None


def best(directory: Path, final: bool) -> tuple[Path, State]:
    """The best epoch of a run: its number and weights, and the file that they are from.

    Of one that has completed, which makes it `final`, that is best.pt, or where this is damaged what last.pt has of
    it; of others, the latest that any checkpoint has. ConfigError where there is none.
    """
    own = RunDirectory(directory).best
    found: list[tuple[int, Path, State]] = []
    damaged: dict[Path, ConfigError] = {}
    sources: Iterable[Source] = [(own, partial(checkpoint.load, own)), *_sources(directory)]
    for path, load in sources:
        try:
            state = load()
            if state is not None:
                state = checkpoint.check_state(path, state if path == own else state["member"]["best"])
                found.append((state["epoch"], path, state))
        except checkpoint.MISMATCHES as error:
            damaged[path] = error if isinstance(error, ConfigError) else checkpoint.mismatch(path, error)
        if found and final:
            break
    # Without an epoch that had a finite loss there are no best weights.
    found = [entry for entry in found if entry[0] > 0]
    if not found:
        # Of several faults, a missing best.pt says least.
        raise next(
            (error for path, error in damaged.items() if own.exists() or path != own),
            damaged.get(own) or ConfigError(f"{own}: holds no weights: no epoch had a finite validation loss."),
        )
    _, path, state = max(found, key=lambda entry: entry[0])
    return path, state


def _sources(directory: Path) -> Iterator[Source]:
    """A run's own checkpoints, then its part of its stack's; the newer of two first."""
    for path in _both(RunDirectory(directory).last):
        yield path, partial(checkpoint.load, path)
    record = _sweep_above(directory)
    if record is None:
        return
    try:
        together = _stack_of(directory, record.parent)
    except ConfigError as error:
        if (record.parent / sweep.CHECKPOINTS).exists():
            yield record, partial(_refuse, error)
        return
    if together is not None:
        stack, number = together
        for path in _both(stack):
            yield path, partial(_part, path, number)


def _refuse(error: ConfigError) -> None:
    raise error


def _both(path: Path) -> list[Path]:
    return [one for one in (path, checkpoint.previous(path)) if one.exists()]


def _sweep_above(directory: Path) -> Path | None:
    """The sweep.json nearest above a run, relative where the run was named so and that is possible."""
    for above in directory.parents if ".." not in directory.parts else ():
        if (above / sweep.NAME).exists():
            return above / sweep.NAME
    return next((path / sweep.NAME for path in directory.resolve().parents if (path / sweep.NAME).exists()), None)


def _stack_of(directory: Path, above: Path) -> tuple[Path, int] | None:
    """The file for the checkpoints of the stack that a run of a sweep trains in, and the run's number there."""
    found = sweep.read(above)
    for job in found.jobs:
        if (above / job.directory).resolve() == directory.resolve():
            (numbers,) = [stack for stack in found.stacks if job.number in stack]
            path = sweep.checkpoint_of(above, numbers)
            return None if path is None else (path, job.number)
    return None


def _part(path: Path, number: int) -> State | None:
    """A run's state among those of its stack; None where it had ended before."""
    states = checkpoint.load(path).get("states")
    return states.get(number) if isinstance(states, dict) else None
