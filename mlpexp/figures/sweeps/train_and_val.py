"""Training and validation loss of each setting in a panel of its own: where they part, a network learns by heart.

N seeds, E epochs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import placing, style
from mlpexp.figures.epoch_axes import epoch_axis, loss_axis
from mlpexp.figures.sweeps.labels import broken
from mlpexp.figures.sweeps.lines import SEEDS, draw_band

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

_COLUMNS, _LEFT, _WIDTH, _HEIGHT, _GAP, _BOTTOM = 4, 0.85, 2.5, 2.1, 0.2, 0.6
_LEGEND = {"train": "training loss", "val": "validation loss", "best": "best epoch of a seed"}


@dataclass(frozen=True)
class Losses:
    """A setting's losses [N, E] on both splits, and the epoch of each seed's best weights [N]."""

    train: np.ndarray
    val: np.ndarray
    best_epochs: Sequence[int]


@style.styled
def train_and_val(settings: Mapping[str, Losses], notes: Sequence[str] = (), title: str = "") -> Figure:
    """A panel a setting, all with the same axes; dotted lines mark the epochs whose weights were kept."""
    columns = min(_COLUMNS, len(settings))
    rows = -(-len(settings) // columns)
    labels = [broken(f"{rank}. {name}", _WIDTH) for rank, name in enumerate(settings, start=1)]
    above = 0.15 + 0.17 * max(map(len, labels))
    several = any(len(losses.train) > 1 for losses in settings.values())
    notes = [*([SEEDS] if several else []), *notes]
    top = placing.head(title, notes)
    width = max(_LEFT + columns * (_WIDTH + _GAP), _LEFT + 5.4)
    figure = placing.page(width, top + 0.25 + rows * (_HEIGHT + above) + _BOTTOM)
    placing.write_head(figure, title, notes, _LEFT)
    axes = placing.multiples(figure, len(settings), columns, _LEFT, top + 0.25, _WIDTH, _HEIGHT, _GAP, above)
    everything = np.concatenate([np.r_[found.train.ravel(), found.val.ravel()] for found in settings.values()])
    last = max(found.train.shape[1] for found in settings.values())
    handles: dict[str, Artist] = {}
    limits = []
    for position, (panel, found, label) in enumerate(zip(axes, settings.values(), labels, strict=True)):
        handles[_LEGEND["train"]] = draw_band(panel, found.train, style.TRAIN)
        handles[_LEGEND["val"]] = draw_band(panel, found.val, style.VAL)
        for epoch in found.best_epochs:
            handles[_LEGEND["best"]] = panel.axvline(epoch, color=style.INK, lw=0.8, ls=(0, (1, 1.5)), zorder=1)
        loss_axis(panel, everything)
        epoch_axis(panel, 1, last)
        limits.append(panel.get_ylim())
        if position % columns:
            panel.set_ylabel("")
        if position + columns < len(settings):
            panel.set_xlabel("")
        panel.set_title("\n".join(label), fontsize=style.SMALL, loc="left", pad=3)
    for panel in axes:
        panel.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    style.legend(figure, handles, _LEFT, top + 0.02, columns=3)
    return figure
