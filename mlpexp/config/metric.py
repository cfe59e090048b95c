"""What settings are ranked by: a metric of a split, named as its TensorBoard tag."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlpexp.errors import ConfigError, unknown

SCORES = ("accuracy", "r2")
# The metrics besides the scores; lower is better.
LOSSES = ("loss", "calibration_error")
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
        return self.name not in LOSSES

    @property
    def percent(self) -> bool:
        return self.name in ("accuracy", "calibration_error")

    @property
    def words(self) -> str:
        """The metric in words: `test accuracy`."""
        return f"{self.split} {'R²' if self.name == 'r2' else self.name.replace('_', ' ')}"

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
        return _minus(
            f"{100 * value:.2f}" if self.percent else f"{value:.3g}" if self.name == "loss" else f"{value:.4f}"
        )

    def signed(self, difference: float) -> str:
        """A difference with its sign: of accuracies in percentage points."""
        text = self.shown(difference)
        return text if text.startswith("−") or not float(text) else f"+{text}"


def _minus(text: str) -> str:
    # What rounds to zero has no sign.
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


# Every metric that a run can have, by its tag.
METRICS = {f"{name}/{split}": Metric(name, split) for name in (*SCORES, *LOSSES) for split in SPLITS}


def check_tag(tag: str) -> None:
    """ConfigError where no run can have a metric named `tag`."""
    if tag not in METRICS:
        raise ConfigError(unknown(f"metric={tag}: no such metric", tag, METRICS))
