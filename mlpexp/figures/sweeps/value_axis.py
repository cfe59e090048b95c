"""The vertical axis of what settings score: its limits, scale and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import log_axis
from mlpexp.figures.sweeps.dots import span_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def value_axis(panel: Axes, values: Sequence[float], ends: Sequence[float], metric: str, axis: str) -> None:
    """Finishes the axis of `values` and of the `ends` of their intervals; `metric` and `axis` as for `dots`."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    span = span_of(values, ends, metric)
    panel.grid(axis="y")
    panel.set_ylabel(f"{axis}, log scale" if axis and span.log else axis)
    if not len(values):
        panel.set_yticks([])
    elif span.log:
        log_axis(panel)
    else:
        panel.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        scale = 100 if metric == "accuracy" else 1
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number(scale * value, 5)))
    panel.set_ylim(span.low, span.high)
