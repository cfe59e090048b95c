"""How many samples of each class the splits hold.

C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

# More classes would make a figure too tall.
MOST_CLASSES = 12
_BAR = 0.155  # inches, a number's height
_NUMBERS = 0.75  # of the panel's width, inches, for the numbers behind the bars


def row_height(counts: Mapping[str, np.ndarray]) -> float:
    """Inches that the bars of a class take."""
    return _BAR * len(counts) + 0.1


def class_counts(
    panel: Axes, counts: Mapping[str, np.ndarray], classes: Sequence[str], width: float, height: float
) -> dict[str, Artist]:
    """Bars for the first classes on a panel of `width` × `height` inches, class k at the vertical coordinate k, the
    first on top. `counts` maps splits to samples of each class [C]. Returns the legend's entries."""
    from matplotlib.patches import Patch

    shown = min(len(classes), MOST_CLASSES)
    bar = _BAR * shown / height
    most = max(max(int(values[:shown].max()) for values in counts.values()), 1)
    handles: dict[str, Artist] = {}
    for k, (name, values) in enumerate(counts.items()):
        y = np.arange(shown) + (k - (len(counts) - 1) / 2) * bar
        colour = style.SPLITS.get(name.split(" = ")[0], style.INK)
        panel.barh(y, values[:shown], 0.9 * bar, color=colour)
        handles[name] = Patch(facecolor=colour)
        for place, value in zip(y, values[:shown].tolist(), strict=True):
            panel.annotate(
                f"{value:,}", (value, place), (3, 0), textcoords="offset points", va="center_baseline",
                fontsize=style.SMALL,
            )  # fmt: skip
    panel.set_xlim(0, most * width / (width - _NUMBERS))
    panel.set_ylim(shown - 0.5, -0.5)
    panel.set_xlabel("samples")
    panel.grid(axis="x")
    _few_counts(panel, most)
    return handles


def _few_counts(panel: Axes, most: int) -> None:
    """Whole numbers on the horizontal axis, few enough for long ones."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(3 if most < 10_000 else 2, integer=True, steps=[1, 2, 5, 10]))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def name_classes(panel: Axes, classes: Sequence[str], room: float) -> None:
    """Class names, cut to `room` inches, beside the bars."""
    shown = min(len(classes), MOST_CLASSES)
    panel.set_yticks(range(shown), [style.fit(name, style.SMALL, room) for name in classes[:shown]])
    panel.tick_params(axis="y", length=0)


def names_width(classes: Sequence[str], most: float) -> float:
    """Inches that class names take, at most `most`."""
    return min(max(style.text_width(style.label(name), style.SMALL) for name in classes[:MOST_CLASSES]), most)


def more_classes(classes: Sequence[str]) -> list[str]:
    """A note where not all classes are shown."""
    return [f"counted: the first {MOST_CLASSES} of {len(classes)} classes"] if len(classes) > MOST_CLASSES else []
