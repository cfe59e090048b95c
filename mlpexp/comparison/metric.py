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
    """What ranks the runs where nothing else is said: what picked their best epochs, else the score of their task."""
    return _own_name(runs) or next(iter(score_names(runs)), "loss")


def _own_name(runs: Sequence[StoredRun]) -> str | None:
    """The metric that the runs' own configs name, where they agree on it and have it."""
    names = [run.record.config.get("metric") for run in runs]
    first = names[0]
    # run.json is read from disk: what lies within its config has not been checked.
    known = isinstance(first, str) and first in KINDS and _measured(runs, first)
    return first if known and names.count(first) == len(names) else None


def choose_metric(runs: Sequence[StoredRun], tag: str | None) -> Metric:
    """The metric named `tag`; without one the default on the test split, or the loss where no run has that."""
    scores = score_names(runs)
    if tag is None:
        if len(scores) > 1 and _own_name(runs) is None:
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
