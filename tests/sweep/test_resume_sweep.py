"""A sweep that is ended at any instant goes on as if nothing had been: to the bit, and only what is left of it."""

from __future__ import annotations

import json
import multiprocessing
import os
import pkgutil
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from mlpexp.cli.main import call
from mlpexp.run import history

Contents = Callable[[Path], dict[str, Any]]

QUICK = ["log.figures=false", "log.tensorboard=false"]
MOONS = ["dataset=moons", "dataset.n_samples=143", "batch_size=20", "model.hidden=[8]", "epochs=6"]
ALWAYS, NEVER = "checkpoint.every_seconds=0", "checkpoint.every_seconds=1000"
# Two stacks of four; everything that has a state is in play.
STATEFUL = [
    *MOONS,
    "activation=relu,tanh",
    "optimizer.lr=0.3,0.001",
    "seed=0,1",
    "optimizer=momentum",
    "scheduler=plateau",
    "scheduler.patience=1",
    "scheduler.threshold=0.2",
    "regularizer=[dropout,batchnorm,mixup]",
]
# Members leave after 3 epochs and later.
STOPPING = [
    *MOONS[:-1],
    "epochs=12",
    "optimizer.lr=1,0.3,0.001",
    "seed=0,1",
    "regularizer=[dropout,early_stopping]",
    "regularizer.early_stopping.patience=2",
]
ALONE = [*MOONS, "optimizer=lbfgs,adam", "seed=0,1"]
KINDS = {"stateful": STATEFUL, "stopping": STOPPING, "alone": ALONE}

# An instant of a sweep: before or after the nth call of a function.
Moment = tuple[str, int, str]
BEFORE_ALL = ("mlpexp.cli.sweep_task.SweepTask.run_jobs", 1, "before")
BEFORE_FIRST = ("mlpexp.cli.sweep_terminal.SweepTerminal.stack", 1, "before")
EPOCH_1 = ("mlpexp.cli.sweep_terminal.SweepTerminal.epoch", 1, "after")
EPOCH_4 = ("mlpexp.cli.sweep_terminal.SweepTerminal.epoch", 4, "after")
EPOCH_5 = ("mlpexp.cli.sweep_terminal.SweepTerminal.epoch", 5, "after")
SECOND_STACK = ("mlpexp.cli.sweep_terminal.SweepTerminal.epoch", 9, "after")
CHECKPOINT = ("mlpexp.stack._Together.save", 3, "after")
LAST_CHECKPOINT = ("mlpexp.stack._Together.save", 6, "after")
BEFORE_JUDGING = ("mlpexp.run.recorder.Recorder.checkpoint", 1, "before")
JUDGED_TWO = ("mlpexp.run.recorder.Recorder.checkpoint", 2, "after")
BEFORE_FIGURES = ("mlpexp.run.recorder.Recorder.finish", 1, "before")
FIGURES = ("mlpexp.run.recorder.Recorder.finish", 2, "after")
BEFORE_TIDYING = ("mlpexp.sweep.train.tidy", 1, "before")
BEFORE_TABLE = ("mlpexp.cli.sweep.conclude", 1, "before")


def at(moments: Sequence[Moment], act: Callable[[Moment], None], patch: pytest.MonkeyPatch) -> None:
    """Calls `act` at each of the moments."""
    for name in {name for name, _, _ in moments}:
        patch.setattr(name, _watched(name, moments, act, pkgutil.resolve_name(name)))


def _watched(name: str, moments: Sequence[Moment], act: Callable[[Moment], None], original: Any) -> Any:
    calls = 0

    def watched(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        nth = calls
        result = None
        for when in ("before", "after"):
            for moment in moments:
                if moment == (name, nth, when):
                    act(moment)
            if when == "before":
                result = original(*arguments, **named)
        return result

    return watched


CASES: list[tuple[str, str, float, Moment]] = [
    ("stateful", ALWAYS, 0, BEFORE_ALL),
    ("stateful", ALWAYS, 0, BEFORE_FIRST),
    ("stateful", ALWAYS, 0, EPOCH_1),
    ("stateful", ALWAYS, 0, EPOCH_4),
    ("stateful", ALWAYS, 1000, EPOCH_4),
    ("stateful", NEVER, 0, EPOCH_4),
    ("stateful", NEVER, 1000, EPOCH_4),
    ("stateful", ALWAYS, 0, SECOND_STACK),
    ("stateful", NEVER, 0, SECOND_STACK),
    ("stateful", ALWAYS, 0, CHECKPOINT),
    ("stateful", ALWAYS, 0, LAST_CHECKPOINT),
    ("stateful", ALWAYS, 0, BEFORE_JUDGING),
    ("stateful", ALWAYS, 0, JUDGED_TWO),
    ("stateful", NEVER, 0, JUDGED_TWO),
    ("stateful", ALWAYS, 0, BEFORE_FIGURES),
    ("stateful", ALWAYS, 0, FIGURES),
    ("stateful", ALWAYS, 0, BEFORE_TIDYING),
    ("stateful", ALWAYS, 0, BEFORE_TABLE),
    ("stopping", ALWAYS, 0, EPOCH_4),
    ("stopping", NEVER, 0, EPOCH_4),
    ("stopping", ALWAYS, 0, EPOCH_5),
    ("stopping", NEVER, 0, EPOCH_5),
    ("stopping", ALWAYS, 0, JUDGED_TWO),
    ("stopping", NEVER, 0, JUDGED_TWO),
    ("stopping", ALWAYS, 0, FIGURES),
    ("stopping", NEVER, 0, FIGURES),
    ("alone", ALWAYS, 0, EPOCH_4),
    ("alone", NEVER, 0, SECOND_STACK),
]


@pytest.fixture(scope="module")
def photographed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, float], Path]:
    """A directory with a whole sweep, and one with the sweep as it was at each moment of `CASES`.

    That is what SIGKILL would have left: all that the process had handed to the system, and nothing else.
    """
    known: dict[tuple[str, str, float], Path] = {}

    def of(kind: str, every: str, flush: float) -> Path:
        key = kind, every, flush
        if key not in known:
            known[key] = tmp_path_factory.mktemp("sweeps")
            moments = [case[3] for case in CASES if case[:3] == key]

            def keep(moment: Moment) -> None:
                shutil.copytree("whole", str(moment), copy_function=shutil.copy2)

            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(known[key])
                patch.setattr("mlpexp.run.recorder.FLUSH_SECONDS", flush)
                at(moments, keep, patch)
                assert call(["train", "-m", *KINDS[kind], *QUICK, every, "hydra.sweep.dir=whole"]) == 0
        return known[key]

    return of


def states(sweep: Path) -> dict[str, str]:
    return {path.parent.name: json.loads(path.read_text())["state"] for path in sweep.glob("*/run.json")}


def files_of(run: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("kind", "every", "flush", "moment"), CASES)
def test_a_sweep_that_is_killed_ends_as_if_nothing_had_been(
    kind: str,
    every: str,
    flush: float,
    moment: Moment,
    here: Path,
    photographed: Callable[[str, str, float], Path],
    contents: Contents,
) -> None:
    sweeps = photographed(kind, every, flush)
    sweep = Path(shutil.copytree(sweeps / str(moment), here / "sweep"))
    done = {name: files_of(sweep / name) for name, state in states(sweep).items() if state == "completed"}
    assert call(["resume", "sweep"]) == 0
    assert {name: files_of(sweep / name) for name in done} == done
    assert contents(sweep) == contents(sweeps / "whole")
    assert not (sweep / ".stacks").exists()


def test_members_of_the_sweep_that_stops_early_leave_at_different_times(
    photographed: Callable[[str, str, float], Path],
) -> None:
    """Or the tests above would show nothing."""
    whole = photographed("stopping", ALWAYS, 0) / "whole"
    lengths = [len(history.read(path)["epoch"]) for path in whole.glob("*/metrics.csv")]
    assert min(lengths) < 4
    assert len(set(lengths)) > 2


SERVER = multiprocessing.get_context("forkserver")
# It has imported everything: processes that are to be ended would else take seconds to begin.
SERVER.set_forkserver_preload(["mlpexp.cli.sweep", "mlpexp.stack", "mlpexp.run.tensorboard", "mlpexp.figures.gallery"])


def _ended(words: list[str], moment: Moment, number: int, cwd: str, patch: Callable[[], None]) -> None:
    """Runs a command in this process, which gets a signal at a moment."""
    os.chdir(cwd)
    patch()
    at([moment], lambda _: os.kill(os.getpid(), number), pytest.MonkeyPatch())
    with Path("out").open("w") as out, Path("err").open("w") as err, redirect_stdout(out), redirect_stderr(err):
        code = call(words)
    sys.exit(code)


def nothing() -> None:
    pass


def end(words: list[str], moment: Moment, number: int, cwd: Path, patch: Callable[[], None] = nothing) -> int:
    """The exit code of a command, in another process, that gets a signal at a moment."""
    process = SERVER.Process(target=_ended, args=(words, moment, number, str(cwd), patch))
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def test_a_sweep_that_is_killed_again_and_again(
    here: Path, photographed: Callable[[str, str, float], Path], contents: Contents
) -> None:
    """By SIGKILL indeed."""
    words = ["train", "-m", *STATEFUL, *QUICK, ALWAYS, "hydra.sweep.dir=sweep"]
    assert end(words, EPOCH_4, signal.SIGKILL, here) == -signal.SIGKILL
    assert end(["resume", "sweep"], EPOCH_1, signal.SIGKILL, here) == -signal.SIGKILL
    assert end(["resume", "sweep"], FIGURES, signal.SIGKILL, here) == -signal.SIGKILL
    assert call(["resume", "sweep"]) == 0
    assert contents(here / "sweep") == contents(photographed("stateful", ALWAYS, 0) / "whole")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    "moment", [BEFORE_FIRST, EPOCH_4, JUDGED_TWO, FIGURES], ids=["start", "epoch", "end", "figures"]
)
@pytest.mark.parametrize("every", [ALWAYS, NEVER])
def test_a_signal_ends_a_sweep_with_a_word_on_how_to_go_on(
    number: int,
    code: int,
    moment: Moment,
    every: str,
    here: Path,
    photographed: Callable[[str, str, float], Path],
    contents: Contents,
) -> None:
    words = ["train", "-m", *STATEFUL, *QUICK, every, "hydra.sweep.dir=sweep"]
    assert end(words, moment, number, here) == code
    said = "mlpexp: the sweep is interrupted; go on with: mlpexp resume sweep\n"
    assert (here / "err").read_text() == said
    assert set(states(here / "sweep").values()) <= {"interrupted", "completed"}
    assert call(["resume", "sweep"]) == 0
    assert contents(here / "sweep") == contents(photographed("stateful", every, 0) / "whole")
