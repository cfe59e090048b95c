"""How many seeds are needed to detect a difference, which difference the seeds can detect, and the command for more."""

from __future__ import annotations

import math
import shlex

from mlpexp.comparison.comparison import Comparison, Contrast
from mlpexp.comparison.power import MOST_SEEDS, detectable, seeds_needed, sharing
from mlpexp.comparison.statistics import ALPHA, Difference
from mlpexp.comparison.summary import Summary


def outlook(comparison: Comparison, contrast: Contrast) -> str:
    """`; to see 0.30 points you need about 28 seeds, with 10 you can see 0.60`; empty if there was no test."""
    difference, metric = contrast.difference, comparison.metric
    n_tests = sharing(comparison.n_tests, comparison.chosen)
    unit = " points" if metric.percent else ""
    if difference.case == "constant" and difference.paired:
        alike = math.ceil(1 + math.log2(comparison.n_tests / ALPHA))
        return f"; {alike} seeds alike would decide"
    spread = _spread(difference)
    if spread is None or difference.mean is None:
        return ""
    sd, df, n = spread
    now = metric.shown(detectable(sd, df, n, n_tests, difference.overlap))
    size = _size(comparison, difference.mean)
    if difference.overlap and (least := detectable(sd, df, math.inf, n_tests, difference.overlap)) >= size:
        return (
            f"; {n} seeds can show {now}{unit}, and no number of seeds shows less than {metric.shown(least)} here: "
            "more data would"
        )
    needed = seeds_needed(size, sd, df, n_tests, difference.overlap)
    # Nobody asks for the seeds that show a difference of 0.00.
    if (needed is not None and needed <= n) or metric.shown(size) == metric.shown(0.0):
        return f"; with {n} seeds you can see {now}{unit}"
    many = f"more than {MOST_SEEDS:,}" if needed is None else f"about {needed}"
    return f"; to see {metric.shown(size)}{unit} you need {many} seeds, with {n} you can see {now}"


def seeds_line(comparison: Comparison) -> str | None:
    """The command that trains as many seeds as the first undecided difference needs; None if there is none.

    None too if the runs are not of one sweep, or are folds.
    """
    n_tests = sharing(comparison.n_tests, comparison.chosen)
    needed = []
    for contrast in comparison.contrasts:
        difference, spread = contrast.difference, _spread(contrast.difference)
        if contrast.p is None or (contrast.decided and comparison.worth is None) or spread is None:
            continue
        sd, df, n = spread
        assert difference.mean is not None
        found = seeds_needed(_size(comparison, difference.mean), sd, df, n_tests, difference.overlap)
        if found is not None and found > n:
            needed.append((found, found - n))
    if not needed:
        return None
    total, more = min(needed)
    runs = [run for summary in comparison.summaries for run in summary.counted]
    folders = {run.directory.parent for run in runs}
    if len(folders) != 1 or any(run.fold for run in runs):
        return None
    return f"For {total} seeds: {shlex.join(['mlpexp', 'extend', str(folders.pop()), _fresh(comparison, more)])}"


def confirmation(comparison: Comparison, best: Summary) -> str | None:
    """The command that trains the best setting with as many new seeds, by which it was not chosen.

    None if the record of its first run has no command, or its runs are folds.
    """
    words = shlex.split(best.runs[0].record.command)
    if not words or "&&" in words or any(run.fold for run in best.runs):
        return None
    # Keys that are derived from the seed are derived from the new seeds.
    follows = best.repetition(comparison.metric).base in ("data", "splits")
    left_out = ("seed=", "hydra.mode=", *(["dataset.seed="] if follows else []))
    kept = [word for word in words[2:] if not word.startswith(left_out)]
    return shlex.join([*words[:2], "-m", *kept, _fresh(comparison, len(best.counted))])


def _fresh(comparison: Comparison, n: int) -> str:
    """An override with `n` seeds that no setting has."""
    first = 1 + max(run.record.seed for summary in comparison.summaries for run in summary.counted)
    return f"seed=range({first},{first + n})"


def _size(comparison: Comparison, mean: float) -> float:
    """The difference to be detected: --worth if it is given, else the mean difference found."""
    return abs(mean) if comparison.worth is None else comparison.worth


def _spread(difference: Difference) -> tuple[float, float, int] | None:
    """Standard deviation of the differences, its degrees of freedom, and the number of seeds.

    For unpaired settings, the number is that of the setting with fewer seeds. None if there was no test.
    """
    if difference.case != "tested" or difference.error is None or difference.df is None:
        return None
    if difference.sd is not None:
        return difference.sd, difference.df, difference.n
    n = min(difference.n, difference.n_reference or difference.n)
    return difference.error / math.sqrt(1 / n + difference.overlap), difference.df, n
