"""What became of the runs of one setting: metrics over seeds, time, failures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlpexp.comparison.metric import Metric
from mlpexp.comparison.runs import StoredRun
from mlpexp.comparison.settings import Setting
from mlpexp.comparison.statistics import Estimate, estimate


@dataclass(frozen=True)
class Lost:
    """A run that has no result, and why."""

    run: StoredRun
    reason: str


@dataclass(frozen=True)
class Summary:
    """A setting and its runs, at most one a seed."""

    setting: Setting
    runs: list[StoredRun]  # those that have a result, by seed
    failures: list[Lost]
    unfinished: list[Lost]  # still running, or interrupted
    undefined: list[Lost]  # completed, and the metric is not defined on their data

    @property
    def label(self) -> str:
        return self.setting.label

    @property
    def seeds(self) -> list[int]:
        return [run.record.seed for run in self.runs]

    def values(self, metric: Metric) -> dict[int, float]:
        """The metric by seed; nan where a run lacks it."""
        return {run.record.seed: metric.of(run) for run in self.runs}

    def estimate(self, metric: Metric) -> Estimate | None:
        """The mean over the runs that have the metric; None without any."""
        return estimate([value for value in self.values(metric).values() if math.isfinite(value)])

    @property
    def seconds(self) -> float | None:
        """Mean seconds a run took."""
        return _mean([run.record.seconds for run in self.runs])

    @property
    def epochs(self) -> float | None:
        """Mean number of epochs a run went on for."""
        return _mean([run.record.epochs_done for run in self.runs])


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def summarize(setting: Setting, runs: Sequence[StoredRun], metric: Metric) -> Summary:
    """The runs of a setting by what became of them.

    One that completed without a finite `metric` has failed, unless the metric is not defined on its data.
    """
    good: list[StoredRun] = []
    failures: list[Lost] = []
    unfinished: list[Lost] = []
    undefined: list[Lost] = []
    for run in sorted(runs, key=lambda run: run.record.seed):
        state, reason = run.record.state, run.record.reason
        if state == "failed":
            failures.append(Lost(run, reason or "failed"))
        elif state != "completed":
            unfinished.append(Lost(run, reason or ("has not ended" if state == "running" else state)))
        elif math.isfinite(metric.of(run)):
            good.append(run)
        elif metric.undefined(run):
            undefined.append(Lost(run, f"the targets of its {metric.split} split do not vary"))
        else:
            failures.append(Lost(run, f"it has no finite {metric.tag}"))
    return Summary(setting, good, failures, unfinished, undefined)


def ranked(summaries: Sequence[Summary], metric: Metric) -> list[Summary]:
    """Best first by the mean of the metric; where it is equal, the least loss on that split; without runs last."""
    loss = Metric("loss", metric.split)

    def badness(summary: Summary) -> tuple[bool, float, float]:
        found, lost = summary.estimate(metric), summary.estimate(loss)
        value = found.mean if found else 0.0
        return found is None, -value if metric.higher_is_better else value, lost.mean if lost else math.inf

    return sorted(summaries, key=badness)
