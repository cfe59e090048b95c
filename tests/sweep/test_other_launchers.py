"""Sweeps past one process: the lines of docs/ with joblib, submitit, Ray and Optuna, failures in them, and resume."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from mlpexp.cli.job_log import JobLog
from mlpexp.cli.main import call
from mlpexp.cli.sweep_task import SweepTask
from mlpexp.config.hydra_adapter import hydra_on
from mlpexp.run.sweep_record import read

PAGES = "".join((Path(__file__).parents[2] / "docs" / page).read_text() for page in ("clusters.md", "search.md"))
# Behind a line of a page, for the sake of time.
QUICK = ["dataset=xor", "epochs=2", "log.figures=false", "log.tensorboard=false", "device=cpu", "hydra.sweep.dir=sweep"]
QUICK += ["hydra.sweep.subdir=${hydra.job.num}"]
pytestmark = pytest.mark.usefixtures("hydra_restore_singletons")
# By the module of the plugin.
EXTRAS = {
    "hydra_joblib_launcher": "joblib",
    "hydra_submitit_launcher": "slurm",
    "hydra_ray_launcher": "ray",
    "hydra_optuna_sweeper": "optuna",
}


def needs(*plugins: str) -> list[pytest.MarkDecorator]:
    """Marks that skip a test where the extra of one of the plugins is not installed."""
    return [
        pytest.mark.skipif(
            importlib.util.find_spec(f"hydra_plugins.{plugin}") is None,
            reason=f"the extra {EXTRAS[plugin]} is not installed: pip install 'mlpexp[{EXTRAS[plugin]}]'",
        )
        for plugin in plugins
    ]


def documented(choice: str) -> list[str]:
    """The arguments of the line with a launcher or sweeper."""
    (line,) = re.findall(rf"^\$ mlpexp (.* {choice}(?: .*)?)$", PAGES, re.MULTILINE)
    return shlex.split(line)


def mlpexp(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of its own process, without what pytest's has in memory or turns into errors."""
    line = [str(Path(sys.executable).with_name("mlpexp")), *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})


def records(sweep: Path) -> list[dict[str, Any]]:
    """The content of run.json of each job that has begun, by number."""
    return [json.loads(path.read_text()) for path in sorted(sweep.glob("*/run.json"))]


def column(path: Path, name: str) -> list[str]:
    return [row[name] for row in csv.DictReader(path.read_text().splitlines())]


# In the short form joblib trains four, and of submitit's jobs one fails and one is lost.
@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param("joblib", marks=needs("hydra_joblib_launcher")),
        pytest.param("submitit_local", marks=[*needs("hydra_submitit_launcher"), pytest.mark.long]),
        pytest.param("ray", marks=needs("hydra_ray_launcher")),
    ],
)
def test_a_sweep_of_four(launcher: str, here: Path) -> None:
    done = mlpexp(*documented(f"hydra/launcher={launcher}"), *QUICK, RAY_AUTH_MODE="disabled")
    assert done.returncode == 0, done.stderr
    runs = records(here / "sweep")
    assert [run["state"] for run in runs] == ["completed"] * 4
    assert [(run["config"]["optimizer"]["name"], run["seed"]) for run in runs] == [
        ("sgd", 0), ("sgd", 1), ("adam", 0), ("adam", 1)
    ]  # fmt: skip
    # One that makes the run again, whatever process the launcher has started for it.
    assert all(run["command"].startswith("mlpexp train dataset=") for run in runs)
    assert len({run["pid"] for run in runs}) > 1
    assert column(here / "sweep" / "sweep.csv", "n") == ["2", "2"]
    assert "Settings, best first" in done.stdout
    if launcher != "ray":
        assert done.stderr == ""


# What of SLURM's commands submitit uses, for a cluster of this one machine.
SLURM = {
    "sbatch": r"""
last=$(sed -n 's/^#SBATCH --array=0-\([0-9]*\)%.*/\1/p' "$1")
grep -q '^#SBATCH --partition=' "$1" || exit 1
export SLURM_JOB_ID=7 SLURM_ARRAY_JOB_ID=7 SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0
export SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=localhost
for i in $(seq 0 "$last"); do SLURM_ARRAY_TASK_ID=$i bash "$1" >/dev/null 2>&1 & done
echo Submitted batch job 7
""",
    "srun": r"""
while [ "${1#-}" != "$1" ]; do case "$1" in --output|--error) shift 2;; *) shift;; esac; done
exec "$@"
""",
    "sacct": r"""
echo "JobID|State|NodeList"
for i in 0 1 2 3; do echo "7_$i|RUNNING|localhost"; done
""",
}


@pytest.mark.parametrize("extra", [pytest.param("slurm", marks=needs("hydra_submitit_launcher"))])
def test_a_sweep_of_four_on_a_cluster(extra: str, here: Path) -> None:
    (here / "bin").mkdir()
    for name, script in SLURM.items():
        (here / "bin" / name).write_text(f"#!/usr/bin/env bash\n{script}")
        (here / "bin" / name).chmod(0o755)
    line = documented("hydra/launcher=submitit_slurm")
    done = mlpexp(*line, *QUICK, PATH=f"{here / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert [run["state"] for run in records(here / "sweep")] == ["completed"] * 4


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param("stacked", marks=needs("hydra_optuna_sweeper")),
        pytest.param("joblib", marks=needs("hydra_optuna_sweeper", "hydra_joblib_launcher")),
    ],
)
def test_a_search(launcher: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["hydra.sweeper.n_trials=4", "hydra.sweeper.storage=sqlite:///study.db", f"hydra/launcher={launcher}"]
    done = mlpexp(*documented("hydra/sweeper=optuna"), *QUICK, *own)
    assert done.returncode == 0, done.stderr
    runs = records(here / "sweep")
    assert [run["state"] for run in runs] == ["completed"] * 4
    assert len({run["config"]["optimizer"]["lr"] for run in runs}) == 4
    # What the search makes small is the validation loss of the best weights.
    (best,) = re.findall(r"^best_value: (.*)$", (here / "sweep" / "optimization_results.yaml").read_text(), re.M)
    assert float(best) == min(run["metrics"]["val"]["loss"] for run in runs)
    assert len(column(here / "sweep" / "sweep.csv", "n")) == 4
    assert [job.directory for job in read(here / "sweep").jobs] == ["0", "1", "2", "3"]
    assert call(["resume", "sweep"]) == 2
    assert "all 4 jobs of the sweep have ended" in capsys.readouterr().err


@pytest.mark.parametrize("plugin", [pytest.param("optuna", marks=needs("hydra_optuna_sweeper"))])
def test_a_search_goes_on_after_a_trial_that_diverges(plugin: str, here: Path) -> None:
    swept = ["hydra/sweeper=optuna", "hydra/sweeper/sampler=grid", "optimizer=sgd", "optimizer.lr=choice(1e30,0.1,0.2)"]
    done = mlpexp("train", "-m", *swept, *QUICK, "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=3")
    assert done.returncode == 1
    states = [run["state"] for run in records(here / "sweep")]
    assert sorted(states) == ["completed", "completed", "failed"]
    assert (here / "sweep" / "optimization_results.yaml").exists()
    assert "Error executing job" not in done.stderr


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param("joblib", marks=[*needs("hydra_joblib_launcher"), pytest.mark.long]),
        pytest.param("submitit_local", marks=needs("hydra_submitit_launcher")),
    ],
)
def test_a_job_that_fails_and_one_that_is_lost(launcher: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swept = ["optimizer=sgd", "optimizer.lr=0.1,1e30,0.2", f"hydra/launcher={launcher}"]
    done = mlpexp("train", "-m", *swept, *QUICK)
    assert done.returncode == 1
    first, last = done.stderr.splitlines()
    assert first.startswith("mlpexp: job 1 failed: diverged: the ")
    assert first.endswith("; run directory: sweep/1")
    assert last == "mlpexp: 1 of the sweep's 3 jobs failed (1); sweep directory: sweep (sweep.csv, sweep.png)"
    assert "Settings, best first" in done.stdout
    assert [run["state"] for run in records(here / "sweep")] == ["completed", "failed", "completed"]
    shutil.rmtree(here / "sweep" / "2")
    # The other one has diverged for good.
    assert call(["resume", "sweep"]) == 1
    assert [run["state"] for run in records(here / "sweep")] == ["completed", "failed", "completed"]
    assert "1 of the sweep's 3 jobs failed (1)" in capsys.readouterr().err


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_begun_anew_goes_on(
    signal_number: signal.Signals, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clusters stop jobs for those that matter more, and later begin them again in the same directory."""
    overrides = ["hydra.mode=MULTIRUN", "hydra/launcher=basic", *QUICK, "epochs=5", "seed=3"]

    def sweep() -> None:
        with hydra_on(None) as hydra:
            hydra.multirun("config", pickle.loads(pickle.dumps(SweepTask())), overrides)

    with monkeypatch.context() as patch:
        patch.setattr(JobLog, "epoch", lambda *_: os.kill(os.getpid(), signal_number))
        with pytest.raises(SystemExit) as stopped:
            sweep()
    assert stopped.value.code == 128 + signal_number
    assert [(run["state"], run["epochs_done"]) for run in records(here / "sweep")] == [("interrupted", 1)]
    sweep()
    assert [(run["state"], run["epochs_done"]) for run in records(here / "sweep")] == [("completed", 5)]
    assert column(here / "sweep" / "0" / "metrics.csv", "epoch") == ["1", "2", "3", "4", "5"]
    assert "job 0  completed: val accuracy " in capsys.readouterr().out


def test_what_a_launcher_fails_of_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("no cluster\nfar and wide")

    monkeypatch.setattr("mlpexp.config.hydra_adapter.launch", failing)
    assert call(["train", "-m", "seed=0,1", "hydra/launcher=basic", *QUICK]) == 1
    assert capsys.readouterr().err == "mlpexp: hydra/launcher=basic ended with RuntimeError: no cluster\n"


@pytest.mark.parametrize(
    ("choice", "extra"),
    {
        "hydra/launcher=joblib": "joblib",
        "hydra/launcher=submitit_local": "slurm",
        "hydra/launcher=submitit_slurm": "slurm",
        "hydra/launcher=ray": "ray",
        "hydra/sweeper=optuna": "optuna",
    }.items(),
)
def test_an_extra_that_is_not_installed_is_named(
    choice: str, extra: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Where it is installed, without what its plugin has registered.
    Plugins.instance()
    group, option = choice.removeprefix("hydra/").split("=")
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"][group], f"{option}.yaml", raising=False)
    assert call(["train", "-m", "seed=0,1", "optimizer.lr=interval(0,1)", choice]) == 2
    said = f"mlpexp: {choice}: needs an extra that is not installed: pip install 'mlpexp[{extra}]'.\n"
    assert capsys.readouterr().err == said
    assert not list(here.iterdir())


def test_other_launchers_are_not_said_to_stack(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", "-m", "seed=0,1", "hydra/launcher=basic", *QUICK, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("2 runs, each trained alone; all are valid\n")
