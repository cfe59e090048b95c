"""Data of a Python program: arrays, data frames and bunches are trained on, kept, and evaluated again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import accuracy_score, r2_score

import mlpexp
from mlpexp.data.identity import unpacked
from mlpexp.errors import ConfigError
from mlpexp.run import record

QUICK = ["model.hidden=[8]", "log.figures=false", "log.tensorboard=false"]

X = np.random.default_rng(0).normal(size=(120, 3))
Y = X @ [2.0, -1.0, 0.5] + 3
LETTERS = np.where(X[:, 0] > 0.3, "much", "little")
FRAME = pl.DataFrame({"a": X[:, 0], "colour": np.where(X[:, 1] > 0, "red", "blue"), "y": Y})

# What is given, what is predicted, and the names of the columns.
GIVEN: dict[str, tuple[Any, str, list[str]]] = {
    "arrays": ((X, Y), "regression", ["x1", "x2", "x3"]),
    "lists": ((X.tolist(), LETTERS.tolist()), "classification", ["x1", "x2", "x3"]),
    "a frame": (FRAME, "regression", ["a", "colour"]),
    "a frame and a series": ((FRAME.drop("y"), FRAME["y"]), "regression", ["a", "colour"]),
    "several values": ((X, np.stack([Y, -Y], 1)), "regression", ["x1", "x2", "x3"]),
    "a bunch of classes": (load_iris(), "classification", load_iris().feature_names),
    "a bunch of values": (load_diabetes(), "regression", load_diabetes().feature_names),
}


@pytest.mark.parametrize("what", GIVEN)
def test_data_are_trained_on_kept_and_evaluated_again(what: str, here: Path) -> None:
    data, kind, names = GIVEN[what]
    config = mlpexp.compose(["dataset=xor", "epochs=3", *QUICK])
    run = mlpexp.train(config, "run", data=data)
    known = record.read(Path("run")).data
    assert (known["kind"], [column["name"] for column in known["columns"]]) == (kind, names)
    Path("run").rename("moved")
    assert mlpexp.evaluate("moved").metrics == run.metrics
    kept = pl.read_parquet("moved/data.parquet")
    results, _ = mlpexp.load("moved")
    predicted = results.predict(kept)
    *_, test = unpacked(known["split"], len(kept))
    true = kept.select(target["name"] for target in known["targets"]).to_numpy()[test]
    if kind == "classification":
        named = np.array(known["classes"])[predicted[test].argmax(1)]
        score = accuracy_score(true[:, 0].astype(str), named)
    else:
        deviations = [target["deviation"] for target in known["targets"]]
        score = r2_score(true / deviations, predicted[test] / deviations, multioutput="variance_weighted")
    assert run.metrics["test"][results.task.score] == pytest.approx(score, abs=1e-5)


def test_classes_of_a_bunch_have_their_names(here: Path) -> None:
    run = mlpexp.train(mlpexp.compose(["epochs=20", "optimizer.lr=0.01", *QUICK]), "run", data=load_iris())
    assert record.read(Path("run")).data["classes"] == ["setosa", "versicolor", "virginica"]
    assert run.metrics["test"]["accuracy"] > 0.8


def test_settings_of_a_table_hold(here: Path) -> None:
    table = ["dataset=table", "dataset.path=frame", "dataset.target=a", "dataset.ignore=y", "epochs=2", *QUICK]
    mlpexp.train(mlpexp.compose(table), "run", data=FRAME)
    known = record.read(Path("run")).data
    assert [column["name"] for column in known["columns"]] == ["colour"]
    assert [target["name"] for target in known["targets"]] == ["a"]


WRONG: dict[str, tuple[Any, str]] = {
    "three things": ((X, Y, Y), "data: must be a data frame or a pair (X, y); these are 3 things."),
    "lengths": ((X, Y[:7]), "data: X has 120 rows, and y has 7."),
    "no frame": (5, "data: an object of type int is not a data frame; use pandas, polars or pyarrow."),
    "images": ((X[:, :, None], Y), "data: X: must be rows of values; it is 120 × 3 × 1."),
    "ragged": (([[1, 2], [3]], [1, 2]), "data: X: is not an array: "),
    "one class": ((X, ["a"] * 120), "dataset.target=y: has only the class 'a'; at least two are needed."),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_are_no_data_is_one_line_and_nothing_is_written(what: str, here: Path) -> None:
    data, said = WRONG[what]
    with pytest.raises(ConfigError) as refused:
        mlpexp.train(mlpexp.compose(["epochs=2", *QUICK]), "run", data=data)
    (line,) = refused.value.lines
    assert line.startswith(said)
    assert not Path("run").exists()
