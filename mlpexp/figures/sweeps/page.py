"""A page of panels for figures of a sweep: notes above, a legend at the right, placed by matplotlib.

Constrained layout takes up to twice as long to draw as fixed places do; these figures are drawn once a sweep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlpexp.figures import style

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
    notes: Sequence[str],
    legend: Sequence[str],
    height_ratios: Sequence[float] | None = None,
) -> tuple[Figure, GridSpec]:
    """A figure and the grid of its panels, which take `width` × `height` inches with all labels and titles.

    Beside them there is room for a legend of the names `legend`, see `add_legend`.
    """
    from matplotlib.figure import Figure

    legend_height = sum(0.1 + 0.165 * (1 + name.count("\n")) for name in legend)
    figure = Figure(
        figsize=(
            width + style.legend_width(legend) + 0.2,
            max(height + style.LINE * len(notes), legend_height + 0.2),
        ),
        dpi=style.DPI,
        layout="constrained",
    )
    if notes:
        said = [style.fit(note, style.SMALL, width) for note in notes]
        figure.suptitle("\n".join(said), x=0.1 / figure.get_figwidth(), ha="left", fontsize=style.SMALL)
    return figure, figure.add_gridspec(rows, columns, height_ratios=height_ratios)


def add_legend(figure: Figure, handles: Mapping[str, Artist]) -> None:
    """A legend of one column at the right of all panels."""
    figure.legend(list(handles.values()), list(handles), loc="outside right upper", frameon=False)
