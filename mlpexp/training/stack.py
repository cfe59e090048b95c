"""Training runs together: prepared configs, one engine, the artefacts of each.

A single run is a stack of one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from mlpexp.config import reproduce
from mlpexp.config.schema import Config
from mlpexp.config.user_code import explained
from mlpexp.engine.loop import Engine
from mlpexp.engine.member import Member
from mlpexp.engine.process import runtime_context
from mlpexp.errors import MlpexpError, RunError
from mlpexp.figures.drawing import Drawing, processes_for
from mlpexp.interruption import InterruptedRunError, watched
from mlpexp.run import checkpoint, record
from mlpexp.run.directory import RunDirectory
from mlpexp.run.files import WRITERS, side_by_side
from mlpexp.run.record import Record
from mlpexp.run.results import constant_answer, constant_metrics
from mlpexp.training.attempt import Attempt, Outcome, Pending
from mlpexp.training.judging import judge, setting_of, with_figures
from mlpexp.training.prepare import Prepared
from mlpexp.training.watcher import Watcher

# A run has two to four.
_PICTURES = 4


def train_stack(
    runs: Sequence[Pending],
    prepared: Sequence[Prepared],
    watcher: Watcher | None = None,
    together: Path | None = None,
    stack_size: int | None = None,
) -> list[Outcome]:
    """Trains runs whose configs fit into one stack, and says what became of each that has a directory.

    `prepared` is what each of their configs was prepared to, with its data.
    A run that fails does not disturb the others. What ends them all, such as Ctrl-C, is raised once all directories
    say so. `together` is the file that holds the latest checkpoint of all members while they train; without it each
    run's own does. Members of a stack must go on from the same epoch: a file for all cannot be half written.
    `stack_size` is how many the stack had when it began, where some of them have ended since.
    """
    watcher = watcher or Watcher()
    configs = [run.config for run in runs]
    kept = [run for run in runs if run.directory is not None]
    first = configs[0]
    stack_size = stack_size or len(runs)
    # By the size at the beginning: another number of threads would give other bits.
    step = stack_size * first.batch_size * prepared[0].n_linear_parameters
    with runtime_context(first, step, stack_size) as device:
        begun = _begun(runs, prepared, str(device))
        try:
            engine = Engine(configs, [each.data for each in prepared], device)
            states = [run.state for run in runs if run.state is not None]
            if states:
                engine.load_state_dicts(states)
        except Exception as error:
            # A user's component, or a GPU with too little memory: the directories still say what became of the runs.
            told = _explained(error, runs, together, device)
            for entry, run in zip(begun, kept, strict=True):
                assert run.directory is not None
                if run.resumed is not None:
                    # It can still go on from where it is, in another way.
                    continue
                with suppress(MlpexpError):
                    replace(entry, state="failed", reason=str(told) or type(told).__name__).write(run.directory)
            raise told from error
        members = [member for run, member in zip(runs, engine.members, strict=True) if run.directory is not None]
        # Once for members with the same data and loss.
        constant = cache(constant_metrics)
        attempts = [
            Attempt(run, entry, engine, member, stack_size, constant)
            for run, entry, member in zip(kept, begun, members, strict=True)
        ]
        drawing = Drawing(processes_for(_PICTURES * _n_to_draw(run.config for run in kept)))
        try:
            described: dict[Hashable, str] = {}
            side_by_side(lambda attempt: attempt.begin(engine, described), attempts)
            watcher.set_up(prepared[0], engine, [attempt.directory for attempt in attempts])
            watcher.started(prepared[0], engine)
            numbers = {member: run.number for run, member in zip(runs, engine.members, strict=True)}
            with drawing:
                _epochs(engine, attempts, watcher, StackCheckpoint(together, numbers, attempts), drawing)
                _finish(engine, attempts, drawing, watcher)
            watcher.ended()
        except BaseException as error:
            watcher.ended()
            reason = explained(error, RunError)
            for attempt in attempts:
                attempt.abort(reason)
            if reason is error:
                raise
            raise reason from error
    return [attempt.outcome for attempt in attempts if attempt.outcome is not None]


def _n_to_draw(configs: Iterable[Config]) -> int:
    """How many of the runs will have figures, if none fails."""
    asked = [config for config in configs if config.log.figures]
    return len({setting_of(config) for config in asked if config.log.figures is True}) + sum(
        config.log.figures == "all" for config in asked
    )


def _explained(error: Exception, runs: Sequence[Pending], together: Path | None, device: torch.device) -> Exception:
    """The error for a stack that could not be set up."""
    if isinstance(error, torch.OutOfMemoryError):
        advice = f" Try stack.max_members={len(runs) // 2}." if len(runs) > 1 else ""
        return RunError(f"{device} has too little memory for this network and data.{advice} {error}")
    states = any(run.state is not None for run in runs)
    if states and isinstance(error, checkpoint.MISMATCHES):
        return checkpoint.mismatch(together or RunDirectory(runs[0].directory or Path()).last, error)
    return explained(error, RunError)


class StackCheckpoint:
    """One file for the checkpoints of all members, by their numbers; without a path there is none."""

    def __init__(self, path: Path | None, numbers: dict[Member, int], attempts: Sequence[Attempt]) -> None:
        self._path, self._numbers = path, numbers
        self._recorders = {attempt.member: attempt.recorder for attempt in attempts}

    def save(self, engine: Engine) -> bool:
        """Writes the states of all who still learn or have just ended; says whether there is such a file."""
        if self._path is None:
            return False
        states = {}
        for k, member in enumerate(engine.members):
            if member.failure is None:
                state, recorder = engine.state_dict(k), self._recorders.get(member)
                # A member that is replayed only has no history.
                states[self._numbers[member]] = state if recorder is None else recorder.complete(state)
        checkpoint.save(self._path, {"epoch": engine.epoch, "states": states}, keep_previous=True)
        return True


def _epochs(
    engine: Engine, attempts: Sequence[Attempt], watcher: Watcher, together: StackCheckpoint, drawing: Drawing
) -> None:
    """The epochs of a stack, each noted; checkpoints when due and when a signal asks to stop."""
    of = {attempt.member: attempt for attempt in attempts}
    with watched() as interruption:
        # Of runs that go on, some may have ended before.
        judge(engine, [of[member] for member in engine.members if member in of and engine.has_ended(member)])
        for rows in engine.epochs():
            here = [of[member] for member in engine.members if member in of]
            for k, (member, row) in enumerate(zip(engine.members, rows, strict=True)):
                if member in of:
                    of[member].epoch(row, engine, k)
            watcher.epoch(engine, rows)
            ended = [attempt for attempt in here if engine.has_ended(attempt.member)]
            going_on = [attempt for attempt in here if attempt not in ended]
            asked = interruption.signal_number
            due = any(attempt.recorder.checkpoint_due() for attempt in going_on)
            if asked or due or engine.epoch == engine.total_epochs:
                engine.stopwatch.lap("writing")
                for attempt in here:
                    attempt.flush()
                if not together.save(engine) or asked:
                    # A member that ended in the epoch of the signal is evaluated when it is resumed.
                    side_by_side(lambda attempt: attempt.checkpoint(engine), here if asked else going_on)
                side_by_side(lambda attempt: attempt.note_progress(engine), going_on)
                engine.stopwatch.lap("checkpoints")
            if asked:
                _interrupt(engine, attempts, asked)
            if not going_on:
                # The processes import matplotlib while the runs are evaluated.
                drawing.start()
                watcher.doing("judging")
            judge(engine, ended)
        # The signal may have come while the last runs were evaluated.
        if interruption.signal_number:
            _interrupt(engine, attempts, interruption.signal_number)


def _finish(engine: Engine, attempts: Sequence[Attempt], drawing: Drawing, watcher: Watcher) -> None:
    """Completes the runs: first those without figures, then the others in order, while the next are drawn already.

    In this order a sweep that is killed here still knows, when it is resumed, which runs are to have figures.
    """
    chosen = with_figures([*(attempt.member for attempt in attempts), *engine.members])
    in_order = sorted(attempts, key=lambda attempt: attempt.member in chosen)
    drawn = [attempt for attempt in in_order if attempt.member in chosen]
    upcoming = iter(drawn)
    for attempt in islice(upcoming, drawing.ahead // _PICTURES):
        attempt.draw(drawing)
    for start in range(0, len(in_order), WRITERS):
        some = in_order[start : start + WRITERS]
        watcher.doing(f"{'drawing and ' if drawn else ''}writing {start}/{len(in_order)}")
        for attempt in some:
            if attempt.member in chosen:
                for later in islice(upcoming, 1):
                    later.draw(drawing)
                attempt.write_figures()
        side_by_side(lambda attempt: attempt.finish(engine, len(drawn)), some)


def _interrupt(engine: Engine, attempts: Sequence[Attempt], signal_number: int) -> None:
    judge(engine, [attempt for attempt in attempts if attempt.member.failure is not None])
    for attempt in attempts:
        attempt.interrupted()
    raise InterruptedRunError(
        f"interrupted after epoch {engine.epoch}; go on with: mlpexp resume {attempts[0].directory}", signal_number
    )


def _begun(runs: Sequence[Pending], prepared: Sequence[Prepared], device: str) -> list[Record]:
    """The records of the runs with directories, which begin now; what takes time to find out is looked up once."""
    kept = [(run, each.data) for run, each in zip(runs, prepared, strict=True) if run.directory is not None]
    # Resuming does not call git: in a repository from somebody else git can be made to run programs.
    new = any(run.resumed is None for run, _ in kept)
    first, data = kept[0]
    now = record.start(
        first.config.to_dict(),
        device=device,
        n_parameters=prepared[0].n_linear_parameters,
        data=data.identity.plain,
        constant_answer=constant_answer(data),
        ask_git=new,
    )
    answers = {id(own): constant_answer(own) for _, own in kept}
    return [_own_record(now, run, own.identity.plain, answers[id(own)]) for run, own in kept]


def _own_record(now: Record, run: Pending, data: dict[str, Any], answer: list[float]) -> Record:
    """That of one of the runs that begin `now`, or go on, with what it is to note of its data."""
    config, before = run.config.to_dict(), run.resumed
    own = replace(now, config=config, seed=run.config.seed, data=data, constant_answer=answer)
    if before is not None:
        extended = before.state == "completed" and before.epochs_done < run.config.epochs
        own = replace(
            own,
            completed=[*before.completed, *([before.epochs_done] if extended else [])],
            started=before.started,
            seconds=before.seconds,
            git_commit=before.git_commit,
            data=before.data,
        )
    return replace(
        own, command=reproduce.command(config, own.completed), python=reproduce.program(config, own.completed)
    )
