"""How well the probability of a class tells its rows from all others: ROC and precision-recall curves.

N rows, C classes. scikit-learn has both curves, but takes 1.2 s to import; tests hold these to its functions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpexp.figures import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

_MOST_LINES = 10  # classes
_SIDE, _LEFT, _GAP = 3.5, 0.75, 0.8  # inches
_GRID = np.linspace(0, 1, 501)  # where the curves of all classes are averaged


@dataclass(frozen=True)
class Curve:
    """Both curves of a class, a point for each distinct score as the threshold, from none taken for it to all.

    `false_positive_rate`, `true_positive_rate` (the recall) and `precision` [M]; the first precision, 0/0, is 1.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    precision: np.ndarray

    @staticmethod
    def of(scores: np.ndarray, positive: np.ndarray) -> Curve | None:
        """Of scores [N] and whether rows are of the class [N]; None unless some are and some are not."""
        n, n_positive = len(positive), int(positive.sum())
        if n_positive in (0, n):
            return None
        order = np.argsort(-scores, kind="stable")
        # Rows of equal scores are taken together.
        taken = np.append(np.flatnonzero(np.diff(scores[order])), n - 1)
        right = np.cumsum(positive[order])[taken]
        precision = right / (taken + 1)
        wrong = taken + 1 - right
        return Curve(
            np.append(0.0, wrong / (n - n_positive)), np.append(0.0, right / n_positive), np.append(1.0, precision)
        )

    @property
    def auc(self) -> float:
        """The area under the ROC curve."""
        x, y = self.false_positive_rate, self.true_positive_rate
        return float((np.diff(x) * (y[1:] + y[:-1])).sum() / 2)

    @property
    def average_precision(self) -> float:
        """Σ (recallₘ − recallₘ₋₁) · precisionₘ: the area under the steps of the precision-recall curve."""
        return float((np.diff(self.true_positive_rate) * self.precision[1:]).sum())


@style.styled
def class_curves(probabilities: np.ndarray, true: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """ROC and precision-recall curves for class probabilities [N, C] and true classes [N].

    Of two classes those of the second; of more those of each against the rest and their macro average, and past
    ten those of the ten with the least AUC. A class that has no row, or all of them, has no curve.
    """
    from matplotlib.lines import Line2D

    known = bool(np.isfinite(probabilities).all())
    asked = [] if not known else [1] if len(classes) == 2 else range(len(classes))
    found = {c: Curve.of(probabilities[:, c], true == c) for c in asked}
    curves = {c: curve for c, curve in found.items() if curve is not None}
    shown = sorted(sorted(curves, key=lambda c: curves[c].auc)[:_MOST_LINES])
    texts = [_scored(style.label(classes[c]), [curves[c]]) for c in shown]
    average, notes = "", [] if known else ["no curves: probabilities are not finite"]
    if len(curves) > 1:
        of = "" if len(curves) == len(classes) else f" of {len(curves)} of {len(classes)} classes"
        average = _scored(f"macro average{of}", list(curves.values()))
    if len(shown) < len(curves):
        notes.append(f"lines: the {len(shown)} classes with the least AUC")
    top = 0.35 + 0.3 * bool(title)
    right = 0.35 + style.legend_width([*texts, average, *notes, "chance"])
    figure, (roc, recall) = style.panels(2, _SIDE, _SIDE, left=_LEFT, top=top, gap=_GAP, right=right)
    style.heading(figure, title, _LEFT)
    handles: dict[str, Artist] = {}
    for c, text in zip(shown, texts, strict=True):
        look: dict[str, Any] = {"color": style.class_colours(len(classes))[c], "lw": 1.5}
        (handles[text],) = roc.plot(curves[c].false_positive_rate, curves[c].true_positive_rate, **look)
        # Between two points the precision is that of the one with more recall.
        recall.plot(curves[c].true_positive_rate, curves[c].precision, drawstyle="steps-pre", **look)
    if average:
        look = {"color": style.NETWORK, "lw": 2.5}
        (handles[average],) = roc.plot(np.append(0, _GRID), np.append(0, _mean_roc(curves.values())), **look)
        recall.plot(_GRID, _mean_precision(curves.values()), **look)
    look = {"ls": "--", "color": style.TRUE_FUNCTION, "lw": 1.5, "zorder": 1.5}
    roc.plot([0, 1], [0, 1], **look)
    if curves:
        share = float(np.mean([(true == c).mean() for c in curves]))
        recall.plot([0, 1], [share, share], **look)
    handles["chance"] = Line2D([], [], **look)
    handles |= {note: Line2D([], [], ls="") for note in notes}
    for panel, name, across, up in (
        (roc, "ROC", "false positive rate", "true positive rate"),
        (recall, "precision and recall", "recall", "precision"),
    ):
        panel.set_title(name, loc="left")
        panel.set_xlabel(across)
        panel.set_ylabel(up)
        panel.set_xlim(-0.02, 1.02)
        panel.set_ylim(-0.02, 1.02)
        panel.grid()
    style.legend(figure, handles, _LEFT + 2 * _SIDE + _GAP + 0.2, top)
    return figure


def _scored(name: str, curves: Sequence[Curve]) -> str:
    """A class or several in the legend, with the mean of their areas."""
    auc, precision = np.mean([curve.auc for curve in curves]), np.mean([curve.average_precision for curve in curves])
    return f"{name}: AUC {auc:.3f}, AP {precision:.3f}"


def _mean_roc(curves: Collection[Curve]) -> np.ndarray:
    """The mean true positive rate at the false positive rates of the grid."""
    return np.mean([np.interp(_GRID, one.false_positive_rate, one.true_positive_rate) for one in curves], axis=0)


def _mean_precision(curves: Collection[Curve]) -> np.ndarray:
    """The mean precision at the recalls of the grid: each that of the first point with so much recall."""
    return np.mean([one.precision[np.searchsorted(one.true_positive_rate, _GRID)] for one in curves], axis=0)
