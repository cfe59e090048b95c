"""Response curves: what settings score against the number in which they differ; a heat map of two numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import COLOURS
from mlpexp.figures.sweeps.labels import broken
from mlpexp.figures.sweeps.page import add_legend, page
from mlpexp.figures.sweeps.value_axis import value_axis

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 5.6, 3.9  # inches of the panel with its labels
_MOST_LABEL = 3.0  # inches of a line's name in the legend
_CELL = (0.86, 0.56)  # inches of a cell of the heat map
# The greatest number over the least, from which a logarithmic axis pays.
_WIDELY = 6
LEGEND = "line: mean over seeds; band: its 95 % confidence interval; dots: seeds"


@dataclass(frozen=True)
class Point:
    """A setting: the number that it has, its values by seed, and the interval of their mean where there is one."""

    x: float
    values: Sequence[float]
    interval: tuple[float, float] | None


@style.styled
def response(
    lines: Mapping[str, Sequence[Point]], *, choice: str, metric: str, axis: str, notes: Sequence[str] = ()
) -> Figure:
    """A line for each name, over the number `choice`; `metric` and `axis` as for `dots`.

    The horizontal axis is logarithmic where the numbers are spaced more evenly so, see `is_geometric`.
    """
    names = ["\n".join(broken(name, _MOST_LABEL)) for name in lines] if len(lines) > 1 else []
    figure, grid = page(1, 1, _WIDTH, _HEIGHT, notes=[*notes, LEGEND], legend=names)
    panel = figure.add_subplot(grid[0])
    points = [point for line in lines.values() for point in line]
    values = [value for point in points for value in point.values]
    ends = [end for point in points for end in point.interval or ()]
    value_axis(panel, values, ends, metric, axis)
    handles: dict[str, Artist] = {}
    for (name, line), colour in zip(lines.items(), COLOURS, strict=False):
        shown = "\n".join(broken(name, _MOST_LABEL))
        handles[shown] = _draw(panel, sorted(line, key=lambda point: point.x), colour)
    _number_axis(panel, sorted({point.x for point in points}), choice)
    if names:
        add_legend(figure, handles)
    return figure


def _draw(panel: Axes, line: Sequence[Point], colour: str) -> Artist:
    with_values = [point for point in line if len(point.values)]
    x = [point.x for point in with_values]
    (mean,) = panel.plot(
        x, [float(np.mean(point.values)) for point in with_values], "o-", color=colour, lw=1.8, markersize=5, zorder=4
    )
    low, high = np.array([point.interval or (np.nan, np.nan) for point in with_values]).reshape(-1, 2).T
    panel.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    seeds = [(point.x, value) for point in with_values if len(point.values) > 1 for value in point.values]
    if seeds:
        across, up = zip(*seeds, strict=True)
        panel.plot(across, up, ".", color=colour, alpha=0.45, markersize=6, mec="none", zorder=3)
    return mean


def is_geometric(numbers: Sequence[float]) -> bool:
    """Whether numbers in rising order are spaced more evenly on a logarithmic axis than on a linear one, and widely.

    Zero may come before them: the spacing is that of the others.
    """
    x = np.array([number for number in numbers if number > 0], dtype=float)
    if len(x) < len(numbers) - (numbers[0] == 0) or len(x) < 2 or x[-1] / x[0] < _WIDELY:
        return False
    gaps, steps = np.diff(x), np.diff(np.log(x))
    return bool(steps.std() / steps.mean() < gaps.std() / gaps.mean() or len(x) == 2)


def _number_axis(panel: Axes, numbers: Sequence[float], choice: str) -> None:
    """The horizontal axis, with the numbers that were tried as its ticks, as many as there is room for."""
    from matplotlib.ticker import NullLocator

    panel.set_xlabel(style.fit(choice, style.TEXT, _WIDTH - 1))
    room = (_WIDTH - 1.2) / (len(numbers) or 1)
    if is_geometric(numbers):
        panel.set_xlabel(style.fit(f"{choice}, log scale", style.TEXT, _WIDTH - 1))
        positive = [number for number in numbers if number > 0]
        if positive == list(numbers):
            panel.set_xscale("log")
        else:
            # Zero stands one step of the others before them.
            step = (positive[-1] / positive[0]) ** (1 / max(len(positive) - 1, 1))
            panel.set_xscale("symlog", linthresh=positive[0], linscale=max(np.log10(step), 0.1))
    panel.xaxis.set_minor_locator(NullLocator())
    widest = max(style.text_width(style.number(number), style.SMALL) for number in numbers) + 0.12
    kept = numbers[:: max(1, int(np.ceil(widest / room)))] if is_geometric(numbers) or len(numbers) < 3 else None
    if kept is None:
        gaps = np.diff(numbers) / (numbers[-1] - numbers[0]) * (_WIDTH - 1.2)
        kept = numbers if gaps.min() > widest else None
    if kept is not None:
        panel.set_xticks(list(kept), [style.number(number) for number in kept])
    else:
        style.plain_numbers(panel.xaxis)


@dataclass(frozen=True)
class Cell:
    """A setting of two numbers: the mean over seeds, None where there is none, and what is written there."""

    x: float
    y: float
    mean: float | None
    text: str


@style.styled
def heat_map(cells: Sequence[Cell], *, choices: tuple[str, str], axis: str, best: int, notes: Sequence[str]) -> Figure:
    """A cell for each pair of the numbers that `choices` name, across and up, coloured by the mean.

    The cell with the index `best` has a frame. Cells are of one size, whatever the numbers are.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    xs, ys = (sorted(set(numbers)) for numbers in zip(*((c.x, c.y) for c in cells), strict=True))
    means = np.full((len(ys), len(xs)), np.nan)
    for cell in cells:
        if cell.mean is not None:
            means[ys.index(cell.y), xs.index(cell.x)] = cell.mean
    width = max(_CELL[0], *(style.text_width(style.number(x), style.SMALL) + 0.15 for x in xs)) * len(xs) + 2.2
    width = max(width, *(style.text_width(note, style.SMALL) + 0.3 for note in notes))
    height = _CELL[1] * len(ys) + 1.0 + style.LINE * len(notes)
    figure = Figure(figsize=(width, height), dpi=style.DPI, layout="constrained")
    figure.suptitle("\n".join(notes), x=0.1 / width, ha="left", fontsize=style.SMALL)
    panel = figure.add_subplot()
    image = panel.imshow(means, origin="lower", aspect="auto", cmap="viridis")
    least, most = float(np.nanmin(means, initial=np.inf)), float(np.nanmax(means, initial=-np.inf))
    for cell in cells:
        at = xs.index(cell.x), ys.index(cell.y)
        # The lower part of the colours is dark.
        dark = cell.mean is not None and cell.mean < least + 0.6 * (most - least)
        colour = "white" if dark else style.INK
        panel.text(*at, cell.text, ha="center", va="center", color=colour, fontsize=style.SMALL)
    first = cells[best]
    corner = xs.index(first.x) - 0.5, ys.index(first.y) - 0.5
    panel.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=style.WRONG, linewidth=2.5, clip_on=False))
    panel.set_xticks(range(len(xs)), [style.number(x) for x in xs])
    panel.set_yticks(range(len(ys)), [style.number(y) for y in ys])
    panel.tick_params(length=0)
    panel.set_xlabel(style.fit(choices[0], style.TEXT, width - 1.8))
    panel.set_ylabel(style.fit(choices[1], style.TEXT, max(height - 0.6, 1.2)))
    panel.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=panel, pad=0.02, aspect=14)
    bar.outline.set_visible(False)
    bar.set_label(axis)
    return figure
