"""The overrides, the command and the program that make a run again: from its config, whatever made that."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from mlpexp.cli.main import call
from mlpexp.components.activation import Activation, activations
from mlpexp.components.optimizer import SGD, Optimizer, optimizers
from mlpexp.components.regularizer import Regularizer, regularizers
from mlpexp.config.compose import compose
from mlpexp.config.locate import CONF
from mlpexp.config.overrides import parse_override, quote
from mlpexp.config.report import Claim
from mlpexp.config.reproduce import command, overrides, program, sweep_command, written
from mlpexp.config.schema import Config
from mlpexp.fields.ranges import NonNegative, Positive
from mlpexp.fields.registry import Registry
from mlpexp.training.single import resume, train

OPTIONS = [
    *(
        f"{path.parent.name}={path.stem}" if path.parent.name != "regularizer" else f"regularizer=[{path.stem}]"
        for path in sorted(CONF.glob("*/*.yaml"))
        if path.stem not in ("table", "images", "npz")  # need a path, see ODD
    ),
]
TEXTS = ["it's", 'a "b"', "a\\b", "a\\", "\\'", "null", "True", "1e5", "", " x ", "a,b", "[x]", "{a: b}", "données (1)"]
TEXTS += ["${oc.env:HOME}", "\\${seed}", "a=b", "50 %", "line\nline", "#5", "-x", "$(ls); `ls`"]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_one_override(option: str) -> None:
    config = compose([option])
    found = overrides(config.to_dict())
    assert found == [option] or (found == [] and compose() == config)


@pytest.mark.parametrize(
    "given",
    [
        "epochs=7 batch_size=3 seed=4 clip.norm=1 precision=bf16 log.figures=false stack.max_members=2 data_dir=x",
        "dataset=moons dataset.seed=3 dataset.noise=0.5 model.hidden=[5,3] optimizer=adamw optimizer.betas=[0.8,0.9]",
        "dataset=sine optimizer=sgd dataset.recommended.lr_sgd=0.5 dataset.recommended.hidden=[3]",
        "optimizer=lbfgs optimizer.line_search=null scheduler=step scheduler.gamma=1e-05 model.hidden=[]",
        "regularizer=[mixup,dropout,l1] regularizer.mixup.alpha=1 regularizer.l1.strength=1e-7",
        "experiment=dropout regularizer=[dropout] regularizer.dropout.p=0.1 seed=3 dataset=xor optimizer=muon",
        "experiment=gates report.baseline=null model.hidden=[2]",
        "report.title=x report.figures=[learning_curves] report.metric=loss/val",
    ],
)
def test_any_config_is_composed_again(given: str) -> None:
    config = compose([f"{key}={value}" for key, value in (word.split("=", 1) for word in given.split())])
    found = overrides(config.to_dict())
    assert compose(found) == config
    assert len(found) <= len(given.split())


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_back_whatever_it_holds(text: str) -> None:
    """By the grammar, by OmegaConf, in lists and mappings, in what a shell reads."""
    config = compose(["dataset=table", "dataset.path=x.csv", f"report.title={quote(text)}"])
    assert config.report.title == text
    given = replace(config, plugins=(), data_dir=text, report=replace(config.report, figures=("reliability",)))
    plain = json.loads(json.dumps(given.to_dict()))
    plain["dataset"] |= {"path": text, "target": [text], "columns": {text.strip() or "x": "number"}}
    plain["report"]["claims"] = [json.loads(json.dumps(asdict(Claim(says=text, measure="accuracy/test", above=0.0))))]
    (*_, line) = [shlex.split(command(plain))[2:]]
    again = compose(line).to_dict()
    assert again == plain


@pytest.mark.parametrize("value", [1e-5, 1e20, -2.5e-7, 3.0, 0, True, None, [1, [2.5, "x"]], {"a": [None], "b": "c d"}])
def test_a_value_is_read_back(value: Any) -> None:
    again: Any = parse_override(f"key={written(value)}").value()
    assert (again, type(again)) == (value, type(value))


@dataclass(frozen=True)
class Wave(Activation):
    a: Positive = 2.0

    def build(self) -> nn.Module:
        return nn.Tanh()


@dataclass(frozen=True)
class Plain(Optimizer):
    speed: Positive = 0.1

    build = SGD.build


@dataclass(frozen=True)
class Penalty(Regularizer):
    size: NonNegative = 0.0


@pytest.fixture
def own_components() -> Iterator[None]:
    """Components of a program's, which have no file in any config directory."""
    added: list[tuple[Registry[Any], str, Any]] = [
        (activations, "wave", Wave),
        (optimizers, "plain", Plain),
        (regularizers, "penalty", Penalty),
    ]
    for registry, name, component in added:
        registry.register(name)(component)
    yield
    for registry, name, _ in added:
        del registry._components[name]


@pytest.mark.usefixtures("own_components")
def test_a_component_without_a_file_is_spelled_out() -> None:
    config = replace(
        compose(["dataset=xor", "regularizer=[dropout]"]),
        activation=Wave(3.0),
        optimizer=Plain(0.5),
        plugins=(__name__,),
    )
    config = replace(config, regularizer=(*config.regularizer, Penalty(0.5)))
    found = overrides(config.to_dict())
    assert "++activation={name:wave,a:3.0}" in found
    assert compose(found) == config
    # Where the config does not name the module that a program has imported, the command does.
    assert f"plugins=[{__name__}]" in overrides(replace(config, plugins=()).to_dict())


def test_a_grid_is_one_command() -> None:
    def configs(*given: str) -> list[Mapping[str, Any]]:
        return [compose(line.split()).to_dict() for line in given]

    grid = [f"dataset=xor activation={name} seed={seed}" for name in ("relu", "tanh") for seed in range(4)]
    assert sweep_command(configs(*grid)) == "mlpexp train -m dataset=xor activation=relu,tanh 'seed=range(0,4)'"
    # 0.1 is the rate of plain SGD in any case, and is said for the sake of the other.
    rates = [f"optimizer={name} optimizer.lr={lr}" for name in ("sgd", "adam") for lr in (0.1, 0.5)]
    assert sweep_command(configs(*rates)) == "mlpexp train -m optimizer=sgd,adam optimizer.lr=0.1,0.5"
    assert sweep_command(configs(*rates[:3])) == ""
    # One of the values that an experiment sweeps over.
    said = shlex.split(sweep_command(configs("experiment=xor seed=1", "experiment=xor seed=2")))
    assert said == ["mlpexp", "train", "-m", "experiment=xor", "activation=relu", "seed=1,2"]
    # A stranger's.
    assert sweep_command([{"dataset": 3}, {}]) == ""
    stranger: dict[str, Any] = dict(compose(["dataset=xor"]).to_dict())
    stranger["dataset"]["recommended"]["lr"] = "${oc.env:HOME}"
    assert sweep_command([stranger, {**stranger, "seed": 1}]) == ""


CSV = "it's \\ données (1), {x}.csv"
CASES = {
    "lists": "dataset=moons dataset.n_samples=40 model.hidden=[5,3] optimizer.betas=[0.8,0.9] clip.norm=1",
    "null": "dataset=or optimizer=lbfgs optimizer.line_search=null",
    "nested": "dataset=moons dataset.n_samples=40 regularizer=[dropout,mixup,batchnorm] regularizer.dropout.p=0.2",
    "experiment": "experiment=xor activation=tanh seed=2",
    "schedule": "dataset=xor scheduler=cosine optimizer=sgd",
}
QUIET = ["log.tensorboard=false", "log.figures=false"]


def left(run: Path) -> tuple[Any, ...]:
    """Every number that a run has: the table's, the record's, the bits of the weights."""
    import torch

    weights = torch.load(run / "checkpoints" / "best.pt", weights_only=True)["weights"]
    bits = {name: tensor.numpy().tobytes() for name, tensor in weights.items()}
    said = json.loads((run / "run.json").read_text())
    return (run / "metrics.csv").read_text(), said["metrics"], said["config"], bits


def line_again(said: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs the recorded line, as a shell would, and gives the directory of the run that it made."""
    monkeypatch.chdir(place)
    for part in said["command"].split(" && "):
        name, *words = shlex.split(part)
        assert name == "mlpexp"
        assert call(words) == 0
    (made,) = place.glob("**/run.json")
    return made.parent


def program_again(said: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs the recorded lines of Python, likewise."""
    monkeypatch.chdir(place)
    exec(said["python"], {})
    return place / "again"


def makes_it_again(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.loads((run / "run.json").read_text())
    for way in (line_again, program_again):
        place = tmp_path / way.__name__
        place.mkdir()
        for file in (*tmp_path.glob("*.csv"), *tmp_path.glob("*.py")):
            (place / file.name).write_bytes(file.read_bytes())
        assert left(way(said, place, monkeypatch)) == left(run)


@pytest.mark.parametrize("longer", [None, 4], ids=["as begun", "resumed"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_recorded_makes_the_same_run(
    case: str, longer: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = train(compose([*CASES[case].split(), *QUIET, "epochs=2"]), "run").directory.resolve()
    if longer is not None:
        resume(run, {"epochs": longer})
    makes_it_again(run, tmp_path, monkeypatch)


def test_a_name_of_any_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(f"{i},{-i},{'ab'[i % 2]}" for i in range(20))
    (tmp_path / CSV).write_text(f"x,sepal length (cm),y's\n{rows}\n")
    words = [
        "train",
        "dataset=table",
        f"dataset.path={quote(CSV)}",
        f"dataset.target={quote(chr(121) + chr(39) + 's')}",
    ]
    assert call([*words, *QUIET, "epochs=2", "hydra.run.dir=a b"]) == 0
    makes_it_again(tmp_path / "a b", tmp_path, monkeypatch)


def test_a_member_of_a_sweep_is_made_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to rounding: a stack adds up in other orders."""
    monkeypatch.chdir(tmp_path)
    sweep = ["activation=relu,tanh", "seed=0,1", "regularizer=[dropout]", "epochs=3", "hydra.sweep.dir=sweep"]
    assert call(["train", "-m", "dataset=moons", "dataset.n_samples=40", *sweep, *QUIET]) == 0
    said = json.loads((tmp_path / "sweep" / "3" / "run.json").read_text())
    assert said["command"] == (
        "mlpexp train dataset=moons activation=tanh 'regularizer=[dropout]' dataset.n_samples=40 epochs=3 seed=1 "
        "log.tensorboard=false log.figures=false"
    )
    for way in (line_again, program_again):
        (tmp_path / way.__name__).mkdir()
        again = json.loads((way(said, tmp_path / way.__name__, monkeypatch) / "run.json").read_text())
        assert again["config"] == said["config"]
        for split, metrics in said["metrics"].items():
            assert again["metrics"][split] == pytest.approx(metrics, rel=1e-5)


_WAVY = """\
from dataclasses import dataclass
from torch import nn
from mlpexp.components.activation import Activation, activations

@activations.register("wavy")
@dataclass(frozen=True)
class Wavy(Activation):
    a: float = 1.0

    def build(self):
        return nn.Softplus(self.a)
"""


@pytest.fixture
def wavy(tmp_path: Path) -> Iterator[None]:
    """A module that registers an activation, and the config directory that holds its YAML."""
    (tmp_path / "own" / "activation").mkdir(parents=True)
    (tmp_path / "own" / "activation" / "wavy.yaml").write_text("# wavy\nname: wavy\na: 1.0\n")
    (tmp_path / "wavy_plugin.py").write_text(_WAVY)
    yield
    sys.modules.pop("wavy_plugin", None)
    activations._components.pop("wavy", None)


@pytest.mark.usefixtures("wavy")
def test_a_component_of_ones_own_comes_with_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = ["--config-dir", "own", "plugins=[wavy_plugin]", "activation=wavy", "activation.a=2"]
    assert call(["train", *own, "dataset=xor", "epochs=2", *QUIET, "hydra.run.dir=run"]) == 0
    makes_it_again(tmp_path / "run", tmp_path, monkeypatch)


def test_what_a_schedule_has_followed_is_followed_again() -> None:
    config = compose(["dataset=xor", "scheduler=cosine", "epochs=9"]).to_dict()
    resumed = "mlpexp resume again epochs=6 && mlpexp resume again epochs=9"
    assert (
        command(config, [3, 6])
        == f"mlpexp train dataset=xor scheduler=cosine epochs=3 hydra.run.dir=again && {resumed}"
    )
    assert program(config, [3]).splitlines()[-1] == "run = mlpexp.resume('again', {'epochs': 9})"
    assert command(compose(["dataset=xor", "epochs=9"]).to_dict(), [3, 6]) == "mlpexp train dataset=xor epochs=9"


def test_a_config_of_python_alone() -> None:
    config: Config = replace(compose(["dataset=xor"]), epochs=3, seed=8)
    assert command(config.to_dict()) == "mlpexp train dataset=xor epochs=3 seed=8"
