"""What is found wrong, or made right, between a config and its run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mlpexp
from mlpexp.config.schema import Config
from mlpexp.errors import ConfigError
from mlpexp.prepare import prepare

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
    mlpexp.train(small("dataset=csv", "dataset.path=line.csv", "epochs=80", "optimizer.lr=0.01"), "run")
    results, _ = mlpexp.load("run")
    predicted = results.predict(np.array([[2.0], [10.0]]))
    assert predicted[:, 0] == pytest.approx([7000, 15000], rel=0.05)


def test_a_run_is_not_resumed_to_fewer_epochs_than_it_has(small: Small, here: Path, edit: Callable[..., None]) -> None:
    mlpexp.train(small("dataset=xor", "epochs=5"), "run")
    edit(here / "run" / "run.json", lambda said: said.update(state="interrupted"))
    with pytest.raises(ConfigError, match=r"epochs=2: run has 5 epochs behind it already"):
        mlpexp.resume("run", {"epochs": 2})
