"""Axes of what is measured epoch by epoch: loss, score, and the epochs themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A loss that spans more than this is read better by its order of magnitude.
LOG_FROM = 30
# An R² below this says only that the network has not begun to learn.
LOWEST_R2 = -1.0


def loss_axis(panel: Axes, values: np.ndarray) -> None:
    """The vertical axis of a loss that takes these values."""
    values = values[np.isfinite(values)]
    panel.set_ylabel("loss")
    style.plain_numbers(panel.yaxis)
    if not len(values):
        panel.set_yticks([])
    elif values.min() > 0 and values.max() / values.min() > LOG_FROM:
        log_axis(panel)
        panel.set_ylabel("loss (log scale)")


def log_axis(panel: Axes, horizontal: bool = False) -> None:
    """Makes the vertical axis, or the horizontal one, logarithmic."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis, set_scale = (panel.xaxis, panel.set_xscale) if horizontal else (panel.yaxis, panel.set_yscale)
    set_scale("log")
    axis.set_major_locator(LogLocator(numticks=7))
    axis.set_minor_locator(NullLocator())
    style.plain_numbers(axis)  # a change of scale brings its own format


def score_axis(panel: Axes, score: str, values: np.ndarray) -> None:
    """The vertical axis of an accuracy, in percent, or of an R²."""
    from matplotlib.ticker import FuncFormatter

    low, high = panel.get_ylim()
    values = values[np.isfinite(values)]
    if score == "accuracy":
        panel.set_ylabel("accuracy (%)")
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number(100 * value, 4)))
        low = max(low, -0.02)
    else:
        panel.set_ylabel("R²")
        style.plain_numbers(panel.yaxis)
        if len(values) and values.max() > LOWEST_R2 > values.min():
            low = LOWEST_R2
            panel.set_ylabel(f"R² (from {style.number(low)} up)")
    panel.set_ylim(low, min(high, 1.02))
    if not len(values):
        panel.set_yticks([])


def epoch_axis(panel: Axes, first: float, last: float) -> None:
    """The horizontal axis, with room for the marks of the first and the last epoch."""
    from matplotlib.ticker import MaxNLocator

    panel.set_xlabel("epoch")
    panel.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    panel.grid(axis="y")
    room = max(0.03 * (last - first), 0.5)
    panel.set_xlim(first - room, last + room)


# For curves. Found by search, with two of Okabe & Ito (2008) and black: the least CIEDE2000 between two of them, in any
# of the four kinds of vision that tests/figures/test_colours.py simulates, is 18.7.
COLOURS = ("#0072B2", "#D55E00", "#00BB99", "#000000", "#882255", "#BB99FF", "#DDCC00", "#004400")
# More curves than this would hide each other in one panel: each gets a small one of its own.
MOST_TOGETHER = 6


def colours(n: int) -> list[str]:
    """As many colours, told apart also by those who are colour-blind where there are at most twelve."""
    from matplotlib.colors import to_hex

    return list(COLOURS[:n]) if n <= len(COLOURS) else [to_hex(colour) for colour in style.class_colours(n)]


# Curves in one panel, all of one width. The first is solid; through the gaps of the others shows what lies below them.
WIDTH = 1.8
_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 2), (2.5, 2), (6, 2, 1.2, 2), (1.2, 1.6), (6, 2, 1.2, 2, 1.2, 2))


def line_styles(n: int) -> list[tuple[int, tuple[float, ...] | None]]:
    """As many line styles of matplotlib, told apart also without colour where there are at most `MOST_TOGETHER`."""
    return [(0, _DASHES[k % len(_DASHES)] or None) for k in range(n)]
