"""The figure of a full grid: what each key does by itself, and how two of them act together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.comparison.comparison import Comparison
from mlpexp.comparison.settings_figure import metric_kind
from mlpexp.comparison.statistics import estimate
from mlpexp.comparison.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of keys, and of values of a key: more panels, and more lines in one, are hard to read.
_MOST_KEYS, _MOST_VALUES = 3, 8


def interactions(comparison: Comparison) -> Figure | None:
    """Main effects and interactions; None where the settings are not all combinations of two or three keys' values.

    They are over the seeds that all settings have: each of these is a block, in which everything else is equal.
    """
    from mlpexp.figures.sweeps.interactions import Effect, Interaction
    from mlpexp.figures.sweeps.interactions import interactions as draw

    keys, summaries, metric = comparison.keys, comparison.summaries, comparison.metric
    values = {key: sorted({summary.setting.values[key] for summary in summaries}, key=_order) for key in keys}
    sizes = [len(found) for found in values.values()]
    full = math.prod(sizes) == len(summaries)
    if not (2 <= len(keys) <= _MOST_KEYS and full and all(summary.counted for summary in summaries)):
        return None
    by_setting = [(summary, summary.values(metric)) for summary in summaries]
    seeds = set.intersection(*({seed for seed, v in found.items() if math.isfinite(v)} for _, found in by_setting))
    if not seeds or max(sizes) > _MOST_VALUES:
        return None

    def of(chosen: Mapping[str, str]) -> list[float]:
        """By seed the mean over the settings that have these values."""
        fitting = [found for summary, found in by_setting if _has(summary, chosen)]
        return [float(np.mean([found[seed] for found in fitting])) for seed in sorted(seeds)]

    effects = []
    for key in keys:
        means = {}
        for value in values[key]:
            found = estimate(of({key: value}))
            assert found is not None
            means[value] = found.mean, found.interval
        effects.append(Effect(key, means))
    pairs = [
        Interaction(
            across,
            lines,
            {
                name: {value: float(np.mean(of({lines: name, across: value}))) for value in values[across]}
                for name in values[lines]
            },
        )
        for across, lines in itertools.combinations(sorted(keys, key=lambda key: -len(values[key])), 2)
    ]
    n_left_out = len({seed for _, found in by_setting for seed in found}) - len(seeds)
    notes = [f"over the {len(seeds)} seeds that all settings have"] if n_left_out else []
    return draw(effects, pairs, metric=metric_kind(comparison), axis=metric.title, notes=notes)


def _has(summary: Summary, chosen: Mapping[str, str]) -> bool:
    return all(summary.setting.values[key] == value for key, value in chosen.items())


def _order(text: str) -> tuple[bool, float, str]:
    """Numbers by their value, before texts."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text
