"""Training and validation loss of each setting in a panel of its own: a growing gap is overfitting.

N seeds, E epochs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import epoch_axis, loss_axis
from mlpexp.figures.sweeps.labels import broken
from mlpexp.figures.sweeps.lines import SEEDS, draw_band
from mlpexp.figures.sweeps.page import add_legend, balanced, page

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

_COLUMNS, _WIDTH, _HEIGHT = 4, 2.5, 2.1  # inches of a panel
_LEGEND = {"train": "training loss", "val": "validation loss", "best": "best epoch of a seed"}


@dataclass(frozen=True)
class Losses:
    """A setting's losses [N, E] on both splits, and the epoch of each seed's best weights [N]."""

    train: np.ndarray
    val: np.ndarray
    best_epochs: Sequence[int]


@style.styled
def train_and_val(settings: Mapping[str, Losses], notes: Sequence[str] = ()) -> Figure:
    """A panel a setting, all with the same axes; dotted lines mark the epochs whose weights were kept."""
    rows, columns = balanced(len(settings), _COLUMNS)
    labels = [broken(f"{rank}. {name}", _WIDTH) for rank, name in enumerate(settings, start=1)]
    several = any(len(losses.train) > 1 for losses in settings.values())
    notes = [*([SEEDS] if several else []), *notes]
    width = columns * (_WIDTH + 0.2) + 0.6
    height = rows * (_HEIGHT + 0.2 + style.LINE * max(map(len, labels))) + 0.4
    figure, grid = page(
        rows, columns, width, height, title="Training and validation loss", notes=notes, legend=list(_LEGEND.values())
    )
    everything = np.concatenate([np.r_[found.train.ravel(), found.val.ravel()] for found in settings.values()])
    last = max(found.train.shape[1] for found in settings.values())
    handles: dict[str, Artist] = {}
    panel = None
    for position, (found, label) in enumerate(zip(settings.values(), labels, strict=True)):
        panel = figure.add_subplot(grid[position], sharex=panel, sharey=panel)
        handles[_LEGEND["train"]] = draw_band(panel, found.train, style.TRAIN)
        handles[_LEGEND["val"]] = draw_band(panel, found.val, style.VAL)
        for epoch in found.best_epochs:
            handles[_LEGEND["best"]] = panel.axvline(epoch, color=style.INK, lw=0.8, ls=(0, (1, 1.5)), zorder=1)
        loss_axis(panel, everything)
        epoch_axis(panel, 1, last)
        if position % columns:
            panel.set_ylabel("")
            panel.tick_params(labelleft=False)
        if position + columns < len(settings):
            panel.set_xlabel("")
            panel.tick_params(labelbottom=False)
        panel.set_title("\n".join(label), fontsize=style.SMALL, loc="left", pad=3)
    add_legend(figure, handles)
    return figure
