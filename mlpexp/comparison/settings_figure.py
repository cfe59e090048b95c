"""The figure of what settings score: over the number in which they differ where there is one, else side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlpexp.comparison.comparison import Comparison
from mlpexp.comparison.over_datasets import OverDatasets
from mlpexp.comparison.settings import MISSING
from mlpexp.comparison.summary import Summary
from mlpexp.comparison.table import within
from mlpexp.errors import pluralize
from mlpexp.figures.epoch_axes import COLOURS

if TYPE_CHECKING:
    from mlpexp.figures.picture import Picture

# A figure with more rows than this is too high to read; the CSV has them all.
_MOST_ROWS = 40
# Panels, of datasets.
_MOST_DATASETS = 12
# Of a number; fewer are settings beside one another.
_FEWEST_VALUES = 3
# Cells across and up, of a heat map that can be read.
_MOST_CELLS = 12


def settings_picture(comparison: Comparison) -> Picture[Any]:
    """A response curve where one number differs, with a line for each setting of the other keys; a heat map where two
    numbers do; and a row of dots for each setting in all other cases, in a panel a dataset where there are several."""
    keys = within(comparison).keys
    words = comparison.metric.words[0].upper() + comparison.metric.words[1:]
    title = comparison.report.title or f"{words} by {', '.join(keys)}".removesuffix(" by ")
    if comparison.over_datasets is not None:
        return _by_dataset(comparison, comparison.over_datasets, title)
    numbers = {key: found for key in keys if (found := _numbers(comparison.summaries, key)) is not None}
    others = [key for key in keys if key not in numbers]
    if len(numbers) == 2 and not others:
        sizes = [len(set(values)) for _, values in numbers.values()]
        if max(sizes) <= _MOST_CELLS:
            return _heat_map(comparison, title, numbers)
    if numbers:
        # The one with the most values is the axis, and the others tell lines apart.
        key = max(numbers, key=lambda key: len(set(numbers[key][1])))
        others = [other for other in keys if other != key]
        names = [_named(summary, others) for summary in comparison.summaries]
        pairs = set(zip(names, numbers[key][1], strict=True))
        if len(set(names)) <= len(COLOURS) and len(pairs) == len(names):
            return _response(comparison, title, numbers[key], names)
    return _dots(comparison, title)


def _numbers(summaries: Sequence[Summary], key: str) -> tuple[str, list[float]] | None:
    """What a key is called on an axis, and the number that it has in each setting; None where it is not a number."""
    texts = [summary.setting.values[key] for summary in summaries]
    if MISSING in texts or key.split(".")[-1] in ("seed", "fold"):
        return None
    name = key
    try:
        values = [json.loads(text) for text in texts]
    except ValueError:
        return None
    if all(isinstance(value, list) and value and len(set(value)) == 1 for value in values):
        # Layers of one width: the width is the number, or how many layers there are.
        if len({len(value) for value in values}) == 1:
            name, values = f"units of each hidden layer ({key})", [value[0] for value in values]
        elif len({value[0] for value in values}) == 1:
            name, values = f"number of hidden layers ({key})", [len(value) for value in values]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    if not all(map(math.isfinite, values)) or len(set(values)) < _FEWEST_VALUES:
        return None
    return name, [float(value) for value in values]


def _named(summary: Summary, keys: Sequence[str]) -> str:
    return ", ".join(f"{key}={summary.setting.values[key]}" for key in keys if summary.setting.values[key] != MISSING)


def metric_kind(comparison: Comparison) -> str:
    """What the values are like, for `value_axis`."""
    metric = comparison.metric
    return "accuracy" if metric.percent else "r2" if metric.higher_is_better else "loss"


def _notes(comparison: Comparison, title: str) -> list[str]:
    """The title, and how many runs are not shown, or count as a constant answer."""
    n_lost = sum(len(s.failures) - len(s.diverged) + len(s.unfinished) for s in comparison.summaries)
    n_diverged = sum(len(summary.diverged) for summary in comparison.summaries)
    counted = "left out" if comparison.summaries[0].failed == "ignore" else "counted as a constant answer"
    said = [f"{pluralize(n_lost, 'run')} without a result"] if n_lost else []
    said += [f"{pluralize(n_diverged, 'run')} diverged, {counted}"] if n_diverged else []
    return [part for part in (title, "; ".join(said)) if part]


def _response(
    comparison: Comparison, title: str, number: tuple[str, list[float]], names: Sequence[str]
) -> Picture[Any]:
    from mlpexp.figures.picture import Picture
    from mlpexp.figures.sweeps.response import Point, response

    metric = comparison.metric
    lines: dict[str, list[Point]] = {}
    for summary, x, name in zip(comparison.summaries, number[1], names, strict=True):
        found = summary.estimate(metric)
        values = [value for value in summary.values(metric).values() if math.isfinite(value)]
        lines.setdefault(name, []).append(Point(x, values, found.interval if found else None))
    return Picture(
        response,
        lines,
        choice=number[0],
        metric=metric_kind(comparison),
        axis=metric.title,
        notes=_notes(comparison, title),
    )


def _heat_map(comparison: Comparison, title: str, numbers: dict[str, tuple[str, list[float]]]) -> Picture[Any]:
    from mlpexp.figures.picture import Picture
    from mlpexp.figures.sweeps.response import Cell, heat_map

    metric = comparison.metric
    across, up = sorted(numbers.values(), key=lambda found: -len(set(found[1])))
    scale = 100 if metric.percent else 1
    cells = []
    for summary, x, y in zip(comparison.summaries, across[1], up[1], strict=True):
        found = summary.estimate(metric)
        text = "–"
        if found is not None:
            text = metric.shown(found.mean)
            text += f"\n± {metric.shown(found.half_width)}" if found.half_width is not None else ""
        cells.append(Cell(x, y, found.mean * scale if found else None, text))
    notes = [*_notes(comparison, title), "mean over seeds ± half-width of its 95 % confidence interval; framed: best"]
    choices = across[0], up[0]
    return Picture(heat_map, cells, choices=choices, axis=metric.title, best=0, notes=notes)


def _dots(comparison: Comparison, title: str) -> Picture[Any]:
    from mlpexp.figures.picture import Picture
    from mlpexp.figures.sweeps.dots import Row, dots

    metric, n = comparison.metric, len(comparison.summaries)
    rows = []
    for summary in comparison.summaries[:_MOST_ROWS]:
        found = summary.estimate(metric)
        values = list(summary.values(metric).values())
        rows.append(Row(summary.label, values, found.interval if found else None, _remark(summary)))
    if n > _MOST_ROWS:
        title += f": the best {_MOST_ROWS} of {n} settings"
    return Picture(dots, rows, metric=metric_kind(comparison), axis=metric.title, title=title)


def _by_dataset(comparison: Comparison, over: OverDatasets, title: str) -> Picture[Any]:
    from mlpexp.figures.picture import Picture
    from mlpexp.figures.sweeps.dots import Row, dots_by_dataset

    metric, n = comparison.metric, len(over.standings)
    panels = {}
    for name, each in list(comparison.datasets.items())[:_MOST_DATASETS]:
        summaries = {summary.label: summary for summary in each.summaries}
        rows = []
        for standing in over.standings[:_MOST_ROWS]:
            summary = summaries.get(standing.label)
            found = summary.estimate(metric) if summary else None
            values = list(summary.values(metric).values()) if summary else []
            lost = ", ".join(_remark(summary).split(", ")[1:]) if summary else ""
            rows.append(Row(standing.label, values, found.interval if found else None, lost))
        panels[name] = rows
    title += f": the best {_MOST_ROWS} of {n} settings" * (n > _MOST_ROWS)
    title += f": {_MOST_DATASETS} of {len(over.names)} datasets" * (len(over.names) > _MOST_DATASETS)
    return Picture(dots_by_dataset, panels, metric=metric_kind(comparison), axis=metric.title, title=title)


def _remark(summary: Summary) -> str:
    others = len(summary.failures) - len(summary.diverged)
    counts = {"diverged": len(summary.diverged), "failed": others, "unfinished": len(summary.unfinished)}
    return ", ".join([f"n = {len(summary.counted)}", *(f"{n} {what}" for what, n in counts.items() if n)])
