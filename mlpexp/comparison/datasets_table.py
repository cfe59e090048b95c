"""The table over datasets: settings by mean rank, and their means on each."""

from __future__ import annotations

from mlpexp.comparison.over_datasets import OverDatasets, Standing
from mlpexp.comparison.settings import MISSING
from mlpexp.config.metric import Metric

LETTERS = "alike"


def datasets_title(found: OverDatasets, metric: Metric, ranking: Metric) -> str:
    """What the rows of `datasets_rows` are."""
    by = f", ranked by {ranking.words}" if ranking != metric else ""
    shared = "; settings that share a letter are not told apart" if found.letters else ""
    return f"Over {len(found.names)} datasets{by}: mean rank (1 is best), and mean {metric.title} on each{shared}"


def datasets_rows(found: OverDatasets, metric: Metric) -> list[list[str]]:
    """A header and a row a setting, best first: its keys, letters, mean rank, and its mean on each dataset."""
    keys = list(found.standings[0].setting.values)
    rows = [[*keys, *[LETTERS] * bool(found.letters), "mean rank", *found.names]]
    for standing in found.standings:
        letter = [found.letters[standing.label]] if found.letters else []
        means = [metric.shown(standing.means[name]) if name in standing.means else MISSING for name in found.names]
        rows.append([*standing.setting.values.values(), *letter, mean_rank(standing), *means])
    return rows


def mean_rank(standing: Standing) -> str:
    return MISSING if standing.mean_rank is None else f"{standing.mean_rank:.2f}"
