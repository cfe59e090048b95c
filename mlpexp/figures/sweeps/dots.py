"""Settings side by side: every seed a dot, the mean, and its confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import LOG_FROM, LOWEST_R2, log_axis
from mlpexp.figures.sweeps.labels import broken

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 4.4  # of the panel, inches
_MOST_LABEL = 3.6  # inches of a line of a label
_DOT = style.VAL
_LEGEND = ("a seed", "mean", "95 % confidence interval", "beyond the edge")


@dataclass(frozen=True)
class Row:
    """A setting: its values by seed, the confidence interval of their mean where there is one, and a remark."""

    label: str
    values: Sequence[float]
    interval: tuple[float, float] | None
    remark: str = ""


@style.styled
def dots(rows: Sequence[Row], *, metric: str, axis: str, title: str = "") -> Figure:
    """A row a setting, the first on top. `axis` says what the values are, with their unit.

    `metric` is what they are like: accuracy, a share that is shown in percent; r2, at most 1; loss, of any size.

    Intervals of few seeds can be many times as wide as what they are about: where they pass the edge of the panel,
    which has room for all dots and as much again, an arrow says so.
    """
    from matplotlib.figure import Figure

    labels = [broken(row.label, _MOST_LABEL) for row in rows]
    label_width = max(style.text_width(line, style.SMALL) for lines in labels for line in lines)
    remark_width = max(style.text_width(row.remark, style.SMALL) for row in rows)
    width = label_width + _WIDTH + remark_width + 0.4
    height = len(rows) * (0.15 + 0.155 * max(map(len, labels))) + 1.1 + 0.3 * bool(title)
    figure = Figure(figsize=(width, height), dpi=style.DPI, layout="constrained")
    if title:
        said = style.fit(title, style.TITLE, width - 0.2)
        figure.suptitle(said, x=0.1 / width, ha="left", fontsize=style.TITLE)
    panel = figure.add_subplot()
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_yticks(range(len(rows)), ["\n".join(lines) for lines in labels])
    panel.tick_params(axis="y", length=0)
    low, high = _limits(panel, rows, metric)
    handles: dict[str, Artist] = {}
    for y, row in enumerate(rows):
        handles = _draw(panel, y, row, low, high) | handles
        panel.text(1.03, y, row.remark, transform=panel.get_yaxis_transform(), va="center", size=style.SMALL)
    _value_axis(panel, metric, axis)
    named = {name: handles[name] for name in _LEGEND if name in handles}
    if named:
        # Four side by side would be wider than the figure.
        columns = 3 if len(named) <= 3 else 2
        figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _limits(panel: Axes, rows: Sequence[Row], metric: str) -> tuple[float, float]:
    """Sets the horizontal limits and gives them."""
    values = np.array([value for row in rows for value in row.values], dtype=float)
    ends = np.array([end for row in rows for end in row.interval or ()], dtype=float)
    if not len(values):
        panel.set_xticks([])
        return 0.0, 1.0
    hopeless = metric == "r2" and values.max() > LOWEST_R2 > values.min()
    values = values.clip(LOWEST_R2) if hopeless else values
    low, high = values.min(), values.max()
    if metric == "loss" and low > 0 and high / low > LOG_FROM:
        log_axis(panel, horizontal=True)
        low, high = low / 1.5, high * 1.5
    else:
        spread = high - low or 0.02 * abs(high) or 0.02
        low = low if hopeless else max(low - spread, min([low, *ends])) - 0.06 * spread
        high = min(high + spread, max([high, *ends])) + 0.06 * spread
        if metric != "loss":
            # No score is greater than 1, whatever a symmetric interval says.
            high = min(high, 1 + 0.04 * (1 - low))
    panel.set_xlim(low, high)
    return float(low), float(high)


def _draw(panel: Axes, y: int, row: Row, low: float, high: float) -> dict[str, Artist]:
    """Draws one setting; returns the legend's entries."""
    handles: dict[str, Artist] = {}
    if row.interval:
        ends = np.clip(row.interval, low, high)
        (handles["95 % confidence interval"],) = panel.plot(
            ends, [y, y], color=style.INK, lw=1.5, solid_capstyle="butt"
        )
    if len(row.values):
        inside = [value for value in row.values if low <= value <= high]
        (handles["a seed"],) = panel.plot(
            inside, [y] * len(inside), "o", color=_DOT, alpha=0.75, markersize=6, mec="white", mew=0.5, zorder=3
        )
        mean = float(np.mean(row.values))
        if len(row.values) > 1 and low <= mean <= high:
            (handles["mean"],) = panel.plot([mean], [y], "|", color=style.INK, markersize=13, markeredgewidth=2)
    drawn = [*row.values, *(row.interval or ())]
    for edge, marker, beyond in (
        (low, "<", [value for value in drawn if value < low]),
        (high, ">", [value for value in drawn if value > high]),
    ):
        if beyond:
            (handles["beyond the edge"],) = panel.plot(
                [edge], [y], marker, color=style.INK, markersize=6, clip_on=False, linestyle="none"
            )
    return handles


def _value_axis(panel: Axes, metric: str, axis: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    panel.set_xlabel(f"{axis}, log scale" if panel.get_xscale() == "log" else axis)
    panel.grid(axis="x")
    if panel.get_xscale() != "log":
        panel.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        scale = 100 if metric == "accuracy" else 1
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number(scale * value, 5)))
