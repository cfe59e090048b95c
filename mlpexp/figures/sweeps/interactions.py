"""Main effects and interactions of a full grid: the mean of each value of a key, and of each pair of two keys' values.

Main effects have an interval each, over seeds; lines that are not parallel interact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import COLOURS
from mlpexp.figures.sweeps.labels import broken
from mlpexp.figures.sweeps.page import page
from mlpexp.figures.sweeps.value_axis import value_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL, _HEIGHT = 3.3, 3.3  # inches of the narrowest panel with its labels
_TICK = 0.95  # inches of a value's name below a panel
LEGEND = "above: mean over all other keys, 95 % confidence interval over seeds; below: mean of each pair over seeds"


@dataclass(frozen=True)
class Effect:
    """A key: of each of its values the mean over all other keys and seeds, and the interval where there is one."""

    key: str
    means: Mapping[str, tuple[float, tuple[float, float] | None]]


@dataclass(frozen=True)
class Interaction:
    """Two keys: of each value of `lines` the mean at each value of `across`."""

    across: str
    lines: str
    means: Mapping[str, Mapping[str, float]]


@style.styled
def interactions(
    effects: Sequence[Effect], pairs: Sequence[Interaction], *, metric: str, axis: str, notes: Sequence[str] = ()
) -> Figure:
    """Main effects above, interactions below, all on one vertical axis; `metric` and `axis` as for `dots`."""
    columns = max(len(effects), len(pairs))
    n_values = max(len(effect.means) for effect in effects)
    width = max(_PANEL, 0.9 + _TICK * n_values)
    figure, grid = page(2, columns, columns * width, 2 * _HEIGHT + 0.3, notes=[*notes, LEGEND], legend=[])
    values = [mean for effect in effects for mean, _ in effect.means.values()]
    values += [mean for pair in pairs for line in pair.means.values() for mean in line.values()]
    ends = [end for effect in effects for _, interval in effect.means.values() for end in interval or ()]
    for column, effect in enumerate(effects):
        panel = figure.add_subplot(grid[0, column])
        _draw_effect(panel, effect, width)
        value_axis(panel, values, ends, metric, axis if column == 0 else "")
    for column, pair in enumerate(pairs):
        panel = figure.add_subplot(grid[1, column])
        for colour, (name, line) in zip(COLOURS, pair.means.items(), strict=False):
            panel.plot(range(len(line)), list(line.values()), "o-", color=colour, lw=1.8, markersize=5, label=name)
        _names(panel, list(next(iter(pair.means.values()))), pair.across, width)
        value_axis(panel, values, ends, metric, axis if column == 0 else "")
        legend = panel.legend(
            title=style.fit(pair.lines, style.SMALL, 2.2),
            loc="upper center",
            bbox_to_anchor=(0.5, -0.22),
            ncols=2,
            frameon=False,
        )
        legend.get_title().set_fontsize(style.SMALL)
    return figure


def _draw_effect(panel: Axes, effect: Effect, width: float) -> None:
    for at, (mean, interval) in enumerate(effect.means.values()):
        if interval is not None:
            panel.plot([at, at], interval, color=style.INK, lw=1.5, solid_capstyle="butt")
        panel.plot([at], [mean], "o", color=style.INK, markersize=7)
    _names(panel, list(effect.means), effect.key, width)


def _names(panel: Axes, names: Sequence[str], key: str, width: float) -> None:
    """The names of values below a panel that takes `width` inches with its labels."""
    shown = ["\n".join(broken(name, (width - 1.0) / len(names))) for name in names]
    panel.set_xticks(range(len(names)), shown)
    panel.set_xlim(-0.5, len(names) - 0.5)
    panel.tick_params(axis="x", length=0)
    panel.set_xlabel(style.fit(key, style.TEXT, 2.4))
