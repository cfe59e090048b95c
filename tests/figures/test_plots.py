"""Figures of what needs no run: what is drawn is what was given, and can be read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mlpexp.figures.activation_functions import Curve, activation_functions
from mlpexp.figures.features import features
from mlpexp.figures.optimizer_paths import Path, optimizer_paths
from mlpexp.figures.points import class_points
from mlpexp.figures.regression import fitted_curve, line
from mlpexp.figures.samples import image_samples
from mlpexp.figures.schedules import Rates, schedules

Read = Callable[[Figure], list[str]]  # the fixture's

NAMES = ["relu", "leaky_relu, negative_slope=0.2", "$a$ of a user's own with a very long name indeed, a=1, b=2, c=3"]
X = np.linspace(-4, 4, 81)


def named(n: int) -> list[str]:
    return [f"{NAMES[k % len(NAMES)]}{k}" for k in range(n)]


@pytest.mark.parametrize("n", [1, 7, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 6, 24))])
def test_any_number_of_activations(n: int, read: Read) -> None:
    curves = {name: Curve(X, np.tanh(X), 1 - np.tanh(X) ** 2) for name in named(n)}
    figure = activation_functions(curves)
    texts = read(figure)
    assert any("relu0" in text for text in texts)
    assert {"input x", "f(x)", "derivative f′(x)"} <= set(texts)
    drawn = [
        np.asarray(line.get_ydata()) for panel in figure.axes for line in panel.lines if np.size(line.get_xdata()) > 2
    ]
    assert len(drawn) == 2 * n
    assert sum(np.array_equal(line, np.tanh(X)) for line in drawn) == n
    if n > 6:
        assert len({panel.get_ylim() for panel in figure.axes}) == len({panel.get_xlim() for panel in figure.axes}) == 1


@pytest.mark.parametrize("value", [np.nan, 1e30, 0.0])
def test_activations_that_go_astray(value: float, read: Read) -> None:
    read(activation_functions({"odd": Curve(X, np.full_like(X, value), np.zeros_like(X))}))


def bowl(points: np.ndarray) -> np.ndarray:
    return np.asarray(points[..., 0] ** 2 + 10 * points[..., 1] ** 2)


def descent(rate: float, n: int = 100) -> Path:
    points = [np.array([-4.5, 2.0])]
    while len(points) <= n and np.isfinite(bowl(points[-1])):
        points.append(points[-1] * (1 - rate * np.array([2.0, 20.0])))
    visited = np.array(points)
    return Path(visited, bowl(visited), n)


@pytest.mark.parametrize("n", [1, 6, *(pytest.param(n, marks=pytest.mark.long) for n in (3, 11, 24))])
def test_any_number_of_paths(n: int, read: Read) -> None:
    paths = {name: descent(0.01 * (k + 1) / n) for k, name in enumerate(named(n))}
    figure = optimizer_paths(paths, bowl, "x² + 10y²")
    texts = read(figure)
    assert {"x", "y", "step", "loss (log scale)", "start", "minimum"} <= set(texts)
    assert "start at x = −4.5, y = 2; 100 steps; what leaves the frame is cut off" in texts
    losses = next(panel for panel in figure.axes if panel.get_yscale() == "log")
    for curve, path in zip(losses.lines, paths.values(), strict=True):
        np.testing.assert_array_equal(np.asarray(curve.get_ydata()), path.loss)


@pytest.mark.filterwarnings("ignore:overflow")
def test_divergence_is_named_and_leaves_the_frame(read: Read) -> None:
    paths = {
        "good": descent(0.05),
        "bad": descent(0.2, 1000),
        "lost": Path(np.full((2, 2), np.nan), np.array([60, np.nan]), 1),
    }
    figure = optimizer_paths({"good": paths["good"], "bad": paths["bad"]}, bowl, "L")
    texts = read(figure)
    assert "bad – diverges" in texts
    assert "good" in texts
    panel, losses = figure.axes
    assert panel.get_ylim() == pytest.approx((-2.8, 2.8))
    assert losses.get_ylim()[1] <= 100 * paths["good"].loss[0]
    assert paths["lost"].diverged


@pytest.mark.parametrize(
    ("n", "epochs"),
    [(1, 30), (6, 1000), (7, 1), *(pytest.param(*case, marks=pytest.mark.long) for case in [(3, 1), (24, 30)])],
)
def test_any_number_of_schedules(n: int, epochs: int, read: Read) -> None:
    rates = {
        name: Rates(np.linspace(1, 0, 7 * epochs) * 10.0**-k, 7, epochs if k == 1 else None)
        for k, name in enumerate(named(n))
    }
    figure = schedules(rates, title="schedules of $x$")
    texts = read(figure)
    assert {"epoch", "learning rate"} <= set(texts)
    assert any(text.startswith(f"{epochs:,} epoch") and "7 steps" in text for text in texts)
    (line, *_) = figure.axes[0].lines
    assert line.get_xdata()[-1] == epochs  # type: ignore[index]
    assert any("stops improving" in text for text in texts) == (n > 1)


@pytest.mark.parametrize(("n_classes", "shape"), [(2, (4, 12)), (10, (28, 28)), (30, (8, 8))])
def test_images_and_class_counts(n_classes: int, shape: tuple[int, int], read: Read) -> None:
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 255, (min(k, 12), *shape)) for k in range(n_classes)]
    counts = {name: np.arange(n_classes) * size for name, size in (("train", 5000), ("val", 1), ("test", 700))}
    figure = image_samples(images, counts, [f"${k}" for k in range(n_classes)], "digit", "images", ["a line"])
    texts = read(figure)
    assert {"images", "a line", "digit", "samples", "train", "val", "test", "5,000", "$1"} <= set(texts)
    bars = [bar for bar in figure.axes[1].patches if isinstance(bar, Rectangle)]
    assert [bar.get_width() for bar in bars] == [int(n) for values in counts.values() for n in values[:12]]
    assert len(figure.axes[0].images) == sum(min(len(i), 10) for i in images[:12])
    assert ("counted: the first 12 of 30 classes" in texts) == (n_classes == 30)


@pytest.mark.parametrize("n_classes", [2, 20, 40])
def test_points_and_class_counts(n_classes: int, read: Read) -> None:
    y = np.arange(400) % n_classes
    x = np.random.default_rng(0).normal(size=(400, 2)) * [1, 1e4]
    points = {"train": (x[:200], y[:200]), "val": (x[200:], y[200:]), "test": (x[200:], y[200:])}
    counts = {name: np.bincount(labels, minlength=n_classes) for name, (_, labels) in points.items()}
    names = [f"a class with a long name {k}" for k in range(n_classes)]
    figure = class_points(points, counts, names, ["length (cm)", "$b$"], "kind", "points", ["a line"])
    texts = read(figure)
    assert {"points", "length (cm)", "$b$", "kind", "samples"} <= set(texts)
    assert texts.count("val = test") == 2
    assert [np.shape(one.get_offsets())[0] for one in figure.axes[0].collections] == [200, 200]


def test_a_truth_table_is_labelled(read: Read) -> None:
    x, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    split, counts = (
        dict.fromkeys(("train", "val", "test"), (x, y)),
        dict.fromkeys(("train", "val", "test"), np.bincount(y)),
    )
    texts = read(class_points(split, counts, ["0", "1"], ["a", "b"], "a XOR b", "xor"))
    assert {"(0, 0) → 0", "(0, 1) → 1", "(1, 0) → 1", "(1, 1) → 0", "train = val = test"} <= set(texts)


@pytest.mark.parametrize("n_features", [1, 20, 300])
@pytest.mark.parametrize("classes", [(), ("setosa", "a kind of iris with a name of many words")])
def test_tables(n_features: int, classes: tuple[str, ...], read: Read) -> None:
    values = np.random.default_rng(0).normal(3, 1000, (90, n_features))
    values[:, 0] = 7  # a constant column
    names = [f"the measured length number {k}" for k in range(n_features)]
    target = (
        {"train": np.array([60, 30]), "val = test": np.array([0, 10])} if classes else {"train": np.arange(90.0) ** 3}
    )
    figure = features(values, names, target, classes, "the $ price", "table")
    texts = read(figure)
    assert {"table", "samples", "the $ price", "5–95 %", "median", "(value − mean) / standard deviation"} <= set(texts)
    assert f"{n_features} features" + (", the first 20 of them shown" if n_features > 20 else "") in texts
    assert any(text.endswith(": 7 ± 0") for text in texts)
    (median,) = figure.axes[0].lines
    scaled = (values - values.mean(0)) / np.where(values.std(0) > 0, values.std(0), 1)
    np.testing.assert_allclose(np.asarray(median.get_xdata()), np.median(scaled, axis=0)[:20])


def test_a_curve_without_a_network(read: Read) -> None:
    x = np.linspace(-3, 3, 50, dtype=np.float32)[:, None]
    splits = {"train": (x, np.sin(x))}
    texts = read(fitted_curve(None, splits, np.sin(line(splits)), "x", "y", "sine"))
    assert {"train", "true function", "sine"} <= set(texts)
    assert "network" not in texts
