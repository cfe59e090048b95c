"""Response curves and heat maps: each number at its place, on a scale that suits the numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from mlpexp.comparison.compare import compare
from mlpexp.comparison.settings_figure import settings_picture
from mlpexp.comparison.statistics import estimate
from mlpexp.figures.sweeps.response import is_geometric
from tests.comparison.conftest import write_run, write_sweep

__all__ = ["write_run", "write_sweep"]

Read = Callable[[Figure], list[str]]
Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0.001, 0.01, 0.1], True),
        ([1e-4, 3e-4, 1e-3, 3e-3], True),
        ([16, 32, 64, 128, 256], True),
        ([0, 1e-4, 1e-3, 1e-2], True),
        ([0.01, 0.1], True),
        ([0, 0.1, 0.2, 0.3, 0.5], False),
        ([1, 2, 3, 4], False),
        ([10, 20, 30, 40, 50, 60, 70, 80], False),
        ([-1, 1, 100], False),
        ([0], False),
    ],
)
def test_which_numbers_are_geometric(numbers: list[float], expected: bool) -> None:
    assert is_geometric(numbers) is expected


def draw(sweep: Path) -> Figure:
    return settings_picture(compare(sweep)).figure()


def test_a_line_for_each_setting_of_the_other_key(write_sweep: Write, read: Read) -> None:
    scores = {
        f"optimizer.lr={lr} activation={name}": [0.5 + 0.1 * i + off, 0.52 + 0.1 * i + off]
        for i, lr in enumerate([0.001, 0.01, 0.1])
        for name, off in (("relu", 0.0), ("tanh", 0.05))
    }
    figure = draw(write_sweep(scores))
    panel: Any = figure.axes[0]
    assert panel.get_xscale() == "log"
    assert panel.get_xlabel() == "optimizer.lr, log scale"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0.001", "0.01", "0.1"]
    means = {tuple(np.round(line.get_ydata(), 9)) for line in panel.lines if line.get_linestyle() == "-"}
    assert means == {(0.51, 0.61, 0.71), (0.56, 0.66, 0.76)}
    seeds = sorted(value for line in panel.lines if line.get_linestyle() == "None" for value in line.get_ydata())
    assert seeds == pytest.approx(sorted(value for values in scores.values() for value in values))
    (first, _) = [found for found in panel.collections if isinstance(found, PolyCollection)]
    found = estimate([0.5, 0.52])
    assert found is not None
    assert found.interval is not None
    # Of each line all intervals have this width.
    corners: Any = first.get_paths()[0].vertices
    at_first = [y for x, y in corners if x == 0.001]
    assert max(at_first) - min(at_first) == pytest.approx(found.interval[1] - found.interval[0])
    said = read(figure)
    assert {"activation=relu", "activation=tanh"} <= set(said)
    assert any("dots: seeds" in text for text in said)


def test_two_numbers_are_a_heat_map(write_sweep: Write, read: Read) -> None:
    scores = {
        f"optimizer.lr={lr} model.hidden=[{width},{width}]": [0.5 + i / 10 + j / 100, 0.52 + i / 10 + j / 100]
        for i, lr in enumerate([0.001, 0.01, 0.1])
        for j, width in enumerate([4, 8, 16, 32])
    }
    del scores["optimizer.lr=0.01 model.hidden=[8,8]"]
    figure = draw(write_sweep(scores))
    panel, _ = figure.axes
    shown: Any = panel.images[0].get_array()
    expected = np.array([[51.0 + 10 * i + j for j in range(4)] for i in range(3)])
    expected[1, 1] = np.nan
    np.testing.assert_allclose(np.ma.filled(shown, np.nan), expected)
    assert panel.get_xlabel() == "units of each hidden layer (model.hidden)"
    assert panel.get_ylabel() == "optimizer.lr"
    frame: Any = panel.patches[0]
    assert frame.get_xy() == (2.5, 1.5)
    assert panel.texts[0].get_text() == "74.00\n± 12.71"
    assert {"74.00", "± 12.71", "test accuracy (%)"} <= set(read(figure))


@pytest.mark.parametrize(
    ("settings", "xlabel"),
    [
        (["model.hidden=[8]", "model.hidden=[8,8]", "model.hidden=[8,8,8]"], "number of hidden layers (model.hidden)"),
        (["batch_size=8", "batch_size=16", "batch_size=17"], "batch_size"),
        (["batch_size=8", "batch_size=16"], None),
        (["activation=relu", "activation=tanh", "activation=gelu"], None),
        (["optimizer.lr=0.001", "optimizer.lr=0.01", "optimizer.lr=0.1 activation=tanh"], "optimizer.lr, log scale"),
        (["clip.norm=null", "clip.norm=1", "clip.norm=2", "clip.norm=3"], None),
    ],
)
def test_which_settings_are_a_curve(settings: list[str], xlabel: str | None, write_sweep: Write) -> None:
    figure = draw(write_sweep({setting: [0.5, 0.6] for setting in settings}))
    assert figure.axes[0].get_xlabel() == (xlabel or "test accuracy (%)")


def test_runs_without_a_result_are_told(write_run: Any, tmp_path: Path, read: Read) -> None:
    for number, lr in enumerate(["0.1", "0.2", "0.3"]):
        write_run(f"s/{number}", f"optimizer.lr={lr}", score=0.5)
    write_run("s/3", "optimizer.lr=0.3", seed=1, state="failed", score=None, metrics={}, reason="disk full")
    assert any("1 run without a result" in text for text in read(draw(tmp_path / "s")))
    assert json.loads((tmp_path / "s" / "3" / "run.json").read_text())["state"] == "failed"
