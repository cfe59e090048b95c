"""Figures that set settings side by side: what is drawn is what was measured, and all of it can be read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mlpexp.figures.epoch_axes import COLOURS
from mlpexp.figures.sweeps.boundaries import Network, boundaries
from mlpexp.figures.sweeps.fits import Function, fits
from mlpexp.figures.sweeps.labels import broken
from mlpexp.figures.sweeps.layer_gradients import layer_gradients
from mlpexp.figures.sweeps.reliability import Reliability, reliability
from mlpexp.figures.sweeps.train_and_val import Losses, train_and_val
from mlpexp.run.results import calibration

Read = Callable[[Figure], list[str]]  # the fixture's
LONG = "activation=leaky_relu, init=xavier_uniform, regularizer=[batchnorm,dropout,early_stopping]"
COUNTS = [1, 2, 4, 5, 8]


def names(n: int) -> list[str]:
    return [f"{LONG}, seeds={k}" for k in range(n)]


def level(height: float, at: np.ndarray) -> np.ndarray:
    return np.full_like(at, height)


def network(n_classes: int = 2, edge: float = 0.3) -> Network:
    """The first class left of `edge`, the second right of it."""
    random = np.random.default_rng(0)
    x, y = random.uniform(size=(30, 2)), random.integers(n_classes, size=30)

    def probabilities(at: np.ndarray) -> np.ndarray:
        right = (at[:, :1] > edge).astype(float)
        return np.hstack([1 - right, right, np.zeros((len(at), n_classes - 2))])

    classes = [str(k) for k in range(n_classes)]
    return Network(
        probabilities, {"train": (x, y), "test": (x[:5], y[:5])}, classes, ("a", "b"), "test accuracy (%): 75"
    )


@pytest.mark.parametrize("n", [*COUNTS, 12])
def test_boundaries(n: int, read: Read) -> None:
    figure = boundaries({name: network() for name in names(n)}, ["a note"])
    texts = read(figure)
    assert sum("test accuracy (%): 75" in text for text in texts) == n
    assert {"a note", "class 0", "class 1", "train", "test", "boundary"} <= set(texts)


def test_a_boundary_lies_where_the_network_changes_its_mind() -> None:
    figure = boundaries({"a": network(edge=0.3), "b": network(edge=0.7)})
    for panel, edge in zip(figure.axes, (0.3, 0.7), strict=True):
        (contour,) = [found for found in panel.collections if len(found.get_paths()) and found.get_linewidth() == 1.4]
        along = np.concatenate([np.asarray(path.vertices)[:, 0] for path in contour.get_paths()])
        assert along == pytest.approx(edge, abs=0.02)


def test_boundaries_of_other_classes(read: Read) -> None:
    assert "class 2" in read(boundaries({"two": network(2), "three": network(3)}))


@pytest.mark.parametrize(
    ("n", "columns", "sizes"),
    [(6, None, [3, 3]), (5, None, [3, 2]), (7, None, [4, 3]), (4, 2, [2, 2]), (12, 4, [4, 4, 4])],
)
def test_rows_of_boundaries_are_as_full_as_can_be(n: int, columns: int | None, sizes: list[int]) -> None:
    figure = boundaries({str(k): network() for k in range(n)}, columns=columns)
    heights = [round(panel.get_position().y0, 6) for panel in figure.axes]
    assert [heights.count(height) for height in dict.fromkeys(heights)] == sizes


@pytest.mark.parametrize("n", COUNTS)
def test_fits(n: int, read: Read) -> None:
    x = np.linspace(-3, 3, 20)[:, None]
    points = {"train": (x[:15], np.sin(x[:15])), "val": (x[15:], np.sin(x[15:]))}
    curves: dict[str, list[Function]] = {name: [partial(level, k / 10), np.sin] for k, name in enumerate(names(n))}
    figure = fits({"best epoch": curves, "last epoch": curves}, points, np.sin, ("x", "y"))
    texts = read(figure)
    assert {"best epoch", "last epoch", "true function", "train", "val", "x", "y"} <= set(texts)
    for panel in figure.axes:
        thick = [line for line in panel.lines if line.get_linewidth() == 2.2]
        assert [line.get_color() for line in thick] == list(COLOURS[:n])
        for k, line in enumerate(thick):
            assert np.asarray(line.get_ydata()) == pytest.approx(k / 10)


@pytest.mark.parametrize("n", COUNTS)
def test_train_and_val(n: int, read: Read) -> None:
    loss = np.linspace(1, 0.2, 30) * np.ones((3, 1))
    figure = train_and_val({name: Losses(loss, loss + 0.1, [5, 10, 12]) for name in names(n)}, ["a note"])
    assert {"training loss", "validation loss", "best epoch of a seed", "a note", "epoch"} <= set(read(figure))
    assert len(figure.axes) == n
    assert len({panel.get_ylim() for panel in figure.axes}) == 1
    for panel in figure.axes:
        train, val, *best = panel.lines
        assert np.asarray(train.get_ydata()) == pytest.approx(loss[0])
        assert np.asarray(val.get_ydata()) == pytest.approx(loss[0] + 0.1)
        assert [np.asarray(line.get_xdata())[0] for line in best] == [5, 10, 12]


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("n_layers", [1, 3, 9])
def test_layer_gradients(n: int, n_layers: int, read: Read) -> None:
    values = np.geomspace(1e-6, 1, n_layers) * np.array([[0.5], [2.0]])
    layers = [f"hidden{k}" for k in range(n_layers)]
    found = dict.fromkeys(names(n), values)
    figure = layer_gradients({"first epoch": found, "last epoch": found}, layers)
    texts = read(figure)
    assert {"first epoch", "last epoch", "gradient norm (log scale)", *layers} <= set(texts)
    assert "exactly zero" not in texts
    # The geometric mean of half and twice a norm is the norm.
    assert np.asarray(figure.axes[0].lines[0].get_ydata()) == pytest.approx(np.geomspace(1e-6, 1, n_layers))


def test_gradients_of_zero_are_marked(read: Read) -> None:
    values = np.array([[0.0, 0.0, 0.7], [0.0, 0.0, 0.8]])
    figure = layer_gradients({"first epoch": {"init=zeros": values}}, ["hidden1", "hidden2", "output"])
    assert "exactly zero" in read(figure)
    (marks,) = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    assert np.asarray(marks.get_xdata()).tolist() == [0, 1]


@pytest.mark.parametrize("n", COUNTS)
def test_reliability(n: int, read: Read) -> None:
    random = np.random.default_rng(0)
    found = calibration(random.dirichlet([0.3, 0.3], 500), random.integers(2, size=500), 10)
    one = Reliability(found.counts, found.confidence, found.accuracy, "calibration error: (3.21 ± 0.10) %")
    figure = reliability(dict.fromkeys(names(n), one), ["test split"])
    texts = read(figure)
    assert sum("(3.21 ± 0.10) %" in text for text in texts) == n
    assert {"accuracy", "confidence", "perfectly calibrated", "share", "test split"} <= set(texts)
    panel, shares = figure.axes[:2]
    heights = [[patch.get_height() for patch in at.patches if isinstance(patch, Rectangle)] for at in (panel, shares)]
    assert sorted(heights[0]) == pytest.approx(sorted(found.accuracy[found.counts > 0]))
    assert sum(heights[1]) == pytest.approx(1)


def test_names_are_broken_after_commas() -> None:
    assert broken("a=1, b=2", 4.0) == ["a=1, b=2"]
    assert broken("a=1, b=2, c=3", 0.7) == ["a=1, b=2,", "c=3"]
    # Within a list only where it does not fit.
    assert broken("regularizer=[batchnorm,dropout]", 1.8) == ["regularizer=[batchnorm,", "dropout]"]
    assert broken("regularizer=[batchnorm,dropout]", 4.0) == ["regularizer=[batchnorm,dropout]"]
    assert broken("regularizer.early_stopping.patience=5", 2.3) == ["regularizer.early_stopping.", "patience=5"]
    # Before a value, never within it.
    assert broken("optimizer.weight_decay=0.0001", 1.4) == ["optimizer.", "weight_decay=", "0.0001"]
    lines = broken(LONG, 2.3)
    assert len(lines) == 3
    assert lines[0] == "activation=leaky_relu,"
