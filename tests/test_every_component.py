"""Every registered component keeps the contract and learns. Parametrised over the registries: registering one adds its
tests."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mlpexp.components.activation import activations
from mlpexp.components.init import inits
from mlpexp.components.loss import losses
from mlpexp.components.model import models
from mlpexp.components.optimizer import optimizers
from mlpexp.components.regularizer import regularizers
from mlpexp.components.scheduler import schedulers
from mlpexp.config.compose import compose
from mlpexp.config.schema import LIST_GROUPS, REGISTRIES, Config
from mlpexp.data.dataset import datasets
from mlpexp.testing import check
from mlpexp.training.single import train

Small = Callable[..., Config]

# What cannot learn, and is there to show it.
FAILS_TO_LEARN = {"init=zeros"}
# What needs more than four epochs at the rate that suits a network.
MORE = {"model=perceptron": "optimizer.lr=0.1"}

CHOICES = [
    *(f"activation={name}" for name in activations),
    *(f"init={name}" for name in inits),
    *(f"model={name}" for name in models),
    *(f"optimizer={name}" for name in optimizers),
    *(f"scheduler={name}" for name in schedulers),
    *(f"regularizer=[{name}]" for name in regularizers),
    *(f"loss={name}" for name in losses),
]


COMPONENTS = [
    pytest.param(group, name, id=f"{group}={name}", marks=[pytest.mark.mnist] * (name == "mnist"))
    for group, registry in REGISTRIES.items()
    for name in registry
]
# What has no value of its own, or would take long with it.
NEEDED = {"table": ["dataset.path=iris.csv"], "mnist": ["dataset.limit=500"]}
TRAIN_ALONE = {"lbfgs"}


@pytest.mark.parametrize(("group", "name"), COMPONENTS)
def test_it_keeps_the_contract(here: Path, made: Callable[[str], list[str]], group: str, name: str) -> None:
    if name == "table":
        write_iris(here / "iris.csv")
    alone = check(REGISTRIES[group][name], overrides=NEEDED.get(name, made(name)))
    expected = f"{group}={name} does not update elements of a weight independently" if name in TRAIN_ALONE else None
    assert alone == expected


@cache
def composed(*overrides: str) -> Config:
    return compose(["epochs=4", "log.figures=false", "log.tensorboard=false", *overrides])


def config_of(choice: str, dataset: str) -> Config:
    """Composed where values depend on the dataset; else with the defaults of the class, which are those of its file."""
    group, name = choice.replace("[", "").replace("]", "").split("=")
    if group in ("model", "optimizer"):
        return composed(f"dataset={dataset}", choice, *MORE.get(choice, "").split())
    part = REGISTRIES[group][name]()
    change: dict[str, Any] = {group: (part,) if group in LIST_GROUPS else part}
    return dataclasses.replace(composed(f"dataset={dataset}"), **change)


@pytest.mark.parametrize("choice", CHOICES)
def test_it_learns(tmp_path: Path, choice: str) -> None:
    regression = choice in ("loss=mse", "loss=mae", "loss=huber")
    config = config_of(choice, "sine" if regression else "moons")
    run = train(config, tmp_path / "run")
    assert run.record.state == "completed"
    for metrics in run.metrics.values():
        assert all(math.isfinite(value) for value in metrics.values())
    if choice not in FAILS_TO_LEARN:
        score = run.metrics["train"][run.results.data.task.score]
        assert score > (0.1 if regression else 0.75), f"{choice} learned nothing"
    else:
        assert run.metrics["train"]["accuracy"] == pytest.approx(0.5, abs=0.05)


def write_iris(path: Path) -> None:
    from sklearn.datasets import load_iris

    iris = load_iris(as_frame=False)
    rows = [",".join([*map(str, x), iris.target_names[y]]) for x, y in zip(iris.data, iris.target, strict=True)]
    path.write_text("\n".join(["sepal_length,sepal_width,petal_length,petal_width,species", *rows]))


@pytest.mark.parametrize("name", [name for name in datasets if name not in ("table", "mnist")])
def test_every_dataset_is_learned_with_its_own_settings(
    small: Small, tmp_path: Path, made: Callable[[str], list[str]], name: str
) -> None:
    config = small(f"dataset={name}", "epochs=${dataset.recommended.epochs}", *made(name))
    run = train(config, tmp_path / "run")
    score = run.metrics["test"][run.results.data.task.score]
    assert score >= {"and": 1, "or": 1, "xor": 1, "sine": 0.6, "moons": 0.93}.get(name, 0.95)


def test_a_table_of_the_users_own_is_learned(small: Small, tmp_path: Path) -> None:
    write_iris(tmp_path / "iris.csv")
    run = train(small("dataset=table", f"dataset.path={tmp_path}/iris.csv", "epochs=60"), tmp_path / "run")
    assert run.results.data.task.classes == ("setosa", "versicolor", "virginica")
    assert run.metrics["test"]["accuracy"] >= 0.9


OPTIONS = [
    "precision=bf16",
    "deterministic=true",
    "clip.norm=0.5",
    "clip.value=0.01",
    "device.threads=1 device=cpu",
    "batch_size=1",
    "batch_size=100000",
    "scheduler=cosine scheduler.warmup=1.5",
    "optimizer=lbfgs regularizer=[l2,max_norm]",
    "regularizer=[batchnorm,layernorm,dropout,alpha_dropout,l1,l2,max_norm,label_smoothing,input_noise,mixup]",
]


@pytest.mark.parametrize("options", OPTIONS)
def test_options_train(small: Small, tmp_path: Path, options: str) -> None:
    run = train(small("dataset=moons", "dataset.n_samples=200", *options.split()), tmp_path / "run")
    assert run.record.state == "completed"


@pytest.mark.long
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler, and there is none")
@pytest.mark.filterwarnings("default")  # the compiler's own
def test_a_compiled_network_learns_what_a_plain_one_does(small: Small, tmp_path: Path) -> None:
    runs = [
        train(small("dataset=xor", "epochs=30", f"compile={compiled}"), tmp_path / compiled)
        for compiled in ("false", "true")
    ]
    assert runs[1].metrics["train"]["loss"] == pytest.approx(runs[0].metrics["train"]["loss"], rel=1e-3)
    # Hooks see the units of a compiled network too.
    assert "dead_units/activation1" in (tmp_path / "true" / "metrics.csv").read_text()
