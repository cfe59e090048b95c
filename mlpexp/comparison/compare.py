"""From paths to a comparison: runs, settings, their ranks, and how far each is from the best or from a baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from mlpexp import markup
from mlpexp.comparison.claims import evaluate_claim
from mlpexp.comparison.closed_test import adjusted_pairs, holm, letters
from mlpexp.comparison.comparison import Comparison, Contrast
from mlpexp.comparison.datasets_table import datasets_rows, datasets_title
from mlpexp.comparison.effects import effects
from mlpexp.comparison.metric import choose_metric, default_name, score_names
from mlpexp.comparison.over_datasets import over_datasets
from mlpexp.comparison.runs import StoredRun, find_runs
from mlpexp.comparison.settings import WHICH_DATA, Blocks, Differences, Setting, blocks, group, without_repeats
from mlpexp.comparison.statistics import ALPHA, difference, p_values, simultaneous
from mlpexp.comparison.summary import Failed, Summary, find_setting, ranked, summarize
from mlpexp.comparison.table import settings_rows, settings_title
from mlpexp.comparison.verdict import verdict
from mlpexp.config.metric import Metric
from mlpexp.config.report import Report
from mlpexp.errors import ConfigError, unknown
from mlpexp.fields.convert import build
from mlpexp.run.record import NAME

# Of a verdict in a notebook's cell.
_MOST_SENTENCES = 5


@dataclass(frozen=True, repr=False)
class ShownComparison(Comparison):
    """A comparison that Jupyter shows as its table and its verdict."""

    def _repr_html_(self) -> str:
        claims = [judgement.words for judgement in self.judgements]
        parts = []
        for name, each in self.datasets.items():
            parts += [markup.title(f"{name}: {settings_title(each)}"), markup.table(settings_rows(each))]
            parts.append(markup.folded("verdict", markup.lines(verdict(each, most=_MOST_SENTENCES))))
        if self.over_datasets is None:
            parts += [markup.title(settings_title(self)), markup.table(settings_rows(self))]
        else:
            title = datasets_title(self.over_datasets, self.metric, self.ranking)
            parts += [markup.title(title), markup.table(datasets_rows(self.over_datasets, self.metric))]
        return "".join([*parts, markup.lines(verdict(self, most=_MOST_SENTENCES)), markup.lines(claims)])


def compare(
    paths: Sequence[str | Path] | str | Path,
    baseline: str | None = None,
    metric: str | None = None,
    failed: Failed = "constant",
    worth: float | None = None,
) -> Comparison:
    """Compares all runs in and below `paths`.

    `baseline` names a setting by enough of its keys (`activation=relu`), `metric` a tag (`accuracy/val`); without
    them the runs' own `report` says, else the best setting is the reference, and the score on the test split is
    compared. Settings are ranked by it on the validation split. `worth` is the least difference that matters, in the
    unit that the metric is shown in: 0.2 are points of a per cent, where it is a share.
    A run that diverged counts as what a constant answer scores, or not at all where `failed` is "ignore". Of each run
    only run.json is read, and metrics.csv where a claim speaks of it.
    """
    if failed not in get_args(Failed):
        raise ConfigError(unknown(f"failed={failed}: no such choice", failed, get_args(Failed)))
    runs, notes = find_runs([paths] if isinstance(paths, str | Path) else paths)
    report = report_of(runs)
    chosen = own_metric(runs, report) if metric is None else choose_metric(runs, metric)
    if worth is not None and not (math.isfinite(worth) and worth > 0):
        raise ConfigError(f"worth={worth:g}: must be greater than 0.")
    return compare_runs(runs, notes, baseline, chosen, report, failed, worth)


def own_metric(runs: Sequence[StoredRun], report: Report) -> Metric:
    """The metric that the runs' own report names; the score, where it names none that they have measured."""
    if report.metric is not None:
        with suppress(ConfigError):
            return choose_metric(runs, report.metric)
    return choose_metric(runs, None)


def report_of(runs: Sequence[StoredRun]) -> Report:
    """What the runs are to show, where they agree on it; an empty report where they do not."""
    first, *others = [run.record.config.get("report") for run in runs]
    if not first or any(other != first for other in others):
        return Report()
    try:
        return build(Report, first, "report")
    except ConfigError as error:
        raise ConfigError(f"{runs[0].directory / NAME}: {error}") from None


def compare_runs(
    runs: Sequence[StoredRun],
    notes: Sequence[str],
    baseline: str | None,
    metric: Metric,
    report: Report,
    failed: Failed = "constant",
    worth: float | None = None,
) -> Comparison:
    """Groups, ranks and tests; `notes` are earlier notes on the runs."""
    groups, found = group(runs)
    n_repeats = 0
    for label, (setting, members) in groups.items():
        kept, n_left_out = without_repeats(members)
        n_repeats += n_left_out
        groups[label] = setting, kept
    apart = blocks(groups, found)
    by_dataset = apart.groups if apart else {"": groups}
    parts = {
        name: [summarize(setting, members, metric, failed) for setting, members in settings.values()]
        for name, settings in by_dataset.items()
    }
    summaries = [summary for part in parts.values() for summary in part]
    ranking = _ranking(summaries, metric)
    parts = {name: ranked(part, ranking) for name, part in parts.items()}
    worth = None if worth is None else worth / 100 if metric.percent else worth
    if apart:
        comparison = _over_datasets(parts, apart, found, baseline, metric, ranking, report, worth)
    else:
        (summaries,) = parts.values()
        named = find_setting(summaries, baseline) if baseline is not None else _own_baseline(summaries, report)
        comparison = _within(summaries, found, named, metric, ranking, report, worth)
    of_runs = _notes(runs, comparison, n_repeats)
    divergence = _divergence(comparison.summaries, metric)
    return replace(
        comparison,
        notes=[*notes, *of_runs, *_undefined(runs, metric), *divergence, *_worth(comparison)],
        judgements=[evaluate_claim(claim, comparison.summaries) for claim in report.claims],
    )


def _within(
    summaries: list[Summary],
    found: Differences,
    named: Summary | None,
    metric: Metric,
    ranking: Metric,
    report: Report,
    worth: float | None,
) -> Comparison:
    """Settings, ranked, against the one that is `named`, or else the best: without notes and claims."""
    reference = named or next(
        (summary for summary in summaries if summary.runs and len(summary.counted) > 1), summaries[0]
    )
    contrasts, n_tests, shared = _contrasts(summaries, reference, metric, chosen=named is None)
    return ShownComparison(
        metric=metric,
        ranking=ranking,
        differences=found,
        summaries=summaries,
        reference=reference if any(summary.runs for summary in summaries) else None,
        baseline=named is not None,
        contrasts=contrasts,
        n_tests=n_tests,
        letters=shared,
        effects=effects(summaries, found.keys, metric),
        notes=[],
        report=report,
        worth=worth,
        judgements=[],
    )


def _over_datasets(
    parts: dict[str, list[Summary]],
    apart: Blocks,
    found: Differences,
    baseline: str | None,
    metric: Metric,
    ranking: Metric,
    report: Report,
    worth: float | None,
) -> Comparison:
    """Datasets as blocks: the settings on each are compared there, and then over all."""
    named = _baselines(parts, baseline, report)
    datasets = {
        name: _within(summaries, apart.within, named.get(name), metric, ranking, report, worth)
        for name, summaries in parts.items()
    }
    label = next(iter(named.values())).label if named else None
    return ShownComparison(
        metric=metric,
        ranking=ranking,
        differences=found,
        summaries=[
            replace(summary, setting=_whole(found, apart.chosen[name] | summary.setting.values))
            for name, of_dataset in datasets.items()
            for summary in of_dataset.summaries
        ],
        reference=None,
        baseline=bool(named),
        contrasts=[],
        n_tests=0,
        letters={},
        effects=[],
        notes=[],
        report=report,
        judgements=[],
        worth=worth,
        datasets=datasets,
        over_datasets=over_datasets(parts, metric, ranking, label),
    )


def _whole(found: Differences, values: dict[str, str]) -> Setting:
    return Setting({key: values[key] for key in found.keys})


def _baselines(parts: dict[str, list[Summary]], baseline: str | None, report: Report) -> dict[str, Summary]:
    """The baseline on each dataset that has it; ConfigError where the user names one that none has."""
    if baseline is None:
        own = {name: _own_baseline(summaries, report) for name, summaries in parts.items()}
        return {name: summary for name, summary in own.items() if summary is not None}
    if any(word.partition("=")[0].strip() in WHICH_DATA for word in baseline.split(",")):
        raise ConfigError(f"--baseline={baseline}: settings are compared on each dataset; leave out which it is.")
    found: dict[str, Summary] = {}
    errors = []
    for name, summaries in parts.items():
        try:
            found[name] = find_setting(summaries, baseline)
        except ConfigError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found


def _own_baseline(summaries: Sequence[Summary], report: Report) -> Summary | None:
    """The setting that the runs themselves are to be compared with, if it is among them."""
    if report.baseline is None:
        return None
    try:
        return find_setting(summaries, report.baseline)
    except ConfigError:
        # The user may have left it out of the sweep.
        return None


def _ranking(summaries: Sequence[Summary], metric: Metric) -> Metric:
    """What settings are ranked by: the metric on validation rows, where it is one of test rows, and all have it there.

    The test split then says of the best setting what it says of any other, since it has not chosen it.
    """
    val = Metric(metric.name, "val")
    values = [value for summary in summaries for value in summary.values(val).values()]
    return val if metric.split == "test" and all(map(math.isfinite, values)) else metric


def _contrasts(
    summaries: Sequence[Summary], reference: Summary, metric: Metric, chosen: bool
) -> tuple[list[Contrast], int, dict[str, str]]:
    """Each setting that has a value against the reference, the number of tests that p counts, and shared letters.

    A baseline is named beforehand: the tests are those against it. The best setting is `chosen` by the same runs
    that it is then tested on, and the largest of many differences is large even where all settings are equal: with six
    equal settings of ten seeds, one comparison in ten was a false alarm when only the five tests shown were corrected
    for. So all pairs of settings count then, which holds whichever of them turns out best.
    """
    if not any(summary.runs for summary in summaries):
        return [], 0, {}
    # The reference stands first: the first pairs are those of the contrasts shown.
    others = [summary for summary in summaries if summary.counted and summary is not reference]
    compared = [reference, *others]
    values = [summary.values(metric) for summary in compared]
    repeats = sorted({repeat for by_repeat in values for repeat in by_repeat})
    table = np.array([[by_repeat.get(repeat, np.nan) for repeat in repeats] for by_repeat in values])
    overlaps = np.array([summary.repetition(metric).overlap for summary in compared])
    rows = range(len(table)) if chosen else range(1)
    p = np.concatenate([p_values(table[i + 1 :], table[i], np.maximum(overlaps[i + 1 :], overlaps[i])) for i in rows])
    adjusted = adjusted_pairs(p, len(table)) if chosen else holm(p)
    n_tests = int(np.isfinite(p).sum())
    contrasts = []
    for summary, row, of_pair, overlap in zip(others, table[1:], adjusted, overlaps[1:], strict=False):
        found = difference(row, table[0], overlap=max(overlap, overlaps[0]))
        interval = simultaneous(found, bool(of_pair <= ALPHA), n_tests)
        contrasts.append(Contrast(summary, found, None if np.isnan(of_pair) else float(of_pair), interval))
    return contrasts, n_tests, _letters(summaries, compared, adjusted) if chosen and n_tests > 1 else {}


def _letters(summaries: Sequence[Summary], compared: Sequence[Summary], adjusted: np.ndarray) -> dict[str, str]:
    """The letters of the settings that were compared, in the order in which all are ranked."""
    rank = [next(at for at, summary in enumerate(compared) if summary is one) for one in summaries if one.counted]
    different = np.zeros((len(compared), len(compared)), bool)
    different[np.triu_indices(len(compared), 1)] = adjusted <= ALPHA
    different |= different.T
    found = letters(different[np.ix_(rank, rank)])
    return {compared[at].label: letter for at, letter in zip(rank, found, strict=True)}


def _worth(comparison: Comparison) -> list[str]:
    if comparison.worth is None or comparison.over_datasets is None:
        return []
    return ["--worth holds within each dataset; over datasets it does not, where units differ."]


def _divergence(summaries: Sequence[Summary], metric: Metric) -> list[str]:
    """How runs that diverged are counted."""
    diverged = [run for summary in summaries for run in summary.diverged]
    if not diverged:
        return []
    of = f"{len(diverged)} of {sum(summary.n_trained for summary in summaries)} runs diverged"
    if summaries[0].failed == "ignore":
        return [f"{of} and {'is' if len(diverged) == 1 else 'are'} left out (--failed ignore)."]
    scores = " or ".join(sorted({metric.shown(run.constant_value(metric)) for run in diverged}))
    counts, them = ("it counts", "it") if len(diverged) == 1 else ("each counts", "them")
    return [
        f"{of}: {counts} as the best constant answer ({metric.words} {scores}{' %' * metric.percent}); "
        f"--failed ignore leaves {them} out."
    ]


def _undefined(runs: Sequence[StoredRun], metric: Metric) -> list[str]:
    """Why runs have no value of the metric, and how they are counted; or why the loss ranks them."""
    n_runs = len(runs)
    if reasons := _reasons(runs, metric):
        verb, they = ("has", "it is") if len(reasons) == 1 else ("have", "they are")
        return [f"{len(reasons)} of {n_runs} runs {verb} no {metric.words}, since {reasons[0]}: {they} left out."]
    default = Metric(default_name(runs), metric.split)
    if metric.name == "loss" and len(reasons := _reasons(runs, default)) == n_runs:
        return [f"No run has a {default.words}, since {reasons[0]}: settings are ranked by the loss."]
    return []


def _reasons(runs: Sequence[StoredRun], metric: Metric) -> list[str]:
    return [why for run in runs if (why := run.why_undefined(metric)) is not None]


def _notes(runs: Sequence[StoredRun], comparison: Comparison, n_repeats: int) -> list[str]:
    """What a reader must know before trusting the ranks."""
    notes = []
    if n_repeats:
        what = (
            "1 run repeats a setting and a seed" if n_repeats == 1 else f"{n_repeats} runs repeat a setting and a seed"
        )
        notes.append(f"{what}: of such runs only the last one started counts.")
    # Within each dataset, where there are several.
    keys = [key for key in comparison.keys if not comparison.datasets or key not in WHICH_DATA]
    data = [key for key in keys if key.split(".")[0] == "dataset"]
    if data:
        notes.append(f"Settings differ in their data ({', '.join(data)}): so may the best possible score.")
    losses = any(key.split(".")[0] == "loss" for key in keys)
    mixed = not comparison.datasets and len(score_names(runs)) > 1
    if comparison.metric.name == "loss" and (losses or mixed):
        notes.append("Settings are trained with different losses: their values are not on one scale; ranks say little.")
    return notes
