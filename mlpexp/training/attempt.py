"""One run while its stack trains: its member, its files, and its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
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
    """A run to train: its config, and its directory, which the caller has claimed.

    A run that is resumed has its earlier record as `resumed` and, where there was a checkpoint, its `state`. A run
    without a directory is only replayed, so that the other runs of the stack get the same bits (see sweep/resume.py).
    """

    config: Config
    directory: Path | None
    number: int = 0  # of the job in its sweep
    resumed: Record | None = None
    state: dict[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    """A completed run: its directory, its record, and the results of its best weights."""

    directory: Path
    record: Record
    results: Results

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The metrics of the best weights, by split (train, val, test) and name."""
        return self.record.metrics

    def estimator(self) -> Classifier | Regressor:
        """The network of the best epoch as a fitted scikit-learn estimator."""
        # scikit-learn takes a second to import.
        from mlpexp.training.estimators import of_run

        return of_run(self.results, self.record.config, self.record.epochs_done)

    def __repr__(self) -> str:
        first, second = self._described()
        return f"<{first}\n {second}>"

    def _described(self) -> tuple[str, str]:
        """The run's directory and progress, and its test metrics."""
        record = self.record
        epochs = f"best epoch {record.best_epoch} of {record.epochs_done}"
        return f"Run {self.directory}: {record.state}, {epochs}", listed(record.metrics, "test")

    def _repr_html_(self) -> str:
        """What Jupyter shows: the metrics of each split, beside those of a constant answer."""
        rows = by_split(self.record.metrics, self.record.constant)
        findings = [format_finding(finding) for finding in self.record.findings]
        return "".join([markup.title(self._described()[0]), markup.table(rows), markup.lines(findings)])


# The completed run of a job, or its error.
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
        """`stack_size` is the number of runs at the start; `constant` gives the metrics of a constant answer."""
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
        """An error in writing the files of one run ends that run only."""
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

    def begin(self, engine: Engine, described: dict[Hashable, str]) -> None:
        """Writes what is known before the first epoch. Members with one network share what is `described` of it."""
        config = self.member.config
        network = config.model, config.activation, config.regularizer

        def summary() -> str:
            if network not in described:
                described[network] = _summary(engine.stack.member(k))
            return described[network]

        with self.own_errors():
            k = self._k(engine)
            self.recorder.begin(summary, lambda: engine.stack.named_parameters_of(k))

    def epoch(self, row: Row, engine: Engine, k: int) -> None:
        """Records an epoch of the engine's member `k`, which is this one."""
        with self.own_errors():
            self.recorder.epoch(
                row,
                lambda: engine.stack.named_parameters_of(k),
                lambda: _results(engine, k, engine.stack.member(k)),
                last=engine.has_ended(self.member),
            )

    def flush(self) -> None:
        """Writes the epochs to disk: a run that is resumed from a checkpoint needs all epochs before it."""
        if self.outcome is None:
            with self.own_errors():
                self.recorder.flush()

    def checkpoint(self, engine: Engine) -> None:
        """Saves everything that is needed to resume from here."""
        if self._going_on(engine):
            with self.own_errors():
                self.recorder.checkpoint(engine.state_dict(self._k(engine)))

    def note_progress(self, engine: Engine) -> None:
        """Records the run's progress in run.json, after its checkpoint was saved."""
        if self._going_on(engine):
            with self.own_errors():
                self.recorder.checkpointed()
                self.recorder.update("running", **self._progress(engine))

    def _going_on(self, engine: Engine) -> bool:
        judged = self.outcome is not None or self._results is not None
        return not judged and self.member.failure is None and self.member in engine.members

    def interrupted(self) -> None:
        """Records that the run was interrupted and can be resumed."""
        if self.outcome is None:
            with suppress(MlpexpError):
                self.recorder.update("interrupted")

    def end(self, engine: Engine) -> bool:
        """Saves a member that has ended, or records why it failed, once. True if it is to be evaluated now."""
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
        """The results of the best weights of a member that has ended."""
        assert self._results is not None
        return self._results

    def judged(self, engine: Engine, metrics: dict[str, dict[str, float]]) -> None:
        """Records the metrics of the best weights."""
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
        # The doctor's finding about a run that diverged begins with the failure itself.
        explained = " ".join(map(format_finding, findings)) or f"{self.member.failure}."
        kind = DivergedError if self.member.diverged else RunError
        self.outcome = kind(f"{explained}{saved} Run directory: {path}")

    def draw(self, drawing: Drawing) -> None:
        """Starts drawing the figures of a run that has been evaluated."""
        if self._results is None or self.outcome is not None:
            return
        with self.own_errors(), self._drawing():
            self.recorder.draw(self._results, drawing)

    def write_figures(self) -> None:
        """Waits for the figures that `draw` has started, and writes them."""
        if self._results is None or self.outcome is not None:
            return
        with self.own_errors(), self._drawing():
            self.recorder.write_figures()

    def finish(self, engine: Engine, n_drawn: int) -> None:
        """Diagnoses a run that has been evaluated, and records that it is complete.

        `n_drawn` is how many runs of the stack have figures.
        """
        if self._results is None or self.outcome is not None:
            return
        with self.own_errors():
            findings = self._examined(engine, self._results.module, n_drawn * self._seconds_drawing)
            self.recorder.finish(findings, completed=True)
            self.outcome = Run(self.directory, self.recorder.update("completed"), self._results)

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._seconds_drawing += time.perf_counter() - began

    def _examined(self, engine: Engine, module: nn.Module, drawing: float = 0.0) -> list[dict[str, Any]]:
        """The doctor's findings about the run, given its best network and the seconds that figures took."""
        history = self.recorder.paths.history
        return examined(lambda: case(self.member, engine, module, read(history), self._stack_size, drawing))

    def abort(self, error: BaseException) -> None:
        """Closes a run whose whole stack ends with an error or interruption, and records why."""
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
