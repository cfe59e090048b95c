"""What a constant answer scores, against scikit-learn's dummies, and where run.json has it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score

from mlpexp.config.compose import compose
from mlpexp.engine.objective import Evaluation, Objective
from mlpexp.errors import DivergedError
from mlpexp.run.record import read
from mlpexp.run.recorder import Recorder
from mlpexp.run.results import constant_metrics
from mlpexp.training.prepare import prepare
from mlpexp.training.single import train

DIVERGES = ["dataset=moons", "optimizer=sgd", "optimizer.lr=1e30", "epochs=3", "log.figures=false"]


@pytest.mark.parametrize("dataset", ["digits", "xor", "sine"])
def test_they_are_those_of_a_dummy_fitted_to_the_split(dataset: str) -> None:
    prepared = prepare(compose([f"dataset={dataset}"]))
    found = constant_metrics(prepared.data, Objective(prepared.data.task, prepared.loss))
    for name, split in prepared.data.splits().items():
        x, y = np.zeros((len(split), 1)), split.y.numpy().ravel()
        if prepared.data.task.kind == "regression":
            answer = DummyRegressor().fit(x, y).predict(x)
            expected = {"loss": mean_squared_error(y, answer), "r2": r2_score(y, answer)}
        else:
            dummy = DummyClassifier(strategy="prior").fit(x, y)
            accuracy = accuracy_score(y, dummy.predict(x))
            loss = log_loss(y, dummy.predict_proba(x))
            expected = {"loss": loss, "accuracy": accuracy, "calibration_error": 1 - accuracy}
        assert found[name] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_run_that_diverged_says_so_and_what_a_constant_answer_scores(tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        train(compose(DIVERGES), tmp_path / "run")
    found = read(tmp_path / "run")
    assert (found.state, found.diverged, found.metrics) == ("failed", True, {})
    assert found.constant["test"] == pytest.approx({"accuracy": 0.5, "loss": math.log(2), "calibration_error": 0.5})


def test_so_does_one_that_diverged_and_cannot_write_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Recorder, "epoch", full)
    with pytest.raises(OSError, match="No space left"):
        train(compose(DIVERGES), tmp_path / "run")
    found = read(tmp_path / "run")
    assert (found.state, found.diverged) == ("failed", True)
    assert found.constant.keys() == {"train", "val", "test"}


def test_a_run_that_fails_of_something_else_has_not_diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("diverged: a sentence that begins like that of one that has")

    monkeypatch.setattr(Recorder, "epoch", full)
    with pytest.raises(OSError, match="diverged"):
        train(compose(["dataset=moons", "epochs=1", "log.figures=false"]), tmp_path / "run")
    found = read(tmp_path / "run")
    assert (found.state, found.diverged, found.constant) == ("failed", False, {})


def test_a_metric_that_is_not_finite_has_one_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose(["dataset=moons", "epochs=1", "log.figures=false"])
    assert train(config, tmp_path / "whole").record.constant == {}

    def infinite(*args: Any) -> Evaluation:
        found = evaluate(*args)
        return Evaluation(found.loss + math.inf, found.score)

    from mlpexp.run import results

    evaluate = results.evaluate
    monkeypatch.setattr(results, "evaluate", infinite)
    train(config, tmp_path / "run")
    found = read(tmp_path / "run")
    assert (found.state, found.diverged) == ("completed", False)
    assert str(found.metrics["test"]["loss"]) == "None"  # JSON has no infinity
    assert found.constant["test"]["loss"] == pytest.approx(math.log(2))
