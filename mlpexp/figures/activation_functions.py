"""Activations and their derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import placing, style
from mlpexp.figures.epoch_axes import MOST_TOGETHER, WIDTH, colours, line_styles

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT = 0.75
_COLUMNS, _WIDTH, _HEIGHT, _GAP = 4, 2.1, 1.8, 0.25
_FUNCTION, _DERIVATIVE = "#0072B2", "#D55E00"
_TITLE = "Activations and their derivatives"
_INPUT, _OUTPUT, _SLOPE = "input x", "f(x)", "derivative f′(x)"


@dataclass(frozen=True)
class Curve:
    """A function and its derivative at the points `x`, all [N]."""

    x: np.ndarray
    value: np.ndarray
    derivative: np.ndarray


@style.styled
def activation_functions(curves: Mapping[str, Curve]) -> Figure:
    """One function with its derivative in one panel; a few in a panel for functions and one for derivatives; many in
    small panels with the same axes, a panel a function."""
    if len(curves) == 1:
        return _one(*next(iter(curves.items())))
    return _together(curves) if len(curves) <= MOST_TOGETHER else _multiples(curves)


def _one(name: str, curve: Curve) -> Figure:
    figure, (panel,) = style.panels(1, 5.0, 3.4, left=_LEFT, top=0.8)
    style.heading(figure, f"Activation {name}", _LEFT)
    style.legend(figure, _pair(panel, curve), _LEFT, 0.5, columns=2)
    _axes(panel, [curve.value, curve.derivative], curve.x)
    panel.set_xlabel(_INPUT)
    panel.set_ylabel("value")
    return figure


def _together(curves: Mapping[str, Curve]) -> Figure:
    names = [style.fit(name, style.SMALL, 3.4) for name in curves]
    right = 0.35 + style.legend_width(names)
    figure, axes = style.panels(2, 3.3, 2.9, left=_LEFT, top=0.5, right=right)
    style.heading(figure, _TITLE, _LEFT)
    handles: dict[str, Artist] = {}
    looks = zip(names, curves.values(), colours(len(curves)), line_styles(len(curves)), strict=True)
    for name, curve, colour, line_style in looks:
        (handles[name],) = axes[0].plot(curve.x, curve.value, color=colour, ls=line_style, lw=WIDTH)
        axes[1].plot(curve.x, curve.derivative, color=colour, ls=line_style, lw=WIDTH)
    x = next(iter(curves.values())).x
    _axes(axes[0], [curve.value for curve in curves.values()], x)
    _axes(axes[1], [curve.derivative for curve in curves.values()], x)
    for panel, what in zip(axes, (_OUTPUT, _SLOPE), strict=True):
        panel.set_xlabel(_INPUT)
        panel.set_ylabel(what)
    style.legend(figure, handles, _LEFT + 2 * 3.3 + 0.9 + 0.2, 0.5)
    return figure


def _multiples(curves: Mapping[str, Curve]) -> Figure:
    above = placing.titles_height(list(curves))
    rows = -(-len(curves) // _COLUMNS)
    top = 0.62
    width = _LEFT + _COLUMNS * (_WIDTH + _GAP)
    figure = placing.page(width, top + rows * (_HEIGHT + above) + 0.6)
    placing.write_head(figure, _TITLE, [], _LEFT)
    axes = placing.multiples(figure, len(curves), _COLUMNS, _LEFT, top, _WIDTH, _HEIGHT, _GAP, above)
    everything = [part for curve in curves.values() for part in (curve.value, curve.derivative)]
    handles: dict[str, Artist] = {}
    for panel, (name, curve) in zip(axes, curves.items(), strict=True):
        handles = _pair(panel, curve)
        _axes(panel, everything, curve.x)
        placing.panel_title(panel, name, _WIDTH)
    for k, panel in enumerate(axes):
        if k + _COLUMNS >= len(axes):
            panel.set_xlabel(_INPUT)
        if k % _COLUMNS == 0:
            panel.set_ylabel("value")
    style.legend(figure, handles, _LEFT, 0.42, columns=2)
    return figure


def _pair(panel: Axes, curve: Curve) -> dict[str, Artist]:
    # The derivative is dashed and on top, so that both are seen where they coincide.
    (function,) = panel.plot(curve.x, curve.value, color=_FUNCTION, lw=2.2)
    (derivative,) = panel.plot(curve.x, curve.derivative, "--", color=_DERIVATIVE, lw=1.6)
    return {_OUTPUT: function, _SLOPE: derivative}


def _axes(panel: Axes, values: list[np.ndarray], x: np.ndarray) -> None:
    """Limits that hold all finite values, and lines through zero."""
    together = np.concatenate([part[np.isfinite(part)] for part in values])
    low, high = (float(together.min()), float(together.max())) if len(together) else (0.0, 1.0)
    room = 0.06 * (high - low) or 0.5
    panel.set_ylim(low - room, high + room)
    panel.set_xlim(x[0], x[-1])
    panel.grid()
    for line in (panel.axhline, panel.axvline):
        line(0, color="#999999", lw=0.8, zorder=1)
    style.few_numbers(panel)
