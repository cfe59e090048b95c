"""What a comparison leaves on disk: Markdown, CSV, and the two figures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.comparison.claims import by_chance
from mlpexp.comparison.compare import Comparison, compare_runs, own_metric, report_of
from mlpexp.comparison.datasets_table import datasets_rows, datasets_title
from mlpexp.comparison.figures import pictures
from mlpexp.comparison.mean_curves import write_mean_curves
from mlpexp.comparison.metric import default_name, score_names
from mlpexp.comparison.over_datasets import OverDatasets
from mlpexp.comparison.repetition import Repetition
from mlpexp.comparison.runs import StoredRun, find_runs, natural
from mlpexp.comparison.settings_figure import settings_picture
from mlpexp.comparison.summary import MissingResult, Summary
from mlpexp.comparison.table import (
    code,
    contrasts_rows,
    contrasts_title,
    csv_text,
    latex_table,
    markdown_table,
    settings_rows,
    settings_title,
    within,
)
from mlpexp.comparison.verdict import verdict
from mlpexp.config.metric import SCORES, Metric
from mlpexp.config.report import FigureName
from mlpexp.errors import pluralize
from mlpexp.figures.formats import FORMATS, Format
from mlpexp.run.files import make_directory, write_bytes, write_text
from mlpexp.run.sweep_record import job_of

if TYPE_CHECKING:
    from mlpexp.figures.drawing import Drawing

# Of the settings of a sweep, in its directory.
TABLE = "sweep.csv"
FIGURES = "figures"


def sweep_summary(directory: str | Path, drawing: Drawing | None = None) -> Comparison:
    """Writes `sweep.csv` and `sweep.png` of the runs in a sweep's directory, in place of earlier ones.

    So it does with the further `figures` that the runs' own `report` asks for, all in the format of the first run's
    config. `drawing` draws the dots; without it, they are drawn here. ConfigError where the directory holds no run;
    RunError where they cannot be written.
    """
    directory = Path(directory)
    runs, notes = find_runs([directory])
    # A sweep over both kinds of task has a table too, with a note that its ranks mean little.
    report = report_of(runs)
    mixed = report.metric is None and len(score_names(runs)) > 1 and default_name(runs) in SCORES
    metric = Metric("loss", "test") if mixed else own_metric(runs, report)
    comparison = compare_runs(runs, notes, None, metric, report)
    picture = settings_picture(comparison)
    format = format_of(runs)
    finished = drawing.begin(picture, format) if drawing else lambda: picture.drawn(format)
    write_text(directory / TABLE, csv_text(comparison))
    drawn, lacking = pictures(comparison, report.figures, format)
    write_bytes(directory / f"sweep.{format}", finished())
    for other in set(FORMATS) - {format}:
        (directory / f"sweep.{other}").unlink(missing_ok=True)
    if drawn:
        make_directory(directory / FIGURES)
    for name, content in drawn.items():
        write_bytes(directory / FIGURES / f"{name}.{format}", content)
    write_mean_curves(directory, comparison)
    return replace(comparison, notes=[*comparison.notes, *lacking.values()])


def format_of(runs: Sequence[StoredRun]) -> Format:
    """The format in which the config of the first run asks for figures."""
    asked = runs[0].record.config.get("log", {}).get("format")
    return next((format for format in FORMATS if format == asked), "png")


def write_report(
    comparison: Comparison, directory: Path, command: Sequence[str], format: Format = "png", *, latex: bool = False
) -> list[Path]:
    """Writes comparison.md, comparison.csv, settings.png and what other figures there are; gives their paths.

    These are the learning curves, main effects and interactions of a full grid, where there is one dataset, and what
    the runs' own `report` asks for. `latex`, also comparison.tex.
    """
    # Curves on several datasets have no common order.
    usual: list[FigureName] = [] if comparison.datasets else ["learning_curves", "interactions"]
    asked = [*usual, *comparison.report.figures]
    drawn, lacking = pictures(comparison, dict.fromkeys(asked), format)
    missed = [line for name, line in lacking.items() if name in comparison.report.figures]
    comparison = replace(comparison, notes=[*comparison.notes, *missed])
    content = {"settings": settings_picture(comparison).drawn(format), **drawn}
    files = {f"{name}.{format}": file for name, file in content.items()}
    for name, file in files.items():
        write_bytes(directory / name, file)
    write_text(directory / "comparison.csv", csv_text(comparison))
    write_text(directory / "comparison.md", markdown(comparison, command, list(files)))
    if latex:
        write_text(directory / "comparison.tex", latex_table(comparison))
    return [directory / name for name in ("comparison.md", "comparison.csv", *["comparison.tex"] * latex, *files)]


def lost_runs(comparison: Comparison) -> list[str]:
    """A line on each run that has no result: which, what became of it, and why."""
    lines = []
    for summary in comparison.summaries:
        for what, lost in (
            ("failed", summary.failures),
            ("unfinished", summary.unfinished),
            ("without the metric", summary.undefined),
        ):
            lines += [f"{what}: {_named(entry, summary)}: {' '.join(entry.reason.split())}" for entry in lost]
    return lines


def _named(lost: MissingResult, summary: Summary) -> str:
    return f"{lost.run.directory} ({summary.label}, seed {lost.run.record.seed})"


def claim_lines(comparison: Comparison) -> list[str]:
    """A line on each claim, and how many of them would hold by chance."""
    chance = by_chance(comparison.judgements)
    return [judgement.words for judgement in comparison.judgements] + ([chance] if chance else [])


def symptoms(comparison: Comparison) -> list[str]:
    """A line for each symptom that the doctor has found."""
    from mlpexp.doctor.finding import summarize_findings

    runs = [
        run
        for summary in comparison.summaries
        for run in (
            *summary.runs,
            *(entry.run for entry in (*summary.failures, *summary.unfinished, *summary.undefined)),
        )
    ]
    runs.sort(key=lambda run: natural(run.directory))
    return summarize_findings({job_of(run.directory.name): run.record.findings for run in runs})


def markdown(comparison: Comparison, command: Sequence[str], pictures: Sequence[str]) -> str:
    """The whole comparison for a reader: tables, the verdict in sentences, and how the numbers were computed."""
    over = comparison.over_datasets
    n = pluralize(len(comparison.summaries if over is None else over.standings), "setting")
    on = "" if over is None else f" on {pluralize(len(over.names), 'dataset')}"
    parts = [f"# The {comparison.metric.words} of {n}{on}", f"    {' '.join(shlex.join(command).split())}"]
    for name, each in comparison.datasets.items():
        parts += [f"## {code(name)}", *_tables(each), _listed(verdict(each))]
    if over is None:
        parts += _tables(comparison)
    else:
        title = datasets_title(over, comparison.metric, comparison.ranking)
        rows = datasets_rows(over, comparison.metric)
        parts += [f"## Over {len(over.names)} datasets", f"{title}.", markdown_table(within(comparison), rows)]
    if comparison.differences.implied:
        implied = ", ".join(map(code, comparison.differences.implied))
        parts.append(f"What also differs, but follows from the keys above: {implied}.")
    parts += [*["## In words"] * (over is None), _listed(verdict(comparison))]
    if comparison.judgements:
        parts += ["## Claims", _listed(claim_lines(comparison))]
    said = [*comparison.notes, *lost_runs(comparison)]
    if said:
        parts += ["## Runs", _listed(said)]
    # Browsers show no PDF as an image: a link leads to it.
    parts += [f"{'!' * (not name.endswith('.pdf'))}[{Path(name).stem}]({name})" for name in pictures]
    parts += ["## How this was computed", _listed(method(comparison))]
    return "\n\n".join(parts) + "\n"


def _tables(comparison: Comparison) -> list[str]:
    """The table of settings, and that of their differences to the reference."""
    parts = [f"{settings_title(comparison)}.", markdown_table(comparison, settings_rows(comparison))]
    if comparison.contrasts:
        parts += [f"{contrasts_title(comparison)}.", markdown_table(comparison, contrasts_rows(comparison))]
    return parts


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def method(comparison: Comparison) -> list[str]:
    """How the numbers were computed, and what they leave out."""
    if comparison.over_datasets is not None:
        of_each = dict.fromkeys(line for each in comparison.datasets.values() for line in method(each))
        return [*of_each, *_over_datasets(comparison.over_datasets)]
    if comparison.chosen:
        adjusted = (
            f"between all pairs of settings ({comparison.n_tests}), since the best was chosen by these same runs: by a "
            "closed test over all sets of settings that can be equal (Bergmann and Hommel 1988), each by Simes' test "
            "(1986); above eight settings by Shaffer's (1986)"
        )
    else:
        adjusted = f"against the baseline ({comparison.n_tests}), by Holm's correction (1979)"
    shared = comparison.summaries[0].repetition(comparison.metric)
    of_differences = [
        "Differences are paired by seed; p is that of the two-sided paired t-test. Settings that share fewer than two "
        "seeds are compared unpaired, by Welch's t-test. Pairs that differ by one amount or not at all have the p of "
        "the sign test, where it is larger.",
        f'p is adjusted for all tests {adjusted}. A false "more than noise" anywhere is then as rare as in one test.',
        "Intervals of differences are Bonferroni's: they hold together at 95 %. The test sees more than they do. Where "
        "a difference is more than noise and its interval would reach past 0, it ends at 0: it says which is better, "
        "not by how much.",
        "d is Cohen's d for pairs (mean ÷ standard deviation of the differences) with Hedges' correction; from two "
        "pairs there is none.",
        "Numbers of seeds are those by which a difference is found in 80 % of studies, with the spread seen here.",
    ]
    return [
        "Intervals of means are Student's, at 95 % for each mean separately; where seeds have one of two values, exact "
        "(Clopper and Pearson 1934). A mean without ± is that of seeds that are all alike, or of one.",
        *(of_differences if comparison.n_tests else []),
        *_of_data(shared),
        f"Settings are ranked by {comparison.ranking.words}"
        + (
            f": the test split has not chosen the best, so that its {comparison.metric.words} is that of any setting."
            if comparison.ranking != comparison.metric
            else "."
        ),
        "The mean that the best was chosen by is too high. Chosen by all seeds but one, and scored on that one, each "
        "in turn, it is not (cross-validatory choice, Stone 1974).",
    ]


def _over_datasets(found: OverDatasets) -> list[str]:
    """How settings are compared over datasets."""
    unit = (
        "divided by the standard deviation of a seed on that dataset, pooled over settings: datasets differ in how far "
        "settings are apart there"
        if found.scaled
        else "in the unit of the metric, since not all datasets have a setting with two seeds"
    )
    return [
        "Over datasets each of them counts once (Demšar 2006): a setting's score there is its mean over seeds. "
        f"Differences are {unit}. p is that of the paired t-test over datasets, which keeps its level for normal "
        "differences of any variances (Bakirov and Székely 2006), adjusted as above.",
        "Mean ranks are over the datasets that all settings have, and not tested: whether two settings differ must not "
        "depend on which others there are (Benavoli et al. 2016).",
    ]


def _of_data(shared: Repetition) -> list[str]:
    """What seeds vary, and how the variance allows for what they share."""
    match shared.base:
        case "splits" | "folds":
            return [
                f"Every {shared.unit} has training rows of its own of the same data, which overlap: the variance of a "
                f"mean is (1/n + n_test/n_train)·s², with n_test/n_train = {shared.overlap:.2f} (Nadeau and Bengio "
                "2003)."
            ]
        case "data":
            return ["Every seed has data of its own: its differences are independent."]
        case "one split" | "test set":
            rows = "rows of all splits" if shared.base == "one split" else "test rows"
            own = "" if shared.base == "one split" else ", and in the rows for validation unless dataset.seed is set"
            return [
                f"Seeds differ in initial weights, batch order and dropout{own}. They share the {rows}: intervals do "
                "not contain the variation from one test set to another."
            ]
        case _:
            return []
