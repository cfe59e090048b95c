"""From paths to a comparison: runs, settings, their ranks, and how far each is from the best or from a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlpexp.comparison.baseline import find_setting
from mlpexp.comparison.metric import Metric, choose_metric, score_names
from mlpexp.comparison.runs import StoredRun, find_runs
from mlpexp.comparison.settings import Differences, group, without_repeats
from mlpexp.comparison.statistics import PairedDifference, holm, p_values, paired_difference
from mlpexp.comparison.summary import Summary, ranked, summarize


@dataclass(frozen=True)
class Contrast:
    """A setting against the reference, over the seeds that both have; `p` is adjusted by Holm's correction."""

    summary: Summary
    difference: PairedDifference
    p: float | None


@dataclass(frozen=True)
class Comparison:
    """Settings, best first, and each against a reference: the best of them, or the baseline that the user named."""

    metric: Metric
    differences: Differences
    summaries: list[Summary]
    reference: Summary | None  # None where no run has a result
    baseline: bool
    contrasts: list[Contrast]
    n_tests: int  # that Holm's correction counts
    notes: list[str]

    @property
    def keys(self) -> list[str]:
        """The keys that differ between settings."""
        return self.differences.keys

    @property
    def best(self) -> Summary | None:
        return self.summaries[0] if self.summaries[0].runs else None


def compare(
    paths: Sequence[str | Path] | str | Path, baseline: str | None = None, metric: str | None = None
) -> Comparison:
    """Compares all runs in and below `paths`.

    `baseline` names a setting by enough of its keys (`activation=relu`), `metric` a tag (`accuracy/val`); without
    them the best setting is the reference, and the score on the test split decides. Only run.json files are read.
    """
    runs, notes = find_runs([paths] if isinstance(paths, str | Path) else paths)
    return compare_runs(runs, notes, baseline, choose_metric(runs, metric))


def compare_runs(runs: Sequence[StoredRun], notes: Sequence[str], baseline: str | None, metric: Metric) -> Comparison:
    """Groups, ranks and tests; `notes` are what was to be said of the runs already."""
    groups, found = group(runs)
    summaries = []
    n_repeats = 0
    for setting, members in groups.values():
        kept, n_left_out = without_repeats(members)
        n_repeats += n_left_out
        summaries.append(summarize(setting, kept, metric))
    summaries = ranked(summaries, metric)
    reference = summaries[0] if baseline is None else find_setting(summaries, baseline)
    contrasts, n_tests = _contrasts(summaries, reference, metric, chosen=baseline is None)
    return Comparison(
        metric=metric,
        differences=found,
        summaries=summaries,
        reference=reference if reference.runs else None,
        baseline=baseline is not None,
        contrasts=contrasts,
        n_tests=n_tests,
        notes=[*notes, *_notes(runs, found, metric, n_repeats)],
    )


def _contrasts(
    summaries: Sequence[Summary], reference: Summary, metric: Metric, chosen: bool
) -> tuple[list[Contrast], int]:
    """Each setting that has runs against the reference, and the number of tests that were corrected for.

    A baseline is named beforehand: the tests are those against it. The best setting is `chosen` by the same runs
    that it is then tested on, and the greatest of many differences is great even where there is none: with six equal
    settings of ten seeds one false alarm in ten comparisons came out of correcting for the five tests shown. So all
    pairs of settings count then, which holds whichever of them turns out best.
    """
    summaries = [summary for summary in summaries if summary.runs]
    if not reference.runs:
        return [], 0
    seeds = sorted({seed for summary in summaries for seed in summary.seeds})
    table = np.array([[summary.values(metric).get(seed, np.nan) for seed in seeds] for summary in summaries])
    at = summaries.index(reference)
    others = [i for i in range(len(summaries)) if i != at]
    if chosen:
        # The best stands first: the first row of pairs is that of the contrasts shown.
        p = np.concatenate([p_values(table[i + 1 :], table[i]) for i in range(len(summaries))])
    else:
        p = p_values(table[others], table[at])
    adjusted = holm(p)
    contrasts = []
    for i, corrected in zip(others, adjusted, strict=False):
        difference = paired_difference(table[i], table[at])
        contrasts.append(Contrast(summaries[i], difference, None if np.isnan(corrected) else float(corrected)))
    return contrasts, int(np.isfinite(p).sum())


def _notes(runs: Sequence[StoredRun], found: Differences, metric: Metric, n_repeats: int) -> list[str]:
    """What a reader must know before trusting the ranks."""
    notes = []
    if n_repeats:
        what = (
            "1 run repeats a setting and a seed" if n_repeats == 1 else f"{n_repeats} runs repeat a setting and a seed"
        )
        notes.append(f"{what}: of such runs only the last one started counts.")
    data = [key for key in found.keys if key.split(".")[0] == "dataset"]
    if data:
        notes.append(f"Settings differ in their data ({', '.join(data)}): so may what can be reached at all.")
    if metric.name == "loss" and ("loss" in found.keys or len(score_names(runs)) > 1):
        notes.append("Settings are trained with different losses: their values are not on one scale, nor are ranks.")
    return notes
