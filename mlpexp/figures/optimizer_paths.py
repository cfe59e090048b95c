"""Where optimizers go on a surface of two parameters.

S steps, so S + 1 points with the start; M grid points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpexp.figures import placing, style
from mlpexp.figures.epoch_axes import MOST_TOGETHER, WIDTH, colours, line_styles, log_axis

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT, _BOTTOM, _GAP = 0.75, 0.6, 0.95
_LOSS_WIDTH = 3.2
_COLUMNS, _SMALL_WIDTH, _SMALL_HEIGHT, _SMALL_GAP = 3, 2.1, 1.25, 0.2
_GRID = 121  # points a side
_LEVELS = (1.0, 3.0, 10.0, 30.0, 100.0)
_LOWEST = 1e-12  # the end of the axis of losses
_MOST_LABEL = 3.0  # inches of a name in the legend


@dataclass(frozen=True)
class Path:
    """Points [S + 1, 2] and losses [S + 1] of a path, how many steps it was to have, and how many evaluations of the
    loss a step took at most."""

    points: np.ndarray
    loss: np.ndarray
    steps: int
    evaluations: int = 1

    @property
    def diverged(self) -> bool:
        """Whether the path ends higher than it began, or at a loss that is not finite."""
        return not self.loss[-1] <= self.loss[0]


@style.styled
def optimizer_paths(paths: Mapping[str, Path], surface: Callable[[np.ndarray], np.ndarray], formula: str) -> Figure:
    """Paths over contours of the loss, in one panel or each in its own, and the loss of each over the steps.

    `surface` maps points [M, 2] to losses [M]; all paths begin at the same point.
    """
    first = next(iter(paths.values()))
    start, steps = first.points[0], first.steps
    names = [style.fit(_name(name, path), style.SMALL, _MOST_LABEL) for name, path in paths.items()]
    lines = [
        f"start at x = {style.number(start[0])}, y = {style.number(start[1])}; {steps} steps; "
        "what leaves the frame is cut off",
        f"contours: loss {', '.join(style.number(level) for level in _LEVELS)}",
    ]
    title = f"Optimizers on {formula}" if len(paths) > 1 else f"Optimizer {next(iter(paths))} on {formula}"
    together = len(paths) <= MOST_TOGETHER
    top = placing.head(title, lines) + 0.1 * together
    rows = -(-len(paths) // _COLUMNS)
    above = placing.titles_height(list(paths))
    width = 4.2 if together else _COLUMNS * _SMALL_WIDTH + (_COLUMNS - 1) * _SMALL_GAP
    height = 3.1 if together else rows * (_SMALL_HEIGHT + above)
    loss_left = _LEFT + width + _GAP
    legend_left = loss_left + _LOSS_WIDTH + 0.2
    figure = placing.page(legend_left + style.legend_width([*names, "minimum"]) + 0.15, top + height + _BOTTOM)
    placing.write_head(figure, title, lines, _LEFT)

    hues, looks = colours(len(paths)), line_styles(len(paths)) if together else line_styles(1) * len(paths)
    if together:
        panels = [placing.place(figure, _LEFT, top, width, height)] * len(paths)
    else:
        panels = placing.multiples(
            figure, len(paths), _COLUMNS, _LEFT, top, _SMALL_WIDTH, _SMALL_HEIGHT, _SMALL_GAP, above
        )
        for panel, name in zip(panels, paths, strict=True):
            placing.panel_title(panel, name, _SMALL_WIDTH)
    frame = 1.4 * np.abs(start)
    for panel in dict.fromkeys(panels):
        _contours(panel, surface, frame)
    handles: dict[str, Artist] = {}
    # In small panels the losses stand below the row of titles, beside the first row of paths.
    shift = 0 if together else above
    losses = placing.place(figure, loss_left, top + shift, _LOSS_WIDTH, min(height - shift, 3.6))
    for name, path, panel, colour, look in zip(names, paths.values(), panels, hues, looks, strict=True):
        _path(panel, path, frame, colour, look)
        (handles[name],) = losses.plot(
            np.arange(len(path.loss)), np.where(path.loss > 0, path.loss, np.nan), color=colour, ls=look, lw=WIDTH
        )
    (handles["start"],) = panels[0].plot(*start, "o", color=style.INK, ms=6, ls="none")
    (handles["minimum"],) = panels[0].plot(0, 0, "*", color=style.INK, ms=9, ls="none")
    _labels(panels, together)
    _loss_axis(losses, [path.loss for path in paths.values()], steps)
    style.legend(figure, handles, legend_left, top + shift)
    return figure


def _name(name: str, path: Path) -> str:
    said = [name]
    if path.evaluations > 1:
        said.append(f"(≤ {path.evaluations} evaluations a step)")
    if path.diverged:
        said.append("– diverges")
    return " ".join(said)


def _contours(panel: Axes, surface: Callable[[np.ndarray], np.ndarray], frame: np.ndarray) -> None:
    x, y = (np.linspace(-half, half, _GRID) for half in frame)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    panel.contour(x, y, surface(grid).reshape(_GRID, _GRID), levels=_LEVELS, colors="#C4C4C4", linewidths=0.8)
    panel.set_xlim(-frame[0], frame[0])
    panel.set_ylim(-frame[1], frame[1])
    style.few_numbers(panel)


def _path(panel: Axes, path: Path, frame: np.ndarray, colour: str, look: Any) -> None:
    outside = np.flatnonzero(~(np.abs(path.points) <= 100 * frame).all(1))
    # The first point far outside gives the direction in which a path leaves; farther ones cannot be drawn.
    points = path.points[: outside[0] + 1 if len(outside) else None]
    points = np.where(np.isfinite(points), points, np.nan)
    panel.plot(points[:, 0], points[:, 1], color=colour, ls=look, lw=WIDTH, marker=".", ms=5, mew=0)


def _labels(panels: Sequence[Axes], together: bool) -> None:
    for k, panel in enumerate(panels):
        if together or k + _COLUMNS >= len(panels):
            panel.set_xlabel("x")
        if together or k % _COLUMNS == 0:
            panel.set_ylabel("y")


def _loss_axis(panel: Axes, losses: Sequence[np.ndarray], steps: int) -> None:
    everything = np.concatenate(losses)
    positive = everything[np.isfinite(everything) & (everything > 0)]
    highest = 100 * losses[0][0]
    panel.set_xlim(0, steps)
    log_axis(panel)
    panel.set_ylim(max(positive.min() / 2, _LOWEST), min(2 * positive.max(), highest))
    panel.grid(axis="y")
    panel.set_xlabel("step")
    panel.set_ylabel("loss (log scale)")
