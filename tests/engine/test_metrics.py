"""Metrics against scikit-learn's functions: on random and on degenerate answers, members at once and each alone."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as theirs
from torch import Tensor

from mlpexp.components.loss import BCE, MSE, CrossEntropy, Loss
from mlpexp.config.metric import KINDS
from mlpexp.data.task import METRICS_OF, Task
from mlpexp.engine.metrics import Answers, metrics, undefined

REGRESSION = Task("regression")
# What other files compute: the engine, and run/results.py the calibration error.
ELSEWHERE = {"accuracy", "r2", "loss", "calibration_error"}


def task_of(n_classes: int) -> Task:
    return Task("classification", tuple(map(str, range(n_classes))))


def ours(outputs: Tensor, y: Tensor, task: Task, loss: Loss, unit: float = 1.0) -> list[dict[str, float]]:
    """By member, for outputs [K, N, C]."""
    found = metrics(Answers.of(outputs, task, loss, lambda values: values.double() * unit), y, task.metrics)
    assert set(found) == set(task.metrics) - ELSEWHERE
    assert all(value.dtype == torch.float64 for value in found.values())
    return [{name: value[k].item() for name, value in found.items()} for k in range(len(outputs))]


def of_classes(probabilities: np.ndarray, predicted: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """scikit-learn's."""
    n_classes = probabilities.shape[1]
    labels = list(range(n_classes))
    with warnings.catch_warnings():
        # What it warns of are classes without a row.
        warnings.simplefilter("ignore")
        scores: Any = probabilities[:, 1] if n_classes == 2 else probabilities
        one_each = set(labels) == set(y)
        return {
            "balanced_accuracy": theirs.balanced_accuracy_score(y, predicted),
            "macro_f1": theirs.f1_score(y, predicted, average="macro"),
            "mcc": theirs.matthews_corrcoef(y, predicted),
            "roc_auc": theirs.roc_auc_score(y, scores, multi_class="ovr", labels=labels) if one_each else math.nan,
            "log_loss": theirs.log_loss(y, probabilities, labels=labels),
            "brier": theirs.brier_score_loss(y, probabilities, labels=labels),
        }


@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("loss", [BCE(), CrossEntropy()])
def test_random_classes(n_classes: int, loss: Loss) -> None:
    draw = torch.Generator().manual_seed(n_classes)
    task = task_of(n_classes)
    y = torch.randint(n_classes, (90,), generator=draw)
    # Ties by rounding, one member that is always the same, and one sure of itself.
    outputs = torch.randn(4, 90, loss.n_outputs(task), generator=draw).mul(2).round(decimals=1)
    outputs[1], outputs[2] = 0.3, outputs[2] * 20
    given = Answers.of(outputs, task, loss)
    assert given.probabilities is not None
    assert given.predicted is not None
    for k, found in enumerate(ours(outputs, y, task, loss)):
        expected = of_classes(given.probabilities[k].numpy(), given.predicted[k].numpy(), y.numpy())
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-7)
        assert ours(outputs[k : k + 1], y, task, loss) == [pytest.approx(found, rel=1e-12)]


@pytest.mark.parametrize(
    ("y", "logits"),
    [
        ([0, 0, 0], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.2, 0.1, 0.0]]),  # one class is true
        ([0, 1, 2], [[1.0, 0.0, 0.0]] * 3),  # one is predicted
        ([1, 1, 1], [[0.0, 1.0, 0.0]] * 3),  # one and the same
        ([2], [[0.0, 1.0, 0.0]]),  # one row
        ([0, 1, 0], [[0.0, 0.0, 1.0]] * 3),  # a class that no row has is predicted
        ([0, 1, 2], [[90.0, 0.0, 0.0], [0.0, 90.0, 0.0], [90.0, 0.0, 0.0]]),  # sure, and once wrong
    ],
)
def test_degenerate_classes(y: list[int], logits: list[list[float]]) -> None:
    task, outputs, true = task_of(3), torch.tensor([logits]), torch.tensor(y)
    given = Answers.of(outputs, task, CrossEntropy())
    assert given.probabilities is not None
    assert given.predicted is not None
    (found,) = ours(outputs, true, task, CrossEntropy())
    expected = of_classes(given.probabilities[0].numpy(), given.predicted[0].numpy(), true.numpy())
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-7, nan_ok=True)
    reasons = undefined(task, true, "the val split")
    assert set(reasons) == {name for name, value in found.items() if math.isnan(value)}


def test_why_there_is_none() -> None:
    task = Task("classification", ("no", "yes", "maybe"))
    of_rows = "the val split"
    assert undefined(task, torch.tensor([0, 2]), of_rows) == {"roc_auc": "the val split has no row of class yes"}
    assert undefined(task, torch.tensor([0]), of_rows) == {"roc_auc": "the val split has no row of 2 of the 3 classes"}
    assert undefined(REGRESSION, torch.ones(3, 1), of_rows) == {"r2": "the targets of the val split do not vary"}
    assert undefined(REGRESSION, torch.tensor([[1.0], [2.0]]), of_rows) == {}


@pytest.mark.parametrize("rows", [1, 50])
def test_values_in_own_units(rows: int) -> None:
    draw = torch.Generator().manual_seed(0)
    y, outputs = torch.randn(rows, 1, generator=draw), torch.randn(3, rows, 1, generator=draw)
    for k, found in enumerate(ours(outputs, y, REGRESSION, MSE(), unit=250.0)):
        true, predicted = 250.0 * y.double(), 250.0 * outputs[k].double()
        expected = {
            "rmse": theirs.root_mean_squared_error(true, predicted),
            "mae": theirs.mean_absolute_error(true, predicted),
        }
        assert found == pytest.approx(expected)


def test_answers_that_are_not_finite() -> None:
    outputs = torch.tensor([[[math.nan], [1.0], [-1.0]]])
    (found,) = ours(outputs, torch.tensor([0, 1, 0]), task_of(2), BCE())
    assert math.isnan(found["roc_auc"])
    assert math.isnan(found["log_loss"])


def test_every_metric_is_described() -> None:
    assert set(KINDS) == {name for names in METRICS_OF.values() for name in names}
    assert {name for name in KINDS if KINDS[name].can_be_undefined} == {"r2", "roc_auc"}
