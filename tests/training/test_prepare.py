"""What is found wrong, or made right, between a config and its run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mlpexp
from mlpexp.config.schema import Config
from mlpexp.data.dataset import Split
from mlpexp.engine.loop import Engine
from mlpexp.errors import ConfigError
from mlpexp.training.prepare import Preparations, prepare

Small = Callable[..., Config]


def test_compiling_needs_a_compiler(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nonexistent/c++")
    with pytest.raises(ConfigError, match="compile=true: needs a C\\+\\+ compiler"):
        prepare(small("dataset=xor", "compile=true", "device=cpu"))
    prepare(small("dataset=xor", "device=cpu"))


def test_a_saved_network_speaks_in_the_units_of_the_users_table(small: Small, here: Path) -> None:
    x = np.arange(120) / 10
    rows = [f"{value},{1000 * value + 5000}" for value in x]
    (here / "line.csv").write_text("\n".join(["x,y", *rows]))
    mlpexp.train(small("dataset=table", "dataset.path=line.csv", "epochs=80", "optimizer.lr=0.01"), "run")
    results, _ = mlpexp.load("run")
    predicted = results.predict(np.array([[2.0], [10.0]]))
    assert predicted[:, 0] == pytest.approx([7000, 15000], rel=0.05)


def test_a_run_is_not_resumed_to_fewer_epochs_than_it_has(small: Small, here: Path, edit: Callable[..., None]) -> None:
    mlpexp.train(small("dataset=xor", "epochs=5"), "run")
    edit(here / "run" / "run.json", lambda said: said.update(state="interrupted"))
    with pytest.raises(ConfigError, match=r"epochs=2: run has trained 5 epochs already"):
        mlpexp.resume("run", {"epochs": 2})


FEW = "the network's batch normalisation needs at least 2 rows in a batch."


@pytest.mark.parametrize(
    ("options", "refused"),
    {
        "regularizer=[batchnorm] batch_size=1": f"batch_size=1: {FEW}",
        "regularizer=[l2,batchnorm] batch_size=1": f"batch_size=1: {FEW}",
        "regularizer=[batchnorm] batch_size=2": None,
        "regularizer=[batchnorm] batch_size=1 optimizer=lbfgs": None,
        "regularizer=[layernorm,dropout,mixup,input_noise] batch_size=1": None,
        "regularizer=[batchnorm] rows=1": f"dataset=moons: has 1 training row, and {FEW}",
        "regularizer=[batchnorm] rows=1 optimizer=lbfgs": f"dataset=moons: has 1 training row, and {FEW}",
        "regularizer=[batchnorm] rows=2 batch_size=100": None,
        "regularizer=[layernorm,dropout,mixup,input_noise] rows=1": None,
        "rows=1 optimizer=lbfgs": None,
    }.items(),
)
def test_batches_of_one_row_are_refused_where_a_network_cannot_learn_from_them(
    options: str, refused: str | None, small: Small
) -> None:
    given = [option for option in options.split() if not option.startswith("rows=")]
    sizes: dict[str, Any] = {
        name: int(size) for name, size in (option.split("=") for option in given if option.startswith("batch_"))
    }
    given = [option for option in given if not option.startswith("batch_")]
    # A batch size beside an optimizer that takes all rows is refused where it is typed.
    config = dataclasses.replace(small("dataset=moons", "device=cpu", "model.hidden=[3]", *given), **sizes)
    data = prepare(small("dataset=moons", "dataset.n_samples=10")).data
    if "rows=" in options:
        n = int(options.split("rows=")[1].split()[0])
        data = dataclasses.replace(data, train=Split(data.train.x[:n], data.train.y[:n]))
    if refused is not None:
        with pytest.raises(ConfigError) as caught:
            prepare(config, data)
        assert str(caught.value) == refused
    else:
        # And it does learn: nothing more is refused than has to be.
        rows = next(Engine([prepare(config, data).config], data, torch.device("cpu")).epochs())
        assert rows[0]["epoch"] == 1


def test_what_was_prepared_for_whole_batches_is_not_taken_for_others(small: Small) -> None:
    alike = ["dataset=moons", "regularizer=[batchnorm]", "batch_size=1"]
    preparations = Preparations()
    preparations.of(dataclasses.replace(small(*alike[:2], "optimizer=lbfgs"), batch_size=1))
    with pytest.raises(ConfigError, match="batch_size=1"):
        preparations.of(small(*alike))
