"""The columns of a table: how each feature is spread, and what there is to predict.

N samples, F features, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import placing, style
from mlpexp.figures.class_counts import MOST_CLASSES, class_counts, more_classes, name_classes, names_width, row_height

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_FEATURES = 20
_ROW, _WIDTH, _TARGET_WIDTH, _BOTTOM = 0.3, 3.6, 3.0, 0.6
_MOST_NAME = 2.6  # inches of a feature's name, with its mean and deviation
_BINS = 24


@style.styled
def features(
    values: np.ndarray,
    names: Sequence[str],
    target: Mapping[str, np.ndarray],
    classes: Sequence[str],
    target_name: str,
    title: str = "",
    lines: Sequence[str] = (),
) -> Figure:
    """Boxes for the first features of the training split [N, F], standardised, and the target of each split.

    `target` maps splits to samples of each class [C], or, where there are no `classes`, to values [N].
    """
    shown = min(len(names), MOST_FEATURES)
    lines = [*lines, f"{len(names)} features" + (f", the first {shown} of them shown" if shown < len(names) else "")]
    lines += more_classes(classes)
    mean, deviation = values.mean(0), values.std(0)
    said = [
        f"{style.fit(name, style.SMALL, _MOST_NAME - 1.2)}: {style.number(m, 3)} ± {style.number(s, 3)}"
        for name, m, s in zip(names[:shown], mean, deviation, strict=False)
    ]
    left = 0.3 + max(style.text_width(text, style.SMALL) for text in said)
    tall = row_height(target) * min(len(classes), MOST_CLASSES) if classes else 2.6
    height, target_height = max(_ROW * shown, 1.2), max(tall, 1.0)
    top = placing.head(title, lines) + 0.35
    target_left = left + _WIDTH + 0.85 + (names_width(classes, 1.5) if classes else 0.1)
    figure = placing.page(target_left + _TARGET_WIDTH + 0.2, top + max(height, target_height) + _BOTTOM)
    placing.write_head(figure, title, lines, 0.2)

    panel = placing.place(figure, left, top, _WIDTH, height)
    scaled = (values[:, :shown] - mean[:shown]) / np.where(deviation[:shown] > 0, deviation[:shown], 1)
    keys = _boxes(panel, scaled)
    panel.set_yticks(range(shown), said)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("(value − mean) / standard deviation")
    style.legend(figure, keys, left, top - 0.25, columns=len(keys))

    right = placing.place(figure, target_left, top, _TARGET_WIDTH, target_height)
    if classes:
        handles = class_counts(right, target, classes, _TARGET_WIDTH, target_height)
        name_classes(right, classes, 1.5)
        right.set_ylabel(style.fit(target_name, style.TEXT, target_height))
    else:
        handles = _histogram(right, target)
        right.set_xlabel(style.fit(target_name, style.TEXT, _TARGET_WIDTH))
    style.legend(figure, handles, target_left, top - 0.25, columns=len(handles))
    return figure


def _boxes(panel: Axes, scaled: np.ndarray) -> dict[str, Artist]:
    """Quantiles of each column [N, F], a row each, the first on top."""
    from matplotlib.patches import Patch

    y = np.arange(scaled.shape[1])
    low, first, median, third, high = np.quantile(scaled, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
    whiskers = panel.hlines(y, low, high, color=style.INK, lw=1.2)
    panel.barh(y, third - first, 0.55, first, color=style.TRAIN, alpha=0.55)
    (middle,) = panel.plot(median, y, "|", color=style.INK, ms=11, mew=2)
    panel.set_ylim(len(y) - 0.5, -0.5)
    panel.grid(axis="x")
    return {"5–95 %": whiskers, "25–75 %": Patch(facecolor=style.TRAIN, alpha=0.55), "median": middle}


def _histogram(panel: Axes, target: Mapping[str, np.ndarray]) -> dict[str, Artist]:
    """How many values of each split fall into each of the same bins."""
    edges = np.histogram_bin_edges(np.concatenate([np.ravel(values) for values in target.values()]), _BINS)
    handles: dict[str, Artist] = {}
    most = 1
    for name, values in target.items():
        counts, _ = np.histogram(np.ravel(values), edges)
        most = max(most, int(counts.max()))
        colour = style.SPLITS.get(name.split(" = ")[0], style.INK)
        handles[name] = panel.stairs(counts, edges, color=colour, lw=1.6)
    panel.set_ylim(0, 1.06 * most)
    panel.set_ylabel("samples")
    panel.grid(axis="y")
    style.few_numbers(panel)
    return handles
