"""Which metric ranks the settings of some runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpexp.comparison.runs import StoredRun
from mlpexp.config.metric import KINDS, METRICS, SCORES, SPLITS, Metric
from mlpexp.errors import ConfigError, unknown


def score_names(runs: Sequence[StoredRun]) -> list[str]:
    """Which of accuracy and r2 the runs have measured: one, unless classification and regression are mixed."""
    return [name for name in SCORES if _measured(runs, name)]


def _measured(runs: Sequence[StoredRun], name: str) -> bool:
    return any(name in part for run in runs for part in _splits(run))


def _splits(run: StoredRun) -> list[dict[str, float]]:
    parts: list[Any] = [*run.record.metrics.values(), *run.record.constant.values()]
    return [part for part in parts if isinstance(part, dict)]


def default_name(runs: Sequence[StoredRun]) -> str:
    """What ranks the runs where nothing else is said: the score of their task."""
    return next(iter(score_names(runs)), "loss")


def choose_metric(runs: Sequence[StoredRun], tag: str | None) -> Metric:
    """The metric named `tag`; without one the default on the test split, or the loss where no run has that."""
    scores = score_names(runs)
    if tag is None:
        if len(scores) > 1:
            raise ConfigError(
                "these runs measure accuracy and r2, which cannot be ranked together: compare classification and "
                "regression apart, or choose --metric loss/test."
            )
        default = Metric(default_name(runs), "test")
        return Metric("loss", "test") if all(run.why_undefined(default) for run in runs) else default
    names = {"loss", *(scores or SCORES), *(name for name in KINDS if _measured(runs, name))}
    choices = [f"{name}/{split}" for name in names for split in SPLITS]
    if tag not in choices:
        raise ConfigError(unknown(f"--metric={tag}: no such metric of these runs", tag, choices))
    return METRICS[tag]
