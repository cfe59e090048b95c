"""Points of two features by class and split, and how many there are of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import placing, style
from mlpexp.figures.boundary import Points, class_keys, legend_columns, merged, scatter, split_keys
from mlpexp.figures.class_counts import MOST_CLASSES, class_counts, more_classes, name_classes, names_width, row_height

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE, _LEFT, _BOTTOM, _COUNTS = 4.0, 0.85, 0.6, 2.6
_FEW = 4  # points in all, such as a truth table: each is labelled


@style.styled
def class_points(
    points: Points,
    counts: Mapping[str, np.ndarray],
    classes: Sequence[str],
    feature_names: Sequence[str],
    target: str,
    title: str = "",
    lines: Sequence[str] = (),
) -> Figure:
    """Points of each split in the colour of their class, and bars for the samples of each class.

    `points` maps splits to features [N, 2] and classes [N], `counts` to samples of each class [C]; splits that hold
    the same points are drawn as one.
    """
    points = merged(points)
    counts = {name: counts[name.split(" = ")[0]] for name in points}
    lines = [*lines, *more_classes(classes)]
    colours = style.class_colours(len(classes))
    handles = class_keys(classes, colours) | split_keys(points)
    columns = legend_columns(classes)
    top = placing.head(title, lines) + 0.35
    legend_left = _LEFT + _SIDE + 0.2
    bars_left = legend_left + columns * style.legend_width(list(handles)) + 0.75 + names_width(classes, 1.5)
    height = max(row_height(counts) * min(len(classes), MOST_CLASSES), 1.0)
    figure = placing.page(bars_left + _COUNTS + 0.2, top + max(_SIDE, height) + _BOTTOM)
    placing.write_head(figure, title, lines, _LEFT)

    panel = placing.place(figure, _LEFT, top, _SIDE, _SIDE)
    scatter(panel, points, colours)
    if sum(len(y) for _, y in points.values()) <= _FEW:
        _label_each(panel, points, classes)
    panel.set_xlabel(style.fit(feature_names[0], style.TEXT, _SIDE))
    panel.set_ylabel(style.fit(feature_names[1], style.TEXT, _SIDE))
    panel.grid()
    style.few_numbers(panel)
    style.legend(figure, handles, legend_left, top, columns)

    bars = placing.place(figure, bars_left, top, _COUNTS, height)
    bar_handles = class_counts(bars, counts, classes, _COUNTS, height)
    name_classes(bars, classes, 1.5)
    bars.set_ylabel(style.fit(target, style.TEXT, height))
    style.legend(figure, bar_handles, bars_left, top - 0.25, columns=len(bar_handles))
    return figure


def _label_each(panel: Axes, points: Points, classes: Sequence[str]) -> None:
    """Writes each point's features and class above it."""
    panel.margins(0.25)
    for x, y in points.values():
        for (first, second), label in zip(x.tolist(), y.tolist(), strict=True):
            said = f"({style.number(first, 3)}, {style.number(second, 3)}) → {style.label(classes[label], 12)}"
            panel.annotate(said, (first, second), (0, 9), textcoords="offset points", ha="center", size=style.SMALL)
