"""The figure of a full grid: the main effects of its keys, and the interactions of each two."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from mlpexp.comparison.comparison import Comparison
from mlpexp.comparison.effects import full_grid
from mlpexp.comparison.settings_figure import metric_kind
from mlpexp.comparison.statistics import estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# At most so many values of a key, since more lines in a panel are hard to read.
_MOST_VALUES = 8


def interactions(comparison: Comparison) -> Figure | None:
    """Main effects and interactions, over the seeds that all settings have.

    None unless the settings are all combinations of at most _MOST_VALUES values of two or three keys,
    all on one dataset.
    """
    from mlpexp.figures.sweeps.interactions import Effect, Interaction
    from mlpexp.figures.sweeps.interactions import interactions as draw

    keys, metric = comparison.keys, comparison.metric
    grid = full_grid(comparison.summaries, keys, metric)
    if comparison.datasets or grid is None or max(map(len, grid.values.values())) > _MOST_VALUES:
        return None
    effects = []
    for key in keys:
        means = {}
        for value, scores in zip(grid.values[key], grid.of(key).T.tolist(), strict=True):
            found = estimate(scores, overlap=grid.overlap)
            assert found is not None
            means[value] = found.mean, found.interval
        effects.append(Effect(key, means))
    pairs = [
        Interaction(
            across,
            lines,
            {
                name: dict(zip(grid.values[across], row, strict=True))
                for name, row in zip(grid.values[lines], grid.of(lines, across).mean(0).tolist(), strict=True)
            },
        )
        for across, lines in itertools.combinations(sorted(keys, key=lambda key: -len(grid.values[key])), 2)
    ]
    notes = [f"over the {len(grid.blocks)} seeds that all settings have"] if grid.n_left_out else []
    return draw(effects, pairs, metric=metric_kind(comparison), axis=metric.title, notes=notes)
