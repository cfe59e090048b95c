"""Loss against learning rate: all is in its place, named, and can be read whatever the losses are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from mlpexp.figures import style
from mlpexp.figures.lr_curve import lr_curve
from mlpexp.lr_finder.rules import RULES

Read = Callable[[Figure], list[str]]  # the fixture's
RATES = np.geomspace(1e-6, 10, 100)
LOG = np.log10(RATES)
MEAN = 2.3 - 1.5 / (1 + np.exp(-4 * (LOG + 2))) + 50 * np.maximum(LOG, 0) ** 2


def draw(mean: np.ndarray = MEAN, n_seeds: int = 4, n: int = 100, **changes: Any) -> Figure:
    noise = 0.05 * np.random.default_rng(0).standard_normal((n, n_seeds))
    options: dict[str, Any] = {"beta": 0.9, "suggestions": {}, "configured": 0.001} | changes
    losses = mean[:n, None] * (1 + noise)
    return lr_curve(RATES[:n], losses, losses.mean(1), mean[:n], **options)


def test_what_is_drawn_is_what_was_measured(read: Read) -> None:
    suggestions = {"divergence ÷ 30": 0.012, "steepest": 0.01}
    figure = draw(suggestions=suggestions, title="digits, mlp, adam: 4 seeds")
    named = {"a seed", "mean, smoothed (β = 0.9)", "config: 0.001"}
    named |= {f"{name}: {rate}" for name, rate in suggestions.items()}
    assert {"digits, mlp, adam: 4 seeds", "learning rate (log scale)", "training loss", *named} <= set(read(figure))
    (panel,) = figure.axes
    assert panel.get_xscale() == "log"
    (smoothed,) = [line for line in panel.lines if same_color(line.get_color(), style.TRAIN)]
    np.testing.assert_array_equal(np.asarray(smoothed.get_ydata()), MEAN)
    assert sum(same_color(line.get_color(), style.NEUTRAL) for line in panel.lines) == 4
    points = {
        float(np.asarray(line.get_xdata())[0]): float(np.asarray(line.get_ydata())[0])
        for line in panel.lines
        if line.get_marker() in ("o", "s")
    }
    assert points == pytest.approx({rate: float(np.interp(rate, RATES, MEAN)) for rate in suggestions.values()})
    low, high = panel.get_ylim()
    assert low < MEAN.min()
    assert 2.3 < high < 3.5, "what diverges must not flatten the rest"


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.full(100, 2.302585)},
        {"mean": np.full(100, 1e-9)},
        {"mean": np.zeros(100)},
        {"mean": np.geomspace(1, 1e-6, 100)},
        {"mean": np.geomspace(1, 1e30, 100), "n": 3},
        {"mean": MEAN * 1e6},
        {"n": 1},
        {"n_seeds": 1},
        {"n_seeds": 100},
        {"configured": 1e3},
        {"configured": 1e-12},
        {"suggestions": {"steepest": 1e-7}},
        {"suggestions": {"divergence ÷ 30": 0.01, "steepest": 0.01}},
        {"title": "a very long name " * 10},
    ],
    ids=str,
)
def test_it_can_be_read(changes: dict[str, Any], read: Read) -> None:
    assert "training loss" in " ".join(read(draw(**changes)))


def test_every_rule_has_its_mark(read: Read) -> None:
    names = [rule.name for rule in RULES]
    colours = [draw(suggestions={name: 0.01}).axes[0].lines[-2].get_color() for name in names]
    assert len(set(colours)) == len(names)


def test_a_seed_that_left_is_drawn_up_to_there(read: Read) -> None:
    losses = np.stack([MEAN, MEAN], 1)
    losses[50:, 1] = np.nan
    figure = lr_curve(RATES, losses, MEAN, MEAN, beta=0.9, suggestions={}, configured=0.001)
    read(figure)
    assert np.isfinite(figure.axes[0].get_ylim()).all()
