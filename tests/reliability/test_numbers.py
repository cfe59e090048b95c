"""Numbers that are none: found in the data when these are loaded, in the loss at the end of the epoch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpexp.cli.main import call
from mlpexp.config.schema import Config
from mlpexp.data.dataset import Data, datasets
from mlpexp.errors import ConfigError
from mlpexp.run import checkpoint, history
from mlpexp.training.prepare import prepare

Small = Callable[..., Config]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("inf", "'inf' is no"),
        ("-Infinity", "'-Infinity' is no"),
        ("1e101", "'1e+101' is too large a number"),
        ("nan", "the value is missing"),
        ("", "the value is missing"),
    ],
)
@pytest.mark.parametrize(("column", "line"), [("x1", 2), ("x2", 5), ("y", 31)])
def test_a_cell_of_a_table(
    cell: str, said: str, column: str, line: int, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"x1": f"{i}.5", "x2": f"{i % 7}.25", "y": f"{2 * i}.75"} for i in range(30)]
    rows[line - 2][column] = cell
    (here / "t.csv").write_text("\n".join(["x1,x2,y", *(",".join(row.values()) for row in rows)]) + "\n")
    assert call(["train", "dataset=table", "dataset.path=t.csv", "dataset.missing=refuse"]) == 2
    (line_said,) = capsys.readouterr().err.splitlines()
    assert f"line {line}, column '{column}': {said}" in line_said
    assert line_said.startswith("mlpexp: dataset.path=t.csv: ")
    assert [path.name for path in here.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize(("dataset", "part", "called"), [("moons", "x", "'x2'"), ("sine", "y", "'y'")])
def test_a_value_of_a_dataset_of_any_kind(
    dataset: str, part: str, called: str, split: str, value: float, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one of a user's own."""
    kind = datasets[dataset]
    load = kind.load

    def loaded(self: object, data_dir: Path) -> Data:
        data = load(self, data_dir)  # type: ignore[arg-type]
        found = data.splits()[split]
        values = getattr(found, part).clone()
        values[3, -1] = values[7, -1] = value
        changes: dict[str, Any] = {split: replace(found, x=values) if part == "x" else replace(found, y=values)}
        return replace(data, **changes)

    monkeypatch.setattr(kind, "load", loaded)
    with pytest.raises(ConfigError) as caught:
        prepare(small(f"dataset={dataset}"))
    assert str(caught.value) == (
        f"dataset={dataset}: row 4 of its {split} split, column {called}: is {value}; 2 values are not finite."
    )


def test_a_loss_in_a_stack(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the end of the epoch in which it was not finite; with the weights of the best epoch before."""
    words = ["dataset=sine", "model=perceptron", "optimizer=sgd", "batch_size=100", "epochs=30", "log.figures=false"]
    assert call(["train", "-m", *words, "optimizer.lr=1e4,0.1", "seed=0,1", "hydra.sweep.dir=sweep"]) == 1
    assert capsys.readouterr().out.startswith("4 runs: 1 stack of 4")
    for number, diverges in (("0", True), ("1", True), ("2", False), ("3", False)):
        run = here / "sweep" / number
        said = json.loads((run / "run.json").read_text())
        rows = history.read(run / "metrics.csv")
        losses = [train + val for train, val in zip(rows["loss/train"], rows["loss/val"], strict=True)]
        finite = [loss for loss in losses if abs(loss) < float("inf")]
        assert said["state"] == ("failed" if diverges else "completed")
        assert len(losses) == (len(finite) + 1 if diverges else 30)
        best = checkpoint.load(run / "checkpoints" / "best.pt")
        assert 1 <= best["epoch"] == said["best_epoch"] <= len(finite)
        assert all(bool(weights.isfinite().all()) for weights in best["weights"].values())
        assert call(["eval", str(run)]) == 0
