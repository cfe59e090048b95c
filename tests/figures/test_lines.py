"""Lines with bands over the epochs: the mean of the seeds, and from the lowest to the highest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import COLOURS, loss_axis, score_axis
from mlpexp.figures.sweeps.lines import LinesPanel, lines

Read = Callable[[Figure], list[str]]  # the fixture's
WHAT = "line: mean over seeds; band: lowest to highest seed"


def band(n_seeds: int, n_epochs: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.linspace(1, 0.5, n_epochs) + random.uniform(-0.1, 0.1, (n_seeds, n_epochs))


def drawn(settings: dict[str, np.ndarray], notes: list[str] | None = None) -> Figure:
    """A loss, and an accuracy that follows from it."""
    scores = {name: 1 - values / 2 for name, values in settings.items()}
    panels = [
        LinesPanel(settings, loss_axis),
        LinesPanel(scores, lambda panel, values: score_axis(panel, "accuracy", values)),
    ]
    return lines(panels, notes or [])


def test_line_and_band(read: Read) -> None:
    data = band(3, 20)
    figure = drawn({"a=1": data, "a=2": band(2, 10)})
    assert {WHAT, "1. a=1", "2. a=2", "epoch", "loss", "accuracy (%)"} <= set(read(figure))
    for panel, values in zip(figure.axes, (data, 1 - data / 2), strict=True):
        np.testing.assert_allclose(np.asarray(panel.lines[0].get_ydata()), values.mean(0))
        np.testing.assert_array_equal(panel.lines[0].get_xdata(), np.arange(1, 21))
        vertices = np.asarray(panel.collections[0].get_paths()[0].vertices)
        inside = vertices[vertices[:, 0] == 7, 1]
        assert (inside.min(), inside.max()) == (values[:, 6].min(), values[:, 6].max())


def test_one_seed_has_no_band(read: Read) -> None:
    figure = drawn({"all runs": band(1, 5)})
    assert WHAT not in read(figure)
    assert not any(panel.collections for panel in figure.axes)


def test_one_epoch_is_a_dot() -> None:
    assert drawn({"a": band(2, 1)}).axes[0].lines[0].get_marker() == "o"


@pytest.mark.parametrize("label", ["a=1", "activation=leaky_relu, init=xavier_uniform, optimizer=momentum", "$x$" * 40])
def test_eight_settings_and_long_names_fit(label: str, read: Read) -> None:
    settings = {f"{label}{k}": band(3, 30, k) for k in range(8)}
    figure = drawn(settings, ["the best 8 of 40 settings", "some words " * 40])
    texts = read(figure)
    assert "the best 8 of 40 settings" in texts
    assert sum(text.startswith(f"{k}. ") for text in texts for k in range(1, 9)) == 8
    assert "the other settings" in texts


def test_many_settings_have_a_panel_each_with_common_axes() -> None:
    settings = {f"a={k}": band(3, 30, k) for k in range(8)}
    panels = drawn(settings).axes
    assert len(panels) == 16
    for panel, values in zip(panels[:8], settings.values(), strict=True):
        (thick,) = [line for line in panel.lines if line.get_color() == style.TRAIN]
        np.testing.assert_allclose(np.asarray(thick.get_ydata()), values.mean(0))
        assert len(panel.lines) == 8
    assert len({panel.get_ylim() for panel in panels[:8]}) == len({panel.get_ylim() for panel in panels[8:]}) == 1


def test_epochs_without_a_finite_value_are_left_out() -> None:
    data = band(2, 6)
    data[1, 3] = np.inf
    panel = drawn({"a": data}).axes[0]
    np.testing.assert_array_equal(np.isnan(np.asarray(panel.lines[0].get_ydata())), np.arange(6) == 3)


def test_bounds_are_lines_of_their_settings_colours(read: Read) -> None:
    values = {"clip=1": band(2, 5), "clip=null": band(2, 5, 1)}
    figure = lines([LinesPanel(values, loss_axis, {"clip=1": 0.7})], [])
    bounds = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert [(line.get_color(), np.unique(np.asarray(line.get_ydata())).tolist()) for line in bounds] == [
        (COLOURS[0], [0.7])
    ]
    assert "clipped to" in read(figure)
