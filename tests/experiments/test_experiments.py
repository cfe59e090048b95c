"""Every experiment by its one line, shrunk: its table, its figures, and the settings that its claims speak of."""

from __future__ import annotations

import csv
import json
import re
from itertools import takewhile
from pathlib import Path

import pytest
from PIL import Image

from mlpexp.cli.listing import options
from mlpexp.cli.main import call
from mlpexp.comparison.compare import compare
from mlpexp.comparison.runs import find_runs
from mlpexp.config.locate import CONF
from mlpexp.report.exhibits import EXHIBITS, Experiment

EXPERIMENTS = [option.name for option in options("experiment")]
ISSUE = [
    *("gates", "xor", "linear_collapse", "vanishing_gradients", "optimizers", "overfitting", "dropout", "batchnorm"),
    *("weight_decay", "early_stopping", "label_smoothing", "gradient_clipping", "schedules", "inits", "activations"),
    "mnist",
]
SHRUNK = ["epochs=2", "seed=0,1", "log.tensorboard=false", "log.figures=false"]


def test_all_are_there_and_in_the_notebook() -> None:
    assert set(EXPERIMENTS) == set(ISSUE)
    assert {exhibit.name for exhibit in EXHIBITS if isinstance(exhibit, Experiment)} == set(ISSUE)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_shrunk(name: str, small_mnist: Path, here: Path) -> None:
    mnist = "override /dataset: mnist" in (CONF / "experiment" / f"{name}.yaml").read_text()
    data = [f"data_dir={small_mnist}", "dataset.val_size=50"] if mnist else []
    assert call(["train", f"experiment={name}", *SHRUNK, *data, "hydra.sweep.dir=sweep"]) == 0
    comparison = compare("sweep")
    report = comparison.report
    assert report.title
    assert report.shows
    assert report.claims
    assert report.figures
    # A claim about a setting that the sweep does not have would never be tested.
    assert "not tested" not in {judgement.verdict for judgement in comparison.judgements}
    assert comparison.baseline == (report.baseline is not None)
    assert {path.stem for path in (here / "sweep" / "figures").iterdir()} == set(report.figures)
    for path in [*(here / "sweep" / "figures").iterdir(), here / "sweep" / "sweep.png"]:
        with Image.open(path) as image:
            assert min(image.size) >= 150
    runs, _ = find_runs([here / "sweep"])
    assert all(run.record.config["dataset"].get("seed", run.record.seed) == run.record.seed for run in runs)
    if mnist:
        assert len(json.loads((here / "sweep" / "sweep.json").read_text())["stacks"]) == 1
    rows = list(csv.DictReader((here / "sweep" / "sweep.csv").read_text().splitlines()))
    assert len(rows) == len(comparison.summaries)
    assert all(int(row["n"]) == 2 for row in rows)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_header_gives_command_figures_and_runtime(name: str) -> None:
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    comments = takewhile(lambda line: line.startswith("#"), text.splitlines())
    header = " ".join(" ".join(line.lstrip("#") for line in comments).split())
    assert f" mlpexp train experiment={name} " in header
    assert re.search(r" Measured over \d+ seeds", header)
    assert re.search(r"\d+ s on two cores", header)
