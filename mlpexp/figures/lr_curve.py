"""Loss against learning rate: what a range test measured, and the rates that rules read off it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import LOG_FROM, log_axis

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT, _WIDTH, _HEIGHT = 0.85, 5.2, 3.4
# Colour and marker of each rule, whichever of them found a rate.
_MARKS = {"divergence ÷ 30": (style.WRONG, "o"), "steepest": (style.RIGHT, "s")}
# Room above the loss from before the descent, as a share of all that it falls.
_ROOM = 0.35
# The panel spans at least this share of the loss.
_LEAST_SPREAD = 0.1


@style.styled
def lr_curve(
    rates: np.ndarray,
    losses: np.ndarray,
    mean: np.ndarray,
    smoothed: np.ndarray,
    *,
    beta: float,
    suggestions: Mapping[str, float],
    configured: float,
    title: str = "",
) -> Figure:
    """Losses [n, K] of each seed at rates [n], faint; their mean [n] smoothed; suggestions by rule.

    The loss is shown up to a little above what it was before it fell: where training diverges it leaves the panel.
    """
    names = {name: f"{name}: {rate:.2g}" for name, rate in suggestions.items()}
    of_mean = f"mean, smoothed (β = {style.number(beta, 3)})"
    own = f"config: {configured:.2g}"
    seeds = "a seed" if losses.shape[1] > 1 else "the seed"
    right = 0.3 + style.legend_width([*names.values(), of_mean, own])
    top = 0.2 + 0.3 * bool(title)
    figure, (panel,) = style.panels(1, _WIDTH, _HEIGHT, left=_LEFT, right=right, top=top)
    style.heading(figure, title, _LEFT)

    log_axis(panel, horizontal=True)
    panel.set_xlabel("learning rate (log scale)")
    panel.grid(axis="y")
    handles: dict[str, Artist] = {}
    width = 0.9 if losses.shape[1] <= 8 else 0.5
    for column in losses.T:
        (handles[seeds],) = panel.plot(rates, column, color=style.NEUTRAL, lw=width, alpha=0.7, zorder=1)
    (handles[of_mean],) = panel.plot(rates, smoothed, color=style.TRAIN, lw=2.2, zorder=3)
    for name, rate in suggestions.items():
        handles[names[name]] = _mark(panel, rate, float(np.interp(rate, rates, smoothed)), *_MARKS[name])
    handles[own] = panel.axvline(configured, color=style.INK, lw=1.2, ls=(0, (1, 1.5)), zorder=2)
    _limits(panel, rates, losses, mean, smoothed, [*suggestions.values(), configured])
    style.legend(figure, handles, _LEFT + _WIDTH + 0.15, top)
    return figure


def _mark(panel: Axes, rate: float, loss: float, colour: str, marker: str) -> Artist:
    panel.axvline(rate, color=colour, lw=1, ls="--", zorder=2)
    (point,) = panel.plot(
        [rate], [loss], color=colour, ls="--", lw=1, marker=marker, markersize=7, markeredgecolor="white", zorder=4
    )
    return point


def _limits(
    panel: Axes, rates: np.ndarray, losses: np.ndarray, mean: np.ndarray, smoothed: np.ndarray, marked: list[float]
) -> None:
    """Sets limits by the rates and what is marked; by the least loss, and the mean up to its smoothed minimum."""
    ends = [float(rates[0]), float(rates[-1]), *marked]
    panel.set_xlim(min(ends) / 1.3, max(ends) * 1.3)
    before = slice(int(np.argmin(smoothed)) + 1)
    low, high = float(np.nanmin(losses)), float(max(mean[before].max(), smoothed[before].max()))
    if low > 0 and high / low > LOG_FROM:
        log_axis(panel)
        panel.set_ylabel("training loss (log scale)")
        panel.set_ylim(low / 1.3, high * 1.5)
        return
    style.plain_numbers(panel.yaxis)
    panel.set_ylabel("training loss")
    spread = max(high - low, _LEAST_SPREAD * abs(high), 1e-6)
    panel.set_ylim(low - 0.1 * spread, high + _ROOM * spread)
