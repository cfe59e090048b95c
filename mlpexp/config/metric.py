"""What runs are judged by: each metric in words, and a metric of a split, named as its TensorBoard tag."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlpexp.data.task import METRICS_OF, Task
from mlpexp.errors import ConfigError, unknown

# That of each task which epoch lines, curves and tables show first.
SCORES = tuple(names[0] for names in METRICS_OF.values())


@dataclass(frozen=True)
class Kind:
    """What is to be known of a metric, whatever the split; `meaning` says it in a line."""

    words: str
    meaning: str
    higher_is_better: bool = True
    percent: bool = False
    own_units: bool = False  # of the target
    can_be_undefined: bool = False  # on a split that lacks what it compares with


# As scikit-learn computes them, but for the loss and the calibration error.
KINDS = {
    "accuracy": Kind("accuracy", "share of the rows whose class is predicted", percent=True),
    "balanced_accuracy": Kind(
        "balanced accuracy", "mean over the split's classes of the share of rows predicted right", percent=True
    ),
    "macro_f1": Kind("macro-F1", "mean of the F1 of every class that is true or predicted of a row"),
    "mcc": Kind("MCC", "Matthews' correlation of true and predicted classes; 0 where either is one class only"),
    "roc_auc": Kind(
        "ROC AUC",
        "probability that a row of the second class is ranked above one of the first; with more classes the mean of "
        "one against the rest; undefined where a class has no row",
        can_be_undefined=True,
    ),
    "r2": Kind("R²", "share of the targets' variance explained; undefined without variance", can_be_undefined=True),
    "loss": Kind("loss", "mean of what training minimises, without label smoothing and penalties", False),
    "log_loss": Kind("log loss", "mean of −log(probability of the true class), at least 1.2e-7 (float32)", False),
    "brier": Kind(
        "Brier score", "mean squared error of the probability (two classes), or summed over the classes (more)", False
    ),
    "calibration_error": Kind(
        "calibration error", "expected |accuracy − confidence| over 15 bins of confidence", False, percent=True
    ),
    "rmse": Kind("RMSE", "root of the mean squared error, in the target's own units", False, own_units=True),
    "mae": Kind("MAE", "mean absolute error, in the target's own units", False, own_units=True),
}
# Those that can pick the best epoch: not the calibration error, of which an answer that is the same for all rows has
# next to none.
Picking = Literal[
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "mcc",
    "roc_auc",
    "loss",
    "log_loss",
    "brier",
    "r2",
    "rmse",
    "mae",
]
SPLITS = ("test", "val", "train")


@dataclass(frozen=True)
class Metric:
    """A metric of a split, such as `accuracy/test`: the value that the best weights of a run reach."""

    name: str
    split: str

    @property
    def tag(self) -> str:
        return f"{self.name}/{self.split}"

    @property
    def higher_is_better(self) -> bool:
        return KINDS[self.name].higher_is_better

    @property
    def percent(self) -> bool:
        return KINDS[self.name].percent

    @property
    def words(self) -> str:
        """The metric in words: `test accuracy`."""
        return f"{self.split} {KINDS[self.name].words}"

    @property
    def title(self) -> str:
        """The words with the unit of `shown`: `test accuracy (%)`."""
        return f"{self.words} (%)" if self.percent else self.words

    def value_in(self, by_split: Mapping[str, Any]) -> float:
        """The value among metrics by split; nan where it is missing or not finite."""
        # run.json is read from disk: what lies within its mappings has not been checked.
        metrics: Any = by_split.get(self.split)
        value: Any = metrics.get(self.name) if isinstance(metrics, dict) else None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if number and math.isfinite(value) else math.nan

    def shown(self, value: float) -> str:
        """A value in the unit of the title, in few digits."""
        text = f"{100 * value:.2f}" if self.percent else f"{value:.3g}" if self._any_size else f"{value:.4f}"
        return _minus(text)

    @property
    def _any_size(self) -> bool:
        """Whether values can be of any order of magnitude."""
        return self.name == "loss" or KINDS[self.name].own_units

    def signed(self, difference: float) -> str:
        """A difference with its sign: of accuracies in percentage points."""
        text = self.shown(difference)
        return text if text.startswith("−") or not float(text) else f"+{text}"


def _minus(text: str) -> str:
    # What rounds to zero has no sign.
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def picking(metric: str | None, task: Task) -> str:
    """What picks the best epoch, where a config's `metric` is this; among equals the least validation loss does."""
    return metric or ("accuracy" if task.kind == "classification" else "loss")


def shown_score(metric: str | None, task: Task) -> str:
    """What the lines of epochs show beside the loss: the metric that picks the best epoch, else the task's score."""
    best_by = picking(metric, task)
    return task.score if best_by == "loss" else best_by


def listed(metrics: Mapping[str, Any], split: str) -> str:
    """The metrics of a split in a line: `test: accuracy 98.33 %, loss 0.0612`."""
    numbers = [f"{KINDS[name].words} {_with_unit(Metric(name, split), metrics)}" for name in metrics.get(split, {})]
    return f"{split}: {', '.join(numbers) or 'no metrics'}"


def by_split(metrics: Mapping[str, Any], constant: Mapping[str, Any]) -> list[list[str]]:
    """Rows of text, the first of them a header: each metric on each split, and what a constant answer has on the last.

    There are no rows but the header where nothing has been measured.
    """
    last = list(metrics)[-1] if metrics else "test"
    rows = [["metric", *metrics, f"constant answer, {last}"]]
    for name in metrics.get(last, {}):
        values = [_with_unit(Metric(name, split), metrics) for split in metrics]
        unit = " (own units)" * KINDS[name].own_units
        rows.append([f"{KINDS[name].words}{unit}", *values, _with_unit(Metric(name, last), constant)])
    return rows


def _with_unit(metric: Metric, metrics: Mapping[str, Any]) -> str:
    value = metric.value_in(metrics)
    return "–" if math.isnan(value) else f"{metric.shown(value)}{' %' * metric.percent}"


# Every metric that a run can have, by its tag.
METRICS = {f"{name}/{split}": Metric(name, split) for name in KINDS for split in SPLITS}


def check_tag(tag: str) -> None:
    """ConfigError where no run can have a metric named `tag`."""
    if tag not in METRICS:
        raise ConfigError(unknown(f"metric={tag}: no such metric", tag, METRICS))
