"""Sweeps that are not all combinations of some values: keys that go together, and lists of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpexp.cli.main import call
from mlpexp.config.schema import Sweep
from mlpexp.errors import ConfigError
from mlpexp.run import sweep_record
from mlpexp.sweep.extend import extend_sweep
from mlpexp.sweep.from_python import train_sweep
from mlpexp.sweep.jobs import expand
from mlpexp.sweep.train import SweepWatcher

QUIET = ["dataset=xor", "epochs=1", "device=cpu", "log.figures=false", "log.tensorboard=false"]


def test_values_that_go_together() -> None:
    given = ["optimizer=sgd,adam", "seed=range(2)", "optimizer.lr=0.1,0.001", "epochs=3", "sweep.zip=[x]"]
    jobs = expand(given, {"init": "zeros"}, sweep=Sweep(zip=("optimizer", "optimizer.lr")))
    pairs = [["optimizer=sgd", "optimizer.lr=0.1"], ["optimizer=adam", "optimizer.lr=0.001"]]
    assert jobs == [["init=zeros", *pair, f"seed={seed}", "epochs=3"] for pair in pairs for seed in (0, 1)]


def test_a_list_of_settings() -> None:
    jobs = expand(["seed=0,1"], sweep=Sweep(settings=(("init=zeros",), (), ("optimizer=sgd", "optimizer.lr=1"))))
    behind = [["init=zeros"], [], ["optimizer=sgd", "optimizer.lr=1"]]
    assert jobs == [[f"seed={seed}", *setting] for seed in (0, 1) for setting in behind]


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        (Sweep(zip=("init", "sed")), "sweep.zip=[init,sed]: the sweep gives sed no values; did you mean 'seed'?"),
        (Sweep(zip=("init", "seed")), "sweep.zip=[init,seed]: init has 1 value, seed has 2 values; values that go"),
        (Sweep(zip=("seed",)), "sweep.zip=[seed]: must name at least two keys"),
        (Sweep(settings=(("seed=3",),)), "sweep.settings: seed=3: seed has a value of its own in this sweep;"),
        (Sweep(settings=(("epochs=3,4",),)), "sweep.settings: epochs=3,4: must be one value;"),
        (Sweep(settings=(("epochs",),)), "sweep.settings: epochs: cannot be read;"),
        (Sweep(settings=(("hydra.sweep.dir=a",),)), "sweep.settings: hydra.sweep.dir=a: is about the sweep"),
        (Sweep(settings=(("init=zeros",),), zip=("init", "seed")), "sweep.zip=[init,seed]: init has"),
    ],
)
def test_what_makes_no_jobs(sweep: Sweep, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        expand(["seed=0,1", "init=default"], sweep=sweep)
    assert str(error.value).startswith(said)


def test_an_experiment_with_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nsweep:\n  settings:\n    - [optimizer=sgd, optimizer.lr=0.5]\n    - [init=zeros]\n"
    )
    train_sweep([*QUIET, "experiment=mine", "seed=0,1"], "sweep", "own")

    def settings() -> list[tuple[str, float, str, int]]:
        configs = [job.config for job in sweep_record.read(tmp_path / "sweep").jobs]
        assert not any("sweep" in config for config in configs)
        return sorted(
            (config["optimizer"]["name"], config["optimizer"]["lr"], config["init"]["name"], config["seed"])
            for config in configs
        )

    first, second = ("adam", 0.03, "zeros"), ("sgd", 0.5, "default")
    assert settings() == [(*setting, seed) for setting in (first, second) for seed in (0, 1)]
    # Further values go with the settings that there are, and with no others.
    assert extend_sweep(tmp_path / "sweep", ["seed=2"], SweepWatcher(), "own") == 2
    assert extend_sweep(tmp_path / "sweep", ["sweep.settings=[['init=orthogonal']]"], SweepWatcher(), "own") == 6
    assert len(settings()) == 12
    assert call(["train", "-m", *QUIET, "sweep.zip=[seed,init]", "seed=0,1", "init=zeros,default", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("2 runs in 1 stack; all are valid\n")
    assert call(["train", *QUIET, "sweep.zip=[seed,init]"]) == 2
    assert capsys.readouterr().err == "mlpexp: sweep.zip=[seed,init]: is for sweeps; add -m.\n"
