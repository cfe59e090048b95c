"""The decision boundary of a network with two features.

N points, M grid points, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Mapping[str, tuple[np.ndarray, np.ndarray]]

_GRID = 160  # points a side
_SIDE, _LEFT, _BOTTOM = 4.0, 0.85, 0.6  # inches
_COLUMN, _MOST_NAMES = 12, 28  # classes in a column of the legend, and in all of it
_INVALID = 0.8  # the grey of values that are not finite
_FEW = 20  # points in all, such as a truth table: drawn large


@style.styled
def decision_boundary(
    probabilities: np.ndarray,
    points: Points,
    classes: Sequence[str],
    feature_names: Sequence[str],
    title: str = "",
) -> Figure:
    """Regions in the colour of the likeliest class, deeper where it is more probable, and the points of each split.

    `probabilities` [M, C] are those of the `grid` of the points. `points` maps splits to features [N, 2] and classes
    [N]; splits that hold the same points are drawn as one.
    """
    points = merged(points)
    found = regions(probabilities, points)
    colours = style.class_colours(len(classes))

    handles = class_keys(classes, colours) | region_keys(found) | split_keys(points)
    columns = legend_columns(classes)
    top = 0.2 + 0.3 * bool(title)
    figure, (panel,) = style.panels(
        1, _SIDE, _SIDE, left=_LEFT, bottom=_BOTTOM, top=top, right=0.35 + columns * style.legend_width(list(handles))
    )
    style.heading(figure, title, _LEFT)
    draw_regions(panel, found, points, colours)
    panel.set_xlabel(style.fit(feature_names[0], style.TEXT, _SIDE))
    panel.set_ylabel(style.fit(feature_names[1], style.TEXT, _SIDE))
    style.few_numbers(panel)
    style.legend(figure, handles, _LEFT + _SIDE + 0.2, top, columns)
    return figure


@dataclass(frozen=True)
class Regions:
    """Class probabilities [M, M, C] at the points of a grid: y [M] by x [M]."""

    x: np.ndarray
    y: np.ndarray
    probabilities: np.ndarray


def regions(probabilities: np.ndarray, points: Points) -> Regions:
    """A network's predictions in the plane around the points: its probabilities [M, C] for their `grid`."""
    return Regions(*_sides(points), np.asarray(probabilities, dtype=float).reshape(_GRID, _GRID, -1))


def draw_regions(panel: Axes, found: Regions, points: Points, colours: np.ndarray) -> None:
    """Fills a panel with the regions, the lines between them, and the points."""
    x, y = found.x, found.y
    half_x, half_y = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    extent = (x[0] - half_x, x[-1] + half_x, y[0] - half_y, y[-1] + half_y)
    shades = _shades(found.probabilities, colours)
    panel.imshow(shades, extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    _lines(panel, x, y, found.probabilities)
    scatter(panel, points, colours)
    panel.set_xlim(extent[:2])
    panel.set_ylim(extent[2:])


def grid(points: Points) -> np.ndarray:
    """The features [M, 2] for which a network is to give its probabilities: a grid that covers all points."""
    return np.stack(np.meshgrid(*_sides(points)), axis=-1).reshape(-1, 2)


def _sides(points: Points) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates of the grid's columns, and those of its rows."""
    everything = np.concatenate([x for x, _ in merged(points).values()]) if points else np.zeros((1, 2))
    return _centres(everything[:, 0]), _centres(everything[:, 1])


def legend_columns(classes: Sequence[str]) -> int:
    """How many columns a legend of classes takes."""
    return 1 if len(classes) <= _COLUMN else 2


def merged(points: Points) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Splits that hold the same samples under one name: {"train = val": (x, y), …}."""
    names: list[list[str]] = []
    for name, (x, y) in points.items():
        for group in names:
            other_x, other_y = points[group[0]]
            if (x is other_x and y is other_y) or (np.array_equal(x, other_x) and np.array_equal(y, other_y)):
                group.append(name)
                break
        else:
            names.append([name])
    return {" = ".join(group): points[group[0]] for group in names}


def _centres(values: np.ndarray) -> np.ndarray:
    """The middles of `_GRID` cells that cover the values with a margin."""
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = 0.25 * (high - low) if len(values) <= _FEW else 0.08 * (high - low)
    margin = margin or 0.5 * max(abs(low), 1.0)
    edges = np.linspace(low - margin, high + margin, _GRID + 1)
    return (edges[1:] + edges[:-1]) / 2


def _shades(found: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """RGB [M, M, 3]: the colour of the likeliest class on white; grey where the probabilities are not finite."""
    n_classes = found.shape[-1]
    valid = np.isfinite(found).all(-1)
    found = np.where(valid[..., None], found, 0.0)
    sure = (found.max(-1) - 1 / n_classes) / (1 - 1 / n_classes) if n_classes > 1 else found.max(-1)
    depth = (0.12 + 0.48 * np.clip(sure, 0, 1))[..., None]
    shades = 1 - depth * (1 - colours[found.argmax(-1)])
    return np.where(valid[..., None], shades, _INVALID)


def _lines(panel: Axes, x: np.ndarray, y: np.ndarray, found: np.ndarray) -> None:
    """The line where the likeliest class changes: for two classes, where both have probability 0.5."""
    n_classes = found.shape[-1]
    if n_classes < 2 or not np.isfinite(found).all():
        return
    winners = np.unique(found.argmax(-1))
    # Of two regions one outline is the line between them.
    for c in winners[: 1 if len(winners) == 2 else None].tolist():
        lead = found[..., c] - np.delete(found, c, axis=-1).max(-1)
        if lead.min() < 0 < lead.max():
            panel.contour(x, y, lead, levels=[0.0], colors=style.INK, linewidths=1.4)


def scatter(panel: Axes, points: Points, colours: np.ndarray) -> None:
    """Points in the colour of their class and with the marker of their split; few are drawn large."""
    total = sum(len(y) for _, y in points.values())
    area = 130 if total <= _FEW else 34 if total <= 200 else 16 if total <= 1000 else 9
    for name, (x, y) in points.items():
        shown = style.every(len(y))
        panel.scatter(
            x[shown, 0], x[shown, 1], s=area, c=colours[y[shown]], marker=_marker(name),
            edgecolors=style.INK if total <= 200 else "white", linewidths=1.2 if total <= _FEW else 0.5,
        )  # fmt: skip


def _marker(name: str) -> str:
    return style.MARKERS.get(name.split(" = ")[0], "D")


def class_keys(classes: Sequence[str], colours: np.ndarray) -> dict[str, Artist]:
    """The legend of the colours of classes."""
    from matplotlib.patches import Patch

    keys: dict[str, Artist] = {}
    for k, name in enumerate(classes[:_MOST_NAMES]):
        keys[f"class {style.label(name, 18)}"] = Patch(facecolor=colours[k])
    if len(classes) > _MOST_NAMES:
        keys[f"… {len(classes) - _MOST_NAMES} more classes"] = Patch(facecolor="none")
    return keys


def split_keys(points: Points) -> dict[str, Artist]:
    """The legend of the markers of splits."""
    from matplotlib.lines import Line2D

    return {name: Line2D([], [], ls="", marker=_marker(name), mfc="none", mec=style.INK, ms=6) for name in points}


def region_keys(regions: Regions) -> dict[str, Artist]:
    """The legend of the regions: the line between them, and the grey of values that are not finite."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    found = regions.probabilities
    if not np.isfinite(found).all():
        return {"not a number": Patch(facecolor=str(_INVALID))}
    if len(np.unique(found.argmax(-1))) > 1:
        return {"boundary": Line2D([], [], color=style.INK, lw=1.4)}
    return {}
