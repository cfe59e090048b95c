"""The expected calibration error and its bins, held to values worked out by hand and to scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

import mlpexp
from mlpexp.config.schema import Config
from mlpexp.run.results import calibration


def test_worked_out_by_hand() -> None:
    # Three samples between 0.5 and 1, two of them right; one of 0.4, wrong.
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.3, 0.0, 0.7], [0.4, 0.3, 0.3]])
    found = calibration(probabilities, np.array([0, 1, 0, 1]), n_bins=2)
    assert found.counts.tolist() == [1, 3]
    assert found.confidence == pytest.approx([0.4, 0.8])
    assert found.accuracy == pytest.approx([0.0, 2 / 3])
    assert found.error == pytest.approx(0.25 * 0.4 + 0.75 * (0.8 - 2 / 3))


@pytest.mark.parametrize("n_classes", [2, 10])
def test_against_scikit_learn(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(n_classes, 0.3), 500)
    true = rng.integers(n_classes, size=500)
    found = calibration(probabilities, true, n_bins=10)
    right = probabilities.argmax(1) == true
    accuracy, confidence = calibration_curve(right, probabilities.max(1), n_bins=10, strategy="uniform")
    used = found.counts > 0
    assert found.counts.sum() == 500
    assert found.accuracy[used] == pytest.approx(accuracy)
    assert found.confidence[used] == pytest.approx(confidence)


def test_the_edges_of_a_bin() -> None:
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0], [0.75, 0.25], [0.76, 0.24]])
    assert calibration(probabilities, np.zeros(4, int), n_bins=4).counts.tolist() == [0, 1, 1, 2]


def test_what_is_no_number_is_left_out() -> None:
    probabilities = np.array([[np.nan, np.nan], [0.9, 0.1]])
    assert calibration(probabilities, np.array([0, 0])).counts.sum() == 1
    assert math.isnan(calibration(probabilities[:1], np.array([0])).error)


def test_a_run_knows_its_own(small: Callable[..., Config], tmp_path: Path) -> None:
    run = mlpexp.train(small("dataset=digits"), tmp_path / "run")
    results, _ = mlpexp.load(tmp_path / "run")
    test = results.data.test
    probabilities = results.outputs(test).softmax(-1).numpy()
    assert run.metrics["test"]["calibration_error"] == calibration(probabilities, test.y.cpu().numpy()).error
