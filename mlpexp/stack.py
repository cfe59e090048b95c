"""The straight path of runs that train together: prepared configs, one engine, the artefacts of each.

A single run is a stack of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mlpexp.config.schema import Config
from mlpexp.engine.loop import Engine, Row
from mlpexp.engine.member import Member
from mlpexp.engine.stack import layers
from mlpexp.engine.surroundings import surroundings
from mlpexp.errors import MlpexpError, RunError
from mlpexp.interruption import InterruptedRunError, watched
from mlpexp.prepare import Prepared
from mlpexp.run import checkpoint, record
from mlpexp.run.directory import RunDirectory
from mlpexp.run.record import Record
from mlpexp.run.recorder import Recorder
from mlpexp.run.results import Results


@dataclass(frozen=True)
class Pending:
    """A run to train: what, and in which directory, which is the caller's already.

    One that goes on has the `resumed` record of before and, where there was a checkpoint, its `state`. One without a
    directory has ended before and leaves nothing: it is there so that the others train in the company they had, and
    with that to the same bits.
    """

    config: Config
    directory: Path | None
    number: int = 0  # of the job in its sweep
    resumed: Record | None = None
    state: dict[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    """A run that has completed: its directory, its record, and what its best weights make of the data."""

    directory: Path
    record: Record
    results: Results

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """By split (train, val, test): loss, and accuracy or r2, of the best weights."""
        return self.record.metrics


# What became of a job.
Outcome = Run | Exception


class Watcher:
    """Is told how a stack goes. This one does nothing; the command line's show it on the terminal."""

    def started(self, prepared: Prepared, engine: Engine, directories: Sequence[Path]) -> None:
        """Before the first epoch."""

    def epoch(self, engine: Engine, rows: Sequence[Row]) -> None:
        """After each epoch, with a row for each of the engine's members."""

    def ended(self) -> None:
        """After the last epoch, whatever the reason; before the last figures."""


def train_stack(
    runs: Sequence[Pending], prepared: Prepared, watcher: Watcher | None = None, together: Path | None = None
) -> list[Outcome]:
    """Trains runs whose configs fit into one stack, and says what became of each that has a directory.

    A run that fails does not disturb the others. What ends them all, such as Ctrl-C, is raised once all directories
    say so. `together` is the file that holds the latest checkpoint of all members while they train; without it each
    run's own does. Members of a stack must go on from the same epoch: a file for all cannot be half written.
    """
    watcher = watcher or Watcher()
    configs = [run.config for run in runs]
    kept = [run for run in runs if run.directory is not None]
    first = configs[0]
    with surroundings(first, len(runs) * first.batch_size * prepared.n_parameters) as device:
        begun = _begun(kept, prepared, str(device))
        try:
            engine = Engine(configs, prepared.data, device)
            states = [run.state for run in runs if run.state is not None]
            if states:
                engine.load_state_dicts(states)
        except Exception as error:
            # A user's own component, or too small a card: the directories say what became of the runs all the same.
            for entry, run in zip(begun, kept, strict=True):
                assert run.directory is not None
                replace(entry, state="failed", reason=str(error) or type(error).__name__).write(run.directory)
            raise _explained(error, runs, together, device) from error
        members = [member for run, member in zip(runs, engine.members, strict=True) if run.directory is not None]
        attempts = [
            _Attempt(run, entry, engine, member) for run, entry, member in zip(kept, begun, members, strict=True)
        ]
        try:
            for attempt in attempts:
                attempt.begin(engine)
            watcher.started(prepared, engine, [attempt.directory for attempt in attempts])
            numbers = {member: run.number for run, member in zip(runs, engine.members, strict=True)}
            _epochs(engine, attempts, watcher, _Together(together, numbers))
            watcher.ended()
            for attempt in attempts:
                attempt.finish()
        except BaseException as error:
            watcher.ended()
            for attempt in attempts:
                attempt.abort(error)
            raise
    return [attempt.outcome for attempt in attempts if attempt.outcome is not None]


def _explained(error: Exception, runs: Sequence[Pending], together: Path | None, device: torch.device) -> Exception:
    """What to say of a stack that could not be set up."""
    if isinstance(error, torch.OutOfMemoryError):
        advice = f" Try stack.max_members={len(runs) // 2}." if len(runs) > 1 else ""
        return RunError(f"{device} has too little memory for this network and data.{advice} {error}")
    states = any(run.state is not None for run in runs)
    if states and isinstance(error, checkpoint.MISFITS):
        return checkpoint.misfit(together or RunDirectory(runs[0].directory or Path()).last, error)
    return error


class _Together:
    """One file for the checkpoints of all members, by their numbers; without a path there is none."""

    def __init__(self, path: Path | None, numbers: dict[Member, int]) -> None:
        self._path, self._numbers = path, numbers

    def save(self, engine: Engine) -> bool:
        """Writes the states of all who still learn or have just ended; says whether there is such a file."""
        if self._path is None:
            return False
        states = {
            self._numbers[member]: engine.state_dict(k)
            for k, member in enumerate(engine.members)
            if member.failure is None
        }
        checkpoint.save(self._path, {"epoch": engine.epoch, "states": states})
        return True


def _epochs(engine: Engine, attempts: Sequence[_Attempt], watcher: Watcher, together: _Together) -> None:
    """The epochs of a stack, each noted; checkpoints when due and when a signal asks to stop."""
    of = {attempt.member: attempt for attempt in attempts}
    with watched() as interruption:
        # Of runs that go on, some may have ended before.
        _judge(engine, [of[member] for member in engine.members if member in of and not member.active])
        for rows in engine.epochs():
            here = [of[member] for member in engine.members if member in of]
            for member, row in zip(engine.members, rows, strict=True):
                if member in of:
                    of[member].epoch(row, engine)
            watcher.epoch(engine, rows)
            ended = [attempt for attempt in here if attempt.ended(engine)]
            going_on = [attempt for attempt in here if attempt not in ended]
            asked = interruption.signal_number
            due = any(attempt.recorder.checkpoint_due() for attempt in going_on)
            if asked or due or engine.epoch == engine.total_epochs:
                for attempt in here:
                    attempt.recorder.flush()
                if not together.save(engine) or asked:
                    for attempt in going_on:
                        attempt.checkpoint(engine)
                for attempt in going_on:
                    attempt.note_progress(engine)
            if asked:
                _interrupt(engine, attempts, asked)
            _judge(engine, ended)
        _judge(engine, [of[member] for member in engine.members if member in of])


def _judge(engine: Engine, attempts: Sequence[_Attempt]) -> None:
    for attempt in attempts:
        attempt.judge(engine)


def _interrupt(engine: Engine, attempts: Sequence[_Attempt], signal_number: int) -> None:
    for attempt in attempts:
        if attempt.member.failure is not None:
            attempt.judge(engine)
        attempt.checkpoint(engine)
        attempt.interrupted()
    raise InterruptedRunError(
        f"interrupted after epoch {engine.epoch}; go on with: mlpexp resume {attempts[0].directory}", signal_number
    )


class _Attempt:
    """One run while its stack trains: its member, its artefacts, and what became of it."""

    def __init__(self, run: Pending, begun: Record, engine: Engine, member: Member) -> None:
        assert run.directory is not None
        self.directory, self.member = run.directory, member
        self.outcome: Outcome | None = None
        self._results: Results | None = None
        started = replace(
            begun, n_parameters=engine.n_parameters, epochs_done=engine.epoch, best_epoch=member.best.epoch
        )
        self.recorder = Recorder(RunDirectory(run.directory), started, run.config, engine.data, engine.epoch)

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        """What goes wrong with the artefacts of one run ends that run only."""
        try:
            yield
        except Exception as error:
            self.member.failure = self.member.failure or str(error) or type(error).__name__
            self._give_up(error, self.member.failure)

    def _give_up(self, error: Exception, reason: str) -> None:
        self.outcome = error
        # What cannot be written now, on a full disk, must not hide the reason.
        with suppress(MlpexpError):
            self.recorder.pause()
        with suppress(MlpexpError):
            self.recorder.update("failed", reason=reason)

    def _k(self, engine: Engine) -> int:
        return engine.members.index(self.member)

    def _progress(self, engine: Engine) -> dict[str, int]:
        return {"epochs_done": engine.epoch, "best_epoch": self.member.best.epoch}

    def ended(self, engine: Engine) -> bool:
        """Whether the member has no epoch before it."""
        return not self.member.active or engine.epoch == engine.total_epochs

    def begin(self, engine: Engine) -> None:
        """Notes what there is before the first epoch."""
        with self._own_errors():
            module = engine.stack.member(self._k(engine))
            self.recorder.begin(_summary(module), module)

    def epoch(self, row: Row, engine: Engine) -> None:
        """Notes an epoch."""
        k = self._k(engine)
        with self._own_errors():
            self.recorder.epoch(
                row,
                lambda: engine.stack.member(k),
                lambda: _results(engine, engine.stack.member(k)),
                last=self.ended(engine),
            )

    def checkpoint(self, engine: Engine) -> None:
        """Saves all that is needed to go on from here."""
        if self._going_on(engine):
            with self._own_errors():
                self.recorder.checkpoint(engine.state_dict(self._k(engine)))

    def note_progress(self, engine: Engine) -> None:
        """Notes in run.json how far the run has come, now that this is saved."""
        if self._going_on(engine):
            with self._own_errors():
                self.recorder.checkpointed()
                self.recorder.update("running", **self._progress(engine))

    def _going_on(self, engine: Engine) -> bool:
        judged = self.outcome is not None or self._results is not None
        return not judged and self.member.failure is None and self.member in engine.members

    def interrupted(self) -> None:
        """Notes that the run is to go on later."""
        if self.outcome is None:
            with suppress(MlpexpError):
                self.recorder.update("interrupted")

    def judge(self, engine: Engine) -> None:
        """Judges the best weights of a member that has ended, once, on all splits; or says why it failed."""
        if self.outcome is not None or self._results is not None:
            return
        k = self._k(engine)
        with self._own_errors():
            if self.member.failure is not None:
                self._fail(engine, k)
                return
            self.recorder.checkpoint(engine.state_dict(k))
            self._results = _results(engine, engine.best_network(k))
            self.recorder.update("running", **self._progress(engine), metrics=self._results.metrics())

    def _fail(self, engine: Engine, k: int) -> None:
        best, path = self.member.best, self.directory
        assert self.member.failure is not None
        self.recorder.save_best(engine.best(k))
        self.recorder.finish(None, best.epoch)
        self.recorder.update("failed", **self._progress(engine), reason=self.member.failure)
        saved = f" The weights of epoch {best.epoch} are kept in {path}/checkpoints/best.pt." if best.epoch else ""
        self.outcome = RunError(
            f"{self.member.failure}. A lower optimizer.lr or clip.norm=1 usually helps.{saved} Run directory: {path}"
        )

    def finish(self) -> None:
        """Draws the figures of a run that has been judged."""
        if self._results is None or self.outcome is not None:
            return
        with self._own_errors():
            self.recorder.finish(self._results, self.member.best.epoch)
            self.outcome = Run(self.directory, self.recorder.update("completed"), self._results)

    def abort(self, error: BaseException) -> None:
        """Leaves a run in order that ends for a reason of the whole stack's."""
        if self.outcome is not None or self.recorder.record.state != "running":
            with suppress(MlpexpError):
                self.recorder.pause()
            return
        if isinstance(error, Exception):
            self._give_up(error, str(error) or type(error).__name__)
            return
        with suppress(MlpexpError):
            self.recorder.pause()
        self.interrupted()


def _begun(runs: Sequence[Pending], prepared: Prepared, device: str) -> list[Record]:
    """The records of runs that begin now. What takes time to find out, such as the git commit, is theirs together."""
    now = record.start(runs[0].config.to_dict(), device=device, n_parameters=prepared.n_parameters) if runs else None
    begun = []
    for run in runs:
        assert now is not None
        own = replace(now, config=run.config.to_dict(), seed=run.config.seed)
        if run.resumed is not None:
            before = run.resumed
            own = replace(own, command=before.command, started=before.started, seconds=before.seconds)
        begun.append(own)
    return begun


def _results(engine: Engine, module: nn.Module) -> Results:
    return Results(module, engine.data, engine.objective, engine.stack.bf16)


def _summary(module: nn.Module) -> str:
    """The model as Markdown: its modules, and its parameters by layer."""
    rows = [
        f"| {name} | {' + '.join('×'.join(map(str, p.shape)) for p in owned)} | {sum(p.numel() for p in owned):,} |"
        for name, owned in layers(module).items()
    ]
    table = "\n".join(["| layer | shapes | parameters |", "| --- | --- | ---: |", *rows])
    code = "\n".join(f"    {line}" for line in str(module).splitlines())
    n_parameters = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return f"{n_parameters:,} trainable parameters\n\n{table}\n\n{code}"
