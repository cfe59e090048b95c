"""Main effects and interactions: the means of a grid over the seeds that all settings have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlpexp.comparison.compare import compare
from mlpexp.comparison.grid_figure import interactions
from mlpexp.comparison.statistics import estimate
from tests.comparison.conftest import write_run, write_sweep

__all__ = ["write_run", "write_sweep"]

Write = Callable[..., Path]
SCORES = {
    ("relu", "default"): [0.5, 0.52, 0.57],
    ("relu", "orthogonal"): [0.6, 0.63, 0.66],
    ("tanh", "default"): [0.7, 0.71, 0.75],
    ("tanh", "orthogonal"): [0.4, 0.45, 0.44],
}


def names(scores: dict[tuple[str, str], list[float]]) -> dict[str, list[float]]:
    return {f"activation={activation} init={init}": values for (activation, init), values in scores.items()}


def lines(panel: Any) -> list[list[float]]:
    return [list(line.get_ydata()) for line in panel.lines]


def test_means_and_intervals(write_sweep: Write, read: Callable[[Figure], list[str]]) -> None:
    figure = interactions(compare(write_sweep(names(SCORES))))
    assert figure is not None
    activation, init, pair = figure.axes
    by_seed = {key: np.array(values) for key, values in SCORES.items()}
    for panel, at, values in ((activation, 0, ["relu", "tanh"]), (init, 1, ["default", "orthogonal"])):
        drawn = lines(panel)
        for number, value in enumerate(values):
            found = estimate(list(np.mean([scores for key, scores in by_seed.items() if key[at] == value], axis=0)))
            assert found is not None
            assert found.interval is not None
            assert drawn[2 * number] == pytest.approx(found.interval)
            assert drawn[2 * number + 1] == pytest.approx([found.mean])
    expected = [
        [by_seed[activation, init].mean() for activation in ("relu", "tanh")] for init in ("default", "orthogonal")
    ]
    np.testing.assert_allclose(lines(pair), expected)
    assert {"activation", "init", "orthogonal", "test accuracy (%)"} <= set(read(figure))


def test_a_seed_that_a_setting_lacks_is_left_out(write_sweep: Write, read: Callable[[Figure], list[str]]) -> None:
    few = {**SCORES, ("tanh", "default"): [0.7, 0.71]}
    figure = interactions(compare(write_sweep(names(few))))
    assert figure is not None
    assert lines(figure.axes[2])[0][0] == pytest.approx(0.51)
    assert any("over the 2 seeds that all settings have" in text for text in read(figure))


@pytest.mark.parametrize("without", [("tanh", "default"), None])
def test_no_grid_has_none(without: tuple[str, str] | None, write_sweep: Write) -> None:
    scores = {key: values for key, values in SCORES.items() if key != without}
    if without is None:
        scores = {key: values for key, values in scores.items() if key[1] == "default"}
    assert interactions(compare(write_sweep(names(scores)))) is None
