"""The same table as text, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from scipy import stats

from mlpexp.comparison.compare import compare
from mlpexp.comparison.table import (
    code,
    contrasts_rows,
    contrasts_title,
    csv_text,
    latex_table,
    markdown_table,
    p_value,
    rich_table,
    settings_rows,
)

Write = Callable[..., Path]
SETTINGS = {"activation=relu": [0.90, 0.92], "activation=leaky_relu": [0.80, 0.81]}


def test_settings(write_sweep: Write, write_run: Write) -> None:
    sweep = write_sweep(SETTINGS)
    write_run("sweep/8", "activation=relu", seed=2, state="failed", score=None)
    write_run("sweep/9", "activation=tanh", seed=2, state="interrupted", score=None)
    # t₍₁, ₀.₉₇₅₎ = 12.706: 12.706 · 0.01 = 12.71 %, and half of that
    assert settings_rows(compare(sweep)) == [
        ["activation", "n", "test accuracy (%)", "val accuracy (%)", "seconds", "failed", "unfinished"],
        ["relu", "2", "91.00 ± 12.71", "91.00 ± 12.71", "2", "1", "0"],
        ["leaky_relu", "2", "80.50 ± 6.35", "80.50 ± 6.35", "2", "0", "0"],
        ["tanh", "0", "–", "–", "–", "0", "1"],
    ]


def test_one_seed_has_no_interval(write_sweep: Write) -> None:
    comparison = compare(write_sweep({"": [0.5]}), metric="loss/val")
    assert settings_rows(comparison) == [
        ["", "n", "val loss", "test loss", "seconds"],
        ["all runs", "1", "0.5", "0.5", "2"],
    ]


def test_contrasts(write_sweep: Write) -> None:
    comparison = compare(write_sweep(SETTINGS))
    # d = −10 and −11 points: half-width 12.706 · 0.5
    p = stats.ttest_rel([0.80, 0.81], [0.90, 0.92]).pvalue
    assert contrasts_title(comparison) == (
        "test accuracy (percentage points), paired by seed: difference to the best, activation=relu"
    )
    assert contrasts_rows(comparison)[1:] == [["leaky_relu", "2", "−10.50", "−16.85 to −4.15", f"{p:.3f}", "–"]]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_terminal_shows_settings_and_scores_whole(width: int, write_sweep: Write) -> None:
    keys = "init=xavier_uniform optimizer=momentum"
    settings = {f"{one} {keys}": scores for one, scores in SETTINGS.items()} | {"": [0.1, 0.3]}
    comparison = compare(write_sweep(settings))
    for rows in (settings_rows(comparison), contrasts_rows(comparison)):
        console = Console(width=width, file=io.StringIO())
        console.print(rich_table(comparison, rows, "[title]", width))
        assert isinstance(console.file, io.StringIO)
        shown = console.file.getvalue()
        assert all(len(line) <= width for line in shown.splitlines())
        assert "[title]" in shown
        for row in rows[1:]:
            assert all(cell in shown for cell in row[:3])
        assert rows[1][3 if "difference" in rows[0] else 5] in shown
        wide = Console(width=200, file=io.StringIO())
        wide.print(rich_table(comparison, rows, "[title]"))
        assert isinstance(wide.file, io.StringIO)
        assert all(cell in wide.file.getvalue() for row in rows for cell in row)


def test_latex(write_sweep: Write) -> None:
    comparison = compare(write_sweep(SETTINGS))
    comment, *lines = latex_table(comparison).splitlines()
    assert comment.startswith("% Settings, best first by val accuracy")
    assert lines == [
        r"\begin{tabular}{lrrrr}",
        r"\toprule",
        r"activation & n & test accuracy (\%) & val accuracy (\%) & seconds \\",
        r"\midrule",
        r"relu & 2 & 91.00 $\pm$ 12.71 & 91.00 $\pm$ 12.71 & 2 \\",
        r"leaky\_relu & 2 & 80.50 $\pm$ 6.35 & 80.50 $\pm$ 6.35 & 2 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_markdown(write_sweep: Write) -> None:
    comparison = compare(write_sweep(SETTINGS))
    assert markdown_table(comparison, settings_rows(comparison)).splitlines() == [
        "| activation | n | test accuracy (%) | val accuracy (%) | seconds |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| `relu` | 2 | 91.00 ± 12.71 | 91.00 ± 12.71 | 2 |",
        "| `leaky_relu` | 2 | 80.50 ± 6.35 | 80.50 ± 6.35 | 2 |",
    ]


def test_markdown_of_a_name_with_marks() -> None:
    assert code("a|`b`") == r"`a\|'b'`"


@pytest.mark.parametrize(("p", "shown"), [(None, "–"), (1.0, "1.000"), (0.0123, "0.012"), (0.0002, "< 0.001")])
def test_p_value(p: float | None, shown: str) -> None:
    assert p_value(p) == shown


def test_csv_has_every_number_in_full(write_sweep: Write) -> None:
    comparison = compare(write_sweep(SETTINGS))
    first, second = csv.DictReader(io.StringIO(csv_text(comparison)))
    assert list(first)[:6] == ["rank", "setting", "activation", "n", "letters", "seeds"]
    assert [first[name] for name in list(first)[:6]] == ["1", "activation=relu", "relu", "2", "", "0 1"]
    for tag in ("accuracy/test", "accuracy/val"):
        assert float(first[f"{tag}/mean"]) == pytest.approx(0.91)
        low, high = stats.t.interval(0.95, 1, 0.91, 0.01)
        assert float(first[f"{tag}/ci95_low"]) == pytest.approx(low)
        assert float(first[f"{tag}/ci95_high"]) == pytest.approx(high)
    assert float(first["loss/val/max"]) == pytest.approx(0.1)
    assert (first["seconds/mean"], first["epochs/mean"], first["failed"]) == ("2.0", "3.0", "0")
    assert (first["difference"], first["p/adjusted"]) == ("", "")
    assert float(second["difference"]) == pytest.approx(-0.105)
    assert float(second["p/adjusted"]) == stats.ttest_rel([0.80, 0.81], [0.90, 0.92]).pvalue
    assert second["effect_size"] == ""


def test_csv_of_failures_alone(write_run: Write, here: Path) -> None:
    write_run("0", state="failed", score=None, metrics={})
    (row,) = csv.DictReader(io.StringIO(csv_text(compare(here))))
    assert (row["rank"], row["n"], row["failed"], row["loss/test/mean"]) == ("", "0", "1", "")


def test_csv_runs_no_formula_of_a_config(write_run: Write, here: Path) -> None:
    for number, path in enumerate(["=1+1", "@x", "-3", "x.csv"]):
        write_run(str(number), "dataset=table", f"dataset.path='{path}'", "dataset.target=y", score=0.9 - number / 10)
    cells = [row["dataset.path"] for row in csv.DictReader(io.StringIO(csv_text(compare(here))))]
    assert cells == ["'=1+1", "'@x", "-3", "x.csv"]
