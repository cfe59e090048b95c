"""Learning curves of several settings: the mean over seeds, and a band from the lowest to the highest seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import epoch_axis, loss_axis, score_axis

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008), those that show best on white first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#B5A800")
_LEFT, _TOP, _WIDTH, _HEIGHT, _GAP = 0.85, 0.62, 3.3, 2.9, 0.9
_MOST_LABEL = 3.4  # inches of a setting's name in the legend


@dataclass(frozen=True)
class Band:
    """What the seeds of a setting measured, epoch by epoch: arrays [seeds, epochs]."""

    loss: np.ndarray
    score: np.ndarray


@style.styled
def bands(settings: Mapping[str, Band], *, score: str, remarks: Sequence[str] = (), title: str = "") -> Figure:
    """Panels for validation loss and score, of at most eight settings; `remarks` stand below the title."""
    assert len(settings) <= len(COLOURS)
    # The rank tells names apart that are cut to the same.
    names = [style.fit(f"{rank}. {name}", style.SMALL, _MOST_LABEL) for rank, name in enumerate(settings, start=1)]
    several = any(len(band.loss) > 1 for band in settings.values())
    what = ["line: mean over seeds; band: lowest to highest seed"] if several else []
    lines = [*what, *remarks]
    top = 0.15 + 0.3 * bool(title) + 0.2 * len(lines)
    legend_left = _LEFT + 2 * _WIDTH + _GAP + 0.15
    right = 0.3 + style.legend_width(names)
    figure, axes = style.panels(2, _WIDTH, _HEIGHT, left=_LEFT, right=right, top=top, gap=_GAP)
    style.heading(figure, title, _LEFT)
    width, height = figure.get_size_inches()
    for position, line in enumerate(lines):
        y = 1 - (0.1 + 0.3 * bool(title) + 0.2 * position) / height
        said = style.fit(line, style.SMALL, width - _LEFT - 0.1)
        figure.text(_LEFT / width, y, said, size=style.SMALL, va="top")

    handles: dict[str, Artist] = {}
    for name, colour, band in zip(names, COLOURS, settings.values(), strict=False):
        handles[name] = _band(axes[0], band.loss, colour)
        _band(axes[1], band.score, colour)
    loss_axis(axes[0], np.concatenate([band.loss.ravel() for band in settings.values()]))
    score_axis(axes[1], score, np.concatenate([band.score.ravel() for band in settings.values()]))
    for panel in axes:
        panel.set_ylabel(f"validation {panel.get_ylabel()}")
        epoch_axis(panel, 1, max(band.loss.shape[1] for band in settings.values()))
    style.legend(figure, handles, legend_left, top)
    return figure


def _band(panel: Axes, values: np.ndarray, colour: str) -> Artist:
    """The line and the band of one setting; epochs at which a seed's value is not finite are left out."""
    epoch = np.arange(1, values.shape[1] + 1)
    values = np.where(np.isfinite(values).all(0), values, np.nan)
    (line,) = panel.plot(epoch, values.mean(0), color=colour, lw=1.8, zorder=3)
    if len(epoch) == 1:
        line.set_marker("o")
    if len(values) > 1:
        panel.fill_between(epoch, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)
    return line
