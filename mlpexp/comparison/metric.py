"""What settings are judged by: a metric of a split, named as its TensorBoard tag."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlpexp.comparison.runs import StoredRun
from mlpexp.errors import ConfigError, unknown

SCORES = ("accuracy", "r2")
# Besides the scores; the less of them the better.
LOSSES = ("loss", "calibration_error")
SPLITS = ("test", "val", "train")


@dataclass(frozen=True)
class Metric:
    """`accuracy/test` and its kin: the value that the best weights of a run reach."""

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
        """What a reader is shown: `test accuracy`."""
        return f"{self.split} {'R²' if self.name == 'r2' else self.name.replace('_', ' ')}"

    @property
    def title(self) -> str:
        """The words with the unit of `shown`: `test accuracy (%)`."""
        return f"{self.words} (%)" if self.percent else self.words

    def of(self, run: StoredRun) -> float:
        """The run's value; nan where it has none, or none that is finite."""
        return self._in(run.record.metrics)

    def of_constant(self, run: StoredRun) -> float:
        """What the best constant answer scores on the run's data; nan where run.json does not say."""
        return self._in(run.record.constant)

    def counted(self, run: StoredRun) -> float:
        """What the run counts as: its value, or that of a constant answer where it has none that is finite."""
        value = self.of(run)
        return value if math.isfinite(value) else self.of_constant(run)

    def _in(self, by_split: Mapping[str, Any]) -> float:
        # run.json is read from disk: what lies within its mappings has not been checked.
        metrics: Any = by_split.get(self.split)
        value: Any = metrics.get(self.name) if isinstance(metrics, dict) else None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if number and math.isfinite(value) else math.nan

    def undefined(self, run: StoredRun) -> bool:
        """Whether a run that was judged has no such value: R², where the targets of the split do not vary."""
        measured: Any = run.record.metrics.get(self.split)
        return self.name == "r2" and isinstance(measured, dict) and measured.get("r2", 0.0) is None

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


def score_names(runs: Sequence[StoredRun]) -> list[str]:
    """Which of accuracy and r2 the runs have measured: one, unless classification and regression are mixed."""
    return [name for name in SCORES if _measured(runs, name)]


def _measured(runs: Sequence[StoredRun], name: str) -> bool:
    return any(name in part for run in runs for part in _splits(run))


def _splits(run: StoredRun) -> list[dict[str, float]]:
    parts: list[Any] = [*run.record.metrics.values(), *run.record.constant.values()]
    return [part for part in parts if isinstance(part, dict)]


def check_tag(tag: str) -> None:
    """ConfigError where no run can have a metric named `tag`."""
    choices = [f"{name}/{split}" for name in (*SCORES, *LOSSES) for split in SPLITS]
    if tag not in choices:
        raise ConfigError(unknown(f"metric={tag}: no such metric", tag, choices))


def choose_metric(runs: Sequence[StoredRun], tag: str | None) -> Metric:
    """The metric named `tag`; without one the score on the test split, or the loss where no run has that score."""
    scores = score_names(runs)
    if tag is None:
        if len(scores) > 1:
            raise ConfigError(
                "these runs measure accuracy and r2, which cannot be ranked together: compare classification and "
                "regression apart, or choose --metric loss/test."
            )
        score = Metric(scores[0] if scores else "loss", "test")
        return Metric("loss", "test") if all(score.undefined(run) for run in runs) else score
    others = [name for name in LOSSES if name == "loss" or _measured(runs, name)]
    choices = [f"{name}/{split}" for name in (*(scores or SCORES), *others) for split in SPLITS]
    if tag not in choices:
        raise ConfigError(unknown(f"--metric={tag}: no such metric of these runs", tag, choices))
    name, split = tag.split("/")
    return Metric(name, split)
