"""What is written: Markdown, CSV and figures of a comparison, and of a sweep at its end."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mlpexp.comparison.compare import compare
from mlpexp.comparison.histories import histories, score_of
from mlpexp.comparison.network_figures import crossed, first_started
from mlpexp.comparison.report import lost_runs, markdown, sweep_summary, write_report
from mlpexp.comparison.table import csv_text
from mlpexp.errors import ConfigError
from mlpexp.figures.sweeps.dots import Row, dots

Write = Callable[..., Path]
SETTINGS = {"activation=relu": [0.90, 0.92, 0.91], "activation=gelu": [0.80, 0.81, 0.83]}


def test_a_report(write_sweep: Write, tmp_path: Path) -> None:
    comparison = compare(write_sweep(SETTINGS))
    written = write_report(comparison, tmp_path, ["mlpexp", "compare", "my sweep"])
    assert [path.name for path in written] == ["comparison.md", "comparison.csv", "settings.png", "learning_curves.png"]
    assert {path.name for path in tmp_path.iterdir()} == {"sweep", *(path.name for path in written)}
    for path in written[2:]:
        with Image.open(path) as image:
            assert image.format == "PNG"
    assert written[1].read_text() == csv_text(comparison)
    text = written[0].read_text()
    assert text == markdown(comparison, ["mlpexp", "compare", "my sweep"], ["settings.png", "learning_curves.png"])
    for part in (
        "# The test accuracy of 2 settings",
        "    mlpexp compare 'my sweep'",
        "| `relu` | 3 | 91.00 ± 2.48 |",
        "follows from the keys above: `activation.approximate`",
        "- activation=gelu: 9.67 points lower",
        "![settings](settings.png)",
        "- p is adjusted for all tests between all pairs of settings (1), since the best",
    ):
        assert part in text


def test_without_histories_there_are_no_curves(write_sweep: Write, tmp_path: Path) -> None:
    sweep = write_sweep(SETTINGS, history={})
    names = [path.name for path in write_report(compare(sweep), tmp_path, ["mlpexp"])]
    assert names == ["comparison.md", "comparison.csv", "settings.png"]


def test_every_lost_run_is_named_with_its_reason(write_run: Write, here: Path) -> None:
    write_run("s/0", "activation=relu")
    write_run("s/1", "activation=gelu", seed=3, state="failed", reason="the loss\nis nan")
    write_run("s/2", "activation=relu", seed=1, state="interrupted")
    comparison = compare("s")
    assert lost_runs(comparison) == [
        "unfinished: s/2 (activation=relu, seed 1): interrupted",
        "failed: s/1 (activation=gelu, seed 3): the loss is nan",
    ]
    assert all(f"- {line}\n" in markdown(comparison, ["mlpexp"], []) for line in lost_runs(comparison))


def test_a_sweep_summary_is_renewed(write_sweep: Write, write_run: Write) -> None:
    sweep = write_sweep(SETTINGS)
    before = {path.name for path in sweep.iterdir()}
    comparison = sweep_summary(sweep)
    assert {path.name for path in sweep.iterdir()} - before == {"sweep.csv", "sweep.png"}
    assert (sweep / "sweep.csv").read_text() == csv_text(comparison)
    with Image.open(sweep / "sweep.png") as image:
        assert image.format == "PNG"
    write_run("sweep/9", "activation=tanh", score=0.99)
    sweep_summary(sweep)
    rows = list(csv.DictReader(io.StringIO((sweep / "sweep.csv").read_text())))
    assert [row["activation"] for row in rows] == ["tanh", "relu", "gelu"]


def test_a_sweep_of_failures_or_of_both_tasks_has_a_summary(write_run: Write, tmp_path: Path) -> None:
    write_run("failed/0", state="failed", score=None, metrics={})
    assert sweep_summary(tmp_path / "failed").best is None
    write_run("mixed/0", "dataset=digits")
    write_run("mixed/1", "dataset=sine", score_name="r2")
    comparison = sweep_summary(tmp_path / "mixed")
    assert comparison.metric.tag == "loss/test"
    assert any("not on one scale" in note for note in comparison.notes)


def test_a_directory_without_runs_has_no_summary(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        sweep_summary(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_dot_plot_shows_the_best_forty(write_sweep: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, Any] = {}

    def note(rows: list[Row], **rest: Any) -> Figure:
        drawn.update(rest, labels=[row.label for row in rows])
        return dots(rows, **rest)

    monkeypatch.setattr("mlpexp.figures.sweeps.dots.dots", note)
    sweep_summary(write_sweep({f"model.hidden=[{n},1]": [n / 50] for n in range(1, 43)}))
    assert drawn["labels"] == [f"model.hidden=[{n},1]" for n in range(42, 2, -1)]
    assert drawn["title"] == "Test accuracy by model.hidden: the best 40 of 42 settings"


def history(loss: list[float]) -> dict[str, list[float]]:
    epochs = [float(epoch) for epoch in range(1, len(loss) + 1)]
    return {"epoch": epochs, "loss/train": loss, "loss/val": loss, "accuracy/val": [1 - value for value in loss]}


def test_learning_curves_end_with_the_first_seed_to_stop(write_run: Write, here: Path) -> None:
    write_run("0", seed=0, history=history([0.9, 0.5, 0.3, 0.2]))
    write_run("1", seed=1, history=history([0.7, 0.3]))
    (write_run("2", seed=2) / "metrics.csv").unlink()
    summaries = compare(here).summaries
    assert score_of(summaries) == "accuracy"
    found = histories(summaries, ["loss/val", "accuracy/val"])
    np.testing.assert_array_equal(found.of("loss/val")["all runs"], [[0.9, 0.5], [0.7, 0.3]])
    np.testing.assert_allclose(found.of("accuracy/val")["all runs"], [[0.1, 0.5], [0.3, 0.7]])
    assert found.remarks == [
        "a curve ends where the first of its seeds stopped",
        "runs left out, whose metrics.csv lacks these columns: 1",
    ]


def test_learning_curves_of_the_best_eight(write_sweep: Write) -> None:
    sweep = write_sweep({f"epochs={n}": [n / 20] for n in range(1, 11)})
    found = histories(compare(sweep).summaries, ["loss/val"])
    assert list(found.columns) == [f"epochs={n}" for n in range(10, 2, -1)]
    assert found.remarks == ["the best 8 of 10 settings"]


def test_nothing_heavy_is_imported(write_sweep: Write) -> None:
    code = f"""
import sys
from mlpexp.comparison.report import sweep_summary
assert "matplotlib" not in sys.modules
sweep_summary({str(write_sweep(SETTINGS))!r})
print([name for name in ("torch", "hydra", "omegaconf", "scipy.stats", "matplotlib.pyplot") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("settings", "first_row", "columns"),
    [
        ([f"dataset={data} model={model}" for data in ("and", "or", "xor") for model in ("perceptron", "mlp")], 3, 3),
        ([f"model={model} epochs={n}" for model in ("perceptron", "mlp") for n in (1, 2, 3)], 3, 3),
        ([f"model.hidden=[{n},1]" for n in range(1, 7)], 1, None),
        (["model=mlp epochs=1", "model=mlp epochs=2", "model=perceptron epochs=1"], 2, None),
    ],
)
def test_settings_of_two_keys_stand_in_rows_and_columns(
    settings: list[str], first_row: int, columns: int | None, write_sweep: Write
) -> None:
    found = compare(write_sweep({setting: [0.9] for setting in settings})).summaries
    placed, n = crossed(sorted(found, key=first_started), 4)
    assert n == columns
    rows = [placed[k : k + first_row] for k in range(0, len(placed), first_row)]
    if columns:
        assert [{one.setting.values["model"] for one in row} for row in rows] == [{"perceptron"}, {"mlp"}]
        assert (
            len({tuple(value for key, value in one.setting.values.items() if key != "model") for one in rows[0]}) == 3
        )
