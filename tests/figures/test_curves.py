"""Curves of a run: what is shown of good, short, long and failed runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from mlpexp.figures import style
from mlpexp.figures.curves import curves

Read = Callable[[Figure], list[str]]  # the fixture's


def history(n: int, score: str = "accuracy", /, **changes: Any) -> dict[str, list[float]]:
    """n epochs of a run whose loss falls from 1 to 0.5."""
    loss = np.linspace(1, 0.5, n)
    columns = {
        "epoch": np.arange(1, n + 1),
        "loss/train": loss,
        "loss/val": loss + 0.1,
        f"{score}/train": 1 - loss,
        f"{score}/val": 1.05 - loss,
        "lr": np.full(n, 0.001),
    }
    return {name: np.asarray(values, dtype=float).tolist() for name, values in (columns | changes).items()}


def line(panel: Axes, colour: str) -> Any:
    (found,) = [one for one in panel.lines if same_color(one.get_color(), colour)]
    return found


@pytest.mark.parametrize("n", [1, 60, 5000])
@pytest.mark.parametrize("score", ["accuracy", "r2"])
def test_lines_are_the_history(n: int, score: str, read: Read) -> None:
    data = history(n, score)
    figure = curves(data, score=score, best_epoch=n, title="digits")
    read(figure)
    loss, other = figure.axes
    for panel, column in ((loss, "loss"), (other, score)):
        for split, colour in (("train", style.TRAIN), ("val", style.VAL)):
            shown = line(panel, colour)
            np.testing.assert_array_equal(shown.get_xdata(), data["epoch"])
            np.testing.assert_array_equal(shown.get_ydata(), data[f"{column}/{split}"])
        low, high = panel.get_ylim()
        values = [*data[f"{column}/train"], *data[f"{column}/val"]]
        assert low <= min(values) <= max(values) <= high


def test_identical_splits_are_both_seen() -> None:
    data = history(10)
    data["loss/val"] = data["loss/train"]
    panel = curves(data, score="accuracy", best_epoch=10).axes[0]
    train, val = line(panel, style.TRAIN), line(panel, style.VAL)
    assert (train.get_linestyle(), val.get_linestyle()) == ("-", "--")
    assert panel.lines.index(val) > panel.lines.index(train)


def test_best_epoch_is_marked_in_every_panel_and_named(read: Read) -> None:
    lr = np.linspace(0.1, 0, 9)
    figure = curves(history(9, lr=lr), score="accuracy", best_epoch=7, best="val accuracy 96.65 %")
    texts = read(figure)
    assert "best epoch: 7 (val accuracy 96.65 %)" in texts
    assert len(figure.axes) == 3
    for panel in figure.axes:
        assert sum(np.array_equal(one.get_xdata(), [7, 7]) for one in panel.lines) == 1


@pytest.mark.parametrize("best", [None, 0])
def test_without_a_best_epoch_none_is_named(best: int | None, read: Read) -> None:
    assert not any("best" in text for text in read(curves(history(9), score="accuracy", best_epoch=best)))


def test_learning_rate_is_shown_only_where_it_changes(read: Read) -> None:
    assert len(curves(history(9), score="accuracy", best_epoch=1).axes) == 2
    figure = curves(history(9, lr=np.linspace(0.1, 0, 9)), score="accuracy", best_epoch=1)
    assert "learning rate" in read(figure)
    assert figure.axes[2].get_yscale() == "linear"
    assert curves(history(9, lr=np.geomspace(1, 1e-6, 9)), score="accuracy", best_epoch=1).axes[2].get_yscale() == "log"


@pytest.mark.parametrize(
    ("loss", "scale"), [([1, 0.5], "linear"), ([1, 0.01], "log"), ([1, 0], "linear"), ([1, -9], "linear")]
)
def test_loss_is_logarithmic_where_its_range_asks_for_it(loss: list[float], scale: str, read: Read) -> None:
    figure = curves(history(2, "accuracy", **{"loss/train": loss, "loss/val": loss}), score="accuracy", best_epoch=2)
    assert figure.axes[0].get_yscale() == scale
    assert ("loss (log scale)" in read(figure)) == (scale == "log")


def test_diverged_run_shows_what_is_finite_and_says_when_it_broke(read: Read) -> None:
    broken = [1, 0.9, np.inf, 0.8, np.nan, np.nan]
    figure = curves(history(6, "accuracy", **{"loss/train": broken}), score="accuracy", best_epoch=2)
    assert "loss not finite at epoch 3" in read(figure)
    np.testing.assert_array_equal(line(figure.axes[0], style.TRAIN).get_ydata(), [1, 0.9, np.nan, 0.8, np.nan, np.nan])


def test_a_lone_point_of_a_long_run_has_a_dot() -> None:
    loss = [np.nan] * 30 + [0.7] + [np.nan] * 30
    shown = line(
        curves(history(61, "accuracy", **{"loss/val": loss}), score="accuracy", best_epoch=31).axes[0], style.VAL
    )
    assert (shown.get_marker(), shown.get_markevery()) == ("o", [30])


def test_run_without_a_finite_number(read: Read) -> None:
    nothing = [np.nan] * 3
    columns = ("loss/train", "loss/val", "accuracy/train", "accuracy/val")
    texts = read(curves(history(3, "accuracy", **dict.fromkeys(columns, nothing)), score="accuracy", best_epoch=0))
    assert "loss not finite at epoch 1" in texts


def test_accuracy_is_in_percent_and_not_above_100(read: Read) -> None:
    figure = curves(history(4, "accuracy", **{"accuracy/train": [0, 0.5, 1, 1]}), score="accuracy", best_epoch=4)
    texts = read(figure)
    assert "accuracy (%)" in texts
    assert "100" in texts
    assert figure.axes[1].get_ylim()[1] == 1.02


@pytest.mark.parametrize(
    ("r2", "bottom"), [([-4000, 0.5, 0.9], -1), ([-0.5, 0.5, 0.9], None), ([-400, -50, -20], None)]
)
def test_hopeless_r2_does_not_hide_the_rest(r2: list[float], bottom: float | None, read: Read) -> None:
    figure = curves(history(3, "r2", **{"r2/train": r2, "r2/val": r2}), score="r2", best_epoch=3)
    texts = read(figure)
    low, high = figure.axes[1].get_ylim()
    if bottom is None:
        assert low <= min(r2)
        assert "R²" in texts
    else:
        assert low == bottom
        assert "R² (from −1 up)" in texts
    assert max(r2) <= high <= 1.02
