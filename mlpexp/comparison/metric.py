"""Which metric ranks the settings of some runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpexp.comparison.runs import StoredRun
from mlpexp.config.metric import LOSSES, METRICS, SCORES, SPLITS, Metric
from mlpexp.errors import ConfigError, unknown


def score_names(runs: Sequence[StoredRun]) -> list[str]:
    """Which of accuracy and r2 the runs have measured: one, unless classification and regression are mixed."""
    return [name for name in SCORES if _measured(runs, name)]


def _measured(runs: Sequence[StoredRun], name: str) -> bool:
    return any(name in part for run in runs for part in _splits(run))


def _splits(run: StoredRun) -> list[dict[str, float]]:
    parts: list[Any] = [*run.record.metrics.values(), *run.record.constant.values()]
    return [part for part in parts if isinstance(part, dict)]


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
        return Metric("loss", "test") if all(run.lacks_variance(score) for run in runs) else score
    others = [name for name in LOSSES if name == "loss" or _measured(runs, name)]
    choices = [f"{name}/{split}" for name in (*(scores or SCORES), *others) for split in SPLITS]
    if tag not in choices:
        raise ConfigError(unknown(f"--metric={tag}: no such metric of these runs", tag, choices))
    return METRICS[tag]
