"""The figures that set settings side by side, by the names under which `report.figures` asks for them.

Those of trained networks are in network_figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.comparison.compare import Comparison
from mlpexp.comparison.grid_figure import interactions
from mlpexp.comparison.histories import MOST, Histories, histories, score_of
from mlpexp.comparison.network_figures import decision_boundaries, fitted_curves, reliability_diagrams
from mlpexp.config.report import FigureName
from mlpexp.errors import MlpexpError
from mlpexp.figures.formats import Format

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mlpexp.figures.sweeps.lines import LinesPanel

_BY_LAYER = "grad_norm/"


def learning_curves(comparison: Comparison) -> Figure | None:
    """Validation loss and score."""
    from mlpexp.figures.sweeps.lines import lines

    score = score_of(comparison.summaries)
    if score is None:
        return None
    found = histories(comparison.summaries, ["loss/val", f"{score}/val"])
    return lines([_loss_panel(found), _score_panel(found, score)], found.remarks, "Learning curves")


def _loss_panel(found: Histories) -> LinesPanel:
    from mlpexp.figures.epoch_axes import loss_axis
    from mlpexp.figures.sweeps.lines import LinesPanel

    def finish(panel: Axes, values: np.ndarray) -> None:
        loss_axis(panel, values)
        panel.set_ylabel(f"validation {panel.get_ylabel()}")

    return LinesPanel(found.of("loss/val"), finish)


def _score_panel(found: Histories, score: str) -> LinesPanel:
    from mlpexp.figures.epoch_axes import score_axis
    from mlpexp.figures.sweeps.lines import LinesPanel

    def finish(panel: Axes, values: np.ndarray) -> None:
        score_axis(panel, score, values)
        panel.set_ylabel(f"validation {panel.get_ylabel()}")

    return LinesPanel(found.of(f"{score}/val"), finish)


def train_and_val(comparison: Comparison) -> Figure | None:
    """Training and validation loss, a panel a setting, with the epochs of the best weights."""
    from mlpexp.figures.sweeps.train_and_val import Losses
    from mlpexp.figures.sweeps.train_and_val import train_and_val as draw

    found = histories(comparison.summaries, ["loss/train", "loss/val"])
    settings = {
        label: Losses(columns["loss/train"], columns["loss/val"], [run.record.best_epoch for run in found.runs[label]])
        for label, columns in found.columns.items()
    }
    return draw(settings, found.remarks) if settings else None


def learning_rates(comparison: Comparison) -> Figure | None:
    """The learning rate beside the validation score."""
    from mlpexp.figures.style import plain_numbers
    from mlpexp.figures.sweeps.lines import LinesPanel, lines

    score = score_of(comparison.summaries)
    if score is None:
        return None
    found = histories(comparison.summaries, ["lr", f"{score}/val"])

    def finish(panel: Axes, values: np.ndarray) -> None:
        panel.set_ylabel("learning rate")
        plain_numbers(panel.yaxis)

    return lines([LinesPanel(found.of("lr"), finish), _score_panel(found, score)], found.remarks, "Learning rates")


def gradient_norms(comparison: Comparison) -> Figure | None:
    """The norm of all gradients before clipping, beside the validation loss, and what settings clip to."""
    from mlpexp.figures.epoch_axes import LOG_FROM, log_axis
    from mlpexp.figures.style import plain_numbers
    from mlpexp.figures.sweeps.lines import LinesPanel, lines

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
    panels = [LinesPanel(found.of("grad_norm"), of_norms, bounds), _loss_panel(found)]
    return lines(panels, found.remarks, "Gradient norms")


def gradients_by_layer(comparison: Comparison) -> Figure | None:
    """The norm of each linear layer's gradients in the first and the last epoch."""
    from mlpexp.figures.sweeps.layer_gradients import layer_gradients

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


# None where the runs have nothing of the kind to show, such as a decision boundary of images.
_PICTURES: dict[FigureName, Callable[[Comparison], Figure | None]] = {
    "learning_curves": learning_curves,
    "train_and_val": train_and_val,
    "decision_boundaries": decision_boundaries,
    "fitted_curves": fitted_curves,
    "gradients_by_layer": gradients_by_layer,
    "gradient_norms": gradient_norms,
    "learning_rates": learning_rates,
    "reliability": reliability_diagrams,
    "interactions": interactions,
}


def pictures(
    comparison: Comparison, names: Iterable[FigureName], format: Format = "png"
) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files by name, and a line on each figure that cannot be drawn of these runs, by its name."""
    from mlpexp.figures import style

    drawn: dict[str, bytes] = {}
    lacking: dict[str, str] = {}
    for name in names:
        try:
            figure = _PICTURES[name](comparison)
        except MlpexpError as error:
            lacking[name] = f"no figure {name}: {error}"
            continue
        if figure is None:
            lacking[name] = f"no figure {name}: these runs have nothing of the kind to show."
        else:
            drawn[name] = style.drawn(figure, format)
    return drawn, lacking
