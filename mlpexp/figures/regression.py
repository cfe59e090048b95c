"""What a network has learned of a function.

N points, M points of a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.boundary import merged

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Mapping[str, tuple[np.ndarray, np.ndarray]]

_LEFT = 0.95
_SIDE = 4.0  # of a square panel, inches
_LINE = 400  # points


@style.styled
def fitted_curve(
    network: np.ndarray | None,
    points: Points,
    true: np.ndarray | None,
    feature_name: str,
    target_name: str,
    title: str = "",
) -> Figure:
    """The network's output over its one feature, the points of each split, and the true function if known.

    `network` and `true` are what both give for the `line` of the points [M, 1]; `points` maps splits to features
    [N, 1] and targets [N, 1]. Without `network` the data stand alone.
    """
    flat = {name: (np.ravel(x), np.ravel(y)) for name, (x, y) in merged(points).items()}
    at = line(points)[:, 0]
    low, high = _span(points)
    above = 0.5 + 0.3 * bool(title)
    figure, (panel,) = style.panels(1, 5.6, 3.4, left=_LEFT, top=above)
    style.heading(figure, title, _LEFT)
    handles = data_points(panel, flat)
    heights = [y for _, y in flat.values()]
    if true is not None:
        exact = np.ravel(true)
        heights.append(exact)
        (handles["true function"],) = panel.plot(at, exact, "--", color=style.TRUE_FUNCTION, lw=2)
    fitted = np.empty(0)
    if network is not None:
        fitted = _finite(np.ravel(network))
        (handles["network"],) = panel.plot(at, fitted, color=style.NETWORK, lw=2)
    panel.set_xlim(low, high)
    # The data decide the range, so that a network with large errors does not flatten them.
    bottom, top = spanned(np.concatenate(heights), 0.5)
    panel.set_ylim(spanned(np.concatenate([*heights, fitted.clip(bottom, top)])))
    _finish(figure, panel, feature_name, target_name)
    style.legend(figure, handles, _LEFT, above - 0.3, columns=len(handles))
    return figure


def line(points: Points) -> np.ndarray:
    """The feature values [M, 1] of a line that extends past all points."""
    return np.linspace(*_span(points), _LINE)[:, None]


def _span(points: Points) -> tuple[float, float]:
    return spanned(np.concatenate([np.ravel(x) for x, _ in points.values()]))


@style.styled
def predicted_against_true(points: Points, target_name: str, title: str = "") -> Figure:
    """Predictions over true values, both [N], by split, and their residuals, true − predicted, over predictions.

    On the dashed lines both agree.
    """
    from matplotlib.lines import Line2D

    points = merged(points)
    top = 0.2 + 0.3 * bool(title)
    scored = {f"{name}: R² = {_r2(true, predicted)}": name for name, (true, predicted) in points.items()}
    right = 0.35 + style.legend_width([*scored, "predicted = true"])
    figure, (panel, beside) = style.panels(2, _SIDE, _SIDE, left=_LEFT, top=top, right=right, gap=_LEFT + 0.1)
    style.heading(figure, title, _LEFT)
    drawn = data_points(panel, points)
    both = spanned(np.concatenate([np.ravel(values) for pair in points.values() for values in pair]))
    panel.plot(both, both, "--", color=style.TRUE_FUNCTION, lw=1.5)
    panel.set_xlim(both)
    panel.set_ylim(both)
    _finish(figure, panel, f"true {target_name}", f"predicted {target_name}")
    residuals = {
        name: (np.ravel(predicted), np.ravel(true) - np.ravel(predicted)) for name, (true, predicted) in points.items()
    }
    data_points(beside, residuals)
    beside.axhline(0, ls="--", color=style.TRUE_FUNCTION, lw=1.5)
    beside.set_xlim(spanned(np.concatenate([predicted for predicted, _ in residuals.values()])))
    beside.set_ylim(spanned(np.concatenate([[0.0], *(residual for _, residual in residuals.values())])))
    _finish(figure, beside, f"predicted {target_name}", "residual: true − predicted")
    handles: dict[str, Artist] = {text: drawn[name] for text, name in scored.items()}
    handles["predicted = true"] = Line2D([], [], ls="--", color=style.TRUE_FUNCTION, lw=1.5)
    style.legend(figure, handles, 2 * (_LEFT + _SIDE) + 0.3, top)
    return figure


def data_points(panel: Axes, points: Points, colour: str | None = None) -> dict[str, Artist]:
    """Draws points with the marker of their split and in its colour, or in one; returns the legend's entries."""
    from matplotlib.lines import Line2D

    total = sum(len(y) for _, y in points.values())
    size = 6.0 if total <= 60 else 4.5 if total <= 500 else 2.5
    handles: dict[str, Artist] = {}
    for name, (x, y) in points.items():
        first, shown = name.split(" = ")[0], style.every(len(y))
        look: dict[str, Any] = {
            "ls": "",
            "marker": style.MARKERS.get(first, "D"),
            "color": colour or style.SPLITS.get(first, style.INK),
            "mew": 0,
        }
        handles[name] = Line2D([], [], ms=6, **look)
        alpha = 0.85 if total <= 500 else 0.5
        panel.plot(np.ravel(x)[shown], _finite(np.ravel(y))[shown], ms=size, alpha=alpha, **look)
    return handles


def _finish(figure: Figure, panel: Axes, across: str, up: str) -> None:
    panel.grid()
    panel.set_xlabel(style.fit(across, style.TEXT, 4.0))
    panel.set_ylabel(style.fit(up, style.TEXT, 3.4))
    style.few_numbers(panel)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def spanned(values: np.ndarray, margin: float = 0.05) -> tuple[float, float]:
    """What an axis must span to show all finite values with a margin."""
    values = values[np.isfinite(values)].astype(float)
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    room = margin * (high - low) or 0.5 * max(abs(low), 1.0)
    return low - room, high + room


def _r2(true: np.ndarray, predicted: np.ndarray) -> str:
    """R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)² in words; a dash where the true values do not vary."""
    true, predicted = np.ravel(true).astype(float), np.ravel(predicted).astype(float)
    spread = float(np.square(true - true.mean()).sum()) if len(true) and np.ptp(true) else 0.0
    if not spread:
        return "–"
    if not np.isfinite(predicted).all():
        return "not a number"
    return style.number(1 - float(np.square(true - predicted).sum()) / spread, 3)
