"""Sweeps by Hydra's other launchers and sweepers: the lines of README, made short, where the extra is installed."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpexp.cli.main import call

README = Path(__file__).parent.parent.parent / "README.md"
SHORT = ["epochs=3", "log.figures=false", "log.tensorboard=false", "hydra.sweep.dir=sweep"]
# What each extra brings, by the word that chooses it.
EXTRAS = {
    "joblib": ("joblib", "hydra_joblib_launcher"),
    "submitit_local": ("slurm", "hydra_submitit_launcher"),
    "ray": ("ray", "hydra_ray_launcher"),
    "optuna": ("optuna", "hydra_optuna_sweeper"),
}
LAUNCHERS = ["joblib", "submitit_local", "ray"]


def installed(name: str) -> bool:
    return importlib.util.find_spec(f"hydra_plugins.{EXTRAS[name][1]}") is not None


def marks(names: list[str]) -> list[Any]:
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(not installed(name), reason=f"pip install 'mlpexp[{EXTRAS[name][0]}]' brings it"),
        )
        for name in names
    ]


def line_of(name: str) -> list[str]:
    """The words of README's line that chooses `name`."""
    (line,) = re.findall(rf"^\$ mlpexp (train -m .*=({name})\b.*)$", README.read_text(), re.MULTILINE)
    return shlex.split(line[0])


def mlpexp(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlpexp", *words], cwd=here, capture_output=True, text=True, timeout=300
    )


def records(here: Path) -> list[dict[str, Any]]:
    return [json.loads((here / "sweep" / str(job) / "run.json").read_text()) for job in range(4)]


@pytest.mark.parametrize("name", marks([*EXTRAS]))
def test_the_line_in_readme_trains_four_runs(name: str, here: Path) -> None:
    words = [*line_of(name), *SHORT]
    done = mlpexp(here, *words)
    assert done.returncode == 0, done.stderr
    found = records(here)
    assert [run["state"] for run in found] == ["completed"] * 4
    if name != "optuna":
        assert [run["seed"] for run in found] == [0, 1, 2, 3]
    else:
        assert len({run["config"]["optimizer"]["lr"] for run in found}) == 4
    # The command is that of the sweep, not of a worker.
    assert all("hydra.sweep.dir=sweep" in run["command"] for run in found)
    assert "n seeds" in done.stdout
    assert (here / "sweep" / "sweep.csv").exists()
    assert (here / "sweep" / "sweep.png").exists()


@pytest.mark.parametrize("name", marks(LAUNCHERS))
def test_a_failed_job_stops_no_other_and_a_missing_one_is_trained_by_resume(name: str, here: Path) -> None:
    sweep = ["train", "-m", "dataset=sine", "optimizer=sgd", "optimizer.lr=0.01,1e30,0.02,0.03", *SHORT]
    done = mlpexp(here, *sweep, f"hydra/launcher={name}")
    assert done.returncode == 1
    assert [run["state"] for run in records(here)] == ["completed", "failed", "completed", "completed"]
    assert "job 1 failed: diverged" in done.stdout + done.stderr + "".join(
        path.read_text() for path in (here / "sweep").glob(".submitit/**/*.err")
    )
    last = done.stderr.splitlines()[-1]
    assert "1 of the sweep's 4 jobs failed (1)" in last
    before = records(here)[2]["metrics"]
    shutil.rmtree(here / "sweep" / "2")
    assert mlpexp(here, "resume", "sweep").returncode == 1  # of the one that diverged
    assert records(here)[2]["metrics"] == before


@pytest.mark.parametrize(
    "choice",
    [
        "hydra/launcher=joblib",
        "hydra/launcher=submitit_local",
        "hydra/launcher=submitit_slurm",
        "hydra/launcher=ray",
        "hydra/sweeper=optuna",
    ],
)
def test_one_that_is_not_installed_names_the_extra(choice: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = choice.split("=")[1].replace("slurm", "local")
    if installed(name):
        pytest.skip(f"{name} is installed")
    assert call(["train", "-m", "dataset=xor", "seed=0,1", choice]) == 2
    assert capsys.readouterr().err == (
        f"mlpexp: {choice}: is not installed; pip install 'mlpexp[{EXTRAS[name][0]}]' brings it.\n"
    )
    assert not list(here.iterdir())
