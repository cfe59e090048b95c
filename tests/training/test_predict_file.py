"""`mlpexp predict`: what a run predicts for the rows of a file, whole or in pieces."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, r2_score

import mlpexp
from mlpexp.cli.main import call
from mlpexp.data.identity import unpacked
from mlpexp.data.tables.reading import read_chunks, read_table
from mlpexp.errors import ConfigError
from mlpexp.run import record

QUICK = ["epochs=4", "model.hidden=[8]", "log.figures=false", "log.tensorboard=false", "device=cpu"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with numbers that have holes, text and dates; a run that predicts a class of it, and one a value."""
    place = tmp_path_factory.mktemp("project")
    draw = np.random.default_rng(0)
    n = 200
    size = draw.normal(50, 20, n).round(2)
    frame = pl.DataFrame(
        {
            "name": [f"row {number}, of {n}" for number in range(n)],
            "size": [None if draw.random() < 0.1 else value for value in size],
            "colour": draw.choice(["red", "green", "blue"], n),
            "day": [f"2024-{month:02}-{day:02}" for month, day in draw.integers((1, 1), (13, 28), (n, 2)).tolist()],
            "kind": np.where(size > 55, "large", "small"),
        }
    )
    frame.write_csv(place / "things.csv")
    table = ["dataset=table", f"dataset.path={place}/things.csv", *QUICK]
    mlpexp.train(mlpexp.compose([*table, "dataset.target=kind"]), place / "classes")
    mlpexp.train(mlpexp.compose([*table, "dataset.target=size", "dataset.ignore=kind"]), place / "values")
    return place


def predicted(project: Path, run: str, file: Path, *options: str) -> pl.DataFrame:
    out = Path("out.csv")
    out.unlink(missing_ok=True)
    assert call(["predict", str(project / run), str(file), "--out", "out.csv", *options]) == 0
    return pl.read_csv(out)


def test_classes_are_those_that_the_metrics_are_of(project: Path, here: Path) -> None:
    table = pl.read_csv(project / "things.csv")
    found = predicted(project, "classes", project / "things.csv", "--proba", "--keep", "name")
    assert found.columns == ["name", "predicted kind", "p(large)", "p(small)"]
    assert found["name"].equals(table["name"])
    stored = record.read(project / "classes")
    *_, test = unpacked(stored.data["split"], len(table))
    score = accuracy_score(table["kind"].to_numpy()[test], found["predicted kind"].to_numpy()[test])
    assert stored.metrics is not None
    assert score == pytest.approx(stored.metrics["test"]["accuracy"])
    np.testing.assert_allclose(found["p(large)"] + found["p(small)"], 1, atol=1e-6)


def test_values_are_in_their_own_units_whatever_the_order_of_the_columns(project: Path, here: Path) -> None:
    table = pl.read_csv(project / "things.csv").filter(pl.col("size").is_not_null())
    table.select(reversed(table.columns)).write_csv("turned.csv")
    found = predicted(project, "values", Path("turned.csv"))
    data = mlpexp.evaluate(project / "values", data="turned.csv").metrics
    (metrics,) = data.values()
    assert r2_score(table["size"], found["predicted size"]) == pytest.approx(metrics["r2"], abs=1e-5)


def test_new_categories_and_holes_are_as_in_training_and_no_target_is_needed(project: Path, here: Path) -> None:
    Path("new.csv").write_text("colour,size,day\nred,,2024-05-05\npurple,40,2031-01-01\n,70,2024-02-29\n")
    assert len(predicted(project, "classes", Path("new.csv"))) == 3


WRONG = {
    "a column less": ("colour,size\nred,1\n", "the column day is missing"),
    "another name": ("color,size,day\nred,1,2024-05-05\n", "the column colour is missing; did you mean 'color'?"),
    "a date that was never missing": (
        "colour,size,day\nred,1,\nred,2,2024-05-05\n",
        "column 'day': the value is missing",
    ),
    "text for a number": ("colour,size,day\nred,wide,2024-05-05\nred,1,2024-05-05\n", "column 'size': 'wide' is no"),
    "nothing": ("", "is empty"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_predicted_is_one_line_and_nothing_is_written(
    wrong: str, project: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, said = WRONG[wrong]
    Path("new.csv").write_text(content)
    capsys.readouterr()
    assert call(["predict", str(project / "classes"), "new.csv"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mlpexp: data=new.csv: ")
    assert said in line
    assert [path.name for path in here.iterdir()] == ["new.csv"]


def test_nothing_is_overwritten(project: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("predictions.csv").write_text("mine")
    assert call(["predict", str(project / "classes"), str(project / "things.csv")]) == 2
    assert "--out=predictions.csv: already exists" in capsys.readouterr().err
    assert Path("predictions.csv").read_text() == "mine"


CELLS = st.text(st.sampled_from('ab1.,;"\n é'), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 10**6), CELLS, st.floats(-1e3, 1e3).map(lambda x: round(x, 3))), min_size=1),
    size=st.integers(80, 300),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_pieces_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, float]], size: int, ends: str
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=ends).writerows([("number", "text", "value"), *rows])
    path = tmp_path_factory.getbasetemp() / "pieces.csv"
    path.write_text(text.getvalue(), newline="")
    try:
        whole = read_table(path, "path")
    except ConfigError as error:
        with pytest.raises(ConfigError, match=str(error)[:20]):
            list(read_chunks(path, "path", size=size))
        return
    pieces = list(read_chunks(path, "path", size=size))
    for at, column in enumerate(whole.columns):
        parts = [piece.columns[at] for piece in pieces]
        assert {part.name for part in parts} == {column.name}
        cells = [cell for part in parts for cell in part.cells.cast(pl.String).to_list()]
        numbers = column.cells.cast(pl.String).to_list()
        if column.name != "text":
            assert [float(cell) for cell in cells] == [float(number) for number in numbers]
    places = [piece.place(row) for piece in pieces for row in range(piece.n_rows)]
    assert places == [whole.place(row) for row in range(whole.n_rows)]


def test_of_a_sweep_the_seeds_of_the_setting_best_on_validation_rows_are_averaged(
    project: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = ["dataset=table", f"dataset.path={project}/things.csv", "dataset.target=kind", *QUICK]
    # A rate of 1e-9 learns nothing.
    assert call(["train", "-m", *table, "optimizer.lr=1e-9,0.05", "seed=0,1", "hydra.sweep.dir=sweep"]) == 0
    capsys.readouterr()
    assert call(["predict", "sweep", str(project / "things.csv"), "--proba"]) == 0
    assert "the mean of 2 runs of optimizer.lr=0.05, the best mean val accuracy" in capsys.readouterr().out
    found = pl.read_csv("predictions.csv")
    runs = [path.parent for path in sorted(here.glob("sweep/*/run.json"))]
    runs = [path for path in runs if record.read(path).config["optimizer"]["lr"] == 0.05]
    rows = pl.read_csv(project / "things.csv")
    expected = np.mean([mlpexp.load(run)[0].predict(rows) for run in runs], axis=0)
    np.testing.assert_allclose(found.select("p(large)", "p(small)"), expected, atol=1e-6)
