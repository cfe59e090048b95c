"""The figures that set settings side by side, by the names under which `report.figures` asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from mlpexp.comparison.compare import Comparison
from mlpexp.comparison.epoch_pictures import (
    gradient_norms,
    gradients_by_layer,
    learning_curves,
    learning_rates,
    train_and_val,
)
from mlpexp.comparison.network_pictures import decision_boundaries, fitted_curves, reliability_diagrams
from mlpexp.config.report import FigureName
from mlpexp.errors import MlpexpError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
}


def pictures(comparison: Comparison, names: Iterable[FigureName]) -> tuple[dict[str, bytes], dict[str, str]]:
    """PNG files by name, and a line on each figure that cannot be drawn of these runs, by its name."""
    from mlpexp.figures.style import png

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
            drawn[name] = png(figure)
    return drawn, lacking
