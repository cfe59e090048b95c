"""One run while its stack trains: its member, its artefacts, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from mlpexp import markup
from mlpexp.config.metric import by_split, listed
from mlpexp.config.schema import Config
from mlpexp.config.user_code import explained
from mlpexp.data.dataset import Data
from mlpexp.doctor.examine import examined
from mlpexp.doctor.finding import format_finding
from mlpexp.doctor.measure import case
from mlpexp.engine.loop import Engine, Row
from mlpexp.engine.member import Member
from mlpexp.engine.objective import Objective
from mlpexp.engine.stack import layers
from mlpexp.errors import DivergedError, MlpexpError, RunError
from mlpexp.figures.drawing import Drawing
from mlpexp.run.directory import RunDirectory
from mlpexp.run.history import read
from mlpexp.run.record import Record
from mlpexp.run.recorder import Recorder
from mlpexp.run.results import Results

if TYPE_CHECKING:
    from mlpexp.training.estimators import Classifier, Regressor


@dataclass(frozen=True)
class Pending:
    """A run to train: what, and in which directory, which is the caller's already.

    One that goes on has the `resumed` record of before and, where there was a checkpoint, its `state`. One without a
    directory is only replayed: the other runs need it for the same bits (see sweep/resume.py).
    """

    config: Config
    directory: Path | None
    number: int = 0  # of the job in its sweep
    resumed: Record | None = None
    state: dict[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    """A run that has completed: its directory, its record, and the results of its best weights."""

    directory: Path
    record: Record
    results: Results

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """By split (train, val, test): loss, and accuracy or r2, of the best weights."""
        return self.record.metrics

    def estimator(self) -> Classifier | Regressor:
        """The network of the best epoch as a trained estimator of scikit-learn's."""
        # scikit-learn takes a second to import.
        from mlpexp.training.estimators import of_run

        return of_run(self.results, self.record.config, self.record.epochs_done)

    def __repr__(self) -> str:
        first, second = self._described()
        return f"<{first}\n {second}>"

    def _described(self) -> tuple[str, str]:
        """Where the run is and how far it came, and its test metrics."""
        record = self.record
        epochs = f"best epoch {record.best_epoch} of {record.epochs_done}"
        return f"Run {self.directory}: {record.state}, {epochs}", listed(record.metrics, "test")

    def _repr_html_(self) -> str:
        """What Jupyter shows: the metrics of each split, beside those of a constant answer."""
        rows = by_split(self.record.metrics, self.record.constant)
        findings = [format_finding(finding) for finding in self.record.findings]
        return "".join([markup.title(self._described()[0]), markup.table(rows), markup.lines(findings)])


# What became of a job.
Outcome = Run | Exception


class Attempt:
    """A pending run on its way to an outcome."""

    def __init__(
        self,
        run: Pending,
        begun: Record,
        engine: Engine,
        member: Member,
        stack_size: int,
        constant: Callable[[Data, Objective], dict[str, dict[str, float]]],
    ) -> None:
        """`stack_size` is how many runs the stack had when it began; `constant` gives what a constant answer scores."""
        assert run.directory is not None
        self.directory, self.member = run.directory, member
        self._stack_size = stack_size
        self.outcome: Outcome | None = None
        self._results: Results | None = None
        self._seconds_drawing = 0.0
        self._constant = partial(constant, member.data, engine.objective.member(engine.members.index(member)))
        started = replace(
            begun, n_parameters=engine.n_parameters, epochs_done=engine.epoch, best_epoch=member.best.epoch
        )
        self.recorder = Recorder(RunDirectory(run.directory), started, run.config, member.data, run.state)

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """An error in writing the artefacts of one run ends that run only."""
        try:
            yield
        except Exception as raised:
            error = explained(raised, RunError)
            self.member.failure = self.member.failure or str(error) or type(error).__name__
            self._give_up(error, self.member.failure)

    def _give_up(self, error: Exception, reason: str) -> None:
        self.outcome = error
        if not self.recorder.begun:
            return
        # A second error, such as on a full disk, must not hide the first one.
        with suppress(MlpexpError):
            self.recorder.pause()
        with suppress(MlpexpError):
            self._record_failure(reason)

    def _record_failure(self, reason: str) -> None:
        diverged = self.member.diverged
        constant = self._constant() if diverged else {}
        self.recorder.update("failed", reason=reason, diverged=diverged, constant=constant)

    def _k(self, engine: Engine) -> int:
        return engine.members.index(self.member)

    def _progress(self, engine: Engine) -> dict[str, int]:
        return {"epochs_done": engine.epoch, "best_epoch": self.member.best.epoch}

    def begin(self, engine: Engine) -> None:
        """Notes what there is before the first epoch."""
        with self.own_errors():
            k = self._k(engine)
            self.recorder.begin(lambda: _summary(engine.stack.member(k)), lambda: engine.stack.named_parameters_of(k))

    def epoch(self, row: Row, engine: Engine, k: int) -> None:
        """Notes an epoch of the engine's member `k`, which is this one."""
        with self.own_errors():
            self.recorder.epoch(
                row,
                lambda: engine.stack.named_parameters_of(k),
                lambda: _results(engine, k, engine.stack.member(k)),
                last=engine.has_ended(self.member),
            )

    def flush(self) -> None:
        """Puts the epochs on disk: a run that goes on from a checkpoint needs all of them up to it."""
        if self.outcome is None:
            with self.own_errors():
                self.recorder.flush()

    def checkpoint(self, engine: Engine) -> None:
        """Saves all that is needed to go on from here."""
        if self._going_on(engine):
            with self.own_errors():
                self.recorder.checkpoint(engine.state_dict(self._k(engine)))

    def note_progress(self, engine: Engine) -> None:
        """Notes in run.json how far the run has come, now that this is saved."""
        if self._going_on(engine):
            with self.own_errors():
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

    def end(self, engine: Engine) -> bool:
        """Saves a member that has ended, or records why it failed, once; says whether it is to be judged now."""
        if self.outcome is not None or self._results is not None:
            return False
        k = self._k(engine)
        with self.own_errors():
            if self.member.failure is not None:
                self._fail(engine, k)
                return False
            state = engine.state_dict(k)
            results = _results(engine, k, engine.best_network(k))
            if self.member.config.calibrate is not None:
                results = results.calibrated()
                self.recorder.note(temperature=results.temperature)
            self.recorder.checkpoint(state, final=True)
            self._results = results
        return self.outcome is None

    @property
    def results(self) -> Results:
        """Those of the best weights of a member that has ended."""
        assert self._results is not None
        return self._results

    def judged(self, engine: Engine, metrics: dict[str, dict[str, float]]) -> None:
        """Notes the metrics of the best weights."""
        self.recorder.note(
            **self._progress(engine), metrics=metrics, undefined=self.results.undefined(), constant=self._constant()
        )

    def _fail(self, engine: Engine, k: int) -> None:
        best, path = self.member.best, self.directory
        assert self.member.failure is not None
        self.recorder.save_best(engine.best(k))
        self.recorder.note(**self._progress(engine))
        findings = self._examined(engine, engine.best_network(k))
        self.recorder.finish(findings, completed=False)
        self._record_failure(self.member.failure)
        saved = f" The weights of epoch {best.epoch} are kept in {path}/checkpoints/best.pt." if best.epoch else ""
        # What the doctor says of a run that diverged begins with the same words.
        explained = " ".join(map(format_finding, findings)) or f"{self.member.failure}."
        kind = DivergedError if self.member.diverged else RunError
        self.outcome = kind(f"{explained}{saved} Run directory: {path}")

    def draw(self, drawing: Drawing) -> None:
        """Begins to draw the figures of a run that has been evaluated."""
        if self._results is None or self.outcome is not None:
            return
        with self.own_errors(), self._drawing():
            self.recorder.draw(self._results, drawing)

    def write_figures(self) -> None:
        """Writes the figures whose drawing has begun."""
        if self._results is None or self.outcome is not None:
            return
        with self.own_errors(), self._drawing():
            self.recorder.write_figures()

    def finish(self, engine: Engine) -> None:
        """Examines a run that has been evaluated, and notes that it is complete."""
        if self._results is None or self.outcome is not None:
            return
        with self.own_errors():
            findings = self._examined(engine, self._results.module)
            self.recorder.finish(findings, completed=True)
            self.outcome = Run(self.directory, self.recorder.update("completed"), self._results)

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._seconds_drawing += time.perf_counter() - began

    def _examined(self, engine: Engine, module: nn.Module) -> list[dict[str, Any]]:
        """What is wrong with the run, given its best network."""
        history = self.recorder.paths.history
        return examined(
            lambda: case(self.member, engine, module, read(history), self._stack_size, self._seconds_drawing)
        )

    def abort(self, error: BaseException) -> None:
        """Closes a run that ends because its whole stack does, and records why."""
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


def _results(engine: Engine, k: int, module: nn.Module) -> Results:
    return Results.of(module, engine.members[k].data, engine.objective.member(k), engine.stack.bf16)


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
