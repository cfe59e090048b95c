"""Lines over the epochs, a colour a setting: the mean over seeds, and a band from the lowest to the highest seed.

N seeds, E epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import COLOURS, epoch_axis
from mlpexp.figures.sweeps.labels import broken
from mlpexp.figures.sweeps.page import add_legend, page

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 4.1, 3.5  # inches of a panel with its labels
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
def lines(panels: Sequence[LinesPanel], notes: Sequence[str]) -> Figure:
    """Panels side by side, of the same settings in the same order; `notes` stand above them."""
    settings = list(panels[0].values)
    assert len(settings) <= len(COLOURS)
    names = ranked_names(settings)
    several = any(len(values) > 1 for panel in panels for values in panel.values.values())
    notes = [*([SEEDS] if several else []), *notes]
    figure, grid = page(1, len(panels), len(panels) * _WIDTH, _HEIGHT, notes=notes, legend=[*names, "clipped to"])
    handles: dict[str, Artist] = {}
    for position, shown in enumerate(panels):
        panel = figure.add_subplot(grid[position])
        for name, colour, (setting, values) in zip(names, COLOURS, shown.values.items(), strict=False):
            handles[name] = draw_band(panel, values, colour)
            if shown.bounds and setting in shown.bounds:
                bound = panel.axhline(shown.bounds[setting], color=colour, ls="--", lw=1.2)
                handles.setdefault("clipped to", bound)
        shown.finish(panel, np.concatenate([values.ravel() for values in shown.values.values()]))
        epoch_axis(panel, 1, max(values.shape[1] for values in shown.values.values()))
    if "clipped to" in handles:
        handles["clipped to"] = handles.pop("clipped to")
    add_legend(figure, handles)
    return figure


def ranked_names(settings: Sequence[str]) -> list[str]:
    """What a legend calls settings, over several lines where need be; the rank tells those apart that are cut."""
    return ["\n".join(broken(f"{rank}. {name}", _MOST_LABEL)) for rank, name in enumerate(settings, start=1)]


def draw_band(panel: Axes, values: np.ndarray, colour: str) -> Artist:
    """The line and the band of values [N, E]; epochs at which a seed's value is not finite are left out."""
    epoch = np.arange(1, values.shape[1] + 1)
    values = np.where(np.isfinite(values).all(0), values, np.nan)
    (line,) = panel.plot(epoch, values.mean(0), color=colour, lw=1.8, zorder=3)
    if len(epoch) == 1:
        line.set_marker("o")
    if len(values) > 1:
        panel.fill_between(epoch, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)
    return line
