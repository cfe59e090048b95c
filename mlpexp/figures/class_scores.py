"""How each class is predicted: precision, recall and F1.

C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 30  # more would make the figure too tall
_ROW, _WIDTH = 0.26, 1.75  # inches
_MOST_NAME = 2.0  # inches


@dataclass(frozen=True)
class ClassScores:
    """Each [C], nan where 0/0: the recall of a class without rows, the precision of one that is never predicted too."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray

    @staticmethod
    def of(counts: np.ndarray) -> ClassScores:
        """Of counts [C, C], rows true and columns predicted: h/p, h/t and 2h/(t + p) of t true, p predicted, h both.

        As scikit-learn has it, a class with rows that is never predicted has precision 0.
        """
        h, t, p = np.diagonal(counts).astype(float), counts.sum(1), counts.sum(0)
        with np.errstate(invalid="ignore"):
            return ClassScores(h / np.where((p == 0) & (t > 0), 1, p), h / t, 2 * h / (t + p))


@style.styled
def class_scores(counts: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """Bars for the scores of each class, the first on top; counts [C, C] as in the confusion matrix.

    Above them their means over the classes that have the score: macro averages.
    """
    scores = ClassScores.of(counts)
    rows = counts.sum(1).tolist()
    sizes = [f" ({n:,} row{'s' * (n != 1)})" for n in rows]
    names = [style.fit(name, style.SMALL, _MOST_NAME) + size for name, size in zip(classes, sizes, strict=True)]
    left = 0.45 + max(style.text_width(name, style.SMALL) for name in names)
    height = max(_ROW * len(classes), 0.6)
    figure, panels = style.panels(
        3, _WIDTH, height, left=left, right=0.45, bottom=0.4, top=0.35 + 0.3 * bool(title), gap=0.5
    )
    style.heading(figure, title, 0.15)
    at = np.arange(len(classes))
    for panel, name, values in zip(panels, ("precision", "recall", "F1"), vars(scores).values(), strict=True):
        known = values[np.isfinite(values)]
        mean = float(known.mean()) if len(known) else np.nan
        panel.barh(at, np.nan_to_num(values), 0.7, color=style.TEST)
        panel.set_title(f"{name}, mean {_share(mean)}", loc="left")
        for place, value in zip(at.tolist(), values.tolist(), strict=True):
            panel.annotate(
                _share(value), (np.nan_to_num(value), place), (3, 0), textcoords="offset points",
                va="center_baseline", fontsize=style.SMALL,
            )  # fmt: skip
        panel.set_xlim(0, 1)
        panel.set_ylim(len(classes) - 0.5, -0.5)
        panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        panel.set_yticks([])
        panel.grid(axis="x")
    panels[0].set_yticks(at, names)
    panels[0].tick_params(axis="y", length=0)
    return figure


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"
