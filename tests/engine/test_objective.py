"""Scores against scikit-learn's."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score

from mlpexp.components.loss import MSE, CrossEntropy
from mlpexp.data.dataset import Data, Split
from mlpexp.data.task import Task
from mlpexp.engine.objective import Objective
from mlpexp.engine.rows import Rows

VALUES = Objective(Task("regression"), MSE())


def r2(true: list[float], predicted: list[float]) -> float:
    y, outputs = (torch.tensor(values).unsqueeze(1) for values in (true, predicted))
    return VALUES.score(VALUES.score_sums(outputs[None], y[None]), rows(VALUES.task, y)).item()


def rows(task: Task, y: torch.Tensor) -> Rows:
    split = Split(torch.zeros(len(y), 1), y)
    return Rows.of([Data("made up", task, split, split, split)], "val")


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        ([1.0, 2.0, 4.0], [1.5, 2.0, 3.0]),
        ([0.0] * 9 + [3.0], [0.3] * 10),  # zero-inflated, the mean: 0
        ([0.0] * 9 + [1e-6], [1.0] * 10),  # little variance is variance
        ([1e-12, 3e-12], [1e-12, 2e-12]),
    ],
)
def test_r2_is_that_of_scikit_learn(true: list[float], predicted: list[float]) -> None:
    assert r2(true, predicted) == pytest.approx(r2_score(true, predicted), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("true", [[2.0], [0.0, 0.0, 0.0], [0.1] * 7, [-1e6] * 1000, [0.0, 1e-30]])
def test_there_is_no_r2_without_variance(true: list[float]) -> None:
    assert math.isnan(r2(true, [value + 1 for value in true]))
    # Neither for predictions that are right: there was nothing to explain.
    assert math.isnan(r2(true, true))


def test_r2_of_enormous_errors_is_a_number() -> None:
    assert -math.inf < r2([0.0, 1.0], [1e30, 1e30]) < -1e37


def test_accuracy_is_that_of_scikit_learn() -> None:
    objective = Objective(Task("classification", ("a", "b", "c")), CrossEntropy())
    outputs, y = torch.randn(1, 50, 3, generator=torch.Generator().manual_seed(0)), torch.arange(50)[None] % 3
    score = objective.score(objective.score_sums(outputs, y), rows(objective.task, y[0])).item()
    assert score == pytest.approx(accuracy_score(y[0], outputs[0].argmax(-1)))
