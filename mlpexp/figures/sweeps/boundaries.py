"""Decision boundaries of several networks side by side.

N points, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import placing, style
from mlpexp.figures.boundary import Points, class_keys, draw_regions, grid, merged, region_keys, regions, split_keys
from mlpexp.figures.sweeps.labels import broken

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

_COLUMNS, _LEFT, _SIDE, _GAP, _BOTTOM = 4, 0.7, 2.3, 0.35, 0.55


@dataclass(frozen=True)
class Network:
    """What `decision_boundary` takes of one network, and a `remark` such as its accuracy."""

    probabilities: Callable[[np.ndarray], np.ndarray]
    points: Points
    classes: Sequence[str]
    feature_names: Sequence[str]
    remark: str


@style.styled
def boundaries(networks: dict[str, Network], notes: Sequence[str] = (), title: str = "") -> Figure:
    """A panel a network, in the order given; they may be of different data."""
    columns = min(_COLUMNS, len(networks))
    rows = -(-len(networks) // columns)
    labels = [
        [*broken(name, _SIDE), style.fit(network.remark, style.SMALL, _SIDE)] for name, network in networks.items()
    ]
    above = 0.3 + 0.17 * max(map(len, labels))
    top = placing.head(title, notes) + 0.1
    legend_left = _LEFT + columns * _SIDE + (columns - 1) * _GAP + 0.2
    points = [merged(network.points) for network in networks.values()]
    asked = [network.probabilities(grid(at)) for network, at in zip(networks.values(), points, strict=True)]
    found = list(map(regions, asked, points))
    colours = [style.class_colours(len(network.classes)) for network in networks.values()]
    handles: dict[str, Artist] = {}
    for network, hues in zip(networks.values(), colours, strict=True):
        handles |= class_keys(network.classes, hues)
    for keys in (*map(region_keys, found), *map(split_keys, points)):
        handles |= keys
    width = legend_left + style.legend_width(list(handles)) + 0.1
    figure = placing.page(width, top + rows * (_SIDE + above) + _BOTTOM)
    placing.write_head(figure, title, notes, _LEFT)
    for position, (network, label) in enumerate(zip(networks.values(), labels, strict=True)):
        row, column = divmod(position, columns)
        panel = placing.place(
            figure, _LEFT + column * (_SIDE + _GAP), top + above - 0.2 + row * (_SIDE + above), _SIDE, _SIDE
        )
        draw_regions(panel, found[position], points[position], colours[position])
        style.few_numbers(panel)
        panel.set_title("\n".join(label), fontsize=style.SMALL, loc="left", pad=3)
        if position + columns >= len(networks):
            panel.set_xlabel(style.fit(network.feature_names[0], style.SMALL, _SIDE))
        if column == 0:
            panel.set_ylabel(style.fit(network.feature_names[1], style.SMALL, _SIDE))
    style.legend(figure, handles, legend_left, top + above - 0.2)
    return figure
