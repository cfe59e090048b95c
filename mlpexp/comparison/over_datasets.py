"""Settings over several datasets: each dataset is a block, which gives every setting one score, its mean over seeds.

The question is whether a difference holds on datasets like these, of which these are a sample (Demšar 2006). So the
number of datasets counts, not that of seeds: more seeds make each score more exact, and no more than that. What holds
on each of these datasets is what its own comparison says.

k settings, N datasets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlpexp.comparison.closed_test import adjusted_pairs, holm, letters
from mlpexp.comparison.settings import Setting
from mlpexp.comparison.statistics import (
    ALPHA,
    Difference,
    difference,
    has_spread,
    no_more_than_rounding,
    p_values,
    simultaneous,
)
from mlpexp.comparison.summary import Summary
from mlpexp.config.metric import Metric

# Of two datasets, one degree of freedom is left for how much differences vary from one to another.
FEWEST_DATASETS = 3


@dataclass(frozen=True)
class Standing:
    """A setting over datasets: its mean by dataset, where it has one, and its mean rank by the metric that ranks."""

    setting: Setting
    means: dict[str, float]
    mean_rank: float | None  # 1 is the best; None where no dataset has all settings

    @property
    def label(self) -> str:
        return self.setting.label


@dataclass(frozen=True)
class DatasetContrast:
    """A setting against the reference over datasets; `p` and `interval` as in a Contrast, `better` on how many."""

    standing: Standing
    difference: Difference
    p: float | None
    interval: tuple[float, float] | None
    better: int
    worse: int

    @property
    def decided(self) -> bool:
        """Whether the difference is more than noise."""
        return self.p is not None and self.p <= ALPHA


@dataclass(frozen=True)
class OverDatasets:
    """Settings by mean rank, best first, and each against the reference: the baseline, or else the best.

    Differences are in standard deviations of a seed where they are `scaled`, else in the metric's values.
    """

    names: list[str]
    standings: list[Standing]
    contrasts: list[DatasetContrast]
    n_tests: int
    letters: dict[str, str]  # by label; empty without a test, and against a baseline
    baseline: bool
    scaled: bool
    ranked_on: list[str]  # the datasets that all settings have
    without_spread: list[str]  # left out of the differences, where these are scaled
    survivors: bool  # runs that diverged are left out: nothing is tested

    @property
    def reference(self) -> Standing:
        """What the contrasts are against."""
        others = {contrast.standing.label for contrast in self.contrasts}
        return next(standing for standing in self.standings if standing.label not in others)


def over_datasets(
    datasets: Mapping[str, Sequence[Summary]], metric: Metric, ranking: Metric, baseline: str | None = None
) -> OverDatasets:
    """The settings over datasets, by the summaries of each; `baseline` is the label of one of them.

    Settings are ranked by their mean rank over the datasets that all have, by `ranking`. Mean ranks are shown, and not
    tested: whether two settings differ must not depend on which others there are (Benavoli et al. 2016).
    """
    settings = {summary.label: summary.setting for found in datasets.values() for summary in found}
    labels = list(settings)
    means, ranks = mean_table(datasets, labels, metric), mean_ranks(datasets, labels, ranking)
    ranked_on = [name for name, column in zip(datasets, ranks.T, strict=True) if np.isfinite(column).all()]
    rank = ranks[:, np.isfinite(ranks).all(0)].sum(1) / max(1, len(ranked_on))
    # Where no dataset has all settings, those that most have come first.
    order = np.argsort(rank if ranked_on else -np.isfinite(means).sum(1), kind="stable")
    standings = [
        Standing(
            settings[labels[at]],
            {name: mean for name, mean in zip(datasets, means[at].tolist(), strict=True) if math.isfinite(mean)},
            float(rank[at]) if ranked_on else None,
        )
        for at in order
    ]
    scale = seed_deviations(datasets, metric)
    scaled = bool(np.isfinite(scale).all())
    table, without_spread = means[order], []
    if scaled:
        table, lost = in_deviations(table, scale)
        without_spread = [name for name, left_out in zip(datasets, lost, strict=True) if left_out]
    survivors = any(summary.left_out for found in datasets.values() for summary in found)
    first = next((at for at, standing in enumerate(standings) if standing.label == baseline), 0)
    contrasts: list[DatasetContrast] = []
    shared: dict[str, str] = {}
    n_tests = 0
    if not survivors:
        contrasts, n_tests, shared = _contrasts(standings, table, first, metric, chosen=baseline is None)
    return OverDatasets(
        list(datasets), standings, contrasts, n_tests, shared, baseline is not None, scaled, ranked_on, without_spread,
        survivors,
    )  # fmt: skip


def mean_table(datasets: Mapping[str, Sequence[Summary]], labels: Sequence[str], metric: Metric) -> np.ndarray:
    """The mean of each setting on each dataset, [k, N]; nan where it has none."""
    table = np.full((len(labels), len(datasets)), np.nan)
    for column, summaries in enumerate(datasets.values()):
        for summary in summaries:
            values = _values(summary, metric)
            if values:
                table[labels.index(summary.label), column] = math.fsum(values) / len(values)
    return table


def mean_ranks(datasets: Mapping[str, Sequence[Summary]], labels: Sequence[str], metric: Metric) -> np.ndarray:
    """The rank of each setting on each dataset, [k, N]: 1 is the best, equal ones share the mean of their ranks."""
    table = (-1 if metric.higher_is_better else 1) * mean_table(datasets, labels, metric)
    less = (table[:, None] > table).sum(1)
    equal = (table[:, None] == table).sum(1)
    return np.where(np.isfinite(table), less + (equal + 1) / 2, np.nan)


def seed_deviations(datasets: Mapping[str, Sequence[Summary]], metric: Metric) -> np.ndarray:
    """The standard deviation of a seed on each dataset, [N], pooled over settings; nan where all have one seed.

    s² = Σ (nᵢ − 1) sᵢ² / Σ (nᵢ − 1). It says nothing of which setting is better, whatever the sizes of differences.
    """
    found = []
    for summaries in datasets.values():
        samples = [values for summary in summaries if len(values := _values(summary, metric)) > 1]
        squares = sum(float(np.var(values)) * len(values) for values in samples if has_spread(values))
        df = sum(len(values) - 1 for values in samples)
        found.append(math.sqrt(squares / df) if df else math.nan)
    return np.array(found)


def _values(summary: Summary, metric: Metric) -> list[float]:
    return [value for value in summary.values(metric).values() if math.isfinite(value)]


def in_deviations(table: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means [k, N] in deviations of a seed, and which datasets have none, [N]: there these are nan.

    Without spread over seeds a difference has no size in that unit. Where all settings score the same, it is 0.
    """
    centred = table - np.nanmean(np.where(np.isfinite(table).any(0), table, 0.0), 0)
    columns = zip(np.nan_to_num(centred).T, np.nan_to_num(table).T, strict=True)
    same = np.array([no_more_than_rounding(differences, means) for differences, means in columns])
    lost = (scale == 0) & ~same
    scaled = np.where(same, 0.0 * table, centred / np.where(scale > 0, scale, np.nan))
    return scaled, lost


def dataset_p_values(table: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The p of each row of `table` [m, N] against that of `others`: the paired t-test over datasets, nan below three.

    d_j are differences in deviations of a seed, on dataset j. Datasets differ in how far settings are apart there. The
    t-test keeps its level of 5 % for normal differences with whatever variances (Bakirov and Székely 2006; Ibragimov
    and Müller 2010), and finds more than signed ranks do, which with five datasets or fewer can find nothing.
    """
    enough = np.isfinite(table - others).sum(1) >= FEWEST_DATASETS
    p = np.full(len(table), np.nan)
    if enough.any():
        p[enough] = p_values(table[enough], others[enough])
    return p


def _contrasts(
    standings: Sequence[Standing], table: np.ndarray, first: int, metric: Metric, chosen: bool
) -> tuple[list[DatasetContrast], int, dict[str, str]]:
    """Each setting against that at `first`, in the order of `standings` and `table` [k, N]; tests; shared letters."""
    k = len(standings)
    order = [first, *(at for at in range(k) if at != first)]
    rows = table[order]
    pairs = [(i, j) for i in range(k if chosen else 1) for j in range(i + 1, k)]
    one, other = np.array(pairs, dtype=int).reshape(-1, 2).T
    p = dataset_p_values(rows[other], rows[one])
    adjusted = adjusted_pairs(p, k) if chosen else holm(p)
    n_tests = int(np.isfinite(p).sum())
    contrasts = []
    for at, row, of_pair in zip(order[1:], rows[1:], adjusted, strict=False):
        both = np.isfinite(row) & np.isfinite(rows[0])
        found = difference(row[both].tolist(), rows[0][both].tolist())
        interval = None if np.isnan(of_pair) else simultaneous(found, bool(of_pair <= ALPHA), n_tests)
        better, worse = found.higher, found.lower
        if not metric.higher_is_better:
            better, worse = worse, better
        p_of_pair = None if np.isnan(of_pair) else float(of_pair)
        contrasts.append(DatasetContrast(standings[at], found, p_of_pair, interval, better, worse))
    shared: dict[str, str] = {}
    if chosen and n_tests > 1:
        different = np.zeros((k, k), bool)
        different[one, other] = adjusted <= ALPHA
        found_letters = letters(different | different.T)
        shared = {standing.label: letter for standing, letter in zip(standings, found_letters, strict=True)}
    return contrasts, n_tests, shared
