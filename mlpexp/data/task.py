"""What is to be learned from a dataset: classes or values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlpexp.errors import pluralize


@dataclass(frozen=True)
class Task:
    """Classification among `classes`, or regression of `n_values` values."""

    kind: Literal["classification", "regression"]
    classes: tuple[str, ...] = ()
    n_values: int = 1

    def __str__(self) -> str:
        if self.kind == "classification":
            return f"classification, {pluralize(self.n_classes, 'class')}"
        return f"regression, {pluralize(self.n_values, 'value')}"

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @property
    def score(self) -> str:
        """Name of the main metric, for which higher is better: accuracy, or r2 for regression."""
        return "accuracy" if self.kind == "classification" else "r2"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics of the task, the score first; defined in mlpexp/config/metric.py."""
        return METRICS_OF[self.kind]


METRICS_OF = {
    "classification": (
        *("accuracy", "balanced_accuracy", "macro_f1", "mcc", "roc_auc"),
        *("loss", "log_loss", "brier", "calibration_error"),
    ),
    "regression": ("r2", "loss", "rmse", "mae"),
}
