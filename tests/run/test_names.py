"""The directories of a sweep's jobs, which say what varies."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

import mlpexp
from mlpexp.cli.main import call
from mlpexp.config.compose import Composer
from mlpexp.config.overrides import parse_override, quote
from mlpexp.run.names import directory_name, varied
from mlpexp.run.sweep_record import job_of, read
from mlpexp.sweep.jobs import expand

QUICK = ["dataset=xor", "epochs=1", "model.hidden=[2]", "log.figures=false", "log.tensorboard=false", "device=cpu"]

NAMES = {
    # A line, and what stands behind the numbers 0, 1, ….
    "seed=0,1 epochs=3": ["seed=0", "seed=1"],
    "activation=gelu,tanh optimizer.lr=0.01,1e-05 epochs=3": [
        "gelu_lr=0.01", "gelu_lr=1e-05", "tanh_lr=0.01", "tanh_lr=1e-05",
    ],
    "scheduler=none,cosine init=default,zeros": [
        "scheduler=none_init=default", "scheduler=none_zeros", "cosine_init=default", "cosine_zeros",
    ],
    "regularizer=[],[dropout,l2] model.hidden=[8,8],[]": [
        "regularizer=none_hidden=8-8", "regularizer=none_hidden=none",
        "dropout-l2_hidden=8-8", "dropout-l2_hidden=none",
    ],
    "regularizer=[l1,l2] regularizer.l1.strength=0,1 regularizer.l2.strength=2,3": [
        "l1.strength=0_l2.strength=2", "l1.strength=0_l2.strength=3",
        "l1.strength=1_l2.strength=2", "l1.strength=1_l2.strength=3",
    ],
    "seed=-1,2 dataset.seed=0,1": [
        "seed=-1_dataset.seed=0", "seed=-1_dataset.seed=1", "seed=2_dataset.seed=0", "seed=2_dataset.seed=1",
    ],
    "dataset.path='../a/é (1).csv','b.csv'": ["path=..-a-é-1-.csv", "path=b.csv"],
    "seed=7": [""],
}  # fmt: skip


@pytest.mark.parametrize("line", NAMES)
def test_a_name_is_the_number_and_what_varies(line: str) -> None:
    texts = line.split(" ") if "(" not in line else [line]
    jobs = expand(texts)
    keys = varied(jobs)
    expected = [f"{number}_{rest}".rstrip("_") for number, rest in enumerate(NAMES[line])]
    assert [directory_name(number, job, keys) for number, job in enumerate(jobs)] == expected


def test_settings_have_keys_of_their_own() -> None:
    jobs = [[*setting, "seed=0"] for setting in (["optimizer=momentum", "optimizer.momentum=0.5"], ["optimizer=sgd"])]
    found = [directory_name(number, job, varied(jobs)) for number, job in enumerate(jobs)]
    assert found == ["0_momentum_momentum=0.5", "1_sgd"]


def test_any_value_makes_a_short_name_that_hydra_reads_as_one_text() -> None:
    odd = ["'", '"', "${seed}", "a/b\\c", "日本" * 60, " x ", "-", ".", "", "x" * 500, "\n", "a=b,c", "{a:1}", "CON."]
    for values in itertools.product(odd, repeat=2):
        overrides = [f"dataset.path={values[0]}", f"dataset.test_path={values[1]}", f"data_dir={values[0]}"]
        name = directory_name(12, overrides, ["dataset.path", "dataset.test_path", "data_dir"])
        assert len(name.encode()) <= 100
        assert name.startswith("12_")
        assert not set(name) & set("/\\\"'${}<>:|?*,; \n")
        assert name[-1] not in ". "
        assert parse_override(f"hydra.sweep.subdir={quote(name)}").value() == name


@pytest.mark.parametrize("launcher", ["stacked", "basic", "joblib"])
def test_every_launcher_uses_them_and_extend_and_resume_keep_them(
    launcher: str, here: Path, named_jobs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    line = [*QUICK, "activation=relu,tanh", "seed=0,1", "hydra.sweep.dir=s", f"hydra/launcher={launcher}"]
    assert call(["train", "-m", *line]) == 0
    names = ["0_relu_seed=0", "1_relu_seed=1", "2_tanh_seed=0", "3_tanh_seed=1"]
    assert sorted(path.parent.name for path in Path("s").glob("*/run.json")) == names
    assert [job.directory for job in read(Path("s")).jobs] == names
    said = json.loads(Path("s/2_tanh_seed=0/run.json").read_text())["config"]
    assert (said["activation"]["name"], said["seed"]) == ("tanh", 0)
    # What the job adds, without the name of its directory.
    overrides = Path("s/2_tanh_seed=0/.hydra/overrides.yaml").read_text()
    assert "hydra" not in overrides
    assert "activation=tanh" in overrides
    if launcher != "stacked":
        return
    assert call(["extend", "s", "optimizer=sgd"]) == 0
    names += ["4_relu_seed=0_sgd", "5_relu_seed=1_sgd", "6_tanh_seed=0_sgd", "7_tanh_seed=1_sgd"]
    assert sorted(path.parent.name for path in Path("s").glob("*/run.json")) == names
    Path("s/5_relu_seed=1_sgd/run.json").unlink()
    assert call(["resume", "s"]) == 0
    assert sorted(path.parent.name for path in Path("s").glob("*/run.json")) == names
    # A job's number is enough.
    capsys.readouterr()
    assert call(["eval", "s/6"]) == 0
    assert "s/6_tanh_seed=0_sgd/evaluations/" in capsys.readouterr().out
    assert call(["eval", "s/9"]) == 2
    assert capsys.readouterr().err.startswith("mlpexp: s/9: ")


def test_from_python_and_in_a_search(here: Path, named_jobs: None) -> None:
    mlpexp.train_sweep([*QUICK, "seed=range(11)"], "s")
    assert {path.parent.name for path in Path("s").glob("*/run.json")} == {f"{n}_seed={n}" for n in range(11)}
    # A record of a sweeper's jobs that names none: job 2 comes before job 10.
    Path("s/sweep.json").unlink()
    assert [job.directory for job in read(Path("s")).jobs] == [f"{n}_seed={n}" for n in range(11)]

    from mlpexp.cli.sweep_task import SweepTask

    line = [*QUICK, "optimizer.lr=interval(0.1,1)"]
    task = SweepTask(Path("search"), composer=Composer(), line=line, searching=True)
    Path("search").mkdir()
    task.run_jobs([[*QUICK, "optimizer.lr=0.25"], [*QUICK, "optimizer.lr=0.75"]], 4)
    assert {path.parent.name for path in Path("search").glob("*/run.json")} == {"4_lr=0.25", "5_lr=0.75"}


def test_names_of_ones_own(here: Path, named_jobs: None) -> None:
    words = ["train", "-m", *QUICK, "seed=0,1", "hydra.sweep.dir=s"]
    assert call([*words, "hydra.sweep.subdir=${hydra.job.num}"]) == 0
    assert sorted(path.parent.name for path in Path("s").glob("*/run.json")) == ["0", "1"]
    assert [job_of(name) for name in ("3_gelu_seed=1", "10", "run_3", "3x")] == ["3", "10", "run_3", "3x"]
