"""Decision boundaries of several networks side by side.

N points, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.boundary import Points, class_keys, draw_regions, grid, merged, region_keys, regions, split_keys
from mlpexp.figures.sweeps.labels import broken
from mlpexp.figures.sweeps.page import add_legend, balanced, page

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

MOST_COLUMNS, _SIDE = 4, 2.3  # inches


@dataclass(frozen=True)
class Network:
    """What `decision_boundary` takes of one network, and a `remark` such as its accuracy."""

    probabilities: Callable[[np.ndarray], np.ndarray]
    points: Points
    classes: Sequence[str]
    feature_names: Sequence[str]
    remark: str


@style.styled
def boundaries(networks: dict[str, Network], notes: Sequence[str] = (), columns: int | None = None) -> Figure:
    """A panel a network, row by row in the order given; they may be of different data."""
    rows, columns = balanced(len(networks), columns or MOST_COLUMNS)
    labels = [
        [*broken(name, _SIDE), style.fit(network.remark, style.SMALL, _SIDE)] for name, network in networks.items()
    ]
    points = [merged(network.points) for network in networks.values()]
    asked = [network.probabilities(grid(at)) for network, at in zip(networks.values(), points, strict=True)]
    found = list(map(regions, asked, points))
    colours = [style.class_colours(len(network.classes)) for network in networks.values()]
    handles: dict[str, Artist] = {}
    for network, hues in zip(networks.values(), colours, strict=True):
        handles |= class_keys(network.classes, hues)
    for keys in (*map(region_keys, found), *map(split_keys, points)):
        handles |= keys
    width = columns * (_SIDE + 0.5) + 0.2
    height = rows * (_SIDE + 0.4 + style.LINE * max(map(len, labels))) + 0.2
    figure, spots = page(rows, columns, width, height, title="Decision boundaries", notes=notes, legend=list(handles))
    for position, (network, label) in enumerate(zip(networks.values(), labels, strict=True)):
        panel = figure.add_subplot(spots[position])
        draw_regions(panel, found[position], points[position], colours[position])
        style.few_numbers(panel)
        panel.set_title("\n".join(label), fontsize=style.SMALL, loc="left", pad=3)
        if position + columns >= len(networks):
            panel.set_xlabel(style.fit(network.feature_names[0], style.SMALL, _SIDE))
        if position % columns == 0:
            panel.set_ylabel(style.fit(network.feature_names[1], style.SMALL, _SIDE))
    add_legend(figure, handles)
    return figure
