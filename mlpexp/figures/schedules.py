"""Learning-rate schedules.

S steps of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpexp.figures import placing, style
from mlpexp.figures.epoch_axes import MOST_TOGETHER, WIDTH, colours, line_styles

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT, _BOTTOM = 0.95, 0.6
_COLUMNS, _WIDTH, _HEIGHT, _GAP = 3, 2.5, 1.4, 0.3


@dataclass(frozen=True)
class Rates:
    """The learning rate of each step [S]; for a schedule that needs the validation loss, from which epoch on that
    does not improve any more."""

    rate: np.ndarray
    steps_per_epoch: int
    falls_until: int | None = None

    @property
    def epochs(self) -> float:
        return len(self.rate) / self.steps_per_epoch


@style.styled
def schedules(found: Mapping[str, Rates], title: str = "") -> Figure:
    """Learning rate over epochs, in one panel, or of many schedules each in a small panel with the same axes."""
    lines = [_spans(found), *_assumptions(found)]
    together = len(found) <= MOST_TOGETHER
    top = placing.head(title, lines) + 0.1 * together
    if together:
        names = [style.fit(name, style.SMALL, 3.6) for name in found]
        right = 0.35 + style.legend_width(names)
        figure, (panel,) = style.panels(1, 5.4, 3.2, left=_LEFT, top=top, right=right)
        panels, looks = [panel] * len(found), line_styles(len(found))
    else:
        names, looks = list(found), line_styles(1) * len(found)
        above, rows = placing.titles_height(names), -(-len(found) // _COLUMNS)
        figure = placing.page(_LEFT + _COLUMNS * (_WIDTH + _GAP), top + rows * (_HEIGHT + above) + _BOTTOM)
        panels = placing.multiples(figure, len(found), _COLUMNS, _LEFT, top, _WIDTH, _HEIGHT, _GAP, above)
        for panel, name in zip(panels, found, strict=True):
            placing.panel_title(panel, name, _WIDTH)
    placing.write_head(figure, title, lines, _LEFT)

    hues = colours(len(found)) if together else [style.TRAIN] * len(found)
    handles: dict[str, Artist] = {}
    for name, rates, panel, colour, look in zip(names, found.values(), panels, hues, looks, strict=True):
        handles[name] = _draw(panel, rates, color=colour, ls=look, lw=WIDTH)
    _axes(panels, found)
    for k, panel in enumerate(panels):
        if together or k + _COLUMNS >= len(panels):
            panel.set_xlabel("epoch")
        if together or k % _COLUMNS == 0:
            panel.set_ylabel("learning rate")
    if together:
        style.legend(figure, handles, _LEFT + 5.4 + 0.2, top)
    return figure


def _draw(panel: Axes, rates: Rates, **look: Any) -> Artist:
    """Each step's rate from where it begins to where it ends."""
    edges = np.arange(len(rates.rate) + 1) / rates.steps_per_epoch
    (line,) = panel.plot(edges, np.append(rates.rate, rates.rate[-1]), drawstyle="steps-post", **look)
    if rates.falls_until is not None:
        panel.axvline(rates.falls_until, color=style.INK, lw=1, ls=(0, (1, 1.5)), zorder=1)
    return line


def _axes(panels: list[Axes], found: Mapping[str, Rates]) -> None:
    highest = max(float(rates.rate.max()) for rates in found.values())
    longest = max(rates.epochs for rates in found.values())
    for panel in dict.fromkeys(panels):
        panel.set_xlim(0, longest)
        panel.set_ylim(0, 1.06 * highest)
        panel.grid()
        style.few_numbers(panel)


def _spans(found: Mapping[str, Rates]) -> str:
    """How long an epoch and the run are, where all schedules have the same."""
    lengths = {(rates.epochs, rates.steps_per_epoch) for rates in found.values()}
    if len(lengths) > 1:
        return "a value for each step"
    ((epochs, steps),) = lengths
    return f"{epochs:,.0f} epoch{'s' * (epochs != 1)} of {steps:,} step{'s' * (steps != 1)}; a value for each step"


def _assumptions(found: Mapping[str, Rates]) -> list[str]:
    names = {rates.falls_until: name.partition(",")[0] for name, rates in found.items() if rates.falls_until}
    return [
        f"{name}: if the validation loss stops improving after epoch {epoch} (dotted line)"
        for epoch, name in names.items()
    ]
