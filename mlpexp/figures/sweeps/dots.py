"""Settings side by side: every seed a dot, the mean, and its confidence interval.

Dots that would lie on each other are piled up below and above the line of their setting: a beeswarm plot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import LOG_FROM, LOWEST_R2, log_axis
from mlpexp.figures.sweeps.labels import broken
from mlpexp.figures.sweeps.page import balanced

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 4.4  # of the panel, inches
_NARROW, _MOST_COLUMNS = 2.5, 3  # of one panel of several, and panels side by side
_MOST_LABEL = 3.6  # inches of a line of a label
_DOT = style.VAL
_SIZE = 5.0  # of a dot, points
_APART = 1.15 * _SIZE * style.POINT  # two dots side by side, inches
_EDGE = 0.014  # from the edge of the panel to the middle of an arrowhead, as a share of its width
_GAP = 0.22  # inches between the piles of two rows
_HIGHEST = 8  # dots in a pile that stand apart; higher piles are pressed together
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
    span = span_of(
        [value for row in rows for value in row.values], [end for row in rows for end in row.interval or ()], metric
    )
    piles = [_piled(row.values, span) for row in rows]
    highest = max((2 * np.abs(pile).max() + 1 for pile in piles if len(pile)), default=1)
    row_height = max(0.15 + 0.155 * max(map(len, labels)), _GAP + _APART * min(highest, _HIGHEST))
    width = label_width + _WIDTH + remark_width + 0.4
    figure = Figure(
        figsize=(width, len(rows) * row_height + 1.1 + 0.3 * bool(title)), dpi=style.DPI, layout="constrained"
    )
    if title:
        said = style.fit(title, style.TITLE, width - 0.2)
        figure.suptitle(said, x=0.1 / width, ha="left", fontsize=style.TITLE)
    panel = figure.add_subplot()
    panel.set_yticks(range(len(rows)), ["\n".join(lines) for lines in labels])
    handles = _fill(panel, rows, piles, row_height, span)
    _value_axis(panel, metric, axis)
    _legend(figure, handles)
    return figure


@style.styled
def dots_by_dataset(datasets: Mapping[str, Sequence[Row]], *, metric: str, axis: str, title: str = "") -> Figure:
    """A panel a dataset, each with an axis of its own, and the same settings in each; else as `dots`."""
    from matplotlib.figure import Figure

    n_rows, n_columns = balanced(len(datasets), _MOST_COLUMNS)
    panels = []
    for rows in datasets.values():
        values = [value for row in rows for value in row.values]
        span = replace(span_of(values, [end for row in rows for end in row.interval or ()], metric), width=_NARROW)
        panels.append((rows, span, [_piled(row.values, span) for row in rows]))
    highest = max((2 * np.abs(pile).max() + 1 for _, _, piles in panels for pile in piles if len(pile)), default=1)
    labels = [broken(row.label, _MOST_LABEL) for row in panels[0][0]]
    label_width = max(style.text_width(line, style.SMALL) for lines in labels for line in lines)
    row_height = max(0.15 + 0.155 * max(map(len, labels)), _GAP + _APART * min(highest, _HIGHEST))
    width = label_width + n_columns * (_NARROW + 0.3) + 0.2
    height = n_rows * (len(labels) * row_height + 0.95) + 0.45 + 0.3 * bool(title)
    figure = Figure(figsize=(width, height), dpi=style.DPI, layout="constrained")
    if title:
        figure.suptitle(style.fit(title, style.TITLE, width - 0.2), x=0.1 / width, ha="left", fontsize=style.TITLE)
    grid = figure.add_gridspec(n_rows, n_columns)
    handles: dict[str, Artist] = {}
    for at, (name, (rows, span, piles)) in enumerate(zip(datasets, panels, strict=True)):
        panel = figure.add_subplot(grid[at])
        panel.set_title(style.fit(name, style.TEXT, _NARROW), fontsize=style.TEXT, loc="left")
        named = ["\n".join(lines) for lines in labels] if at % n_columns == 0 else [""] * len(labels)
        panel.set_yticks(range(len(labels)), named)
        handles = _fill(panel, rows, piles, row_height, span) | handles
        _value_axis(panel, metric, axis, most_ticks=4)
    _legend(figure, handles)
    return figure


def _fill(
    panel: Axes, rows: Sequence[Row], piles: Sequence[np.ndarray], row_height: float, span: Span
) -> dict[str, Artist]:
    """Draws all rows of a panel; returns the legend's entries."""
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.tick_params(axis="y", length=0)
    if span.log:
        log_axis(panel, horizontal=True)
    panel.set_xlim(span.low, span.high)
    if not any(len(row.values) for row in rows):
        panel.set_xticks([])
    highest = max((2 * np.abs(pile).max() + 1 for pile in piles if len(pile)), default=1)
    handles: dict[str, Artist] = {}
    step = min(_APART, (row_height - _GAP) / highest) / row_height
    for y, (row, pile) in enumerate(zip(rows, piles, strict=True)):
        handles = _draw(panel, y, row, y + step * pile, row_height, span) | handles
        panel.text(1.03, y, row.remark, transform=panel.get_yaxis_transform(), va="center", size=style.SMALL)
    return handles


def _legend(figure: Figure, handles: Mapping[str, Artist]) -> None:
    named = {name: handles[name] for name in _LEGEND if name in handles}
    if named:
        # Four side by side would be wider than the figure.
        columns = 3 if len(named) <= 3 else 2
        figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=columns, frameon=False)


@dataclass(frozen=True)
class Span:
    """The ends of an axis of scores."""

    low: float
    high: float
    log: bool = False
    width: float = _WIDTH  # inches

    def inches(self, values: np.ndarray) -> np.ndarray:
        """Where values stand on the axis, from its left end; those beyond an end stand there."""
        low, high, at = (np.log(each) if self.log else each for each in (self.low, self.high, self.clip(values)))
        return np.asarray(self.width * (at - low) / (high - low))

    def clip(self, values: np.ndarray) -> np.ndarray:
        return np.clip(np.asarray(values, dtype=float), self.low, self.high)


def span_of(scores: Sequence[float], ends: Sequence[float], metric: str) -> Span:
    """The axis of scores and of the `ends` of their intervals; `metric` as for `dots`.

    It has room for all scores and as much again.
    """
    if not len(scores):
        return Span(0.0, 1.0)
    values = np.array(scores, dtype=float)
    hopeless = metric == "r2" and values.max() > LOWEST_R2 > values.min()
    values = values.clip(LOWEST_R2) if hopeless else values
    low, high = float(values.min()), float(values.max())
    if metric == "loss" and low > 0 and high / low > LOG_FROM:
        return Span(low / 1.5, high * 1.5, log=True)
    spread = high - low or 0.02 * abs(high) or 0.02
    low = low if hopeless else max(low - spread, min([low, *ends])) - 0.06 * spread
    high = min(high + spread, max([high, *ends])) + 0.06 * spread
    if metric != "loss":
        # No score is greater than 1, whatever a symmetric interval says.
        high = min(high, 1 + 0.04 * (1 - low))
    return Span(low, high)


def _piled(values: Sequence[float], span: Span) -> np.ndarray:
    """Levels [N] around 0, one dot high each, on which dots in the given order do not touch any before them."""
    places = span.inches(np.asarray(values, dtype=float))
    levels = np.zeros(len(places), dtype=int)
    for k, place in enumerate(places):
        taken = set(levels[:k][np.abs(places[:k] - place) < _APART].tolist())
        levels[k] = next(level for n in range(len(places) + 1) for level in (-n, n) if level not in taken)
    return levels


def _draw(panel: Axes, y: int, row: Row, heights: np.ndarray, row_height: float, span: Span) -> dict[str, Artist]:
    """Draws one setting, its dots at `heights` [N] in rows of `row_height` inches; returns the legend's entries."""
    from matplotlib.lines import Line2D

    handles: dict[str, Artist] = {}
    if row.interval:
        (handles["95 % confidence interval"],) = panel.plot(
            span.clip(np.asarray(row.interval)), [y, y], color=style.INK, lw=1.5, solid_capstyle="butt"
        )
    if len(row.values):
        values = np.asarray(row.values, dtype=float)
        inside = (values >= span.low) & (values <= span.high)
        (handles["a seed"],) = panel.plot(
            values[inside], heights[inside], "o", color=_DOT, alpha=0.75, markersize=_SIZE, mec="white", mew=0.5,
            zorder=3,
        )  # fmt: skip
        mean = float(np.mean(row.values))
        if len(row.values) > 1 and span.low <= mean <= span.high:
            # Longer than the pile of dots that it may stand in.
            reach = 6 * style.POINT / row_height
            panel.plot(
                [mean, mean],
                [heights.min() - reach, heights.max() + reach],
                color=style.INK,
                lw=2,
                solid_capstyle="butt",
            )
            handles["mean"] = Line2D([], [], marker="|", ls="", color=style.INK, ms=13, mew=2)
    drawn = [*row.values, *(row.interval or ())]
    for edge, marker, beyond in (
        (_EDGE, "<", [value for value in drawn if value < span.low]),
        (1 - _EDGE, ">", [value for value in drawn if value > span.high]),
    ):
        if beyond:
            (handles["beyond the edge"],) = panel.plot(
                [edge], [y], marker, color=style.INK, markersize=6, linestyle="none",
                transform=panel.get_yaxis_transform(),
            )  # fmt: skip
    return handles


def _value_axis(panel: Axes, metric: str, axis: str, most_ticks: int = 6) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    panel.set_xlabel(f"{axis}, log scale" if panel.get_xscale() == "log" else axis)
    panel.grid(axis="x")
    if panel.get_xscale() != "log":
        panel.xaxis.set_major_locator(MaxNLocator(most_ticks, steps=[1, 2, 2.5, 5, 10]))
        scale = 100 if metric == "accuracy" else 1
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number(scale * value, 5)))
