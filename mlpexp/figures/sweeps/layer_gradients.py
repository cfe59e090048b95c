"""How large the gradients of each layer are: where they vanish or explode on their way back.

N seeds, L layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import COLOURS, log_axis
from mlpexp.figures.sweeps.lines import SEEDS, ranked_names
from mlpexp.figures.sweeps.page import add_legend, page

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 4.0, 3.7  # inches of a panel with its labels
_ZERO = "exactly zero"


@style.styled
def layer_gradients(
    moments: Mapping[str, Mapping[str, np.ndarray]], layers: Sequence[str], notes: Sequence[str] = ()
) -> Figure:
    """A panel a moment, such as the first epoch: norms [N, L] by setting, from the first layer to the last.

    Norms of zero have no place on a logarithmic axis: they are marked at its lower edge.
    """
    settings = list(next(iter(moments.values())))
    names = ranked_names(settings)
    everything = np.concatenate([values.ravel() for found in moments.values() for values in found.values()])
    positive = everything[np.isfinite(everything) & (everything > 0)]
    low, high = (positive.min() / 3, positive.max() * 3) if len(positive) else (0.1, 1.0)
    several = any(len(values) > 1 for values in next(iter(moments.values())).values())
    notes = [*([SEEDS] if several else []), *notes]
    width = len(moments) * _WIDTH
    figure, grid = page(
        1, len(moments), width, _HEIGHT, title="Gradients by layer", notes=notes, legend=[*names, _ZERO]
    )
    handles: dict[str, Artist] = {}
    for position, (moment, found) in enumerate(moments.items()):
        panel = figure.add_subplot(grid[position])
        for name, colour, values in zip(names, COLOURS, found.values(), strict=False):
            handles = _draw(panel, values, colour, name) | handles
        log_axis(panel)
        panel.set_ylim(low, high)
        panel.set_xlim(-0.3, len(layers) - 0.7)
        panel.set_xticks(range(len(layers)), list(layers), rotation=90 if len(layers) > 5 else 0)
        panel.grid(axis="y")
        panel.set_title(moment, fontsize=style.TEXT, loc="left", pad=4)
        panel.tick_params(labelleft=position == 0)
        if position == 0:
            panel.set_ylabel("gradient norm (log scale)")
    ordered = {name: handles[name] for name in (*names, _ZERO) if name in handles}
    add_legend(figure, ordered)
    return figure


def _draw(panel: Axes, values: np.ndarray, colour: str, name: str) -> dict[str, Artist]:
    layers = np.arange(values.shape[1])
    values = np.where(np.isfinite(values).all(0), values, np.nan)
    zero = (values == 0).all(0)
    shown = np.where(values > 0, values, np.nan)
    # Geometric means: a norm has no sign, and the axis is logarithmic.
    with np.errstate(invalid="ignore"):
        mean = np.exp(np.log(shown).mean(0))
    (line,) = panel.plot(layers, mean, "o-", color=colour, lw=1.8, ms=3.5, zorder=3)
    if len(values) > 1:
        panel.fill_between(layers, shown.min(0), shown.max(0), color=colour, alpha=0.15, linewidth=0)
    found: dict[str, Artist] = {name: line}
    if zero.any():
        (found[_ZERO],) = panel.plot(
            layers[zero], np.full(zero.sum(), 0.03), "v", color=colour, ms=7, linestyle="none",
            transform=panel.get_xaxis_transform(),
        )  # fmt: skip
    return found
