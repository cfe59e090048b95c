"""How much a network needs each column of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW, _WIDTH, _MOST_NAME = 0.26, 4.0, 2.4  # inches


@style.styled
def importance(
    columns: Sequence[str], means: np.ndarray, half_widths: np.ndarray, *, axis: str, title: str = ""
) -> Figure:
    """Bars for the means [R], the first on top, with their intervals: means ± half widths [R]; `axis` names them."""
    from matplotlib.lines import Line2D

    names = [style.fit(name, style.SMALL, _MOST_NAME) for name in columns]
    left = 0.3 + max(style.text_width(name, style.SMALL) for name in names)
    height = max(_ROW * len(names), 0.6)
    figure, (panel,) = style.panels(1, _WIDTH, height, left=left, right=0.3, bottom=0.6, top=0.35 + 0.3 * bool(title))
    style.heading(figure, title, 0.15)
    at = np.arange(len(names))
    panel.barh(at, means, 0.7, color=style.TEST)
    panel.errorbar(means, at, xerr=half_widths, ls="", color=style.INK, lw=1.2, capsize=2.5)
    panel.axvline(0, color=style.INK, lw=0.8)
    panel.set_yticks(at, names)
    panel.tick_params(axis="y", length=0)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.grid(axis="x")
    panel.set_xlabel(style.fit(axis, style.TEXT, _WIDTH + 0.4))
    style.plain_numbers(panel.xaxis)
    interval = Line2D([], [], color=style.INK, lw=1.2)
    style.legend(figure, {"95 % confidence interval over shuffles": interval}, left, 0.12 + 0.3 * bool(title))
    return figure
