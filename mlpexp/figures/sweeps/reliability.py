"""Reliability diagrams: of the predictions made with some confidence, how many are right.

M bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.sweeps.labels import broken
from mlpexp.figures.sweeps.page import add_legend, balanced, page

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

_COLUMNS, _SIDE, _SHARES = 4, 2.3, 0.5  # inches of a panel, and the height of that of shares below it
_LEGEND = ("accuracy", "at the mean confidence of the bin", "perfectly calibrated")
_BEFORE = "before temperature scaling"
_FEW = 10  # samples: an accuracy of fewer is unreliable


@dataclass(frozen=True)
class Reliability:
    """Counts, mean confidence and accuracy by bin [M], summed over seeds, and a `remark` such as the error.

    `before`: mean confidence and accuracy, without calibration, of the bins that hold samples.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    remark: str
    before: tuple[np.ndarray, np.ndarray] | None = None


@style.styled
def reliability(settings: Mapping[str, Reliability], notes: Sequence[str] = ()) -> Figure:
    """A panel a setting: accuracy over confidence, and below which share of the samples each bin holds."""
    rows, columns = balanced(len(settings), _COLUMNS)
    labels = [
        [*broken(f"{rank}. {name}" if len(settings) > 1 else name, _SIDE), style.fit(found.remark, style.SMALL, _SIDE)]
        for rank, (name, found) in enumerate(settings.items(), start=1)
    ]
    legend = [*_LEGEND, _BEFORE] if any(found.before is not None for found in settings.values()) else _LEGEND
    notes = [*notes, f"bins of fewer than {_FEW} samples are pale"]
    figure, grid = page(
        2 * rows,
        columns,
        columns * (_SIDE + 0.2) + 0.6,
        rows * (_SIDE + _SHARES + 0.6 + style.LINE * max(map(len, labels))) + 0.2,
        title="Reliability",
        notes=notes,
        legend=legend,
        height_ratios=[_SIDE, _SHARES] * rows,
    )
    handles: dict[str, Artist] = {}
    for position, (found, label) in enumerate(zip(settings.values(), labels, strict=True)):
        row, column = divmod(position, columns)
        panel = figure.add_subplot(grid[2 * row, column])
        width = 1 / len(found.counts)
        middles = (np.arange(len(found.counts)) + 0.5) * width
        for some, alpha in ((found.counts >= _FEW, 1.0), ((found.counts > 0) & (found.counts < _FEW), 0.35)):
            if not some.any():
                continue
            bars = panel.bar(
                middles[some], found.accuracy[some], 0.92 * width, color=style.TRAIN, alpha=alpha, zorder=2
            )
            handles.setdefault(_LEGEND[0], bars[0])
            # Unclipped: that of the most confident bin may stand on the edge.
            (dots,) = panel.plot(
                found.confidence[some], found.accuracy[some], "o", color=style.INK, ms=3.5, alpha=alpha, zorder=4,
                clip_on=False,
            )  # fmt: skip
            handles.setdefault(_LEGEND[1], dots)
        if found.before is not None:
            (handles[_BEFORE],) = panel.plot(
                *found.before, "o-", color=style.INK, mfc="none", ms=4.5, lw=0.8, zorder=4, clip_on=False
            )
        (handles[_LEGEND[2]],) = panel.plot([0, 1], [0, 1], "--", color=style.TRUE_FUNCTION, lw=1.5, zorder=3)
        panel.set(xlim=(0, 1), ylim=(0, 1.02), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        panel.set_yticklabels(["0", "0.5", "1"])
        panel.tick_params(labelbottom=False, labelleft=column == 0)
        panel.set_title("\n".join(label), fontsize=style.SMALL, loc="left", pad=3)
        shares = figure.add_subplot(grid[2 * row + 1, column])
        shares.bar(middles, found.counts / max(found.counts.sum(), 1), 0.92 * width, color=style.NEUTRAL)
        shares.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 1])
        shares.set_xticklabels(["0", "0.5", "1"])
        shares.tick_params(labelleft=column == 0)
        if column == 0:
            panel.set_ylabel("accuracy")
            shares.set_ylabel("share", fontsize=style.SMALL)
        if position + columns >= len(settings):
            shares.set_xlabel("confidence")
    add_legend(figure, handles)
    return figure
