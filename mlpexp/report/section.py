"""One section of a page: a sweep, a run, or a picture that needs no run."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpexp.comparison.claims import Judgement
from mlpexp.comparison.compare import Comparison, compare
from mlpexp.comparison.datasets_table import datasets_rows, datasets_title
from mlpexp.comparison.figures import pictures
from mlpexp.comparison.network_figures import median_first
from mlpexp.comparison.report import format_of, lost_runs, method, symptoms
from mlpexp.comparison.runs import natural
from mlpexp.comparison.settings_figure import settings_picture
from mlpexp.comparison.table import key_titles, settings_rows, settings_title, within
from mlpexp.comparison.verdict import verdict
from mlpexp.config.reproduce import sweep_command
from mlpexp.figures.formats import Format
from mlpexp.figures.style import DPI
from mlpexp.report.usage import Usage, usage
from mlpexp.run.files import read_bytes

# A figure has some hundreds of thousands.
MOST_BYTES = 2**24
_PNG = b"\x89PNG"

_ABOUT = {
    "settings": "The mean of each setting over its seeds, with its 95 % confidence interval",
    "learning_curves": "Validation loss and score over the epochs",
    "train_and_val": "Training and validation loss; dotted lines mark the epochs whose weights were kept",
    "decision_boundaries": "Decision boundaries; the deeper the colour, the more confident the network",
    "fitted_curves": "What networks have learned of the function",
    "gradients_by_layer": "Gradient norms from the first layer to the last",
    "gradient_norms": "Gradient norms before clipping, and the validation loss",
    "learning_rates": "The learning rate, and the validation score",
    "interactions": "What each key does by itself, and how two of them act together",
    "reliability": "Reliability diagrams: how many of the predictions of some confidence are right",
    "curves": "Loss and score over the epochs",
    "confusion_matrix": "Confusion matrix on the test split",
    "predictions": "Predictions on the test split",
    "decision_boundary": "The decision boundary",
    "fitted_curve": "What the network has learned of the function",
    "predicted_against_true": "Predictions over true values",
}


@dataclass(frozen=True)
class Picture:
    """A PNG or SVG file and what it shows."""

    caption: str
    content: bytes

    @property
    def source(self) -> str:
        """The file as a data URI, so that the page holds it."""
        kind = "png" if self.content.startswith(_PNG) else "svg+xml"
        return f"data:image/{kind};base64,{base64.b64encode(self.content).decode()}"

    @property
    def width(self) -> int | None:
        """The width of a PNG on the page, in CSS pixels of 1/96 inch, of which it has more; an SVG knows its own."""
        if not self.content.startswith(_PNG):
            return None
        pixels = int.from_bytes(self.content[16:20], "big")
        return round(pixels / DPI * 96)


@dataclass(frozen=True)
class Table:
    """Rows of text, the first of them the header; `n_keys` columns are words, the others numbers."""

    caption: str
    rows: Sequence[Sequence[str]]
    n_keys: int


@dataclass(frozen=True)
class Section:
    """A part of a page: what it shows and the command that made it, claims, figures, numbers, words."""

    title: str
    command: str
    shows: str = ""
    judgements: Sequence[Judgement] = ()
    figures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    words: Sequence[str] = ()
    method: Sequence[str] = ()
    text: str = ""  # as a command has printed it
    notes: Sequence[str] = ()
    use: Usage | None = None  # of one run that has completed


def section_of(path: Path, format: Format = "png") -> Section:
    """The section of a run, a sweep, or a directory of runs; ConfigError where it holds none.

    Figures that are drawn for it have this `format`; those of a run are its files.
    """
    comparison = compare(path)
    report = comparison.report
    drawn, lacking = pictures(comparison, report.figures, format)
    content = (
        {"settings": settings_picture(comparison).drawn(format), **drawn}
        if len(comparison.summaries) > 1
        else dict(drawn)
    )
    shown = [Picture(_ABOUT[name], file) for name, file in content.items()]
    of_one_run, unread = _of_one_run(comparison)
    return Section(
        title=report.title or path.resolve().name,
        command=_command(comparison),
        shows=report.shows,
        judgements=comparison.judgements,
        figures=[*shown, *of_one_run],
        tables=_tables(comparison),
        words=[
            *(f"{name}: {sentence}" for name, each in comparison.datasets.items() for sentence in verdict(each)),
            *verdict(comparison),
        ],
        method=method(comparison),
        notes=[*lost_runs(comparison), *comparison.notes, *lacking.values(), *unread, *symptoms(comparison)],
        use=_use(comparison),
    )


def _tables(comparison: Comparison) -> list[Table]:
    """The settings; of several datasets, those of each and those over all."""
    over = comparison.over_datasets
    if over is None:
        return [Table(settings_title(comparison), settings_rows(comparison), len(key_titles(comparison)))]
    of_each = [
        Table(f"{name}: {table.caption}", table.rows, table.n_keys)
        for name, each in comparison.datasets.items()
        for table in _tables(each)
    ]
    title = datasets_title(over, comparison.metric, comparison.ranking)
    return [*of_each, Table(title, datasets_rows(over, comparison.metric), len(key_titles(within(comparison))))]


def _use(comparison: Comparison) -> Usage | None:
    """How to use the network, where there is one run."""
    runs = [run for summary in comparison.summaries for run in summary.runs]
    return usage(runs[0].directory, runs[0].record) if len(runs) == 1 else None


def _command(comparison: Comparison) -> str:
    """The command that reproduces a run, or several as one sweep."""
    runs = [
        run
        for summary in comparison.summaries
        for run in (*summary.runs, *(lost.run for lost in (*summary.failures, *summary.unfinished)))
    ]
    if len(runs) == 1:
        return runs[0].record.command
    runs.sort(key=lambda run: natural(run.directory))
    return sweep_command([run.record.config for run in runs])


def _of_one_run(comparison: Comparison) -> tuple[list[Picture], list[str]]:
    """Where there is one setting only, the figures of one of its runs; and a line on each that is left out.

    Of a sweep few runs have any, see `log.figures`; of several the run is the one of median score.
    """
    (first, *others) = comparison.summaries
    if others or not first.runs:
        return [], []
    by_score = median_first(first, comparison.metric)
    run = next((run for run in by_score if run.paths.figures.exists()), by_score[0])
    which = "" if len(first.runs) == 1 else f" (seed {run.record.seed})"
    figures, unread = [], []
    for name, caption in _ABOUT.items():
        path = run.paths.figures / f"{name}.{format_of([run])}"
        try:
            content = read_bytes(path, MOST_BYTES, parts=2)
        except FileNotFoundError:
            continue
        except OSError as error:
            unread.append(f"{path}: left out: {error.strerror}.")
        else:
            if path.suffix == ".pdf":
                unread.append(f"{path}: left out: a page shows PNG and SVG only.")
            else:
                figures.append(Picture(f"{caption}{which}", content))
    return figures, unread
