"""What a run stores of its data is enough: to find its table again, to evaluate, to go on, and to predict."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score

import mlpexp
from mlpexp.cli.main import call
from mlpexp.data.cifar import CIFAR10
from mlpexp.data.digits import _read_table as read_digits
from mlpexp.run import record
from tests.training.wine import wine

PAGE = (Path(__file__).parents[2] / "docs" / "runs.md").read_text()
(PLAIN_TORCH,) = re.findall(r"^```python run=spirals\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
QUICK = ["log.figures=false", "log.tensorboard=false", "device=cpu"]
TABLE = ["dataset=table", "dataset.path=data/wine.csv", "dataset.target=kind", "epochs=3", *QUICK]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of which outputs/run was trained on data/wine.csv; it is copied from here, and is not here any more."""
    project, kept = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("kept") / "project"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        Path("data").mkdir()
        wine().write_csv("data/wine.csv")
        assert call(["train", *TABLE, "hydra.run.dir=outputs/run"]) == 0
    shutil.move(project, kept)
    return kept


@pytest.fixture
def project(trained: Path, here: Path) -> Path:
    """A copy of that project, in a working directory that holds nothing else."""
    shutil.copytree(trained, here / "project")
    return here / "project"


RUN = "project/outputs/run"
# By where the table lies now, what else is to be said.
PLACES = {
    "data/wine.csv": [],
    "project/data/wine.csv": [],
    "elsewhere/wine.csv": ["data_dir=elsewhere"],
    "elsewhere/data/wine.csv": ["data_dir=elsewhere"],
    "elsewhere/other.csv": ["--data", "elsewhere/other.csv"],
}


def move(table: Path, to: str) -> None:
    place = table.parents[2] / to
    place.parent.mkdir(parents=True, exist_ok=True)
    table.rename(place)


@pytest.mark.parametrize("place", PLACES)
def test_a_table_that_was_moved_is_found_and_nothing_is_fitted_or_split_again(
    place: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*_: Any) -> None:
        raise AssertionError("fitted or split again")

    for function in ("columns.Number.fit", "tables.preparation.prepare_table", "splits.random_split_indices"):
        monkeypatch.setattr(f"mlpexp.data.{function}", again)
    move(project / "data" / "wine.csv", place)
    assert call(["eval", RUN, *PLACES[place]]) == 0
    (found,) = project.glob("outputs/run/evaluations/*/metrics.json")
    before = record.read(Path(RUN))
    assert json.loads(found.read_text())["metrics"] == before.metrics
    assert call(["resume", RUN, "epochs=4", *PLACES[place]]) == 0
    after = record.read(Path(RUN))
    assert (after.epochs_done, after.data) == (4, before.data)


def test_a_table_that_was_is_found_from_another_working_directory(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "data").mkdir()
    wine().write_csv("data/wine.csv")
    run = mlpexp.train(mlpexp.compose(TABLE), tmp_path_factory.mktemp("runs") / "run")
    monkeypatch.chdir(run.directory.parent)
    assert mlpexp.evaluate("run").metrics == run.metrics


def test_without_its_table_a_run_predicts_and_what_needs_it_says_so(project: Path, capsys: Capture) -> None:
    x = wine().drop("kind")
    with_table, _ = mlpexp.load(RUN)
    expected = with_table.metrics()["train"]["accuracy"]
    (project / "data" / "wine.csv").unlink()
    results, _ = mlpexp.load(RUN)
    predicted = results.predict(x)
    rows = with_table.data.train
    assert accuracy_score(rows.y, with_table.outputs(rows).argmax(1)) == pytest.approx(expected)
    assert sorted(map(tuple, with_table.predict(x))) == sorted(map(tuple, predicted))
    capsys.readouterr()
    for command in ("eval", "resume"):
        more = ["epochs=4"] if command == "resume" else []
        assert call([command, RUN, *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"mlpexp: {RUN}: the data that it was trained on are not there (data/wine.csv, ")
        assert line.endswith("name them: --data PATH, or data_dir=DIR for the folder that holds them.")


def test_all_rows_of_another_table_are_evaluated_with_the_runs_own_preprocessing(
    project: Path, capsys: Capture
) -> None:
    (project / "data" / "wine.csv").unlink()
    table = wine()[::3]
    # Another order of columns and one more; the run's means, not those of these rows.
    table.select("kind", pl.lit("x").alias("note"), *reversed(table.columns[:-1])).write_csv("other.csv")
    found = mlpexp.evaluate(RUN, data="other.csv")
    predicted = [f"kind {k}" for k in found.results.predict(table).argmax(1)]
    (name,) = found.metrics
    assert name == "all 60 rows of other.csv"
    assert found.metrics[name]["accuracy"] == pytest.approx(accuracy_score(table["kind"], predicted))
    capsys.readouterr()
    assert call(["eval", RUN, "--data", "other.csv"]) == 0
    assert "┃ all 60 rows of other.csv ┃" in capsys.readouterr().out

    evaluations = sorted(project.glob("outputs/run/evaluations/*"))
    for wrong, said in {
        "classes": (
            table.with_columns(kind=pl.lit("kind 7")),
            "column 'kind': the run knows no class 'kind 7'; did you mean 'kind 2'?",
        ),
        "columns": (table.drop("hue", "ash"), "the columns ash, hue are missing"),
        "a target": (table.drop("kind"), "the column kind is missing"),
    }.values():
        wrong.write_csv("wrong.csv")
        assert call(["eval", RUN, "--data", "wrong.csv"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("mlpexp: data=wrong.csv: ")
        assert said in line
    assert call(["eval", RUN, "--data", "gone.csv"]) == 2
    assert "data=gone.csv: no such file" in capsys.readouterr().err
    assert sorted(project.glob("outputs/run/evaluations/*")) == evaluations


def test_values_of_another_table_are_evaluated_in_the_runs_own_units(here: Path) -> None:
    x = np.linspace(-1, 1, 60)
    pl.DataFrame({"x": x, "y": 1e12 + 1000 * x}).write_csv("line.csv")
    pl.DataFrame({"y": 1e12 + 1000 * x[:7], "x": x[:7]}).write_csv("few.csv")
    config = mlpexp.compose(["dataset=table", "dataset.path=line.csv", "epochs=40", "optimizer.lr=0.01", *QUICK])
    mlpexp.train(config, "run")
    (metrics,) = mlpexp.evaluate("run", data="few.csv").metrics.values()
    few = pl.read_csv("few.csv")
    predicted = mlpexp.load("run")[0].predict(few)
    assert metrics["r2"] == pytest.approx(r2_score(few["y"], predicted), abs=1e-3)
    assert metrics["r2"] > 0.8


def test_a_table_is_for_runs_of_tables(here: Path, capsys: Capture) -> None:
    mlpexp.train(mlpexp.compose(["dataset=xor", "epochs=1", *QUICK]), "run")
    wine().write_csv("wine.csv")
    assert call(["eval", "run", "--data", "wine.csv"]) == 2
    assert "data=wine.csv: is for tables, and the run was trained on dataset=xor." in capsys.readouterr().err
    assert call(["resume", "run", "epochs=2", "--data", "wine.csv"]) == 2
    assert "data=wine.csv: is for tables, and run was trained on dataset=xor." in capsys.readouterr().err


def test_plain_torch_predicts_raw_rows_as_readme_shows(here: Path, made: Callable[[str], list[str]]) -> None:
    """Five lines, run where there is nothing else; the reported accuracy on tables and images, of colours too."""
    wine().write_csv("wine.csv")
    runs = {
        "spirals": (["dataset=spirals", "activation=tanh"], [2, 64, 64, 3]),
        "wine": (["dataset=table", "dataset.path=wine.csv"], [13, 64, 64, 3]),
        "digits": (["dataset=digits"], [64, 64, 64, 10]),
        "cifar10": (["dataset=cifar10", *made("cifar10"), "model.hidden=[8,8]"], [3072, 8, 8, 10]),
    }
    pixels = read_digits()
    raw = {"wine": (wine().drop("kind").to_numpy(), wine()["kind"].to_list())}
    raw["digits"] = (pixels[:, :-1], [str(digit) for digit in pixels[:, -1]])
    colours = mlpexp.compose(runs["cifar10"][0])
    splits = colours.dataset.load(Path(colours.data_dir or "")).splits().values()
    every, labels = (torch.cat([getattr(split, part) for split in splits]).numpy() for part in "xy")
    raw["cifar10"] = every, [CIFAR10().class_names()[label] for label in labels]
    reported: dict[str, Any] = {}
    for name, (overrides, _) in runs.items():
        run = mlpexp.train(mlpexp.compose([*overrides, "epochs=3", *QUICK]), f"runs/{name}")
        reported[name] = run.metrics, {part: len(split) for part, split in run.results.data.splits().items()}
    Path("wine.csv").unlink()
    imports, lines = PLAIN_TORCH.split("\nrows = [[0.0, 0.5], [0.7, 0.7]]\n")
    spoken: dict[str, Any] = {}
    exec(compile(PLAIN_TORCH, "runs.md", "exec"), spoken)
    spirals, _ = mlpexp.load("runs/spirals")
    assert spoken["predicted"] == [str(k) for k in spirals.predict(spoken["rows"]).argmax(1)]
    for name, (x, y) in raw.items():
        widths = runs[name][1]
        linear = [f"nn.Linear({a}, {b})" for a, b in pairwise(widths)]
        own = lines.replace("runs/spirals", f"runs/{name}")
        own = re.sub(r"Sequential\(.*\)\.eval\(\)", f"Sequential({', nn.ReLU(), '.join(linear)}).eval()", own)
        found: dict[str, Any] = {"rows": x.tolist()}
        exec(compile(f"{imports}\n{own}", "runs.md", "exec"), found)
        metrics, sizes = reported[name]
        right = sum(metrics[part]["accuracy"] * n for part, n in sizes.items())
        assert accuracy_score(y, found["predicted"]) * len(y) == pytest.approx(right, abs=1e-3)
        # And so does mlpexp, on raw rows.
        again = mlpexp.load(f"runs/{name}")[0]
        assert [again.task.classes[k] for k in again.predict(x).argmax(1)] == found["predicted"]
    # As images are stored elsewhere, with the colours of a pixel side by side.
    images = raw["cifar10"][0].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(again.predict(images), again.predict(x))


def test_what_is_stored_is_as_it_was_fitted(project: Path) -> None:
    said = record.read(Path(RUN)).data
    best = torch.load(project / "outputs/run/checkpoints/best.pt", weights_only=True)
    table = wine()
    source = said["source"]
    assert (source["n_rows"], source["columns"]) == (178, table.columns)
    assert said["classes"] == best["classes"] == ["kind 0", "kind 1", "kind 2"]
    assert best["data"] == said
    train = mlpexp.load(RUN)[0].identity
    assert train.plain == said
    from mlpexp.data.identity import unpacked

    rows = unpacked(said["split"], 178)
    assert torch.cat(rows).sort().values.tolist() == list(range(178))
    x = table.drop("kind").to_numpy()[rows[0]]
    assert best["mean"].tolist() == [column["mean"] for column in said["columns"]]
    np.testing.assert_allclose(best["mean"], x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(best["std"], x.std(0), rtol=1e-12)


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no columns": (lambda data: data.update(columns=[]), "its preprocessing has no columns"),
    "another kind": (lambda data: data["columns"][0].update(kind="word"), "of no known kind: word"),
    "a deviation less than 0": (lambda data: data["columns"][0].update(deviation=-1.0), "has deviation=-1.0"),
    "a mean in words": (lambda data: data["columns"][0].update(mean="much"), "has mean=much"),
    "a column less": (lambda data: data["columns"].pop(), "does not fit the run's own config"),
    "no classes": (lambda data: data.update(classes=[]), "its data have no classes"),
    "a split of fewer rows": (lambda data: data.update(split=data["split"][:-24]), "is not one of these rows"),
    "a split of more": (
        lambda data: data.update(split="eJztwTEBAAAAwqD1T20JT6AAAHgaC7gAAQ=="),
        "is not one of these rows",
    ),
    "an endless image": (
        lambda data: data.update(
            columns=[{"kind": "image", "name": "x", "height": 10**9, "width": 10**9, "mean": 0.0, "deviation": 1.0}]
        ),
        "1,000,000,000,000,000,000 inputs",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_of_the_data_is_one_line(
    damage: str, project: Path, edit: Callable[..., None], capsys: Capture
) -> None:
    change, said = DAMAGES[damage]
    edit(project / "outputs/run/run.json", lambda content: change(content["data"]))
    capsys.readouterr()
    assert call(["eval", RUN]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_the_issues_of_a_table_stand_in_the_header_and_in_the_run(here: Path, capsys: Capture) -> None:
    rows = [f"{n % 7}.5,{n * n % 31},{'ab'[n % 7 > 2]}" for n in range(60)]
    Path("t.csv").write_text("\n".join(["told,x,y", *rows, ""]))
    assert call(["train", "dataset=table", "dataset.path=t.csv", "hydra.run.dir=run", "epochs=3", *QUICK]) == 0
    out = " ".join(capsys.readouterr().out.split())
    issues = record.read(Path("run")).data["issues"]
    assert [found["symptom"] for found in issues] == ["target_leakage", "duplicate_rows"]
    for found in issues:
        assert found["evidence"] in out
    assert call(["resume", "run", "epochs=4"]) == 0
    assert record.read(Path("run")).data["issues"] == issues


def test_a_run_does_not_search_very_many_rows_for_issues(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlpexp.data.tables.preparation._MOST_SEARCHED", 59)
    rows = [f"{n % 7}.5,{'ab'[n % 7 > 2]}" for n in range(60)]
    Path("t.csv").write_text("\n".join(["told,y", *rows, ""]))
    data = mlpexp.compose(["dataset=table", "dataset.path=t.csv"]).dataset.load(Path())
    assert data.issues == ()
    assert "mlpexp look searches all rows" in data.note
