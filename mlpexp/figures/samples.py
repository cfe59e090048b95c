"""Images of each class, and how many there are of it.

C classes, n images of a class, H × W pixels. In colours, images are bytes [n, H, W, 3].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import placing, style
from mlpexp.figures.class_counts import MOST_CLASSES, class_counts, more_classes, name_classes, names_width, row_height

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PER_CLASS = 10  # images in a row
_CELL, _COUNTS, _GAP = 0.56, 2.6, 0.35
_BOTTOM = 0.6


@style.styled
def image_samples(
    images: Sequence[np.ndarray],
    counts: Mapping[str, np.ndarray],
    classes: Sequence[str],
    target: str,
    title: str = "",
    lines: Sequence[str] = (),
) -> Figure:
    """A row a class: up to ten images of it [n, H, W], and bars for how many each split holds of it [C].

    `target` is what the classes are, such as "digit"; `lines` stand below the title.
    """
    shown = min(len(classes), MOST_CLASSES)
    lines = [*lines, *more_classes(classes)]
    left = 0.55 + names_width(classes, 1.5)
    height = shown * max(_CELL, row_height(counts))
    top = placing.head(title, lines) + 0.35
    bars_left = left + PER_CLASS * _CELL + _GAP
    figure = placing.page(bars_left + _COUNTS + 0.2, top + height + _BOTTOM)
    placing.write_head(figure, title, lines, 0.2)

    grid = placing.place(figure, left, top, PER_CLASS * _CELL, height)
    everything = np.concatenate([part.ravel() for part in images]) if len(images) else np.zeros(1)
    low, high = float(everything.min(initial=0)), float(everything.max(initial=1))
    # A row is one unit high, and so is a cell wide that is as wide in inches as a row is high.
    half = 0.46 * _CELL * shown / height
    for row, some in enumerate(images[:shown]):
        for column, image in enumerate(some[:PER_CLASS]):
            across, down = _shape(image)
            box = (
                column + 0.5 - 0.46 * across, column + 0.5 + 0.46 * across, row + half * down, row - half * down,
            )  # fmt: skip
            grid.imshow(image, cmap="gray", extent=box, aspect="auto", vmin=low, vmax=high, interpolation="nearest")
    grid.set_xlim(0, PER_CLASS)
    grid.set_ylim(shown - 0.5, -0.5)
    grid.set_xticks([])
    name_classes(grid, classes, 1.5)
    grid.set_ylabel(style.fit(target, style.TEXT, height))
    for side in ("left", "bottom"):
        grid.spines[side].set_visible(False)

    bars = placing.place(figure, bars_left, top, _COUNTS, height)
    handles = class_counts(bars, counts, classes, _COUNTS, height)
    bars.set_yticks([])
    grid.set_xlabel("samples of the training split")
    style.legend(figure, handles, bars_left, top - 0.25, columns=len(handles))
    return figure


def _shape(image: np.ndarray) -> tuple[float, float]:
    """Width and height as shares of a square cell."""
    height, width = image.shape[:2]
    return width / max(height, width), height / max(height, width)
