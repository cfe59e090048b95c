"""What a comparison has found: settings, their ranks, and each against a reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlpexp.comparison.claims import Judgement
from mlpexp.comparison.effects import Effect
from mlpexp.comparison.over_datasets import OverDatasets
from mlpexp.comparison.settings import Differences
from mlpexp.comparison.statistics import ALPHA, Difference
from mlpexp.comparison.summary import Summary
from mlpexp.config.metric import Metric
from mlpexp.config.report import Report
from mlpexp.errors import pluralize


@dataclass(frozen=True)
class Contrast:
    """A setting against the reference; `p` is adjusted for all tests, `interval` holds for all of them together."""

    summary: Summary
    difference: Difference
    p: float | None
    interval: tuple[float, float] | None

    @property
    def decided(self) -> bool:
        """Whether the difference is more than noise."""
        return self.p is not None and self.p <= ALPHA


@dataclass(frozen=True)
class Comparison:
    """Settings, best first, and each against a reference.

    That is the baseline that the user named, else the best setting of those with more than one seed: from a single
    one nothing can be tested. Settings are ranked by `ranking`, on validation rows where `metric` is of test rows.
    """

    metric: Metric
    ranking: Metric
    differences: Differences
    summaries: list[Summary]
    reference: Summary | None  # None where no run has a result
    baseline: bool
    contrasts: list[Contrast]
    n_tests: int  # that the adjusted p-values count
    letters: dict[str, str]  # by label: settings that share a letter are not told apart; empty against a baseline
    effects: list[Effect]  # of a full grid, before its pairs
    notes: list[str]
    report: Report  # what the runs are to show
    judgements: list[Judgement]
    worth: float | None = None  # the least difference that matters, in the unit of the metric's values
    datasets: Mapping[str, Comparison] = field(default_factory=dict)
    over_datasets: OverDatasets | None = None

    def __repr__(self) -> str:
        n_runs = sum(len(summary.counted) for summary in self.summaries)
        what = f"{pluralize(len(self.summaries), 'setting')}, {pluralize(n_runs, 'run')}, by {self.metric.words}"
        if self.over_datasets is not None:
            n, of_each = len(self.over_datasets.standings), pluralize(len(self.datasets), "dataset")
            return f"<Comparison: {pluralize(n, 'setting')} on {of_each}, {what.split(', ', 1)[1]}>"
        found = self.best.estimate(self.metric) if self.best is not None else None
        if self.best is None or found is None:
            return f"<Comparison: {what}; no result yet>"
        unit = " %" * self.metric.percent
        return f"<Comparison: {what}; best mean {self.metric.shown(found.mean)}{unit}: {self.best.label}>"

    @property
    def keys(self) -> list[str]:
        """The keys that differ between settings."""
        return self.differences.keys

    @property
    def chosen(self) -> bool:
        """Whether the runs themselves have chosen the reference: then p counts all pairs of settings."""
        return not self.baseline

    @property
    def best(self) -> Summary | None:
        return self.summaries[0] if self.summaries[0].runs and not self.datasets else None
