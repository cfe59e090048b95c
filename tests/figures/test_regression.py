"""Fitted curves, and predictions against true values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from sklearn.metrics import r2_score

from mlpexp.figures import style
from mlpexp.figures.regression import fitted_curve, line, predicted_against_true

Read = Callable[[Figure], list[str]]  # the fixture's

X = np.linspace(-3, 3, 50, dtype=np.float32)[:, None]
Y = np.sin(X) + np.float32(0.1)
SPLITS = {"train": (X[::2], Y[::2]), "val": (X[1::4], Y[1::4]), "test": (X[3::4], Y[3::4])}


def test_curve_points_and_true_function(read: Read) -> None:
    at = line(SPLITS)
    figure = fitted_curve(2 * at, SPLITS, np.sin(at), "angle", "height", title="sine")
    texts = read(figure)
    assert {"train", "val", "test", "true function", "network", "angle", "height", "sine"} <= set(texts)
    (panel,) = figure.axes
    for name, (x, y) in SPLITS.items():
        (points,) = [one for one in panel.lines if same_color(one.get_color(), style.SPLITS[name])]
        np.testing.assert_array_equal(points.get_xydata(), np.hstack([x, y]))
    true, network = panel.lines[-2:]
    np.testing.assert_allclose(np.asarray(true.get_ydata()), np.sin(np.asarray(true.get_xdata())), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(network.get_ydata()), 2 * np.asarray(network.get_xdata()), rtol=1e-6)


def test_same_splits_are_drawn_once_and_an_unknown_function_not_at_all(read: Read) -> None:
    splits = {"train": (X[:30], Y[:30]), "val": (X[30:], Y[30:]), "test": (X[30:], Y[30:])}
    figure = fitted_curve(np.cos(line(splits)), splits, None, "x", "y")
    texts = read(figure)
    assert "val = test" in texts
    assert "true function" not in texts
    assert len(figure.axes[0].lines) == 3


@pytest.mark.parametrize("factor", [1e6, np.inf, np.nan])
def test_network_gone_astray_does_not_flatten_the_data(factor: float, read: Read) -> None:
    figure = fitted_curve(np.full_like(line(SPLITS), factor), SPLITS, None, "x", "y")
    read(figure)
    low, high = figure.axes[0].get_ylim()
    assert low < Y.min() < Y.max() < high
    assert high - low < 3 * np.ptp(Y)


@pytest.mark.parametrize("n", [1, 2, 5000])
def test_any_number_of_points(n: int, read: Read) -> None:
    x = np.linspace(0, 1e5, n, dtype=np.float32)[:, None]
    splits = {"train": (x, x)}
    read(fitted_curve(line(splits), splits, None, "x", "y"))
    read(predicted_against_true({"train": (x[:, 0], x[:, 0])}, "y"))


def test_r2_of_each_split_is_that_of_scikit_learn(read: Read) -> None:
    generator = np.random.default_rng(0)
    points = {}
    for name, n in (("train", 60), ("val", 20), ("test", 3000)):
        true = generator.normal(size=n)
        points[name] = (true, true + generator.normal(size=n) / 2)
    figure = predicted_against_true(points, "price ($)", title="houses")
    texts = read(figure)
    for name, (true, predicted) in points.items():
        assert f"{name}: R² = {r2_score(true, predicted):.3g}" in texts
    assert {"true price ($)", "predicted price ($)", "predicted = true"} <= set(texts)
    panel, beside = figure.axes
    assert panel.get_xlim() == panel.get_ylim()
    assert panel.lines[-1].get_xydata().tolist() == [[v, v] for v in panel.get_xlim()]  # type: ignore[union-attr]
    for drawn, (true, predicted) in zip(beside.lines, points.values(), strict=False):
        shown = style.every(len(true))
        np.testing.assert_array_equal(drawn.get_xydata(), np.stack([predicted, true - predicted], 1)[shown])
    low, high = beside.get_ylim()
    assert low < min((true - predicted).min() for true, predicted in points.values()) < 0 < high


def test_r2_that_cannot_be_said(read: Read) -> None:
    true = np.arange(5.0)
    texts = read(predicted_against_true({"train": (true, true * np.nan), "val": (np.full(3, 0.1), np.ones(3))}, "y"))
    assert {"train: R² = not a number", "val: R² = –"} <= set(texts)
