"""A sweep that is extended is the sweep over all of the values, and what it had is left as it was."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mlpexp.cli.main import call
from mlpexp.comparison.compare import compare
from mlpexp.errors import ConfigError
from mlpexp.interruption import InterruptedRunError
from mlpexp.run import sweep_record
from mlpexp.sweep.extend import extend_sweep
from mlpexp.sweep.from_python import train_sweep
from mlpexp.sweep.jobs import expand
from mlpexp.sweep.resume import resume_sweep
from mlpexp.sweep.train import SweepWatcher
from mlpexp.training.watcher import Watcher

QUIET = ["dataset=xor", "epochs=2", "device=cpu", "log.figures=false", "log.tensorboard=false"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(sweep: Path) -> list[tuple[str, int]]:
    """The activation and the seed of each job, by number; each has completed in a directory of its own."""
    jobs = sweep_record.read(sweep).jobs
    assert [job.number for job in jobs] == list(range(len(jobs)))
    assert {json.loads((sweep / job.directory / "run.json").read_text())["state"] for job in jobs} == {"completed"}
    return [(job.config["activation"]["name"], job.config["seed"]) for job in jobs]


def contents(sweep: Path, numbers: Sequence[int]) -> dict[Path, bytes]:
    return {path: path.read_bytes() for n in numbers for path in (sweep / str(n)).rglob("*") if path.is_file()}


def test_what_is_new_is_trained_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = here / "sweep"
    assert call(["train", "-m", *QUIET, "activation=relu,tanh", "seed=0,1", "hydra.sweep.dir=sweep"]) == 0
    before = contents(sweep, range(4))
    assert call(["extend", "sweep", "seed=range(1,4)", "activation=mish,relu"]) == 0
    assert contents(sweep, range(4)) == before
    jobs = found(sweep)
    assert sorted(jobs) == list(itertools.product(["mish", "relu", "tanh"], range(4)))
    assert [len(stack) for stack in sweep_record.read(sweep).stacks] == [4, 8]
    assert {summary.label: summary.seeds for summary in compare(sweep).summaries} == {
        f"activation={name}": [0, 1, 2, 3] for name in ("mish", "relu", "tanh")
    }
    assert len((sweep / "sweep.csv").read_text().splitlines()) == 4
    task = OmegaConf.load(sweep / "multirun.yaml").hydra.overrides.task
    assert len(expand(task)) == 12
    written = OmegaConf.load(sweep / "11" / ".hydra" / "overrides.yaml")
    assert list(written) == sweep_record.read(sweep).jobs[11].overrides
    capsys.readouterr()
    everything = {path: path.stat().st_mtime_ns for path in sweep.rglob("*") if path.is_file()}
    assert call(["extend", "sweep", "activation=relu", "seed=3"]) == 0
    assert capsys.readouterr() == ("sweep: already has every job with these values; there is nothing to train\n", "")
    assert {path: path.stat().st_mtime_ns for path in sweep.rglob("*") if path.is_file()} == everything


def extend(*given: str, watcher: SweepWatcher | None = None, config_dir: str | None = None) -> int:
    return extend_sweep(Path("sweep"), given, watcher or SweepWatcher(), config_dir)


def test_a_key_that_was_fixed(here: Path) -> None:
    train_sweep([*QUIET, "seed=0", "activation=relu"], "sweep")
    assert extend("activation=tanh") == 1
    assert extend("init=orthogonal", "seed=1") == 6
    records = sweep_record.read(here / "sweep").jobs
    got = {(job.config["activation"]["name"], job.config["init"]["name"], job.config["seed"]) for job in records}
    assert got == set(itertools.product(["relu", "tanh"], ["default", "orthogonal"], [0, 1]))
    assert len(records) == 8


class Interrupted(SweepWatcher, Watcher):
    def stack(self, *_: object) -> Watcher:
        return self

    def epoch(self, *_: object) -> None:
        raise KeyboardInterrupt


def test_an_extension_that_is_interrupted_goes_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = here / "sweep"
    train_sweep([*QUIET, "seed=0,1"], "sweep")
    before = contents(sweep, range(2))
    with pytest.raises(InterruptedRunError, match="mlpexp resume sweep"):
        extend("seed=range(2,5)", watcher=Interrupted())
    with monkeypatch.context() as patch:
        # Killed right after the jobs were noted.
        patch.setattr("mlpexp.sweep.extend.finish", lambda *_: Interrupted().epoch())
        with pytest.raises(KeyboardInterrupt):
            extend("seed=5,6")
    resume_sweep(sweep, {}, SweepWatcher())
    assert found(sweep) == [("relu", seed) for seed in range(7)]
    assert contents(sweep, range(2)) == before
    assert sweep_record.read(sweep).stacks == [[0, 1], [2, 3, 4], [5, 6]]


TABLE = "a,b\n" + "1,cat\n2,dog\n3,cat\n4,dog\n" * 5


def test_what_would_not_fit_the_sweep_is_refused(here: Path) -> None:
    mine = here / "own" / "experiment" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\noptimizer: {lr: 0.25}\n")
    (here / "t.csv").write_text(TABLE)
    table = ["dataset=table", "dataset.path=t.csv", "dataset.target=b", "experiment=mine"]
    train_sweep([*QUIET, *table, "seed=0"], "sweep", "own")
    before = contents(here, [0]), (here / "sweep" / "sweep.json").read_bytes()

    def refused(change: Callable[[], object], said: str) -> None:
        change()
        with pytest.raises(ConfigError) as error:
            extend("seed=1", config_dir="own")
        assert str(error.value).startswith(said)
        assert (contents(here, [0]), (here / "sweep" / "sweep.json").read_bytes()) == before

    way = here / "sweep" / "1"
    refused(way.mkdir, "sweep/1: is in the way of job 1; move it away.")
    way.rmdir()
    refused(
        lambda: (here / "t.csv").write_text(TABLE + "9,dog\n"),
        "sweep/0: the data that it was trained on have changed: t.csv has 21 rows, and had 20.",
    )
    refused(
        lambda: mine.write_text("# @package _global_\noptimizer: {lr: 0.5}\n"),
        "sweep: job 0 has optimizer.lr=0.25, and with the option files and defaults of today it would have 0.5;",
    )
    mine.write_text("# @package _global_\noptimizer: {lr: 0.25}\n")
    (here / "t.csv").write_text(TABLE)
    assert extend("seed=1", config_dir="own") == 1


def test_modules_that_a_stranger_names_are_not_imported(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "my_part.py").write_text("from pathlib import Path\nPath('imported').touch()\n")
    monkeypatch.syspath_prepend(str(here))
    train_sweep([*QUIET, "seed=0", "plugins=[my_part]"], "sweep")
    (here / "imported").unlink()
    monkeypatch.delitem(sys.modules, "my_part")
    with pytest.raises(ConfigError, match=r"add plugins=\[my_part\]"):
        extend("seed=1")
    assert not (here / "imported").exists()
    assert extend("seed=1", "plugins=[my_part]") == 1
    assert found(here / "sweep") == [("relu", 0), ("relu", 1)]
