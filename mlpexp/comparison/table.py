"""A comparison as tables: of text, for the terminal and in Markdown, and as CSV with every number in full."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlpexp.comparison.comparison import Comparison, Contrast
from mlpexp.comparison.datasets_table import LETTERS, datasets_rows, datasets_title
from mlpexp.comparison.over_datasets import OverDatasets
from mlpexp.comparison.settings import MISSING
from mlpexp.comparison.statistics import Estimate
from mlpexp.comparison.summary import Summary
from mlpexp.config.metric import KINDS, Metric
from mlpexp.run.files import no_formula

if TYPE_CHECKING:
    from rich.table import Table

Rows = list[list[str]]

_SHARED = "; settings that share a letter are not told apart"
SECONDS = "seconds"


def settings_title(comparison: Comparison) -> str:
    counts = {len(summary.counted) for summary in comparison.summaries if summary.counted}
    n = counts.pop() if len(counts) == 1 and 1 not in counts else "n"
    by = "" if comparison.ranking == comparison.metric else f" by {comparison.ranking.words}"
    title = (
        f"Settings, best first{by}: mean over {n} {_unit(comparison)}s, each at its best epoch, "
        "± half-width of its 95 % confidence interval"
    )
    return title + _SHARED if comparison.letters else title


def _unit(comparison: Comparison) -> str:
    return comparison.summaries[0].repetition(comparison.metric).unit


def settings_rows(comparison: Comparison) -> Rows:
    """A header and a row a setting: the keys that differ, then numbers."""
    metrics = _shown_metrics(comparison.metric)
    failed = any(summary.failures for summary in comparison.summaries)
    diverged = any(summary.diverged for summary in comparison.summaries)
    unfinished = any(summary.unfinished for summary in comparison.summaries)
    lettered = bool(comparison.letters)
    rows = [[*key_titles(comparison), *[LETTERS] * lettered, "n", *(metric.title for metric in metrics), SECONDS]]
    rows[0] += ["failed"] * failed + ["diverged"] * diverged + ["unfinished"] * unfinished
    for summary in comparison.summaries:
        means = [_mean(metric, summary.estimate(metric)) for metric in metrics]
        counts = [len(summary.failures)] * failed
        counts += [len(summary.diverged)] * diverged + [len(summary.unfinished)] * unfinished
        letter = [comparison.letters.get(summary.label, MISSING)] * lettered
        numbers = [*letter, str(len(summary.counted)), *means, _seconds(summary.seconds), *map(str, counts)]
        rows.append([*_values(summary), *numbers])
    return rows


def contrasts_title(comparison: Comparison) -> str:
    assert comparison.reference is not None
    what = "the baseline" if comparison.baseline else "the best"
    if not comparison.baseline and comparison.reference is not comparison.best:
        what = "the best with more than one seed"
    unit = " (percentage points)" if comparison.metric.percent else ""
    together = ", with intervals that hold together" if comparison.n_tests > 1 else ""
    return (
        f"{comparison.metric.words}{unit}, paired by {_unit(comparison)}: difference to {what}, "
        f"{comparison.reference.label}{together}"
    )


def contrasts_rows(comparison: Comparison) -> Rows:
    """A header and a row for each setting but the reference; d is the effect size."""
    adjusted = "adjusted p" if comparison.n_tests > 1 else "p"
    rows = [[*key_titles(comparison), "pairs", "difference", "95 % CI", adjusted, "d"]]
    for contrast in comparison.contrasts:
        difference = contrast.difference
        mean = MISSING if difference.mean is None else comparison.metric.signed(difference.mean)
        effect = MISSING if difference.effect is None else effect_size(difference.effect)
        bounds = interval(comparison.metric, contrast.interval)
        pairs = str(difference.n) if difference.paired else "unpaired"
        numbers = [pairs, mean, bounds, p_value(contrast.p), effect]
        rows.append([*_values(contrast.summary), *numbers])
    return rows


def key_titles(comparison: Comparison) -> list[str]:
    """The titles of the first columns, which are text: the keys that differ, or one that is empty."""
    return comparison.keys or [""]


def _values(summary: Summary) -> list[str]:
    return list(summary.setting.values.values()) or [summary.label]


def effect_size(d: float) -> str:
    return f"{d:.2f}".replace("-", "−")


def interval(metric: Metric, bounds: tuple[float, float] | None) -> str:
    return MISSING if bounds is None else f"{metric.signed(bounds[0])} to {metric.signed(bounds[1])}"


def p_value(p: float | None) -> str:
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def only_alone(p: float, n_tests: int) -> str:
    """What is said of a difference that is decided by its own p-value, but not by the adjusted one."""
    alone = f"p = {p_value(p)}".replace("= <", "<")
    return f"tested alone it would be more than noise ({alone}), but not as one of {n_tests} tests"


def _shown_metrics(metric: Metric) -> list[Metric]:
    """The metric that ranks, then the same on the other of test and val."""
    return [metric, *(Metric(metric.name, split) for split in ("test", "val") if split != metric.split)]


def _mean(metric: Metric, found: Estimate | None) -> str:
    if found is None:
        return MISSING
    shown = metric.shown(found.mean)
    if found.half_width is not None:
        return f"{shown} ± {metric.shown(found.half_width)}"
    return shown if found.interval is None else f"{shown} ({' to '.join(map(metric.shown, found.interval))})"


def _seconds(seconds: float | None) -> str:
    return MISSING if seconds is None else f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"


def rich_table(comparison: Comparison, rows: Rows, title: str, width: int | None = None) -> Table:
    """Rows of text, the first of them the header, for a terminal of `width` columns; None: as wide as it is.

    Where it is too wide, keys are stacked, and columns that tell least are left out: numbers and settings stay whole.
    """
    from rich.table import Table
    from rich.text import Text

    n_keys = len(key_titles(comparison))
    if width is not None:
        rows, n_keys = _narrowed(comparison, rows, width)
    if LETTERS not in rows[0]:
        title = title.removesuffix(_SHARED)
    table = Table(title=Text(title), title_justify="left", title_style="")
    for position, name in enumerate(rows[0]):
        if position < n_keys:
            table.add_column(Text(name), overflow="fold")
        else:
            table.add_column(Text(name), justify="right", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*map(Text, row))
    return table


# What a narrow table does without, the first of them first; the verdict and the files have them too.
_LEAST = (SECONDS, "d", "failed")
# And what it does without where the keys are stacked and it is still too wide.
_LESS = ("p", "adjusted p", "n", "pairs", LETTERS)


def _narrowed(comparison: Comparison, rows: Rows, width: int) -> tuple[Rows, int]:
    """The rows that fit, and how many of the first columns are keys."""
    n_keys = len(key_titles(comparison))
    if table_width(rows) > width:
        columns = [[_folded(column), *column[1:]] for column in map(list, zip(*rows, strict=True))]
        rows = [list(row) for row in zip(*columns, strict=True)]
    rows = _without(rows, _LEAST, n_keys, width)
    if n_keys > 1 and table_width(rows) > width:
        keys = rows[0][:n_keys]
        stacked = ["\n".join(f"{key}={value}" for key, value in zip(keys, row, strict=False)) for row in rows[1:]]
        rows = [[first, *row[n_keys:]] for first, row in zip(["setting", *stacked], rows, strict=True)]
        n_keys = 1
    others = [metric.title for metric in _shown_metrics(comparison.metric)[1:]]
    return _without(rows, [*_LESS, *others], n_keys, width), n_keys


def _without(rows: Rows, names: Sequence[str], n_keys: int, width: int) -> Rows:
    """The rows without columns of these names, as far as they do not fit."""
    for name in names:
        titles = [title.replace("\n", " ") for title in rows[0]]
        if table_width(rows) > width and name in titles[n_keys:]:
            at = titles.index(name, n_keys)
            rows = [[*row[:at], *row[at + 1 :]] for row in rows]
    return rows


def table_width(rows: Rows) -> int:
    """How many columns of a terminal a table takes, with its lines and blanks."""
    widest = [max(len(line) for cell in column for line in cell.split("\n")) for column in zip(*rows, strict=True)]
    return sum(widest) + 3 * len(widest) + 1


def fitting_datasets(rows: Rows, n_fixed: int, width: int) -> Rows:
    """The table over datasets without the last of its datasets, as far as they do not fit; a column of … says so."""
    n = len(rows[0])
    fitted = rows
    while table_width(fitted) > width and n > n_fixed:
        n -= 1
        fitted = [[*row[:n], "…"] for row in rows]
    return fitted


def _folded(column: Sequence[str]) -> str:
    """The title of a column, in two lines where it is longer than what stands below."""
    title = column[0]
    return title.replace(" ", "\n", 1) if len(title) > max(map(len, column[1:]), default=0) else title


def markdown_table(comparison: Comparison, rows: Rows) -> str:
    """Rows of text, the first of them the header, as a table of GitHub's Markdown; settings are set as code."""
    n_keys = len(key_titles(comparison))
    header, *body = rows
    lines = [header, ["---"] * n_keys + ["---:"] * (len(header) - n_keys)]
    lines += [[*map(code, row[:n_keys]), *row[n_keys:]] for row in body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def latex_table(comparison: Comparison) -> str:
    r"""The table of settings for LaTeX, with the rules of the package booktabs."""
    if comparison.over_datasets is not None:
        title = datasets_title(comparison.over_datasets, comparison.metric, comparison.ranking)
        rows, n_keys = _with_intervals(comparison), len(within(comparison).keys)
    else:
        title, rows, n_keys = settings_title(comparison), settings_rows(comparison), len(key_titles(comparison))
    header, *body = (" & ".join(map(_latex, row)) + r" \\" for row in rows)
    columns = "l" * n_keys + "r" * (len(rows[0]) - n_keys)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", header, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([f"% {title}", *lines, r"\end{tabular}"]) + "\n"


def within(comparison: Comparison) -> Comparison:
    """The comparison by the keys that differ within a dataset: that of the first one, where there are several."""
    return next(iter(comparison.datasets.values()), comparison)


def _with_intervals(comparison: Comparison) -> Rows:
    """The table over datasets, each mean with its 95 % confidence interval over seeds."""
    found = comparison.over_datasets
    assert found is not None
    header, *rows = datasets_rows(found, comparison.metric)
    for row, standing in zip(rows, found.standings, strict=True):
        for at, each in enumerate(comparison.datasets.values(), start=len(header) - len(found.names)):
            summary = next((one for one in each.summaries if one.label == standing.label), None)
            row[at] = MISSING if summary is None else _mean(comparison.metric, summary.estimate(comparison.metric))
    return [header, *rows]


_LATEX = {"\\": r"\textbackslash{}", "±": r"$\pm$", "−": "$-$", "²": "$^2$", "–": "--", "~": r"\textasciitilde{}"}
_LATEX |= {"^": r"\textasciicircum{}"} | {mark: rf"\{mark}" for mark in "&%$#_{}"}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(mark, mark) for mark in text)


def code(text: str) -> str:
    """A text that Markdown shows as it is, also within a table."""
    return f"`{text.replace('`', chr(39)).replace('|', chr(92) + '|')}`"


Cells = dict[str, Any]


def csv_text(comparison: Comparison) -> str:
    """A header and a row a setting, best first; accuracies as fractions, and empty cells for missing values.

    `rank`, `setting`, each key that differs; `n`, `seeds`; for every metric on test and val `TAG/mean`,
    `TAG/sd`, `TAG/ci95_low`, `TAG/ci95_high`, `TAG/min`, `TAG/max`; `seconds/mean` and `epochs/mean` of a run;
    `failed`, of these `diverged`, `unfinished`; and against the reference `pairs`, `difference`, `difference/ci95_low`,
    `difference/ci95_high` (which hold together), `p`, `p/adjusted`, `effect_size`. Several datasets follow each other,
    with ranks and references of their own; what holds over them is in columns named `over_datasets/…`.
    """
    metrics, whole = _metrics(comparison), iter(comparison.summaries)
    rows = []
    for each in comparison.datasets.values() or [comparison]:
        contrasts = {contrast.summary.label: contrast for contrast in each.contrasts}
        for rank, summary in enumerate(each.summaries, start=1):
            cells: Cells = {"rank": rank if summary.counted else None}
            cells |= _setting_cells(next(whole), metrics, each.letters.get(summary.label))
            cells |= _contrast_cells(contrasts.get(summary.label))
            if comparison.over_datasets is not None:
                cells |= _over_cells(comparison.over_datasets, summary.label)
            rows.append(cells)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: no_formula(cell) for name, cell in row.items()} for row in rows)
    return file.getvalue()


def _metrics(comparison: Comparison) -> list[Metric]:
    """The metric that ranks, and all others that a run has been measured by."""
    tags = [Metric(name, split) for name in KINDS for split in ("test", "val")]
    measured = [metric for metric in tags if any(summary.estimate(metric) for summary in comparison.summaries)]
    return list(dict.fromkeys([comparison.metric, *measured]))


def _setting_cells(summary: Summary, metrics: list[Metric], letter: str | None) -> Cells:
    cells: Cells = {"setting": summary.label}
    cells |= {key: None if value == MISSING else value for key, value in summary.setting.values.items()}
    cells |= {"n": len(summary.counted), "letters": letter, "seeds": " ".join(map(str, summary.seeds))}
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
    low, high = (contrast and contrast.interval) or (None, None)
    return {
        "pairs": difference.n if difference and difference.paired else None,
        "difference": difference.mean if difference else None,
        "difference/ci95_low": low,
        "difference/ci95_high": high,
        "p": difference.p if difference else None,
        "p/adjusted": contrast.p if contrast else None,
        "effect_size": difference.effect if difference else None,
    }


def _over_cells(found: OverDatasets, label: str) -> Cells:
    standing = next(one for one in found.standings if one.label == label)
    contrast = next((one for one in found.contrasts if one.standing.label == label), None)
    low, high = (contrast and contrast.interval) or (None, None)
    cells: Cells = {
        "n": len(standing.means),
        "mean_rank": standing.mean_rank,
        "letters": found.letters.get(label),
        "difference": contrast.difference.mean if contrast else None,
        "difference/ci95_low": low,
        "difference/ci95_high": high,
        "p": contrast.difference.p if contrast and contrast.p is not None else None,
        "p/adjusted": contrast.p if contrast else None,
    }
    return {f"over_datasets/{name}": value for name, value in cells.items()}
