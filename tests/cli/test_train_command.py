"""`mlpexp train` where it succeeds: Hydra's own options, sweeps, and what users add of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from mlpexp.cli.main import call
from mlpexp.cli.sweep import check_sweep
from mlpexp.cli.sweep_jobs import listed_sweep
from mlpexp.components.activation import activations
from mlpexp.config.compose import Composer
from mlpexp.errors import ConfigError

TINY = ["dataset=xor", "epochs=2", "log.figures=false", "log.tensorboard=false", "device=cpu"]

PLUGIN = """
from dataclasses import dataclass

from mlpexp.components.activation import Activation, activations


@activations.register("swish")
@dataclass(frozen=True)
class Swish(Activation):
    \"\"\"x·σ(x), by its other name.\"\"\"

    def build(self):
        from torch import nn

        return nn.SiLU()
"""


def outcome(arguments: list[str]) -> int:
    """The exit code of a command line; Hydra leaves some by sys.exit."""
    try:
        return call(arguments)
    except SystemExit as error:
        return int(error.code or 0)


def record(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "run.json").read_text())
    return content


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["--version"]) == 0
    name, version = capsys.readouterr().out.split()
    assert name == "mlpexp"
    assert version[0].isdigit()


@pytest.mark.parametrize("line", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(line) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {command} " in out for command in ("train", "eval", "resume", "list", "dashboard"))


def test_hydras_own_help(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["train", "--hydra-help"]) == 0
    assert "--config-dir" in capsys.readouterr().out
    assert not list(here.iterdir())


def test_the_config_is_shown_and_nothing_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", "--cfg", "job", "activation=gelu", "epochs=7"]) == 0
    shown = OmegaConf.create(capsys.readouterr().out)
    assert shown.activation.name == "gelu"
    assert shown.epochs == 7
    assert "hydra" not in shown
    assert not list(here.iterdir())


def test_the_config_is_shown_resolved(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", "--cfg", "job", "--resolve", "dataset=xor"]) == 0
    out = capsys.readouterr().out
    assert "${" not in out
    assert OmegaConf.create(out).epochs == 200


def test_one_part_of_the_config_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", "--cfg", "job", "--package", "clip"]) == 0
    assert capsys.readouterr().out.splitlines() == ["# @package clip", "norm: null", "value: null"]


def test_hydras_config_is_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", "--cfg", "hydra"]) == 0
    assert OmegaConf.create(capsys.readouterr().out).hydra.job.name == "mlpexp"
    assert not list(here.iterdir())


def test_info_shows_the_defaults_list(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", "--info", "defaults", "optimizer=sgd"]) == 0
    assert "optimizer/sgd" in capsys.readouterr().out
    assert not list(here.iterdir())


def test_a_run_has_a_directory_by_date_and_time(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", *TINY]) == 0
    (path,) = here.glob("outputs/*/*/run.json")
    assert f"run directory: {path.parent.relative_to(here)}" in capsys.readouterr().out
    assert record(path.parent)["state"] == "completed"
    assert OmegaConf.load(path.parent / ".hydra" / "config.yaml").epochs == 2
    assert OmegaConf.to_container(OmegaConf.load(path.parent / ".hydra" / "overrides.yaml")) == TINY


@pytest.mark.parametrize(
    ("regularizer", "said"),
    [
        ("[]", "batches of 32, seed 0"),
        ("[batchnorm]", "batches of 32 (1 row left out of each epoch: batch normalisation needs 2 in a batch), seed 0"),
    ],
)
def test_the_header_says_what_an_epoch_leaves_out(
    regularizer: str, said: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """33 training rows in batches of 32."""
    monkeypatch.setenv("COLUMNS", "200")
    tiny = ["dataset=moons", "dataset.n_samples=55", "epochs=1", "log.figures=false", "log.tensorboard=false"]
    assert call(["train", *tiny, f"regularizer={regularizer}"]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("name", ["named", "some/where", "with space, comma='quote'", "umläut"])
def test_a_run_has_the_directory_that_it_is_given(name: str, here: Path) -> None:
    assert call(["train", *TINY, f'hydra.run.dir="{name}"']) == 0
    assert record(here / name)["state"] == "completed"
    assert not (here / "outputs").exists()


def test_hydras_resolvers_have_their_values(here: Path) -> None:
    (here / "my.csv").write_text("a,b,y\n" + "".join(f"{i},{i * i},{i % 2}\n" for i in range(40)))
    table = ["dataset=table", "dataset.path=${hydra:runtime.cwd}/my.csv", "dataset.task=classification"]
    assert call(["train", *table, *TINY[1:], "hydra.run.dir=w/${hydra:runtime.choices.optimizer}"]) == 0
    assert record(here / "w" / "adam")["state"] == "completed"


def test_a_run_that_changes_into_its_directory(here: Path) -> None:
    assert call(["train", *TINY, "hydra.run.dir=run", "hydra.job.chdir=true"]) == 0
    assert record(here / "run")["state"] == "completed"
    assert [path.name for path in here.iterdir()] == ["run"]
    assert Path.cwd() == here


def test_one_regularizer_needs_no_brackets(here: Path) -> None:
    assert call(["train", *TINY, "regularizer=dropout", "regularizer.dropout.p=0.3", "hydra.run.dir=run"]) == 0
    assert record(here / "run")["config"]["regularizer"] == {"dropout": {"name": "dropout", "p": 0.3}}


@pytest.mark.parametrize("first", [["-m"], ["--multirun"], ["hydra.mode=MULTIRUN"], []])
def test_a_sweep_makes_a_run_of_each_value(first: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = [] if first else ["-m"]
    assert call(["train", *first, *TINY, "seed=0,1", *last]) == 0
    assert capsys.readouterr().err == ""
    (sweep,) = here.glob("outputs/multirun/*/*")
    assert [record(sweep / str(job))["config"]["seed"] for job in range(2)] == [0, 1]
    assert [record(sweep / str(job))["state"] for job in range(2)] == ["completed", "completed"]


def test_a_sweep_over_lists_and_groups(here: Path) -> None:
    swept = ["regularizer=[l2],[],[l1,l2]", "optimizer=sgd,adam", "hydra.sweep.dir=sweep"]
    assert call(["train", "-m", *TINY, "epochs=1", *swept]) == 0
    configs = [record(here / "sweep" / str(job))["config"] for job in range(6)]
    assert [list(config["regularizer"]) for config in configs[::2]] == [["l2"], [], ["l1", "l2"]]
    assert [config["optimizer"]["name"] for config in configs[:2]] == ["sgd", "adam"]


def test_options_and_experiments_of_ones_own(here: Path) -> None:
    (here / "conf" / "optimizer").mkdir(parents=True)
    (here / "conf" / "experiment").mkdir()
    (here / "conf" / "optimizer" / "slow.yaml").write_text("# patience\nname: sgd\nlr: 0.001\n")
    (here / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n# what I try\n"
        "defaults:\n  - override /optimizer: slow\n  - override /dataset: and\nepochs: 3\n"
    )
    own = ["--config-dir", "conf", "experiment=mine", *TINY[2:]]
    assert call(["train", *own, "hydra.run.dir=run"]) == 0
    config = record(here / "run")["config"]
    assert (config["optimizer"]["name"], config["optimizer"]["lr"]) == ("sgd", 0.001)
    assert (config["dataset"]["name"], config["epochs"]) == ("and", 3)
    assert call(["train", "-m", *own, "epochs=1,2", "hydra.sweep.dir=sweep"]) == 0
    assert [record(here / "sweep" / job)["config"]["epochs"] for job in ("0", "1")] == [1, 2]


def test_a_sweep_over_experiments(here: Path) -> None:
    (here / "conf" / "experiment").mkdir(parents=True)
    for name, epochs in {"short": 1, "long": 2}.items():
        (here / "conf" / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\nepochs: {epochs}\n")
    rest = [part for part in TINY if not part.startswith("epochs=")]
    swept = ["experiment=short,long", "++hydra.sweep.dir=sweep"]
    assert call(["train", "-m", "--config-dir", "conf", *rest, *swept]) == 0
    assert [record(here / "sweep" / job)["config"]["epochs"] for job in ("0", "1")] == [1, 2]


@pytest.fixture
def study(here: Path) -> Path:
    """An experiment of one's own that says what it sweeps over."""
    path = here / "conf" / "experiment" / "study.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "# @package _global_\n# one line of a study\n"
        "defaults:\n  - override /dataset: xor\n"
        "hydra:\n  mode: MULTIRUN\n  sweep:\n    dir: study\n"
        "  sweeper:\n    params:\n      activation: relu,tanh\n      seed: 0,1\n      epochs: 1\n"
    )
    return path


def trained(sweep: Path) -> list[tuple[str, int, int]]:
    """Activation, seed and epochs of each run of a sweep, by number."""
    runs = [record(sweep / str(job))["config"] for job in range(len(list(sweep.glob("*/run.json"))))]
    return [(run["activation"]["name"], run["seed"], run["epochs"]) for run in runs]


@pytest.mark.parametrize(
    ("words", "expected"),
    {
        "": [("relu", 0, 1), ("relu", 1, 1), ("tanh", 0, 1), ("tanh", 1, 1)],
        "-m": [("relu", 0, 1), ("relu", 1, 1), ("tanh", 0, 1), ("tanh", 1, 1)],
        "seed=5": [("relu", 5, 1), ("tanh", 5, 1)],
        "activation=gelu epochs=1,2 seed=3": [("gelu", 3, 1), ("gelu", 3, 2)],
        "hydra.mode=RUN": [],
    }.items(),
)
@pytest.mark.usefixtures("study")
def test_an_experiment_that_is_a_sweep(words: str, expected: list[tuple[str, int, int]], here: Path) -> None:
    assert call(["train", "--config-dir", "conf", "experiment=study", *TINY[2:], *words.split()]) == 0
    assert trained(here / "study") == expected
    assert (here / "outputs").exists() != bool(expected)


def test_what_an_experiment_sweeps_over_is_checked(study: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(study.read_text().replace("seed: 0,1", "seed: 0,x").replace("relu,tanh", "relu,geluu"))
    assert call(["train", "--config-dir", "conf", "experiment=study"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "mlpexp: seed=x: must be a whole number. (jobs 1, 3)"
    assert second.startswith("mlpexp: activation=geluu: no such option; did you mean 'gelu'?")
    assert second.endswith("(jobs 2, 3)")
    assert [path.name for path in here.iterdir()] == ["conf"]


def test_hydras_own_launcher(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    basic = ["hydra/launcher=basic", "hydra.sweep.dir=sweep"]
    assert call(["train", "-m", *TINY, "seed=0,1", *basic]) == 0
    assert capsys.readouterr().err == ""
    assert [record(here / "sweep" / job)["state"] for job in "01"] == ["completed", "completed"]


def test_a_sweeper_that_chooses_the_values_itself(here: Path) -> None:
    (here / "conf" / "hydra" / "sweeper").mkdir(parents=True)
    (here / "conf" / "hydra" / "sweeper" / "other.yaml").write_text("_target_: hydra_plugins.other.Sweeper\n")
    composer, chosen = Composer("conf", about_hydra=["hydra/sweeper=other"]), "optimizer.lr=interval(0,1)"
    assert (
        check_sweep(listed_sweep(composer, [chosen, "seed=0,1"]), composer).raw.hydra.sweeper._target_
        == "hydra_plugins.other.Sweeper"
    )
    with pytest.raises(ConfigError) as caught:
        check_sweep(listed_sweep(composer, [chosen, "seed=0,-1", "epochs=0,1,x"]), composer)
    # Each value with the first of the others.
    assert str(caught.value).splitlines() == [
        "epochs=0: must be at least 1.",
        "seed=-1: must be at least 0.",
        "epochs=x: must be a whole number.",
    ]


def test_a_sweep_over_many_values_is_not_tried_in_all_combinations(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "conf" / "hydra" / "sweeper").mkdir(parents=True)
    (here / "conf" / "hydra" / "sweeper" / "other.yaml").write_text("_target_: hydra_plugins.other.Sweeper\n")
    tried: list[Any] = []
    monkeypatch.setattr("mlpexp.cli.sweep.check_jobs", lambda jobs, *_, **__: tried.extend(jobs))
    swept = ["a=1,2,3", "x=0", "b=4,5", "c=range(0,1000000000)"]
    composer = Composer("conf", about_hydra=["hydra/sweeper=other"])
    check_sweep(listed_sweep(composer, swept[:3]), composer)
    assert tried == [[f"a={a}", "x=0", f"b={b}"] for a, b in ((1, 4), (2, 4), (3, 4), (1, 5))]
    tried.clear()
    check_sweep(listed_sweep(composer, swept[3:]), composer)
    assert len(tried) == 1000


@pytest.fixture
def swish(here: Path) -> Iterator[None]:
    """A module in the working directory that registers an activation, and the YAML file that chooses it."""
    (here / "swish_plugin.py").write_text(PLUGIN)
    (here / "conf" / "activation").mkdir(parents=True)
    (here / "conf" / "activation" / "swish.yaml").write_text("# x·σ(x)\nname: swish\n")
    yield
    sys.modules.pop("swish_plugin", None)
    activations._components.pop("swish", None)


@pytest.mark.usefixtures("swish")
def test_a_component_of_ones_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--config-dir", "conf", "activation=swish"]
    assert call(["train", *own, *TINY, "hydra.run.dir=run"]) == 2
    assert "activation.name=swish: no such activation" in capsys.readouterr().err
    assert call(["train", *own, *TINY, "plugins=[swish_plugin]", "hydra.run.dir=run"]) == 0
    assert record(here / "run")["config"]["plugins"] == ["swish_plugin"]
    for command in (["eval", "run"], ["resume", "run", "epochs=3"]):
        capsys.readouterr()
        assert call(command) == 2
        assert "add plugins=[swish_plugin]" in capsys.readouterr().err
        assert call([*command, "plugins=[swish_plugin]"]) == 0
    assert record(here / "run")["epochs_done"] == 3


def test_a_run_that_diverges_fails_with_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = ["dataset=sine", "optimizer=sgd", "optimizer.lr=1e6", "activation=identity", "hydra.run.dir=run"]
    assert call(["train", *wild, *TINY[2:], "epochs=50"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mlpexp: ")
    assert line.endswith("Run directory: run")
    assert record(here / "run")["state"] == "failed"


def test_nothing_of_hydra_is_left_behind(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    before = list(sys.argv)
    assert call(["train", *TINY, "hydra.run.dir=run"]) == 0
    assert sys.argv == before
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_a_reader_that_leaves_does_not_end_the_run(here: Path) -> None:
    """As in `mlpexp train | head -1`."""
    words = [sys.executable, "-m", "mlpexp", "train", "dataset=xor", "epochs=300", "hydra.run.dir=run"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("data")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert json.loads((here / "run" / "run.json").read_text())["state"] == "completed"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_signs_that_an_encoding_lacks_are_written_as_others(encoding: str, here: Path) -> None:
    code = "from mlpexp.cli.streams import make_lasting; make_lasting(); print('R² −0.5 ± 1 → \\udce9x')"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}, check=True
    ).stdout
    square, plus_minus = ("2", "+-") if encoding == "ascii" else ("²", "±")
    assert shown.decode(encoding) == f"R{square} -0.5 {plus_minus} 1 ? ?x\n"


def test_a_jupyter_kernel_on_an_old_system(here: Path) -> None:
    """It names a backend of its own to matplotlib, and the terminal knows no more than ASCII."""
    env = {**os.environ, "MPLBACKEND": "foo", "PYTHONIOENCODING": "ascii"}
    words = [sys.executable, "-m", "mlpexp", "train", "dataset=xor", "epochs=3", "log.tensorboard=false"]
    ended = subprocess.run([*words, "hydra.run.dir=run"], capture_output=True, env=env, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert "most confused: 1 taken for 0 (1x)" in ended.stdout.decode("ascii")
    assert (here / "run" / "figures" / "curves.png").exists()


def test_the_backend_of_whoever_shows_figures_stays_theirs(here: Path) -> None:
    code = (
        "from mlpexp.figures.curves import curves; import matplotlib\n"
        "history = {name: [1.0] for name in ('epoch', 'loss/train', 'loss/val', 'r2/train', 'r2/val')}\n"
        "curves(history, score='r2', best_epoch=None); print(matplotlib.rcParams['backend'])"
    )
    for named, found in {"svg": "svg", "module://nope.backend": "module://nope.backend"}.items():
        words = [sys.executable, "-c", code]
        shown = subprocess.run(words, capture_output=True, env={**os.environ, "MPLBACKEND": named}, check=True)
        assert shown.stdout.decode().strip() == found


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", ["train dataset=xor epochs=3 log.figures=false hydra.run.dir=run", "list", "--help"])
def test_a_full_disk_behind_standard_output(words: str, here: Path) -> None:
    """What was to be shown is lost, the run is not."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "mlpexp", *words.split()]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "mlpexp: standard output: cannot be written: No space left on device.\n"
    if words.startswith("train"):
        assert json.loads((here / "run" / "run.json").read_text())["state"] == "completed"


def test_a_failed_job_does_not_stop_the_others_and_is_named_at_the_end(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["optimizer=sgd", "optimizer.lr=1e30,0.01", "epochs=2", "log.figures=false", "log.tensorboard=false"]
    assert call(["train", "-m", "dataset=sine", *words, "hydra.sweep.dir=sweep"]) == 1
    states = [json.loads((here / "sweep" / n / "run.json").read_text())["state"] for n in ("0", "1")]
    assert states == ["failed", "completed"]
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("mlpexp: job 0 failed: diverged")
    assert last == "mlpexp: 1 of the sweep's 2 jobs failed (0); sweep directory: sweep (sweep.csv, sweep.png)"


def test_a_network_that_cannot_be_built_leaves_a_record(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> None:
        raise RuntimeError("no such layer")

    monkeypatch.setattr(activations["relu"], "build", broken)
    with pytest.raises(RuntimeError, match="no such layer"):
        call(["train", *TINY, "hydra.run.dir=run"])
    record = json.loads((here / "run" / "run.json").read_text())
    assert (record["state"], record["reason"]) == ("failed", "no such layer")


@pytest.mark.parametrize("sweep", [False, True])
def test_relative_paths_mean_where_the_command_was_given(sweep: bool, here: Path) -> None:
    rows = "".join(f"{x},{x % 2}\n" for x in range(20))
    (here / "my.csv").write_text(f"x,y\n{rows}")
    line = ["dataset=table", "dataset.path=my.csv", *TINY[1:], "hydra.job.chdir=true"]
    own = ["seed=0,1", "hydra.sweep.dir=out", "-m"] if sweep else ["hydra.run.dir=out"]
    assert call(["train", *line, *own]) == 0
    states = [json.loads(path.read_text())["state"] for path in (here / "out").rglob("run.json")]
    assert states == ["completed"] * (2 if sweep else 1)
    assert Path.cwd() == here


def metrics_shown(out: str) -> dict[str, tuple[str, ...]]:
    """By metric what the table shows: of train, val and test, and a constant answer's of test."""
    rows = re.findall(r"│ (\S[^│]*?) +│ +(\S+) │ +(\S+) │ +(\S+) │ +(\S+) │", out)
    return {metric: tuple(numbers) for metric, *numbers in rows}


@pytest.mark.parametrize(
    ("dataset", "score", "rule"),
    [("moons", "accuracy", "greatest val accuracy, then least val loss"), ("sine", "R²", "least val loss")],
)
def test_every_number_says_of_which_weights_split_and_epoch_it_is(
    dataset: str, score: str, rule: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["train", f"dataset={dataset}", "epochs=4", "log.figures=false", "hydra.run.dir=run"]) == 0
    out = capsys.readouterr().out
    assert "train: mean over the epoch's batches, each before its step; val: the weights after the epoch" in out
    shown = re.findall(rf"epoch \d/4  train loss (\S+)  val loss (\S+)  val {score} (\S+)", out)
    assert len(shown) == 4
    found = record(here / "run")
    best = found["best_epoch"]
    title = f"Each split with the weights of the best epoch ({rule}): {best}"
    assert f"{title} of 4\n" in out
    # Of validation the table has what the line of that epoch has; of training it has the weights after that epoch.
    rows = metrics_shown(out)
    assert [rows[metric][1] for metric in ("loss", score)] == [*shown[best - 1][1:]]
    assert rows["loss"][0] != shown[best - 1][0]
    assert call(["eval", "run"]) == 0
    out = capsys.readouterr().out
    assert f"{title}\n" in out
    assert metrics_shown(out) == rows
