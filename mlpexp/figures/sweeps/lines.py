"""Lines over the epochs: the mean over seeds, and a band from the lowest to the highest seed.

A few settings share the panels, each in its colour; of more, each has panels of its own. N seeds, E epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import COLOURS, epoch_axis
from mlpexp.figures.sweeps.labels import broken
from mlpexp.figures.sweeps.page import add_legend, balanced, page

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 4.1, 3.5  # inches of a panel with its labels
_TOGETHER = 4  # bands of more settings hide each other
_COLUMNS, _SMALL_WIDTH, _SMALL_HEIGHT = 4, 2.4, 1.5  # inches of a setting's own panel
_CLIPPED, _OTHERS = "clipped to", "the other settings"
_MOST_LABEL = 3.4  # inches of a setting's name in the legend
SEEDS = "line: mean over seeds; band: lowest to highest seed"


@dataclass(frozen=True)
class LinesPanel:
    """What one panel shows: values [N, E] by setting, and how its vertical axis is finished.

    `bounds` are horizontal lines, such as the norm at which a setting's gradients are clipped.
    """

    values: Mapping[str, np.ndarray]
    finish: Callable[[Axes, np.ndarray], None]
    bounds: Mapping[str, float] | None = None


@style.styled
def lines(panels: Sequence[LinesPanel], notes: Sequence[str], title: str = "") -> Figure:
    """What `panels` show, of the same settings in the same order, side by side or over each other."""
    several = any(len(values) > 1 for panel in panels for values in panel.values.values())
    notes = [*([SEEDS] if several else []), *notes]
    return (_together if len(panels[0].values) <= _TOGETHER else _multiples)(panels, notes, title)


def _together(panels: Sequence[LinesPanel], notes: Sequence[str], title: str) -> Figure:
    """A panel for each of `panels`, with all settings in it."""
    names = ranked_names(list(panels[0].values))
    figure, grid = page(
        1, len(panels), len(panels) * _WIDTH, _HEIGHT, title=title, notes=notes, legend=[*names, _CLIPPED]
    )
    handles: dict[str, Artist] = {}
    for position, shown in enumerate(panels):
        panel = figure.add_subplot(grid[position])
        for name, colour, (setting, values) in zip(names, COLOURS, shown.values.items(), strict=False):
            handles[name] = draw_band(panel, values, colour)
            handles |= _bound(panel, shown, setting, colour)
        _finish(panel, shown)
    if _CLIPPED in handles:
        handles[_CLIPPED] = handles.pop(_CLIPPED)
    add_legend(figure, handles)
    return figure


def _multiples(panels: Sequence[LinesPanel], notes: Sequence[str], title: str) -> Figure:
    """A column for each setting, with one small panel over another: its band, and the means of the others pale."""
    settings = list(panels[0].values)
    rows, columns = balanced(len(settings), _COLUMNS)
    labels = [broken(f"{rank}. {name}", _SMALL_WIDTH) for rank, name in enumerate(settings, start=1)]
    tall = len(panels) * (_SMALL_HEIGHT + 0.2) + style.LINE * max(map(len, labels)) + 0.4
    figure, grid = page(
        rows * len(panels), columns, columns * (_SMALL_WIDTH + 0.15) + 0.6, rows * tall, title=title, notes=notes,
        legend=[_OTHERS, _CLIPPED],
    )  # fmt: skip
    handles: dict[str, Artist] = {}
    for below, shown in enumerate(panels):
        shared: Axes | None = None
        for position, (setting, values) in enumerate(shown.values.items()):
            row, column = divmod(position, columns)
            panel = figure.add_subplot(grid[row * len(panels) + below, column], sharex=shared, sharey=shared)
            shared = shared or panel
            for other, pale in shown.values.items():
                if other != setting:
                    handles[_OTHERS] = draw_mean(panel, pale, color=style.NEUTRAL, lw=0.8, zorder=2)
            draw_band(panel, values, style.TRAIN)
            handles |= _bound(panel, shown, setting, style.TRAIN)
            _finish(panel, shown)
            last = below == len(panels) - 1
            if below == 0:
                panel.set_title("\n".join(labels[position]), fontsize=style.SMALL, loc="left", pad=3)
            if column:
                panel.set_ylabel("")
            if not last or position + columns < len(settings):
                panel.set_xlabel("")
            panel.tick_params(labelleft=column == 0, labelbottom=last)
    add_legend(figure, handles)
    return figure


def _bound(panel: Axes, shown: LinesPanel, setting: str, colour: str) -> dict[str, Artist]:
    """Draws the bound of a setting, where it has one; returns the legend's entry."""
    bound = (shown.bounds or {}).get(setting)
    return {} if bound is None else {_CLIPPED: panel.axhline(bound, color=colour, ls="--", lw=1.2)}


def _finish(panel: Axes, shown: LinesPanel) -> None:
    shown.finish(panel, np.concatenate([values.ravel() for values in shown.values.values()]))
    epoch_axis(panel, 1, max(values.shape[1] for values in shown.values.values()))


def ranked_names(settings: Sequence[str]) -> list[str]:
    """What a legend calls settings, over several lines where need be; the rank tells those apart that are cut."""
    return ["\n".join(broken(f"{rank}. {name}", _MOST_LABEL)) for rank, name in enumerate(settings, start=1)]


def draw_band(panel: Axes, values: np.ndarray, colour: str) -> Artist:
    """The line and the band of values [N, E]; epochs at which a seed's value is not finite are left out."""
    if len(values) > 1:
        values = np.where(np.isfinite(values).all(0), values, np.nan)
        epoch = np.arange(1, values.shape[1] + 1)
        panel.fill_between(epoch, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)
    return draw_mean(panel, values, color=colour, lw=1.8, zorder=3)


def draw_mean(panel: Axes, values: np.ndarray, **look: Any) -> Artist:
    """The line of the mean of values [N, E]; epochs at which a seed's value is not finite are left out."""
    mean = np.where(np.isfinite(values).all(0), values, np.nan).mean(0)
    (line,) = panel.plot(np.arange(1, len(mean) + 1), mean, marker="o" if len(mean) == 1 else None, **look)
    return line
