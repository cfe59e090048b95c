"""What a constant answer scores, against scikit-learn's dummies, and where run.json has it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as theirs
from sklearn.dummy import DummyClassifier, DummyRegressor

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
def test_they_are_those_of_a_dummy_fitted_to_the_training_rows(dataset: str) -> None:
    prepared = prepare(compose([f"dataset={dataset}"]))
    data = prepared.data
    found = constant_metrics(data, Objective(data.task, prepared.loss))
    classes = data.task.kind == "classification"
    y_train = data.train.y.numpy().ravel()
    dummy = DummyClassifier(strategy="prior") if classes else DummyRegressor()
    dummy.fit(np.zeros((len(y_train), 1)), y_train)
    for name, split in data.splits().items():
        x, y = np.zeros((len(split), 1)), split.y.numpy().ravel()
        answer = dummy.predict(x)
        if classes:
            shares = dummy.predict_proba(x)
            expected = {
                "accuracy": theirs.accuracy_score(y, answer),
                "balanced_accuracy": 1 / data.task.n_classes,
                "macro_f1": theirs.f1_score(y, answer, average="macro"),
                "mcc": 0.0,
                "roc_auc": 0.5,
                "loss": theirs.log_loss(y, shares),
                "log_loss": theirs.log_loss(y, shares),
                "brier": theirs.brier_score_loss(y, shares, labels=list(range(data.task.n_classes))),
                "calibration_error": 1 - theirs.accuracy_score(y, answer),
            }
        else:
            expected = {
                "r2": theirs.r2_score(y, answer),
                "loss": theirs.mean_squared_error(y, answer),
                "rmse": theirs.root_mean_squared_error(y, answer),
                "mae": theirs.mean_absolute_error(y, answer),
            }
        assert found[name] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_run_that_diverged_says_so_and_what_a_constant_answer_scores(tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        train(compose(DIVERGES), tmp_path / "run")
    found = read(tmp_path / "run")
    assert (found.state, found.diverged, found.metrics) == ("failed", True, {})
    of_test = found.constant["test"]
    assert (of_test["accuracy"], of_test["roc_auc"], of_test["mcc"]) == (0.5, 0.5, 0.0)
    assert of_test["loss"] == pytest.approx(math.log(2))


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
    assert train(config, tmp_path / "whole").record.constant["test"]["accuracy"] == 0.5

    def infinite(*args: Any, **keep: Any) -> Evaluation:
        found = evaluate(*args, **keep)
        return replace(found, loss=found.loss + math.inf)

    from mlpexp.run import results

    evaluate = results.evaluate
    monkeypatch.setattr(results, "evaluate", infinite)
    train(config, tmp_path / "run")
    found = read(tmp_path / "run")
    assert (found.state, found.diverged) == ("completed", False)
    assert str(found.metrics["test"]["loss"]) == "None"  # JSON has no infinity
    assert found.constant["test"]["loss"] == pytest.approx(math.log(2))
