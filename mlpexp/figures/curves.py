"""Loss, score and learning rate over the epochs of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style
from mlpexp.figures.epoch_axes import LOG_FROM, epoch_axis, log_axis, loss_axis, score_axis

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT, _TOP = 0.85, 0.4
# Epochs up to which each is marked by a dot.
_FEW = 25
# Epochs from which a thick line would hide its own noise.
_MANY = 500


@style.styled
def curves(
    history: Mapping[str, Sequence[float]], *, score: str, best_epoch: int | None, best: str = "", title: str = ""
) -> Figure:
    """Panels for loss, score and, where it changes, learning rate.

    `history` has equally long columns "epoch", "loss/train", "loss/val", "{score}/train", "{score}/val" and "lr";
    values that are not finite are left out. `best` says what made the best epoch so: `val accuracy 96.65 %`.
    """
    columns = {name: np.asarray(values, dtype=float) for name, values in history.items()}
    epoch, rate = columns["epoch"], columns.get("lr", np.empty(0))
    scheduled = np.ptp(rate) > 1e-9 * np.max(np.abs(rate)) if np.isfinite(rate).all() and len(rate) else False
    top = _TOP + 0.3 * bool(title)
    figure, axes = style.panels(3 if scheduled else 2, 3.3, 2.6, left=_LEFT, top=top)
    style.heading(figure, title, _LEFT)

    handles = _pair(axes[0], epoch, columns["loss/train"], columns["loss/val"])
    loss_axis(axes[0], np.concatenate([columns["loss/train"], columns["loss/val"]]))
    _pair(axes[1], epoch, columns[f"{score}/train"], columns[f"{score}/val"])
    score_axis(axes[1], score, np.concatenate([columns[f"{score}/train"], columns[f"{score}/val"]]))
    if scheduled:
        _line(axes[2], epoch, rate, style.INK, "-")
        axes[2].set_ylabel("learning rate")
        # Logarithmic only where a linear axis would show almost nothing of most of the run.
        style.plain_numbers(axes[2].yaxis)
        if (rate > 0).all() and np.median(rate) < rate.max() / LOG_FROM:
            log_axis(axes[2])
    for panel in axes:
        epoch_axis(panel, epoch[0], epoch[-1])
        mark = _best_epoch(panel, best_epoch)
    if mark is not None:
        handles[f"best epoch: {best_epoch}" + f" ({best})" * bool(best)] = mark
    lost = epoch[~np.isfinite(columns["loss/train"])]
    if len(lost):
        handles[f"loss not finite at epoch {lost[0]:.0f}"] = axes[0].axvline(lost[0], color=style.WRONG, ls=":", lw=1.5)
    style.legend(figure, handles, _LEFT, top - 0.3, columns=len(handles))
    return figure


def _pair(panel: Axes, epoch: np.ndarray, train: np.ndarray, val: np.ndarray) -> dict[str, Artist]:
    # Validation is dashed and on top, so that both are seen where they coincide.
    return {
        "train": _line(panel, epoch, train, style.TRAIN, "-"),
        "val": _line(panel, epoch, val, style.VAL, "--"),
    }


def _line(panel: Axes, epoch: np.ndarray, values: np.ndarray, colour: str, dashes: str) -> Artist:
    shown = np.where(np.isfinite(values), values, np.nan)
    finite = np.pad(np.isfinite(values), 1)
    # A point between gaps has no line, and so a marker.
    alone = np.flatnonzero(finite[1:-1] & ~finite[:-2] & ~finite[2:])
    marked = np.arange(len(epoch)) if len(epoch) <= _FEW else alone
    width = 1.8 if len(epoch) <= _MANY else 1.0
    (line,) = panel.plot(epoch, shown, dashes, color=colour, lw=width)
    if len(marked):
        line.set(marker="o", markersize=3.5, markevery=marked.tolist())
    return line


def _best_epoch(panel: Axes, best_epoch: int | None) -> Artist | None:
    # Epoch 0 stands for a run without a best epoch.
    if not best_epoch:
        return None
    return panel.axvline(best_epoch, color=style.INK, lw=1, ls=(0, (1, 1.5)), zorder=1)
