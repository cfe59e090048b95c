"""`mlpexp eval --importance`: permutation importance of raw columns, against scikit-learn's."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.inspection import permutation_importance as of_sklearn

import mlpexp
from mlpexp.cli.main import call
from mlpexp.components import losses
from mlpexp.data.dataset import Data, Split
from mlpexp.data.identity import unpacked
from mlpexp.data.preprocessing import Preprocessing
from mlpexp.data.tables.matrix import labelled_rows
from mlpexp.data.tables.reading import read_table
from mlpexp.data.task import Task
from mlpexp.engine.objective import Objective
from mlpexp.run.results import Results
from mlpexp.training.importance import permutation_importance

QUICK = ["epochs=3", "model.hidden=[8]", "log.figures=false", "log.tensorboard=false", "device=cpu"]


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of numbers with holes, a category and dates."""
    draw = np.random.default_rng(0)
    n = 240
    size, colour = draw.normal(50, 20, n).round(2), draw.choice(["red", "green", "blue"], n)
    frame = pl.DataFrame(
        {
            "size": [None if draw.random() < 0.1 else value for value in size],
            "weight": draw.normal(0, 1, n).round(3),
            "colour": colour,
            "day": [f"2024-{month:02}-{day:02}" for month, day in draw.integers((1, 1), (13, 28), (n, 2)).tolist()],
            "price": (size + 30 * (colour == "red") + draw.normal(0, 5, n)).round(2),
            "kind": np.where(size + 20 * (colour == "red") > 55, "large", "small"),
        }
    )
    file = tmp_path_factory.mktemp("things") / "things.csv"
    frame.write_csv(file)
    return file


class Wrapped(BaseEstimator):
    """A run as scikit-learn sees an estimator, on raw values."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def fit(self, x: object, y: object) -> Wrapped:
        return self

    def score(self, x: np.ndarray, y: np.ndarray) -> float:
        predicted = self.results.predict_raw(torch.from_numpy(x))
        if self.results.task.classes:
            return float((predicted.argmax(1) == y).mean())
        return -float(np.sqrt(np.square(predicted[:, 0] - y).mean()))


@pytest.mark.parametrize(
    "overrides",
    [["dataset.target=kind", "dataset.ignore=price"], ["dataset.target=price", "dataset.ignore=kind", "metric=rmse"]],
)
def test_it_is_that_of_scikit_learn_with_its_shuffles(overrides: list[str], things: Path, here: Path) -> None:
    run = mlpexp.train(mlpexp.compose(["dataset=table", f"dataset.path={things}", *QUICK, *overrides]), "run")
    found = mlpexp.evaluate("run", importance=True).importance
    assert found is not None
    known = run.results.identity
    x, y = labelled_rows(read_table(things, "test"), known.preprocessing, known.task)
    *_, test = unpacked(known.split, len(x))
    right = y[test].numpy().reshape(len(test))
    expected = of_sklearn(Wrapped(run.results), x[test].numpy(), right, n_repeats=10, random_state=0)
    changes = dict(zip(found.columns, found.changes, strict=True))
    assert set(changes) == {"size", "weight", "colour", "day"}
    for name, of_column in zip(known.preprocessing.names, expected.importances, strict=True):
        np.testing.assert_allclose(changes[name], of_column, atol=2e-5, err_msg=name)
    assert np.ptp(found.changes) > 0.01
    assert sorted(found.mean, reverse=True) == found.mean.tolist()


def test_a_column_that_the_network_cannot_see_has_none() -> None:
    torch.manual_seed(0)
    # Constant in training: the network sees 0, whatever the test rows hold.
    train, test = torch.randn(50, 3).double(), torch.randn(40, 3).double()
    train[:, 1] = 7
    fitted = Preprocessing.fit(train, ["a", "constant", "b"], "class")
    learned, judged = (Split(fitted.inputs(x), (x[:, 0] > 0).long()) for x in (train, test))
    data = Data("own", Task("classification", ("no", "yes")), learned, learned, judged, fitted)
    module = torch.nn.Linear(3, 2).eval()
    objective = Objective(data.task, losses["cross_entropy"]())
    found = permutation_importance(Results.of(module, data, objective), "log_loss", "the test split")
    changes = dict(zip(found.columns, found.changes, strict=True))
    assert not changes["constant"].any()
    assert changes["a"].all()
    assert changes["b"].all()


def test_the_command_shows_and_writes_it(things: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", "dataset=table", f"dataset.path={things}", "dataset.ignore=price", *QUICK, "metric=roc_auc"]
    assert call([*train, "hydra.run.dir=run"]) == 0
    capsys.readouterr()
    assert call(["eval", "run", "--importance"]) == 0
    out = capsys.readouterr().out
    assert "Permutation importance: drop of ROC AUC on the test split, mean of 10 shuffles" in out
    (made,) = Path("run/evaluations").iterdir()
    assert (made / "importance.png").exists()
    with (made / "importance.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["column"] for row in rows} == {"size", "weight", "colour", "day"}
    shown = [line.split() for line in out.splitlines() if " to " in line and line.startswith("│")]
    assert [line[1] for line in shown] == [row["column"] for row in rows]
    for row in rows:
        assert float(row["low"]) <= float(row["importance"]) <= float(row["high"])
    # All rows of another table; one without a row of a class has no ROC AUC that could fall.
    table = pl.read_csv(things)
    table.filter(pl.col("kind") == "small").write_csv("small.csv")
    assert call(["eval", "run", "--importance", "--data", "small.csv"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mlpexp: --importance: there is no ROC AUC on all ")
    assert said.endswith("rows of small.csv has no row of class large.\n")
    assert len(list(Path("run/evaluations").iterdir())) == 1


def test_pixels_have_none(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mlpexp.train(mlpexp.compose(["dataset=digits", *QUICK, "epochs=1"]), "run")
    assert call(["eval", "run", "--importance"]) == 2
    said = "mlpexp: --importance: is for columns of a table, and the run was trained on images.\n"
    assert capsys.readouterr().err == said
    assert not Path("run/evaluations").exists()
