"""A sweep that is ended at any instant goes on as if nothing had been: to the bit, and only what is left of it."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import pkgutil
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mlpexp.cli.main import call
from mlpexp.cli.sweep_terminal import StackTerminal
from mlpexp.components.activation import activations
from mlpexp.components.init import inits
from mlpexp.engine.member import derive_seeds
from mlpexp.errors import RunError
from mlpexp.run import checkpoint, history
from mlpexp.run.recorder import Recorder
from mlpexp.run.sweep_record import read

Contents = Callable[[Path], dict[str, Any]]

# In processes of their own, too.
NUMBERED = "hydra.sweep.subdir=${hydra.job.num}"
QUICK = ["log.figures=false", "log.tensorboard=false"]
MOONS = ["dataset=moons", "dataset.n_samples=143", "batch_size=20", "model.hidden=[8]", "device=cpu", "epochs=6"]
ALWAYS, NEVER = "checkpoint.every_seconds=0", "checkpoint.every_seconds=1000"
# Two stacks of four; everything that has a state is in play.
STATEFUL = [
    *MOONS,
    "activation=relu,prelu",
    "optimizer.lr=0.3,0.001",
    "seed=0,1",
    "dataset.seed=${seed}",
    "optimizer=momentum",
    "scheduler=plateau",
    "scheduler.patience=1",
    "scheduler.threshold=0.2",
    "regularizer=[dropout,batchnorm,mixup]",
]
# Members leave after 3 epochs and later, the last ones first.
STOPPING = [
    *MOONS[:-1],
    "epochs=12",
    "optimizer.lr=0.001,0.3,1",
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
EPOCH_1 = ("mlpexp.cli.sweep_terminal.StackTerminal.epoch", 1, "after")
EPOCH_4 = ("mlpexp.cli.sweep_terminal.StackTerminal.epoch", 4, "after")
EPOCH_5 = ("mlpexp.cli.sweep_terminal.StackTerminal.epoch", 5, "after")
SECOND_STACK = ("mlpexp.cli.sweep_terminal.StackTerminal.epoch", 9, "after")
CHECKPOINT = ("mlpexp.training.stack.StackCheckpoint.save", 3, "after")
LAST_CHECKPOINT = ("mlpexp.training.stack.StackCheckpoint.save", 6, "after")
BEFORE_JUDGING = ("mlpexp.run.recorder.Recorder.checkpoint", 1, "before")
JUDGED_TWO = ("mlpexp.run.recorder.Recorder.checkpoint", 2, "after")
BEFORE_FIGURES = ("mlpexp.run.recorder.Recorder.finish", 1, "before")
FIGURES = ("mlpexp.run.recorder.Recorder.finish", 2, "after")
LAST_FIGURES = ("mlpexp.run.recorder.Recorder.finish", 5, "after")
BEFORE_TIDYING = ("mlpexp.sweep.one_stack.tidy", 1, "before")
BEFORE_TABLE = ("mlpexp.cli.sweep.conclude", 1, "before")


def at(moments: Sequence[Moment], act: Callable[[Moment], object], patch: pytest.MonkeyPatch) -> None:
    """Calls `act` at each of the moments."""
    for name in {name for name, _, _ in moments}:
        patch.setattr(name, _watched(name, moments, act, pkgutil.resolve_name(name)))


def _watched(name: str, moments: Sequence[Moment], act: Callable[[Moment], object], original: Any) -> Any:
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
    ("stopping", ALWAYS, 0, LAST_FIGURES),
    ("alone", ALWAYS, 0, EPOCH_4),
    ("alone", NEVER, 0, SECOND_STACK),
]
# One of each kind and of each part of a sweep; the others are for `make test-reliability`.
SHORT = {
    ("stateful", ALWAYS, 0, EPOCH_4),
    ("stateful", NEVER, 0, EPOCH_4),
    ("stateful", ALWAYS, 0, SECOND_STACK),
    ("stateful", ALWAYS, 0, JUDGED_TWO),
    ("stateful", ALWAYS, 0, FIGURES),
    ("stateful", ALWAYS, 0, BEFORE_TABLE),
    ("stopping", ALWAYS, 0, EPOCH_5),
    ("stopping", NEVER, 0, JUDGED_TWO),
    ("stopping", ALWAYS, 0, LAST_FIGURES),
    ("alone", ALWAYS, 0, EPOCH_4),
}


@pytest.fixture(scope="module", autouse=True)
def one_writer() -> Iterator[None]:
    """One file after the other: calls have one order, and nothing is written while an instant is kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlpexp.run.files.WRITERS", 1)
        patch.setattr("mlpexp.training.stack.WRITERS", 1)
        yield


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


@pytest.mark.parametrize(
    ("kind", "every", "flush", "moment"),
    [pytest.param(*case, marks=[] if case in SHORT else [pytest.mark.long]) for case in CASES],
)
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
SERVER.set_forkserver_preload(
    ["mlpexp.cli.sweep", "mlpexp.training.stack", "mlpexp.run.tensorboard", "mlpexp.run.pictures"]
)


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
    words = ["train", "-m", *STATEFUL, *QUICK, ALWAYS, "hydra.sweep.dir=sweep", NUMBERED]
    assert end(words, EPOCH_4, signal.SIGKILL, here) == -signal.SIGKILL
    assert end(["resume", "sweep"], EPOCH_1, signal.SIGKILL, here) == -signal.SIGKILL
    assert end(["resume", "sweep"], FIGURES, signal.SIGKILL, here) == -signal.SIGKILL
    assert call(["resume", "sweep"]) == 0
    assert contents(here / "sweep") == contents(photographed("stateful", ALWAYS, 0) / "whole")


@pytest.mark.parametrize(
    ("moment", "every", "number", "code"),
    [
        (BEFORE_FIRST, ALWAYS, signal.SIGINT, 130),
        (EPOCH_4, NEVER, signal.SIGTERM, 143),
        (FIGURES, ALWAYS, signal.SIGINT, 130),
        *(
            pytest.param(*case, marks=pytest.mark.long)
            for case in [
                (EPOCH_4, ALWAYS, signal.SIGTERM, 143),
                (EPOCH_4, NEVER, signal.SIGINT, 130),
                (JUDGED_TWO, NEVER, signal.SIGTERM, 143),
                (FIGURES, NEVER, signal.SIGTERM, 143),
            ]
        ),
    ],
)
def test_a_signal_ends_a_sweep_with_a_word_on_how_to_go_on(
    moment: Moment,
    every: str,
    number: int,
    code: int,
    here: Path,
    photographed: Callable[[str, str, float], Path],
    contents: Contents,
) -> None:
    words = ["train", "-m", *STATEFUL, *QUICK, every, "hydra.sweep.dir=sweep", NUMBERED]
    assert end(words, moment, number, here) == code
    said = "mlpexp: the sweep is interrupted; go on with: mlpexp resume sweep\n"
    assert (here / "err").read_text() == said
    assert set(states(here / "sweep").values()) <= {"interrupted", "completed"}
    assert call(["resume", "sweep"]) == 0
    assert contents(here / "sweep") == contents(photographed("stateful", every, 0) / "whole")


@pytest.fixture
def copy(here: Path, photographed: Callable[[str, str, float], Path]) -> Callable[..., Path]:
    """The sweep of everything that has a state, as it was at a moment, or whole; as `sweep`."""

    def of(moment: Moment | None = None, every: str = ALWAYS) -> Path:
        found = photographed("stateful", every, 0) / ("whole" if moment is None else str(moment))
        return Path(shutil.copytree(found, here / "sweep"))

    return of


def interrupted(words: list[str], moment: Moment) -> None:
    """Runs a command that gets a SIGTERM at a moment at which it is expected."""
    with pytest.MonkeyPatch.context() as patch:
        at([moment], lambda _: os.kill(os.getpid(), signal.SIGTERM), patch)
        # Hydra's launchers are left by SystemExit.
        with suppress(SystemExit):
            assert call(words) == 143


RUN_EPOCH_1 = ("mlpexp.cli.terminal.Terminal.epoch", 1, "after")


@pytest.mark.parametrize("words", [[], ["epochs=8"]], ids=["as it was", "longer"])
@pytest.mark.parametrize("ends", [True, False], ids=["to its end", "not to its end"])
def test_a_member_that_went_on_by_itself(
    words: list[str],
    ends: bool,
    here: Path,
    copy: Callable[..., Path],
    contents: Contents,
    photographed: Callable[[str, str, float], Path],
) -> None:
    """It keeps what it has reached, and the others do not mind."""
    sweep = copy(BEFORE_ALL)
    interrupted(["resume", "sweep"], EPOCH_4)
    assert set(states(sweep).values()) == {"interrupted"}
    if ends:
        assert call(["resume", "sweep/1", *words]) == 0
    else:
        interrupted(["resume", "sweep/1", *words], RUN_EPOCH_1)
    before = files_of(sweep / "1")
    assert call(["resume", "sweep"]) == 0
    assert (files_of(sweep / "1") == before) == ends
    assert history.read(sweep / "1" / "metrics.csv")["epoch"] == list(range(1, 9 if words else 7))
    assert set(states(sweep).values()) == {"completed"}
    found, expected = contents(sweep), contents(photographed("stateful", ALWAYS, 0) / "whole")
    for run in "0234567":
        assert found[run] == expected[run]


def test_a_run_whose_directory_is_gone_is_trained_again(
    copy: Callable[..., Path], contents: Contents, photographed: Callable[[str, str, float], Path]
) -> None:
    sweep = copy()
    shutil.rmtree(sweep / "2")
    others = {name: files_of(sweep / name) for name in "0134567"}
    assert call(["resume", "sweep"]) == 0
    assert {name: files_of(sweep / name) for name in others} == others
    assert contents(sweep) == contents(photographed("stateful", ALWAYS, 0) / "whole")


def test_jobs_that_another_launcher_has_left_are_trained_together(here: Path) -> None:
    second = ("mlpexp.cli.sweep_task.SweepTask.__call__", 2, "before")
    with pytest.MonkeyPatch.context() as patch:
        at([second], lambda _: shutil.copytree("whole", "sweep"), patch)
        words = [*MOONS, "seed=0,1,2,3", *QUICK, "hydra/launcher=basic", "hydra.sweep.dir=whole"]
        assert call(["train", "-m", *words]) == 0
    before = files_of(here / "sweep" / "0")
    assert states(here / "sweep") == {"0": "completed"}
    assert call(["resume", "sweep"]) == 0
    assert files_of(here / "sweep" / "0") == before
    assert states(here / "sweep") == dict.fromkeys("0123", "completed")
    assert json.loads((here / "sweep" / "sweep.json").read_text())["stacks"] == [[0], [1, 2, 3]]
    for run in "123":
        for column, values in history.read(here / "sweep" / run / "metrics.csv").items():
            expected = history.read(here / "whole" / run / "metrics.csv")[column]
            assert values == pytest.approx(expected, rel=1e-3, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("own", ["hydra/launcher=basic", "hydra.sweeper.max_batch_size=1"])
def test_jobs_not_begun_are_known_whatever_the_layout(own: str, here: Path) -> None:
    """Where directories have names of the user's own, under another launcher and in batches."""
    second = {
        "hydra/launcher=basic": ("mlpexp.cli.sweep_task.SweepTask.__call__", 2, "before"),
        "hydra.sweeper.max_batch_size=1": ("mlpexp.cli.sweep_task.SweepTask.run_jobs", 2, "before"),
    }[own]
    with pytest.MonkeyPatch.context() as patch:
        at([second], lambda _: shutil.copytree("whole", "sweep"), patch)
        words = [*MOONS, "seed=shuffle(range(4))", *QUICK, own, "hydra.sweep.subdir=run_${hydra.job.num}"]
        assert call(["train", "-m", *words, "hydra.sweep.dir=whole"]) == 0
    assert states(here / "sweep") == {"run_0": "completed"}
    assert call(["resume", "sweep"]) == 0
    assert states(here / "sweep") == {f"run_{number}": "completed" for number in range(4)}
    seeds = [json.loads((here / "sweep" / f"run_{number}" / "run.json").read_text())["seed"] for number in range(4)]
    assert sorted(seeds) == [0, 1, 2, 3]
    noted = json.loads((here / "sweep" / "sweep.json").read_text())["jobs"]
    assert [job["overrides"][-1] for job in noted] == ["log.tensorboard=false"] * 4
    assert [job["config"]["seed"] for job in noted] == seeds


def test_what_a_search_had_not_chosen_is_said(copy: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    sweep = copy(EPOCH_4)
    noted = read(sweep)
    replace(noted, search={"sweeper": "optuna", "n_trials": 12}).write(sweep)
    said = "4 of its 12 trials had not been chosen by hydra/sweeper=optuna; resume chooses none."
    assert call(["resume", "sweep"]) == 0
    assert capsys.readouterr().err == f"mlpexp: sweep: {said}\n"
    assert call(["resume", "sweep"]) == 2
    assert capsys.readouterr().err == f"mlpexp: sweep: all 8 jobs of the sweep have ended. {said}\n"


def test_what_a_kill_has_left_of_a_stacks_checkpoint_goes(copy: Callable[..., Path]) -> None:
    sweep = copy()
    (sweep / ".stacks").mkdir()
    (sweep / ".stacks" / ".0.pt.7.tmp").write_bytes(b"half")
    assert call(["resume", "sweep"]) == 2
    assert not (sweep / ".stacks").exists()


@pytest.mark.parametrize("moment", [EPOCH_4, SECOND_STACK])
def test_a_sweep_of_which_only_the_runs_are_known(moment: Moment, copy: Callable[..., Path]) -> None:
    """As after a sweeper that chooses the jobs as it goes, under a launcher of another kind."""
    sweep = copy(moment)
    (sweep / "sweep.json").unlink()
    known = states(sweep)
    assert call(["resume", "sweep"]) == 0
    assert states(sweep) == dict.fromkeys(known, "completed")
    for run in known:
        assert history.read(sweep / run / "metrics.csv")["epoch"] == list(range(1, 7))


def test_a_sweep_that_has_ended(copy: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    sweep = copy()
    before = files_of(sweep)
    capsys.readouterr()  # what the first copy has printed
    assert call(["resume", "sweep"]) == 2
    assert capsys.readouterr() == ("", "mlpexp: sweep: all 8 jobs of the sweep have ended.\n")
    assert files_of(sweep) == before


def test_a_sweep_without_jobs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "multirun.yaml").touch()
    assert call(["resume", "."]) == 2
    assert capsys.readouterr() == ("", "mlpexp: .: holds no job of a sweep.\n")


@pytest.mark.parametrize("damage", ["empty", "half", "no states", "of others"])
def test_a_damaged_checkpoint_is_named(
    damage: str, copy: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy(EPOCH_4) / ".stacks" / "0.pt"
    content = path.read_bytes()
    if damage in ("empty", "half"):
        path.write_bytes(content[: len(content) // 2 if damage == "half" else 0])
    else:
        checkpoint.save(path, {"states": 3} if damage == "no states" else {"states": {0: {}, 1: {}}})
    checkpoint.previous(path).unlink()
    assert call(["resume", "sweep"]) == 1
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("mlpexp: ")
    assert "sweep/.stacks/0.pt: " in first
    path.unlink()
    assert call(["resume", "sweep"]) == 0


def test_modules_that_a_stranger_names_are_not_imported(
    here: Path,
    copy: Callable[..., Path],
    edit: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweep = copy(BEFORE_ALL)
    (here / "of_a_stranger.py").write_text("from pathlib import Path\nPath('imported').touch()\n")
    monkeypatch.syspath_prepend(str(here))

    def name_it(content: dict[str, Any]) -> None:
        for job in content["jobs"]:
            job["config"]["plugins"] = ["of_a_stranger"]

    edit(sweep / "sweep.json", name_it)
    assert call(["resume", "sweep"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mlpexp: sweep: was made with plugins=[of_a_stranger]; ")
    assert not (here / "imported").exists()
    assert states(sweep) == {}
    assert call(["resume", "sweep", "plugins=[of_a_stranger]"]) == 0
    assert (here / "imported").exists()
    sys.modules.pop("of_a_stranger")


def test_a_stack_whose_last_run_is_finished_by_itself_is_tidied_with_plugins_too(
    here: Path,
    photographed: Callable[[str, str, float], Path],
    edit: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweep = Path(shutil.copytree(photographed("stopping", ALWAYS, 0) / str(LAST_FIGURES), here / "sweep"))
    (here / "of_mine.py").touch()
    monkeypatch.syspath_prepend(str(here))

    def name_it(content: dict[str, Any]) -> None:
        for part in content.get("jobs", [content]):
            part["config"]["plugins"] = ["of_mine"]

    for path in (sweep / "sweep.json", *sweep.glob("*/run.json")):
        edit(path, name_it)
    assert call(["resume", "sweep", "plugins=[of_mine]"]) == 0
    assert not (sweep / ".stacks").exists()
    sys.modules.pop("of_mine")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("epochs=9", "epochs=9: a sweep keeps its number of epochs; give more to a single run."),
        ("seed=9", "seed"),
        ("device=gpu", "device=gpu: no such device; did you mean 'cuda'?"),
        ("plugins=[no_such_module]", "no_such_module"),
    ],
)
def test_what_cannot_be_changed(
    change: str, said: str, copy: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = copy(EPOCH_4)
    before = files_of(sweep)
    assert call(["resume", "sweep", change]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert files_of(sweep) == before


def test_a_change_holds_for_all_that_is_left(copy: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Runs that have begun on a device, and those that have not, still share their stacks the next time."""
    sweep = copy(EPOCH_4)
    interrupted(["resume", "sweep", "device=cpu", "data_dir=elsewhere"], EPOCH_1)
    capsys.readouterr()
    assert call(["resume", "sweep"]) == 0
    assert capsys.readouterr().out.startswith("8 runs: 2 stacks of 4, 4; ")
    configs = [json.loads(path.read_text())["config"] for path in sweep.glob("*/run.json")]
    assert {(config["device"]["name"], config["data_dir"]) for config in configs} == {("cpu", "elsewhere")}


def test_a_sweep_that_another_process_trains_is_left_alone(
    copy: Callable[..., Path], locked_by_another: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = copy(EPOCH_4)
    with locked_by_another(sweep):
        before = files_of(sweep)
        assert call(["resume", "sweep"]) == 2
        said = "mlpexp: sweep: is being written by another process, which is still running.\n"
        assert capsys.readouterr().err == said
        assert files_of(sweep) == before


def test_a_run_that_failed_of_something_outside_is_tried_again(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone: the others have ended."""
    words = [*MOONS, "seed=0,1,2,3", *QUICK, "hydra.sweep.dir=sweep"]
    with monkeypatch.context() as patch:
        write = Recorder.epoch

        def full(self: Recorder, row: Any, *rest: Any, **named: Any) -> None:
            if row["epoch"] == 3 and self.paths.path.name == "1":
                raise RunError("No space left on device")
            write(self, row, *rest, **named)

        patch.setattr(Recorder, "epoch", full)
        assert call(["train", "-m", *words]) == 1
    assert states(here / "sweep") == {"0": "completed", "1": "failed", "2": "completed", "3": "completed"}
    others = {name: files_of(here / "sweep" / name) for name in "023"}
    capsys.readouterr()
    assert call(["resume", "sweep"]) == 0
    assert capsys.readouterr().out.startswith("1 run: 1 alone; ")
    assert {name: files_of(here / "sweep" / name) for name in others} == others
    assert history.read(here / "sweep" / "1" / "metrics.csv")["epoch"] == list(range(1, 7))


def test_a_run_that_has_diverged_is_not_tried_again_but_said_again(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*MOONS, "optimizer=sgd", "optimizer.lr=1e30,0.1", "seed=0,1", *QUICK, ALWAYS, "hydra.sweep.dir=sweep"]
    interrupted(["train", "-m", *words], EPOCH_4)
    assert sorted(states(here / "sweep").values()) == ["failed", "failed", "interrupted", "interrupted"]
    before = {name: files_of(here / "sweep" / name) for name in "01"}
    capsys.readouterr()
    assert call(["resume", "sweep"]) == 1
    first, second, last = capsys.readouterr().err.splitlines()
    assert first.startswith("mlpexp: job 0 failed: diverged: ")
    assert second.startswith("mlpexp: job 1 failed: diverged: ")
    assert last == "mlpexp: 2 of the sweep's 4 jobs failed (0, 1); sweep directory: sweep (sweep.csv, sweep.png)"
    assert {name: files_of(here / "sweep" / name) for name in "01"} == before


def diverging() -> None:
    """Makes one member of the sweep below diverge: tanh, kaiming_uniform, seed 2."""
    component = inits["kaiming_uniform"]
    fill, seed, tanh_gain = component.fill_weight, derive_seeds(2)["init"], activations["tanh"]().gain()

    def fill_weight(self: Any, weight: torch.Tensor, gain: float, generator: torch.Generator) -> None:
        fill(self, weight, gain, generator)
        if generator.initial_seed() == seed and gain == tanh_gain:
            torch.nn.init.constant_(weight, math.inf)

    component.fill_weight = fill_weight  # type: ignore[method-assign]


def test_a_study_of_24_runs_of_which_one_diverges(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, contents: Contents
) -> None:
    swept = ["activation=relu,gelu,tanh", "init=xavier_uniform,kaiming_uniform", "seed=0,1,2,3", "stack.max_members=8"]
    swept += ["hydra.sweep.dir=sweep", NUMBERED]
    words = ["train", "-m", "dataset=digits", "model.hidden=[16]", "epochs=2", *swept, *QUICK]
    # To be put back at the end.
    monkeypatch.setattr(inits["kaiming_uniform"], "fill_weight", inits["kaiming_uniform"].fill_weight)
    diverging()
    assert call(words) == 1
    out, err = capsys.readouterr()
    first, last = err.splitlines()
    assert first.startswith("mlpexp: job 22 failed: diverged: the training loss was nan at the end of epoch 1; ")
    assert last == "mlpexp: 1 of the sweep's 24 jobs failed (22); sweep directory: sweep (sweep.csv, sweep.png)"
    assert out.splitlines()[0] == "24 runs: 3 stacks of 8, 8, 8; sweep directory: sweep"
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]
    assert sorted((row[0], row[1], row[3], row[-1]) for row in rows) == [
        (activation, init, "4", "1" if failed else "0")
        for activation in ("gelu", "relu", "tanh")
        for init in ("kaiming_uniform", "xavier_uniform")
        for failed in [(activation, init) == ("tanh", "kaiming_uniform")]
    ]
    whole = contents((here / "sweep").rename(here / "whole"))

    assert call(["compare", "whole"]) == 0
    compared = capsys.readouterr().out
    assert "more than noise" in compared or "distinguishable from noise" in compared
    assert "tanh" in compared

    # In the second of the three stacks.
    assert (
        end(words, ("mlpexp.training.stack.StackCheckpoint.save", 2, "before"), signal.SIGKILL, here, diverging)
        == -signal.SIGKILL
    )
    assert set(states(here / "sweep").values()) == {"completed", "running"}
    assert len(states(here / "sweep")) == 16
    assert call(["resume", "sweep"]) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("mlpexp: job 22 failed: diverged: ")
    assert contents(here / "sweep") == whole


@pytest.mark.parametrize(("every", "first"), [(ALWAYS, [3, 0]), (NEVER, [0, 0])])
def test_at_most_the_epochs_since_the_last_checkpoint_are_lost(
    every: str, first: list[int], copy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(EPOCH_4, every)
    begun = []
    monkeypatch.setattr(StackTerminal, "started", lambda self, prepared, epochs: begun.append(epochs.epoch))
    assert call(["resume", "sweep"]) == 0
    assert begun == first
