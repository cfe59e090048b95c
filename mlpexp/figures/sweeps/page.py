"""A page of panels for figures of a sweep: notes above, a legend at the right, placed by matplotlib.

Constrained layout takes up to twice as long to draw as fixed places do; these figures are drawn once a sweep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlpexp.figures import placing, style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec


def page(
    rows: int,
    columns: int,
    width: float,
    height: float,
    *,
    title: str = "",
    notes: Sequence[str],
    legend: Sequence[str],
    height_ratios: Sequence[float] | None = None,
) -> tuple[Figure, GridSpec]:
    """A figure and the grid of its panels, which take `width` × `height` inches with all their labels and titles.

    Above them stand the figure's `title` and `notes`; beside them is room for a legend of the names `legend`, see
    `add_legend`.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    head = placing.head(title, notes)
    legend_height = sum(0.1 + 0.165 * (1 + name.count("\n")) for name in legend)
    size = (width + style.legend_width(legend) + 0.3, max(height + head, legend_height + 0.3))
    below = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - head / size[1]))
    figure = Figure(figsize=size, dpi=style.DPI, layout=below)
    placing.write_head(figure, title, notes, 0.1, width)
    return figure, figure.add_gridspec(rows, columns, height_ratios=height_ratios)


def balanced(n: int, most: int) -> tuple[int, int]:
    """Rows and columns for n panels, at most `most` in a row: as few rows as can be, all as full as can be."""
    rows = -(-n // most)
    return rows, -(-n // rows)


def add_legend(figure: Figure, handles: Mapping[str, Artist]) -> None:
    """A legend of one column at the right of all panels."""
    figure.legend(list(handles.values()), list(handles), loc="outside right upper", frameon=False, borderaxespad=1.2)
