"""The decision boundary: where it lies, which points are drawn, and how."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from mlpexp.figures.boundary import decision_boundary, grid, merged
from mlpexp.figures.style import class_colours

Read = Callable[[Figure], list[str]]  # the fixture's

TABLE = (np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0]))


def halves(x: np.ndarray) -> np.ndarray:
    """Class 1 where x0 + x1 > 1, with probability 0.5 on the line between."""
    right = (1 + np.tanh(2.5 * (x.sum(1) - 1))) / 2
    return np.stack([1 - right, right], 1)


def sectors(n_classes: int, x: np.ndarray) -> np.ndarray:
    """C classes, each likeliest in its own direction."""
    angles = 2 * np.pi * np.arange(n_classes) / n_classes
    scores = np.exp(x @ np.stack([np.cos(angles), np.sin(angles)]))
    return np.asarray(scores / scores.sum(1, keepdims=True))


def lines(figure: Figure) -> list[np.ndarray]:
    contours = [one for one in figure.axes[0].collections if isinstance(one, ContourSet)]
    return [np.asarray(path.vertices) for one in contours for path in one.get_paths()]


def scatters(figure: Figure) -> list[np.ndarray]:
    found = [one for one in figure.axes[0].collections if not isinstance(one, ContourSet)]
    return [np.asarray(one.get_offsets()) for one in found]


def test_line_lies_where_both_classes_are_as_likely() -> None:
    (line,) = lines(decision_boundary(halves(grid({"train": TABLE})), {"train": TABLE}, ["0", "1"], ["a", "b"]))
    np.testing.assert_allclose(line.sum(1), 1, atol=1e-3)


def test_grid_goes_past_all_points() -> None:
    features = grid({"train": TABLE})
    assert features.dtype == np.float64
    assert features.shape[1] == 2
    assert len(features) <= 200 * 200
    assert (features.min(0) < 0).all()
    assert (features.max(0) > 1).all()


def test_regions_have_the_colour_of_their_class_deeper_where_surer() -> None:
    figure = decision_boundary(halves(grid({"train": TABLE})), {"train": TABLE}, ["0", "1"], ["a", "b"])
    shades = np.asarray(figure.axes[0].images[0].get_array())
    corner, middle = shades[0, 0], shades[len(shades) // 2, len(shades) // 2]
    white, colour = np.ones(3), class_colours(2)[0]
    np.testing.assert_allclose(corner, white - 0.6 * (white - colour), atol=0.01)
    assert middle.min() > 0.85


def test_splits_that_are_the_same_points_are_drawn_once(read: Read) -> None:
    x, y = TABLE
    points = {"train": TABLE, "val": TABLE, "test": (x.copy(), y.copy())}
    figure = decision_boundary(halves(grid(points)), points, ["0", "1"], ["a", "b"], title="xor")
    texts = read(figure)
    (drawn,) = scatters(figure)
    np.testing.assert_array_equal(drawn, x)
    assert {"train = val = test", "boundary", "class 0", "class 1", "a", "b", "xor"} <= set(texts)


def test_merged_keeps_splits_that_differ() -> None:
    x, y = TABLE
    groups = merged({"train": TABLE, "val": (x, 1 - y), "test": (x, 1 - y)})
    assert list(groups) == ["train", "val = test"]


def test_few_points_are_large_and_many_small(read: Read) -> None:
    generator = np.random.default_rng(0)
    areas = []
    for n in (4, 100, 1000, 10000):
        x = generator.random((n, 2)).astype(np.float32)
        table = {"train": (x, (x.sum(1) > 1).astype(int))}
        figure = decision_boundary(halves(grid(table)), table, ["0", "1"], ["a", "b"])
        read(figure)
        (points,) = [one for one in figure.axes[0].collections if not isinstance(one, ContourSet)]
        areas.append(points.get_sizes()[0])  # type: ignore[attr-defined]
        assert len(np.asarray(points.get_offsets())) == min(n, 2000)
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > 4 * areas[2]


@pytest.mark.parametrize("n_classes", [3, 12, 13, 30])
def test_any_number_of_classes_can_be_read(n_classes: int, read: Read) -> None:
    x = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    y = sectors(n_classes, x).argmax(1)
    points = {"train": (x[:100], y[:100]), "val": (x[100:200], y[100:200]), "test": (x[200:], y[200:])}
    names = [f"long class name {k}" for k in range(n_classes)]
    figure = decision_boundary(sectors(n_classes, grid(points)), points, names, ["width", "height"])
    texts = read(figure)
    assert len(scatters(figure)) == 3
    assert {"train", "val", "test", "boundary"} <= set(texts)
    assert sum("long class name" in text for text in texts) == min(n_classes, 28)
    assert len({tuple(colour) for colour in class_colours(n_classes)}) == n_classes


def test_single_class_everywhere_has_no_line(read: Read) -> None:
    certain = np.tile([0.9, 0.1], (len(grid({"train": TABLE})), 1))
    figure = decision_boundary(certain, {"train": TABLE}, ["0", "1"], ["a", "b"])
    assert not lines(figure)
    assert "boundary" not in read(figure)


def test_network_that_gives_no_numbers_is_grey(read: Read) -> None:
    lost = np.full((len(grid({"train": TABLE})), 2), np.nan)
    figure = decision_boundary(lost, {"train": TABLE}, ["_a", "$b$"], ["$x_1", "a" * 99])
    texts = read(figure)
    assert {"not a number", "class _a", "class $b$", "$x_1"} <= set(texts)
    assert np.ptp(np.asarray(figure.axes[0].images[0].get_array())) == 0


@pytest.mark.parametrize("scale", [0, 1e-6, 1e6])
def test_any_scale_of_features(scale: float, read: Read) -> None:
    x, y = TABLE
    scaled = {"train": (x * np.float32(scale), y)}
    figure = decision_boundary(halves(grid(scaled)), scaled, ["0", "1"], ["a", "b"])
    read(figure)
