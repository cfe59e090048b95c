"""A comparison as CSV: a row a setting, every number in full."""

from __future__ import annotations

import csv
import io
from typing import Any

from mlpexp.comparison.compare import Comparison, Contrast
from mlpexp.comparison.settings import MISSING
from mlpexp.comparison.statistics import Estimate
from mlpexp.comparison.summary import Summary
from mlpexp.config.metric import SCORES, Metric
from mlpexp.run.csv_cell import no_formula

Cells = dict[str, Any]


def csv_text(comparison: Comparison) -> str:
    """A header and a row a setting, best first; accuracies as fractions, and empty cells for what there is none of.

    `rank`, `setting`, each key that differs; `n`, `seeds`; for the score and the loss on test and val `TAG/mean`,
    `TAG/sd`, `TAG/ci95_low`, `TAG/ci95_high`, `TAG/min`, `TAG/max`; `seconds/mean` and `epochs/mean` of a run;
    `failed`, of these `diverged`, `unfinished`; and against the reference `pairs`, `difference`, `difference/ci95_low`,
    `difference/ci95_high`, `p`, `p/holm`, `effect_size`.
    """
    contrasts = {contrast.summary.label: contrast for contrast in comparison.contrasts}
    metrics = _metrics(comparison)
    rows = [
        {"rank": rank if summary.counted else None}
        | _setting_cells(summary, metrics)
        | _contrast_cells(contrasts.get(summary.label))
        for rank, summary in enumerate(comparison.summaries, start=1)
    ]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: no_formula(cell) for name, cell in row.items()} for row in rows)
    return file.getvalue()


def _metrics(comparison: Comparison) -> list[Metric]:
    """The metric that ranks, and all others that a run has been measured by."""
    tags = [Metric(name, split) for name in (*SCORES, "loss") for split in ("test", "val")]
    measured = [metric for metric in tags if any(summary.estimate(metric) for summary in comparison.summaries)]
    return list(dict.fromkeys([comparison.metric, *measured]))


def _setting_cells(summary: Summary, metrics: list[Metric]) -> Cells:
    cells: Cells = {"setting": summary.label}
    cells |= {key: None if value == MISSING else value for key, value in summary.setting.values.items()}
    cells |= {"n": len(summary.counted), "seeds": " ".join(map(str, summary.seeds))}
    for metric in metrics:
        cells |= _estimate_cells(metric.tag, summary.estimate(metric))
    cells |= {"seconds/mean": summary.seconds, "epochs/mean": summary.epochs}
    cells |= {"failed": len(summary.failures), "diverged": len(summary.diverged)}
    return cells | {"unfinished": len(summary.unfinished)}


def _estimate_cells(tag: str, found: Estimate | None) -> Cells:
    low, high = (found and found.interval) or (None, None)
    values = (found.mean, found.sd, low, high, found.least, found.most) if found else [None] * 6
    names = ("mean", "sd", "ci95_low", "ci95_high", "min", "max")
    return {f"{tag}/{name}": value for name, value in zip(names, values, strict=True)}


def _contrast_cells(contrast: Contrast | None) -> Cells:
    difference = contrast.difference if contrast else None
    low, high = (difference and difference.interval) or (None, None)
    return {
        "pairs": difference.n if difference and difference.paired else None,
        "difference": difference.mean if difference else None,
        "difference/ci95_low": low,
        "difference/ci95_high": high,
        "p": difference.p if difference else None,
        "p/holm": contrast.p if contrast else None,
        "effect_size": difference.effect if difference else None,
    }
