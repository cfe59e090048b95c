"""Each symptom in a real run that has it, and not in one that has not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpexp.config.compose import compose
from mlpexp.config.overrides import parse_override
from mlpexp.doctor import hardware, measure
from mlpexp.doctor.examine import SYMPTOMS
from mlpexp.errors import RunError
from mlpexp.training.prepare import prepare
from mlpexp.training.single import train

# A run that has each symptom, and one that has none at all: where it can be, the same but for one setting.
SMALL = ["device=cpu", "log.figures=false", "log.tensorboard=false"]
DEEP = "model.hidden=[8,8,8,8,8,8]"
NOISY = ["dataset=sine", "dataset.seed=42", "dataset.noise=0.6", "batch_size=30", "optimizer.lr=0.01", "epochs=300"]
ILL_AND_WELL = {
    "diverged": (["dataset=sine", "optimizer=sgd", "optimizer.lr=1"], ["dataset=sine", "optimizer=sgd", "epochs=100"]),
    "symmetric_units": (["dataset=xor", "init=zeros", "activation=sigmoid"], ["dataset=xor", "activation=sigmoid"]),
    "rate_too_small": (["dataset=xor", "optimizer.lr=1e-5"], ["dataset=xor"]),
    "rate_too_large": (["dataset=xor", "optimizer=sgd", "optimizer.lr=10"], ["dataset=xor", "optimizer=sgd"]),
    "vanishing_gradients": (["dataset=xor", "activation=sigmoid", DEEP], ["dataset=xor", DEEP]),
    "exploding_gradients": (
        ["dataset=moons", DEEP, "init=normal", "init.std=3", "epochs=10"],
        ["dataset=moons", DEEP, "init=xavier_uniform", "activation=tanh", "epochs=10"],
    ),
    "dead_units": (["dataset=xor", "optimizer.lr=1"], ["dataset=xor", "optimizer.lr=0.01"]),
    "saturated_units": (
        ["dataset=xor", "activation=tanh", "init=normal", "init.std=10"],
        ["dataset=xor", "activation=tanh"],
    ),
    "overfitting": (NOISY, [*NOISY, "regularizer=[early_stopping]"]),
    "stuck_accuracy": (["dataset=xor", "model.hidden=[4]", "seed=2"], ["dataset=xor", "model.hidden=[4]", "seed=1"]),
    "underfitting": (["dataset=xor", "model=perceptron"], ["dataset=and", "model=perceptron"]),
}

Examined = Callable[..., list[dict[str, Any]]]
MACHINE = {"unused_gpu", "bound_elsewhere"}  # see below


def findings_of(directory: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((directory / "run.json").read_text())["findings"]
    return found


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[dict[str, Any]]]:
    """What run.json says of a run of the real config with overrides, which is trained once."""

    @cache
    def run(*overrides: str) -> list[dict[str, Any]]:
        directory = tmp_path_factory.mktemp("runs") / "run"
        with suppress(RunError):
            train(compose([*SMALL, *overrides]), directory)
        return findings_of(directory)

    return run


def pasted(overrides: list[str], remedy: str) -> list[str]:
    """The overrides with a remedy in place of those for the same key or, where it chooses a component, below it."""
    key = parse_override(remedy).key_or_group
    kept = [
        given
        for given in overrides
        if (of := parse_override(given).key_or_group) != key and not (of or "").startswith(f"{key}.")
    ]
    return [*kept, remedy]


@pytest.mark.parametrize("model", [["model.hidden=[8]"], ["model=perceptron"]], ids=["mlp", "perceptron"])
@pytest.mark.parametrize("every", [5, 20, 100])
def test_a_class_that_is_never_found_is_told_however_rare(every: int, model: list[str], here: Path) -> None:
    random = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'usual' if n % every else 'rare'}" for n, (a, b) in enumerate(random.random((600, 2)))]
    (here / "t.csv").write_text("\n".join(["a,b,y", *rows, ""]))
    run = train(compose([*SMALL, "dataset=table", "dataset.path=t.csv", "epochs=60", *model]), here / "run")
    (found,) = run.record.findings
    # Of one row in a hundred too few are there to tell a class that is missed from one that cannot be learned.
    assert (found["symptom"] == "missed_class") == (every < 100)
    assert ("rare" if every < 100 else "always the same class") in found["evidence"]


def test_every_symptom_is_here() -> None:
    # What needs a table of unequal classes is in tests/components/test_class_weight.py.
    assert {*ILL_AND_WELL, *MACHINE, "missed_class"} == {symptom.name for symptom in SYMPTOMS}


@pytest.mark.parametrize("symptom", ILL_AND_WELL)
def test_it_is_found_with_numbers_where_it_is(symptom: str, examined: Examined) -> None:
    found = {finding["symptom"]: finding for finding in examined(*ILL_AND_WELL[symptom][0])}
    assert set(found) <= {symptom, "dead_units"}, found
    assert re.search(r"\d", found[symptom]["evidence"])
    assert found[symptom]["remedy"]


@pytest.mark.parametrize("symptom", ILL_AND_WELL)
def test_nothing_is_found_where_nothing_is(symptom: str, examined: Examined) -> None:
    assert examined(*ILL_AND_WELL[symptom][1]) == []


@pytest.mark.parametrize("symptom", ILL_AND_WELL)
def test_every_remedy_is_a_config_that_can_be_run_and_another_one(symptom: str, examined: Examined) -> None:
    overrides = ILL_AND_WELL[symptom][0]
    before = compose(overrides)
    for finding in examined(*overrides):
        for remedy in [finding["remedy"], *finding["alternatives"]]:
            config = compose(pasted(overrides, remedy))
            assert config != before, remedy
            prepare(config)


# Not those of overfitting, which keep the best weights from being lost but cannot make noise predictable.
CURED = ["diverged", "symmetric_units", "rate_too_small", "rate_too_large", "vanishing_gradients", "dead_units"]
CURED += ["saturated_units", "exploding_gradients", "stuck_accuracy", "underfitting"]


@pytest.mark.parametrize("symptom", CURED)
def test_the_first_remedy_cures(symptom: str, examined: Examined) -> None:
    overrides = ILL_AND_WELL[symptom][0]
    (finding,) = [finding for finding in examined(*overrides) if finding["symptom"] == symptom]
    after = {finding["symptom"] for finding in examined(*pasted(overrides, finding["remedy"]))}
    assert symptom not in after


def test_a_gpu_that_is_there_and_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_LONG_TRAINING", 0.0)
    config = compose([*SMALL, "dataset=digits", "epochs=1", "device=cpu"])
    step = 32 * (64 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10)

    def symptoms(name: str, devices: list[str], worth: int) -> dict[str, str]:
        monkeypatch.setattr(hardware, "_WORTH_A_GPU", worth)
        monkeypatch.setattr(measure, "available", lambda: devices)
        train(config, tmp_path / name)
        return {finding["symptom"]: finding["remedy"] for finding in findings_of(tmp_path / name)}

    assert symptoms("there", ["cuda", "cpu"], step) == {"unused_gpu": "device=cuda"}
    assert symptoms("apple", ["mps", "cpu"], step) == {"unused_gpu": "device=mps"}
    assert symptoms("too small", ["cuda", "cpu"], step + 1) == {}
    assert symptoms("none", ["cpu"], step) == {}


def test_a_run_that_waits_for_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["dataset=and", "device=cpu", "log.tensorboard=false", "epochs=20"]

    def symptoms(name: str, *more: str) -> dict[str, dict[str, Any]]:
        train(compose([*overrides, *more]), tmp_path / name)
        return {finding["symptom"]: finding for finding in findings_of(tmp_path / name)}

    assert symptoms("short") == {}
    monkeypatch.setattr(hardware, "_LONG", 0.0)
    found = symptoms("figures")
    assert set(found) == {"bound_elsewhere"}
    assert "figures" in found["bound_elsewhere"]["evidence"]
    assert found["bound_elsewhere"]["remedy"] == "log.figures=false"
    # How long its few milliseconds of training take beside the writing is the machine's affair.
    cured = symptoms("cured", found["bound_elsewhere"]["remedy"])
    assert "figures" not in str(cured)
    always = symptoms("checkpoints", "log.figures=false", "checkpoint.every_seconds=0")
    assert always["bound_elsewhere"]["remedy"] == "checkpoint.every_seconds=60"
