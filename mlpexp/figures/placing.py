"""Figures of several panels of unlike sizes: everything is placed in inches from the upper left corner.

matplotlib's constrained layout was tried. `mlpexp plot` takes 1.01 (schedulers) to 1.11 (optimizers) times its CPU time
with it. But panels do not get the sizes that square images and bars of one thickness need, legends lie outside of all
panels and over the heading instead of beside their panel, and the rows of a grid that is not full lie unevenly apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlpexp.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP = 0.1  # above the heading


def page(width: float, height: float) -> Figure:
    """An empty figure."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=style.DPI)


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """A panel of `width` × `height` inches, its upper left corner `left` and `top` inches from that of the figure."""
    total_width, total_height = figure.get_size_inches()
    bottom = total_height - top - height
    return figure.add_axes(
        (left / total_width, bottom / total_height, width / total_width, height / total_height),
    )


def head(title: str, lines: Sequence[str]) -> float:
    """How many inches a heading and lines of notes below it take."""
    return TOP + 0.3 * bool(title) + style.LINE * len(lines)


def write_head(figure: Figure, title: str, lines: Sequence[str], left: float, room: float | None = None) -> None:
    """The heading of a figure and lines of notes below it, cut to `room` inches or to the figure's width."""
    width, height = figure.get_size_inches()
    room = width - left - 0.1 if room is None else room
    style.heading(figure, title, left, room)
    for position, line in enumerate(lines):
        y = 1 - (TOP + 0.3 * bool(title) + style.LINE * position) / height
        said = style.fit(line, style.SMALL, room)
        figure.text(left / width, y, said, size=style.SMALL, va="top")


def multiples(
    figure: Figure, n: int, columns: int, left: float, top: float, width: float, height: float, gap: float, above: float
) -> list[Axes]:
    """Small panels with common axes, row by row; numbers stand at the outer ones only. `above` each is its title."""
    axes = []
    for k in range(n):
        row, column = divmod(k, columns)
        panel = place(figure, left + column * (width + gap), top + above + row * (height + above), width, height)
        panel.tick_params(labelleft=column == 0, labelbottom=k + columns >= n)
        axes.append(panel)
    return axes


def panel_title(panel: Axes, name: str, width: float) -> None:
    """A component's name above a small panel of `width` inches, its parameters on a line of their own."""
    first, _, rest = name.partition(", ")
    lines = [style.fit(line, style.SMALL, width) for line in (first, rest) if line]
    panel.set_title("\n".join(lines), fontsize=style.SMALL, loc="left", pad=3)


def titles_height(names: Sequence[str]) -> float:
    """Inches above each small panel for `panel_title`, with the room to the row before."""
    return 0.5 if any(", " in name for name in names) else 0.32
