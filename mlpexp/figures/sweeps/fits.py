"""What several networks have learned of one function.

M points of a line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.boundary import merged
from mlpexp.figures.epoch_axes import COLOURS
from mlpexp.figures.regression import Points, data_points, spanned
from mlpexp.figures.sweeps.lines import ranked_names
from mlpexp.figures.sweeps.page import add_legend, page

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 4.7, 4.2  # inches of a panel with its labels
_LABEL = 3.4  # inches of an axis label
_LINE = 400  # points
Function = Callable[[np.ndarray], np.ndarray]


@style.styled
def fits(
    moments: Mapping[str, Mapping[str, Sequence[Function]]],
    points: Points,
    true_function: Function | None,
    names: tuple[str, str],
) -> Figure:
    """A panel a moment: the curve of every seed of each setting, the first one thick, over the points of each split.

    Functions map [M, 1] to [M, 1]; `points` maps splits to features [N, 1] and targets [N, 1]; `names` are those of
    the feature and the target.
    """
    settings = list(next(iter(moments.values())))
    several = any(len(functions) > 1 for functions in next(iter(moments.values())).values())
    notes = ["thick: the seed of median score; thin: the other seeds"] if several else []
    legends = ranked_names(settings)
    flat = {name: (np.ravel(x), np.ravel(y)) for name, (x, y) in merged(points).items()}
    low, high = spanned(np.concatenate([x for x, _ in flat.values()]))
    line = np.linspace(low, high, _LINE, dtype=np.float32)[:, None]
    heights = [y for _, y in flat.values()]
    exact = None if true_function is None else np.ravel(true_function(line))
    if exact is not None:
        heights.append(exact)
    named = [*flat, "true function", *legends]
    figure, grid = page(
        1, len(moments), len(moments) * _WIDTH, _HEIGHT, title="Functions learned", notes=notes, legend=named
    )
    handles: dict[str, Artist] = {}
    for position, (moment, found) in enumerate(moments.items()):
        panel = figure.add_subplot(grid[position])
        # Grey: the colours are those of settings here.
        handles |= data_points(panel, flat, style.TRUE_FUNCTION)
        if exact is not None:
            (handles["true function"],) = panel.plot(line[:, 0], exact, "--", color=style.TRUE_FUNCTION, lw=2)
        for legend, colour, functions in zip(legends, COLOURS, found.values(), strict=False):
            handles[legend] = _curves(panel, line, functions, colour)
        panel.set_xlim(low, high)
        # The data decide the range, so that a network with large errors does not flatten them.
        panel.set_ylim(spanned(np.concatenate(heights), 0.25))
        panel.grid()
        panel.set_title(moment, fontsize=style.TEXT, loc="left", pad=4)
        panel.set_xlabel(style.fit(names[0], style.TEXT, _LABEL))
        style.few_numbers(panel)
        panel.tick_params(labelleft=position == 0)
        if position == 0:
            panel.set_ylabel(style.fit(names[1], style.TEXT, _LABEL))
    add_legend(figure, handles)
    return figure


def _curves(panel: Axes, line: np.ndarray, functions: Sequence[Function], colour: str) -> Artist:
    """Draws a setting's seeds; returns the first curve."""
    drawn: list[Artist] = []
    for position, function in enumerate(functions):
        values = np.ravel(function(line))
        thick: dict[str, Any] = {"lw": 2.2, "zorder": 4}
        thin: dict[str, Any] = {"lw": 0.7, "zorder": 3, "alpha": 0.45}
        look = thin if position else thick
        drawn += panel.plot(line[:, 0], np.where(np.isfinite(values), values, np.nan), color=colour, **look)
    return drawn[0]
