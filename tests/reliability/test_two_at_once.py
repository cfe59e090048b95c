"""Whoever comes second to a directory is told so, and disturbs nobody; runs of one second have a directory each."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from mlpexp.cli.main import call
from mlpexp.errors import ConfigError
from mlpexp.run.directory import claimed, locked

LockedByAnother = Callable[[Path], AbstractContextManager[None]]

QUICK = ["log.figures=false", "log.tensorboard=false"]
SWEEP = ["train", "-m", "dataset=xor", "epochs=3", "activation=relu,tanh", "seed=0,1,2", *QUICK]

N = 50
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["mlpexp.run.directory"])


def _claim(path: Path, key: str | None, together: Any, done: Any, answers: Any) -> None:
    """Claims a directory at the same time as others, and keeps it until all have tried."""
    together.wait(timeout=60)
    try:
        with claimed(path, key) as mine:
            answers.put(str(mine))
            done.wait(timeout=60)
    except ConfigError as error:
        answers.put(error)
        done.wait(timeout=60)


@pytest.fixture
def claims() -> Callable[[Path, str | None], list[Any]]:
    """What fifty processes get that claim a directory in the same instant: a path, or an error."""

    def of(path: Path, key: str | None) -> list[Any]:
        together, done, answers = SERVER.Barrier(N), SERVER.Barrier(N), SERVER.Queue()
        processes = [SERVER.Process(target=_claim, args=(path, key, together, done, answers)) for _ in range(N)]
        for process in processes:
            process.start()
        found = [answers.get(timeout=60) for _ in processes]
        for process in processes:
            process.join(60)
        return found

    return of


def test_fifty_processes_of_one_second_have_fifty_directories(
    tmp_path: Path, claims: Callable[[Path, str | None], list[Any]]
) -> None:
    found = claims(tmp_path / "10-15-00", None)
    assert len(set(found)) == N
    assert sorted(found) == sorted(map(str, tmp_path.iterdir()))


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(False, id="new", marks=pytest.mark.long),
        pytest.param(True, id="there and empty", marks=pytest.mark.long),
    ],
)
def test_of_fifty_processes_one_has_the_directory_that_all_name(
    there: bool, tmp_path: Path, claims: Callable[[Path, str | None], list[Any]]
) -> None:
    path = tmp_path / "run"
    if there:
        path.mkdir()
    found = claims(path, "hydra.run.dir")
    assert found.count(str(path)) == 1
    assert {str(error) for error in found if isinstance(error, ConfigError)} == {
        f"{path}: is being written by another process, which is still running."
    }


def test_a_lock_is_gone_with_its_process(tmp_path: Path, locked_by_another: LockedByAnother) -> None:
    with (
        locked_by_another(tmp_path),
        pytest.raises(ConfigError, match="is being written by another process"),
        locked(tmp_path),
    ):
        pass
    # It was killed.
    with locked(tmp_path):
        pass


def test_a_directory_of_somebody_elses_files_is_not_even_locked(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="already holds files"), claimed(tmp_path, "hydra.run.dir"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with locked(tmp_path), locked(tmp_path):
        pass


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_the_second_of_two_commands_is_told_so(kind: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["dataset=xor", "epochs=30000", *QUICK]
    numbered = ["hydra.sweep.dir=it", "hydra.sweep.subdir=${hydra.job.num}"]
    words = [*words, "hydra.run.dir=it"] if kind == "run" else ["-m", *words, "seed=0,1", *numbered]
    own = Path("it") if kind == "run" else Path("it/0")
    with subprocess.Popen(
        [sys.executable, "-m", "mlpexp", "train", *words],
        cwd=here,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as first:
        deadline = time.monotonic() + 60
        while not (own / "metrics.csv").exists():
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        said = "mlpexp: it: is being written by another process, which is still running.\n"
        assert call(["resume", "it"]) == 2
        assert capsys.readouterr() == ("", said)
        if kind == "sweep":
            assert call(["resume", "it/0"]) == 2
            assert capsys.readouterr() == ("", said.replace("it:", "it/0:"))
        assert call(["train", *words]) == 2
        assert "already holds" in capsys.readouterr().err
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 143
    assert not list(here.rglob("*.tmp"))


def test_a_member_that_another_process_trains_is_left_to_it(
    here: Path,
    locked_by_another: LockedByAnother,
    contents: Callable[[Path], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call([*SWEEP, "hydra.sweep.dir=whole"]) == 0
    whole = contents(here / "whole")
    shutil.copytree("whole", "sweep")
    for number in (0, 1, 4):
        shutil.rmtree(here / "sweep" / str(number))
    (here / "sweep" / "1").mkdir()
    capsys.readouterr()
    with locked_by_another(here / "sweep" / "1"):
        assert call(["resume", "sweep"]) == 1
        first, last = capsys.readouterr().err.splitlines()
        assert first == ("mlpexp: job 1 failed: sweep/1: is being written by another process, which is still running.")
        assert last.startswith("mlpexp: 1 of the sweep's 6 jobs failed (1); ")
        assert [path.name for path in (here / "sweep" / "1").iterdir()] == [".lock"]
    found = contents(here / "sweep")
    assert {name: found[name] for name in "02345"} == {name: whole[name] for name in "02345"}
    assert call(["resume", "sweep"]) == 0
    assert contents(here / "sweep") == whole
