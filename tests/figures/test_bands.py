"""Learning curves with bands: the mean of the seeds, and from the lowest to the highest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlpexp.figures.bands import COLOURS, Band, bands

Read = Callable[[Figure], list[str]]  # the fixture's
WHAT = "line: mean over seeds; band: lowest to highest seed"


def band(n_seeds: int, n_epochs: int, seed: int = 0) -> Band:
    random = np.random.default_rng(seed)
    loss = np.linspace(1, 0.5, n_epochs) + random.uniform(-0.1, 0.1, (n_seeds, n_epochs))
    return Band(loss, 1 - loss / 2)


@pytest.mark.parametrize("score", ["accuracy", "r2"])
def test_line_and_band(score: str, read: Read) -> None:
    data = band(3, 20)
    figure = bands({"a=1": data, "a=2": band(2, 10)}, score=score, title="sweep")
    texts = read(figure)
    assert {"sweep", WHAT, "1. a=1", "2. a=2", "epoch", "validation loss"} <= set(texts)
    assert {"accuracy": "validation accuracy (%)", "r2": "validation R²"}[score] in texts
    for panel, values in zip(figure.axes, (data.loss, data.score), strict=True):
        np.testing.assert_allclose(np.asarray(panel.lines[0].get_ydata()), values.mean(0))
        np.testing.assert_array_equal(panel.lines[0].get_xdata(), np.arange(1, 21))
        vertices = np.asarray(panel.collections[0].get_paths()[0].vertices)
        inside = vertices[vertices[:, 0] == 7, 1]
        assert (inside.min(), inside.max()) == (values[:, 6].min(), values[:, 6].max())


def test_one_seed_has_no_band(read: Read) -> None:
    figure = bands({"all runs": band(1, 5)}, score="accuracy")
    assert WHAT not in read(figure)
    assert not any(panel.collections for panel in figure.axes)


def test_one_epoch_is_a_dot() -> None:
    assert bands({"a": band(2, 1)}, score="accuracy").axes[0].lines[0].get_marker() == "o"


@pytest.mark.parametrize("label", ["a=1", "activation=leaky_relu, init=xavier_uniform, optimizer=momentum", "$x$" * 40])
def test_eight_settings_and_long_names_fit(label: str, read: Read) -> None:
    settings = {f"{label}{k}": band(3, 30, k) for k in range(8)}
    figure = bands(
        settings, score="accuracy", remarks=["the best 8 of 40 settings", "some words " * 40], title="y" * 300
    )
    texts = read(figure)
    assert "the best 8 of 40 settings" in texts
    assert sum(text.startswith(f"{k}. ") for text in texts for k in range(1, 9)) == 8


def test_colours_differ() -> None:
    assert len(set(COLOURS)) == 8


def test_epochs_without_a_finite_value_are_left_out() -> None:
    data = band(2, 6)
    data.loss[1, 3] = np.inf
    panel = bands({"a": data}, score="accuracy").axes[0]
    np.testing.assert_array_equal(np.isnan(np.asarray(panel.lines[0].get_ydata())), np.arange(6) == 3)
