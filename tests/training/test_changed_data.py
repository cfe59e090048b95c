"""A run and the table that it was trained on: what has changed since is said, and predictions take raw rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, r2_score

import mlpexp
from mlpexp.cli.main import call
from mlpexp.errors import ConfigError
from mlpexp.run import record
from tests.training.wine import wine

QUICK = ["epochs=3", "log.figures=false", "log.tensorboard=false", "device=cpu"]
TABLE = ["dataset=table", "dataset.path=wine.csv", "dataset.target=kind", *QUICK]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has completed, and a sweep of which a job has not; their wine.csv is no longer there."""
    directory = tmp_path_factory.mktemp("wine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        wine().write_csv("wine.csv")
        assert call(["train", *TABLE, "hydra.run.dir=run"]) == 0
        assert call(["train", "-m", *TABLE, "seed=0,1", "hydra.sweep.dir=sweep"]) == 0
        replace(record.read(Path("sweep/1")), state="interrupted").write(Path("sweep/1"))
        Path("wine.csv").unlink()
    return directory


ROWS = "has 179 rows, and had 178"
CONTENT = "has another content, in as many rows and the same columns"
CHANGES: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "a row appended": (lambda table: pl.concat([table, table[:1]]), ROWS),
    "rows in another order": (lambda table: table.sample(fraction=1.0, shuffle=True, seed=1), CONTENT),
    "columns in another order": (
        lambda table: table.select(*table.columns[1:13], "alcohol", "kind"),
        "their order was",
    ),
    "a column renamed": (lambda table: table.rename({"hue": "tone"}), "hue missing and tone added"),
    "a class renamed": (lambda table: table.with_columns(pl.col("kind").replace("kind 1", "kind 9")), CONTENT),
    "a value corrected": (lambda table: table.with_columns(ash=pl.col("ash") + 0.01), CONTENT),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("command", ["eval run", "resume run epochs=5", "resume sweep"])
def test_a_changed_table_is_named_and_nothing_is_split_anew(
    change: str, command: str, trained: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, here, dirs_exist_ok=True)
    changed, said = CHANGES[change]
    changed(wine()).write_csv("wine.csv")
    run = "sweep/1" if command == "resume sweep" else "run"
    before = (here / run / "run.json").read_bytes()
    capsys.readouterr()
    assert call(command.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mlpexp: {run}: the data that it was trained on have changed: wine.csv ")
    assert said in line
    assert (here / run / "run.json").read_bytes() == before
    assert not (here / run / "evaluations").exists()


def test_the_same_table_is_taken(trained: Path, here: Path) -> None:
    shutil.copytree(trained, here, dirs_exist_ok=True)
    wine().write_csv("wine.csv")
    assert call(["eval", "run"]) == 0
    assert call(["resume", "run", "epochs=5"]) == 0
    Path("wine.csv").rename("moved.csv")
    assert call(["resume", "sweep", "--data", "moved.csv"]) == 0
    runs = [record.read(Path(f"sweep/{k}")) for k in range(2)]
    assert [run.state for run in runs] == ["completed"] * 2
    assert runs[0].data["source"] == runs[1].data["source"]
    assert runs[0].data["split"] != runs[1].data["split"]


def test_columns_that_have_enormous_offsets_are_predicted_as_they_are_evaluated(here: Path) -> None:
    """Timestamps of seconds, and 10¹² ± 10³ to be predicted: float32 has steps of 128 and of 65,536 there."""
    draw = np.random.default_rng(0)
    seconds = 1.7e9 + draw.uniform(0, 600, 300)
    pl.DataFrame({"t": seconds, "late": (seconds > 1.7e9 + 300).astype(int)}).write_csv("times.csv")
    x = draw.normal(size=300)
    pl.DataFrame({"x": x, "value": 1e12 + 1000 * x}).write_csv("values.csv")
    longer = ["epochs=60", "batch_size=20", *QUICK[1:]]
    for name, target, measure in (("times", "late", "accuracy"), ("values", "value", "r2")):
        assert call(["train", "dataset=table", f"dataset.path={name}.csv", *longer, f"hydra.run.dir={name}"]) == 0
        results, _ = mlpexp.load(name)
        reported = results.metrics()
        table = pl.read_csv(f"{name}.csv")
        predicted = results.predict(table.drop(target))
        y = table[target].to_numpy()
        if measure == "accuracy":
            classes = results.data.task.classes
            found = accuracy_score(y, [int(classes[k]) for k in predicted.argmax(1)])
        else:
            found = r2_score(y, predicted[:, 0])
        assert reported["test"][measure] > 0.9
        assert found == pytest.approx(np.mean([reported[split][measure] for split in reported]), abs=0.03)


def test_what_is_predicted_is_checked(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    results, _ = mlpexp.load("run")
    table = wine().drop("kind")
    expected = results.predict(table.to_numpy())
    assert expected.shape == (178, 3)
    other_order = table.select(*reversed(table.columns)).with_columns(unrelated=pl.lit("x"))
    np.testing.assert_array_equal(results.predict(other_order), expected)
    holes = table.to_numpy().copy()
    holes[3, 2] = np.nan
    for given, message in (
        (table[:, :1].to_numpy(), "predict: inputs must be rows of 13 columns: alcohol, .*; their shape is 178 × 1."),
        (holes, "predict: row 4, column 'ash': is nan; inputs must be finite."),
        (table.drop("hue"), "predict: the column hue is missing"),
        ([["a"] * 13], "predict: all inputs must be numbers."),
    ):
        with pytest.raises(ConfigError, match=message):
            results.predict(given)
