"""Figures of settings that are drawn from what their runs measured epoch by epoch.

N seeds, E epochs, L layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlpexp.comparison.compare import Comparison
from mlpexp.comparison.histories import MOST, Histories, histories, score_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mlpexp.figures.settings.lines import LinesPanel

_BY_LAYER = "grad_norm/"


def learning_curves(comparison: Comparison) -> Figure | None:
    """Validation loss and score."""
    from mlpexp.figures.settings.lines import lines

    score = score_of(comparison.summaries)
    if score is None:
        return None
    found = histories(comparison.summaries, ["loss/val", f"{score}/val"])
    return lines([_loss_panel(found), _score_panel(found, score)], found.remarks)


def _loss_panel(found: Histories) -> LinesPanel:
    from mlpexp.figures.epoch_axes import loss_axis
    from mlpexp.figures.settings.lines import LinesPanel

    def finish(panel: Axes, values: np.ndarray) -> None:
        loss_axis(panel, values)
        panel.set_ylabel(f"validation {panel.get_ylabel()}")

    return LinesPanel(found.of("loss/val"), finish)


def _score_panel(found: Histories, score: str) -> LinesPanel:
    from mlpexp.figures.epoch_axes import score_axis
    from mlpexp.figures.settings.lines import LinesPanel

    def finish(panel: Axes, values: np.ndarray) -> None:
        score_axis(panel, score, values)
        panel.set_ylabel(f"validation {panel.get_ylabel()}")

    return LinesPanel(found.of(f"{score}/val"), finish)


def train_and_val(comparison: Comparison) -> Figure | None:
    """Training and validation loss, a panel a setting, with the epochs of the best weights."""
    from mlpexp.figures.settings.train_and_val import Losses
    from mlpexp.figures.settings.train_and_val import train_and_val as draw

    found = histories(comparison.summaries, ["loss/train", "loss/val"])
    settings = {
        label: Losses(columns["loss/train"], columns["loss/val"], [run.record.best_epoch for run in found.runs[label]])
        for label, columns in found.columns.items()
    }
    return draw(settings, found.remarks) if settings else None


def learning_rates(comparison: Comparison) -> Figure | None:
    """The learning rate beside the validation score."""
    from mlpexp.figures.settings.lines import LinesPanel, lines
    from mlpexp.figures.style import plain_numbers

    score = score_of(comparison.summaries)
    if score is None:
        return None
    found = histories(comparison.summaries, ["lr", f"{score}/val"])

    def finish(panel: Axes, values: np.ndarray) -> None:
        panel.set_ylabel("learning rate")
        plain_numbers(panel.yaxis)

    return lines([LinesPanel(found.of("lr"), finish), _score_panel(found, score)], found.remarks)


def gradient_norms(comparison: Comparison) -> Figure | None:
    """The norm of all gradients before clipping, beside the validation loss, and what settings clip to."""
    from mlpexp.figures.epoch_axes import LOG_FROM, log_axis
    from mlpexp.figures.settings.lines import LinesPanel, lines
    from mlpexp.figures.style import plain_numbers

    found = histories(comparison.summaries, ["grad_norm", "loss/val"])
    if not found.columns:
        return None

    def of_norms(panel: Axes, values: np.ndarray) -> None:
        plain_numbers(panel.yaxis)
        values = values[np.isfinite(values)]
        if len(values) and values.min() > 0 and values.max() / values.min() > LOG_FROM:
            log_axis(panel)
        panel.set_ylabel("gradient norm before clipping")

    clipped = {label: runs[0].record.config.get("clip", {}).get("norm") for label, runs in found.runs.items()}
    bounds = {label: norm for label, norm in clipped.items() if norm is not None}
    return lines([LinesPanel(found.of("grad_norm"), of_norms, bounds), _loss_panel(found)], found.remarks)


def gradients_by_layer(comparison: Comparison) -> Figure | None:
    """The norm of each linear layer's gradients in the first and the last epoch."""
    from mlpexp.figures.settings.layer_gradients import layer_gradients

    columns = [set(run.history) for summary in comparison.summaries[:MOST] for run in summary.runs]
    if not columns:
        return None
    # Those that all settings have: normalisation layers come and go.
    shared = set.intersection(*columns)
    first = next(run for summary in comparison.summaries for run in summary.runs)
    tags = [tag for tag in first.history if tag.startswith(_BY_LAYER) and tag in shared]
    if not tags:
        return None
    found = histories(comparison.summaries, tags)
    moments = {
        name: {label: np.stack([values[tag][:, epoch] for tag in tags], 1) for label, values in found.columns.items()}
        for name, epoch in (("first epoch", 0), ("last epoch", -1))
    }
    return layer_gradients(moments, [tag.removeprefix(_BY_LAYER) for tag in tags], found.remarks)
