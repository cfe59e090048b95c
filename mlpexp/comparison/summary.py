"""What became of the runs of one setting: metrics over seeds, time, failures.

A run that diverged is a result too, and a bad one: left out, a setting would be ranked by its lucky seeds. It counts
as what a constant answer scores on its data, also where earlier weights were better.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlpexp.comparison.repetition import Repetition, repetition
from mlpexp.comparison.runs import Repeat, StoredRun
from mlpexp.comparison.settings import Setting
from mlpexp.comparison.statistics import Estimate, estimate
from mlpexp.config.metric import Metric
from mlpexp.errors import ConfigError, unknown

# How runs that diverged count: as a constant answer, or not at all.
Failed = Literal["constant", "ignore"]


@dataclass(frozen=True)
class MissingResult:
    """A run that has no result, and why."""

    run: StoredRun
    reason: str


@dataclass(frozen=True)
class Summary:
    """A setting and its runs, at most one a seed."""

    setting: Setting
    runs: list[StoredRun]  # those that have a result, by seed
    failures: list[MissingResult]
    unfinished: list[MissingResult]  # still running, or interrupted
    undefined: list[MissingResult]  # completed, and the metric is not defined on their data
    diverged: list[StoredRun]  # of the failures: those without a finite loss or metric, by seed
    failed: Failed = "constant"

    @property
    def label(self) -> str:
        return self.setting.label

    @property
    def n_trained(self) -> int:
        """How many seeds completed or diverged."""
        return len(self.runs) + len(self.diverged)

    @property
    def left_out(self) -> list[StoredRun]:
        """The runs that diverged, where these do not count."""
        return self.diverged if self.failed == "ignore" else []

    @property
    def counted(self) -> list[StoredRun]:
        """The runs that a mean is over, by seed: those with a result, and those that count as a constant answer."""
        stand_ins = self.diverged if self.failed == "constant" else []
        return sorted([*self.runs, *stand_ins], key=lambda run: run.repeat)

    @property
    def seeds(self) -> list[int]:
        return [run.record.seed for run in self.counted]

    def values(self, metric: Metric) -> dict[Repeat, float]:
        """The metric by seed and fold; nan where a run has no value."""
        value = StoredRun.counted_value if self.failed == "constant" else StoredRun.value
        return {run.repeat: value(run, metric) for run in self.counted}

    def repetition(self, metric: Metric) -> Repetition:
        """What a mean over the runs that count is a mean over."""
        return repetition(self.counted, metric)

    def estimate(self, metric: Metric) -> Estimate | None:
        """The mean over the runs that count; None without any."""
        values = [value for value in self.values(metric).values() if math.isfinite(value)]
        return estimate(values, overlap=self.repetition(metric).overlap) if values else None

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


def summarize(setting: Setting, runs: Sequence[StoredRun], metric: Metric, failed: Failed = "constant") -> Summary:
    """The runs of a setting by what became of them.

    One that completed without a finite `metric` has failed, unless the metric is not defined on its data.
    """
    good: list[StoredRun] = []
    failures: list[MissingResult] = []
    unfinished: list[MissingResult] = []
    undefined: list[MissingResult] = []
    diverged: list[StoredRun] = []
    for run in sorted(runs, key=lambda run: run.repeat):
        state, reason = run.record.state, run.record.reason
        if state == "failed":
            failures.append(MissingResult(run, reason or "failed"))
            if run.record.diverged:
                diverged.append(run)
        elif state != "completed":
            unfinished.append(MissingResult(run, reason or ("has not ended" if state == "running" else state)))
        elif math.isfinite(run.value(metric)):
            good.append(run)
        elif (why := run.why_undefined(metric)) is not None:
            undefined.append(MissingResult(run, why))
        else:
            failures.append(MissingResult(run, f"it has no finite {metric.tag}"))
            if math.isfinite(run.constant_value(metric)):
                diverged.append(run)
    return Summary(setting, good, failures, unfinished, undefined, diverged, failed)


def ranked(summaries: Sequence[Summary], metric: Metric) -> list[Summary]:
    """Best first by the mean of the metric; where it is equal, the least loss on that split.

    Settings of which no run has a result come last, those without any value after those whose runs all diverged.
    """
    loss = Metric("loss", metric.split)

    def badness(summary: Summary) -> tuple[bool, bool, float, float]:
        found, lost = summary.estimate(metric), summary.estimate(loss)
        value = found.mean if found else 0.0
        return (
            found is None,
            not summary.runs,
            -value if metric.higher_is_better else value,
            lost.mean if lost else math.inf,
        )

    return sorted(summaries, key=badness)


def find_setting(summaries: Sequence[Summary], words: str, asker: str = "--baseline=") -> Summary:
    """The one setting that `words`, such as `activation=relu,init=default`, describes; ConfigError for none or many.

    `asker` stands before the words in the error.
    """
    given = f"{asker}{words}"
    keys = list(summaries[0].setting.values)
    if not keys:
        raise ConfigError(f"{given}: there is one setting only, since nothing but seeds differs between these runs.")
    found = list(summaries)
    for key, value in _pairs(words, given):
        if key not in keys:
            raise ConfigError(unknown(f"{given}: {key} does not differ between these runs", key, keys))
        values = {summary.setting.values[key] for summary in summaries}
        if not any(_equal(value, other) for other in values):
            raise ConfigError(unknown(f"{given}: no run has {key}={value}", value, values))
        found = [summary for summary in found if _equal(value, summary.setting.values[key])]
    if not found:
        raise ConfigError(f"{given}: no run has all of these.")
    if len(found) > 1:
        undecided = [key for key in keys if len({summary.setting.values[key] for summary in found}) > 1]
        raise ConfigError(f"{given}: describes {len(found)} settings; say also which {' and '.join(undecided)}.")
    if not found[0].counted:
        raise ConfigError(f"{given}: none of its runs has a result to compare with.")
    return found[0]


def _pairs(words: str, given: str) -> list[tuple[str, str]]:
    """`a=1, b=[2,3]` as pairs; commas in brackets belong to the value."""
    pairs = []
    for word in re.split(r",(?![^\[]*\])", words):
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{given}: must be key=value, or several with commas between, such as activation=relu.")
        pairs.append((key.strip(), value.strip()))
    return pairs


def _equal(value: str, other: str) -> bool:
    """Whether two values are the same text, or the same number: 1e-3 and 0.001."""
    try:
        return value == other or float(value) == float(other)
    except ValueError:
        # Spaces within lists make no difference.
        return value.replace(" ", "") == other.replace(" ", "")
