"""The dot plot: every seed, mean and interval at their place, and what lies beyond the edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from mlpexp.figures import style
from mlpexp.figures.sweeps.dots import Row, dots

Read = Callable[[Figure], list[str]]  # the fixture's
AXES = {"accuracy": "test accuracy (%)", "r2": "test R²", "loss": "test loss"}


def draw(rows: list[Row], metric: str = "accuracy", **changes: Any) -> Figure:
    return dots(rows, metric=metric, axis=AXES[metric], **changes)


def seeds(panel: Axes, y: int) -> list[float]:
    dots_of = [line for line in panel.lines if same_color(line.get_color(), style.VAL)]
    (found,) = [line for line in dots_of if round(float(np.mean(np.asarray(line.get_ydata())))) == y]
    return list(np.asarray(found.get_xdata()))


def arrows(panel: Axes) -> list[tuple[str, float]]:
    return [
        (str(line.get_marker()), float(np.asarray(line.get_ydata())[0]))
        for line in panel.lines
        if line.get_marker() in ("<", ">")
    ]


@pytest.mark.parametrize("metric", ["accuracy", "r2", "loss"])
def test_seeds_mean_and_interval_are_at_their_place(metric: str, read: Read) -> None:
    rows = [Row("a=1", [0.9, 0.92], (0.88, 0.94), "n = 2"), Row("a=2", [0.7], None, "n = 1, 2 failed")]
    figure = draw(rows, metric, title="sweep")
    texts = read(figure)
    assert {"sweep", "a=1", "a=2", "n = 2", "n = 1, 2 failed", AXES[metric]} <= set(texts)
    assert {"a seed", "mean", "95 % confidence interval"} <= set(texts)
    assert "beyond the edge" not in texts
    (panel,) = figure.axes
    assert [seeds(panel, 0), seeds(panel, 1)] == [[0.9, 0.92], [0.7]]
    ends = next(line.get_xdata() for line in panel.lines if len(np.asarray(line.get_xdata())) == 2)
    np.testing.assert_allclose(np.asarray(ends), [0.88, 0.94])
    (mean,) = [
        line for line in panel.lines if len(set(np.asarray(line.get_xdata()))) == 1 and line.get_linewidth() == 2
    ]
    np.testing.assert_allclose(np.asarray(mean.get_xdata()), 0.91)


@pytest.mark.parametrize("n", [1, 2, 12, 40])
@pytest.mark.parametrize(
    "label", ["a=1", "activation=leaky_relu, init=xavier_uniform, optimizer=momentum, " * 3, "x" * 90]
)
def test_any_number_of_settings_and_any_label_fits(n: int, label: str, read: Read) -> None:
    figure = draw([Row(f"{label}{k}", [0.9, 0.5 + k / 100], (0.4, 0.95), "n = 2") for k in range(n)])
    assert read(figure).count("n = 2") == n
    assert figure.get_size_inches()[0] < 11


@pytest.mark.parametrize(
    ("values", "metric"),
    [([1.0] * 10, "accuracy"), ([0.75] * 4 + [0.751] * 5 + [1.0], "r2"), ([1e-4] * 6 + [9.0], "loss")],
)
def test_every_seed_is_seen_where_seeds_tie(values: list[float], metric: str) -> None:
    figure = draw([Row("a", values, None, "n = 10"), Row("b", [0.8], None, "n = 1")], metric)
    figure.draw_without_rendering()
    (panel,) = figure.axes
    (found,) = [line for line in panel.lines if len(np.asarray(line.get_xdata())) == len(values)]
    assert np.asarray(found.get_xdata()).tolist() == values
    centres = panel.transData.transform(np.column_stack([found.get_xdata(), found.get_ydata()])) / figure.dpi * 72
    apart = np.hypot(*(centres[:, None] - centres).T) + 1e9 * np.eye(len(values))
    # Each shows at least two thirds of its width; and none lies nearer to another setting's line than to its own.
    assert apart.min() > 0.66 * found.get_markersize()
    assert np.abs(np.asarray(found.get_ydata())).max() < 0.5


def test_arrowheads_stand_within_the_panel() -> None:
    figure = draw([Row("a", [0.5, 0.6], (-3, 4), "n = 2"), Row("b", [0.5], None, "n = 1")])
    figure.draw_without_rendering()
    (panel,) = figure.axes
    for line in (line for line in panel.lines if line.get_marker() in ("<", ">")):
        ((middle, _),) = line.get_transform().transform(np.column_stack([line.get_xdata(), line.get_ydata()]))
        half = line.get_markersize() / 72 * figure.dpi / 2
        assert panel.bbox.x0 <= middle - half
        assert middle + half <= panel.bbox.x1


def test_the_first_setting_is_on_top() -> None:
    low, high = draw([Row("a", [0.1], None), Row("b", [0.2], None)]).axes[0].get_ylim()
    assert low > high


def test_wide_intervals_leave_room_for_the_seeds(read: Read) -> None:
    figure = draw([Row("a", [0.5, 0.6], (-3, 4), "n = 2"), Row("b", [0.5], None, "n = 1")])
    (panel,) = figure.axes
    low, high = panel.get_xlim()
    assert low <= 0.5 - 0.1
    assert high >= 0.6 + 0.1
    assert high - low < 0.5
    assert arrows(panel) == [("<", 0), (">", 0)]
    assert "beyond the edge" in read(figure)


def test_no_score_beyond_the_best(read: Read) -> None:
    figure = draw([Row("a", [0.98, 1.0], (0.9, 1.1), "n = 2")])
    assert figure.axes[0].get_xlim()[1] < 1.01
    assert "100" in read(figure)


def test_losses_of_many_magnitudes(read: Read) -> None:
    figure = draw([Row("a", [0.001, 0.002], (-0.01, 0.02), "n = 2"), Row("b", [5.0], None, "n = 1")], "loss")
    assert figure.axes[0].get_xscale() == "log"
    assert "test loss, log scale" in read(figure)
    assert arrows(figure.axes[0]) == [("<", 0)]


def test_hopeless_r2_does_not_hide_the_rest(read: Read) -> None:
    figure = draw([Row("a", [0.9, 0.8], None, "n = 2"), Row("b", [-4000.0, 0.1], None, "n = 2")], "r2")
    assert figure.axes[0].get_xlim()[0] == -1
    assert arrows(figure.axes[0]) == [("<", 1)]
    read(figure)


def test_settings_without_a_result(read: Read) -> None:
    assert "n = 0, 3 failed" in read(draw([Row("a", [], None, "n = 0, 3 failed")]))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_equal_seeds(value: float, read: Read) -> None:
    figure = draw([Row("$a$", [value, value], (value, value), "n = 2")])
    assert "$a$" in read(figure)
    low, high = figure.axes[0].get_xlim()
    assert low < value < high
