"""The straight path of a run: prepared config, engine, artefacts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mlpexp.config.compose import load_plugins
from mlpexp.config.convert import show
from mlpexp.config.schema import Config, parse
from mlpexp.engine.loop import Engine, Row
from mlpexp.engine.threads import suited_threads
from mlpexp.errors import ConfigError, MlpexpError, RunError
from mlpexp.interruption import InterruptedRunError, watched
from mlpexp.prepare import Prepared, prepare
from mlpexp.run import checkpoint, record
from mlpexp.run.directory import RunDirectory, check_not_running, claim_named
from mlpexp.run.record import Record
from mlpexp.run.recorder import Recorder
from mlpexp.run.results import Results


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


class Watcher:
    """Is told how a run goes. This one does nothing; the command line's shows it on the terminal."""

    def started(self, prepared: Prepared, engine: Engine, directory: Path) -> None:
        """Before the first epoch."""

    def epoch(self, row: Row, total_epochs: int) -> None:
        """After each epoch."""

    def ended(self) -> None:
        """After the last epoch, whatever the reason; before metrics and figures."""


def train(config: Config, directory: str | Path) -> Run:
    """Trains one run and leaves all of it in `directory`, which must be new or empty.

    ConfigError where the config cannot be run, with nothing written; RunError where the run fails.
    """
    prepared = prepare(config)
    return run_in(claim_named(Path(directory), "directory"), prepared)


def resume(directory: str | Path, changes: dict[str, Any] | None = None, watcher: Watcher | None = None) -> Run:
    """Goes on with a run where it stopped, in place.

    `changes` may give other values of `epochs`, `device`, `data_dir` and `plugins`.
    """
    path = Path(directory)
    found = record.read(path)
    check_not_running(path, found)
    config = saved_config(found, path, changes or {})
    paths = RunDirectory(path)
    last = checkpoint.load(paths.last) if paths.last.exists() else None
    try:
        done, stopped_early = (last["epoch"], last["member"]["stopped_early"]) if last else (0, False)
    except checkpoint.MISFITS as error:
        raise checkpoint.misfit(paths.last, error) from error
    if found.state == "completed" and stopped_early:
        raise ConfigError(f"{path}: has completed: it stopped early, after epoch {done}.")
    if found.state == "completed" and config.epochs <= done:
        raise ConfigError(
            f"{path}: has completed its {done} epochs; to train it longer, give it more, such as epochs={2 * done}."
        )
    if config.epochs < done:
        raise ConfigError(f"epochs={config.epochs}: {path} has {done} epochs behind it already; give at least as many.")
    return run_in(path, prepare(config), watcher, resumed=found, state=last)


def saved_config(found: Record, path: Path, changes: dict[str, Any]) -> Config:
    """The config of a recorded run with `changes`. Plugins are imported only where `changes` names them."""
    raw = {**found.config, **changes}
    named = found.config.get("plugins")
    if named and "plugins" not in changes:
        raise ConfigError(
            f"{path}: was made with plugins={show(named)}; modules that a run directory names are not imported "
            f"unasked: add plugins={show(named)}."
        )
    load_plugins(raw.get("plugins"))
    try:
        return parse(raw)
    except ConfigError as error:
        if re.split(r"[=.:\[]", str(error))[0] in changes:
            raise
        raise ConfigError(f"{path / record.NAME}: {error}") from None


def run_in(
    path: Path,
    prepared: Prepared,
    watcher: Watcher | None = None,
    *,
    resumed: Record | None = None,
    state: dict[str, Any] | None = None,
) -> Run:
    """Trains in a directory that is the caller's already, from the start or from a checkpoint's `state`."""
    config = prepared.config
    watcher = watcher or Watcher()
    paths = RunDirectory(path)
    step = config.batch_size * prepared.n_parameters
    # The device comes second: threads that the user asks for win.
    with suited_threads(step), config.device.in_use() as device, _determinism(config.deterministic):
        begun = record.start(config.to_dict(), device=str(device), n_parameters=prepared.n_parameters)
        if resumed is not None:
            begun = replace(begun, command=resumed.command, started=resumed.started, seconds=resumed.seconds)
        try:
            engine = Engine([config], prepared.data, device)
        except Exception as error:
            # A user's own component, or too small a card: the directory says what became of the run all the same.
            replace(begun, state="failed", reason=str(error) or type(error).__name__).write(path)
            if isinstance(error, torch.OutOfMemoryError):
                raise RunError(f"{device} has too little memory for this network and data. {error}") from error
            raise
        if state is not None:
            _load(engine, state, paths.last)
        best_epoch = engine.members[0].best.epoch
        begun = replace(begun, n_parameters=engine.n_parameters, epochs_done=engine.epoch, best_epoch=best_epoch)
        recorder = Recorder(paths, begun, config, engine.data, engine.epoch)
        try:
            recorder.begin(_summary(engine), engine.stack.member(0))
            watcher.started(prepared, engine, path)
            _epochs(engine, recorder, watcher, path)
            watcher.ended()
            return _conclude(engine, recorder, path)
        except BaseException as error:
            watcher.ended()
            # What cannot be written now, on a full disk, must not hide the reason.
            with suppress(MlpexpError):
                recorder.pause()
            with suppress(MlpexpError):
                if recorder.record.state == "running" and isinstance(error, KeyboardInterrupt):
                    recorder.update("interrupted")
                elif recorder.record.state == "running":
                    recorder.update("failed", reason=str(error) or type(error).__name__)
            raise


def _epochs(engine: Engine, recorder: Recorder, watcher: Watcher, path: Path) -> None:
    """The run's epochs, each noted; checkpoints when due and when a signal asks to stop."""
    module, member = engine.stack.member(0), engine.members[0]
    with watched() as interruption:
        for (row,) in engine.epochs():
            ended = not member.active or engine.epoch == engine.total_epochs
            recorder.epoch(row, module, lambda: _results(engine), last=ended)
            watcher.epoch(row, engine.total_epochs)
            asked = interruption.signal_number
            progress = {"epochs_done": engine.epoch, "best_epoch": member.best.epoch}
            if member.failure is None and (asked or recorder.checkpoint_due()):
                recorder.checkpoint(engine.state_dict(0))
                recorder.update("running", **progress)
            if asked:
                recorder.update("interrupted", **progress)
                raise InterruptedRunError(
                    f"interrupted after epoch {engine.epoch}; go on with: mlpexp resume {path}", asked
                )


def _conclude(engine: Engine, recorder: Recorder, path: Path) -> Run:
    """Judges the best weights, once, on all splits; or says that there is nothing to judge."""
    member = engine.members[0]
    best = member.best
    if member.failure is not None:
        recorder.save_best(member.state_dict()["best"])
        recorder.finish(None, best.epoch)
        recorder.update("failed", epochs_done=engine.epoch, best_epoch=best.epoch, reason=member.failure)
        kept = f" The weights of epoch {best.epoch} are kept in {path}/checkpoints/best.pt." if best.epoch else ""
        raise RunError(
            f"{member.failure}. A lower optimizer.lr or clip.norm=1 usually helps.{kept} Run directory: {path}"
        )
    recorder.checkpoint(engine.state_dict(0))
    engine.restore_best()
    results = _results(engine)
    recorder.update("running", epochs_done=engine.epoch, best_epoch=best.epoch, metrics=results.metrics())
    recorder.finish(results, best.epoch)
    return Run(path, recorder.update("completed"), results)


def _results(engine: Engine) -> Results:
    return Results(engine.stack.member(0), engine.data, engine.objective, engine.stack.bf16)


def _load(engine: Engine, state: dict[str, Any], path: Path) -> None:
    try:
        engine.load_state_dict(0, state)
    except checkpoint.MISFITS as error:
        raise checkpoint.misfit(path, error) from error


def _summary(engine: Engine) -> str:
    """The model as Markdown: its modules, and its parameters by layer."""
    module = engine.stack.member(0)
    rows = [
        f"| {name} | {' + '.join('×'.join(map(str, p.shape)) for p in owned)} | {sum(p.numel() for p in owned):,} |"
        for name, owned in engine.stack.layers(0).items()
    ]
    table = "\n".join(["| layer | shapes | parameters |", "| --- | --- | ---: |", *rows])
    code = "\n".join(f"    {line}" for line in str(module).splitlines())
    return f"{engine.n_parameters:,} trainable parameters\n\n{table}\n\n{code}"


@contextmanager
def _determinism(wanted: bool) -> Iterator[None]:
    """Only algorithms that give the same bits each time, while a run that asked for it goes on."""
    if not wanted or torch.are_deterministic_algorithms_enabled():
        # Calling torch's switch, even to leave all as it is, imports its compiler: a second of start-up.
        yield
        return
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
