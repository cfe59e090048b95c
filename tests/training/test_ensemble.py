"""`mlpexp eval SWEEP --ensemble`: held to scikit-learn's metrics of the mean of what the runs predict themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

import mlpexp
from mlpexp.cli.main import call
from mlpexp.data.identity import unpacked
from mlpexp.training.ensemble import Ensemble, evaluate_ensemble

QUICK = ["epochs=3", "model.hidden=[8]", "log.figures=false", "log.tensorboard=false", "device=cpu"]
N = 150


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of classes and of values; of each a sweep on one split, and one on splits of their own."""
    place = tmp_path_factory.mktemp("ensembles")
    random = np.random.default_rng(0)
    x = random.normal(size=(N, 3)) * (1, 10, 1000)
    noisy = x @ (1, 0.1, 1e-3) + random.normal(size=N)
    frame = pl.DataFrame(x, schema=["a", "b", "c"])
    frame.with_columns(y=pl.Series(np.where(noisy > 0, "yes", "no"))).write_csv(place / "classes.csv")
    frame.with_columns(y=pl.Series(1000 * noisy)).write_csv(place / "values.csv")
    for name in ("classes", "values"):
        line = ["dataset=table", f"dataset.path={place}/{name}.csv", "dataset.target=y", "dataset.test_fraction=0.5"]
        for split in (0, 1, 2):
            for seed in (0, 1):
                config = mlpexp.compose([*QUICK, *line, f"seed={seed}", f"dataset.seed={split}"])
                mlpexp.train(config, place / name / str(split) / str(seed))
    return place


def judged(runs: list[Path], file: Path | None = None) -> Ensemble:
    return evaluate_ensemble(runs, runs[0].parent, data=file)


def raw(file: Path, rows: np.ndarray) -> tuple[pl.DataFrame, np.ndarray]:
    frame = pl.read_csv(file)[rows]
    return frame.drop("y"), frame["y"].to_numpy()


@pytest.mark.parametrize("own_splits", [False, True])
def test_classes(own_splits: bool, project: Path) -> None:
    runs = [project / "classes" / (str(k) if own_splits else "0") / ("0" if own_splits else str(k)) for k in (0, 1)]
    found = judged(runs)
    results = [mlpexp.load(run)[0] for run in runs]
    tested = [unpacked(result.identity.split, N)[2].numpy() for result in results]
    rows = np.intersect1d(tested[0], tested[1])
    assert f"the {len(rows)} rows" in found.rows
    assert (len(rows) < 0.6 * len(tested[0])) == own_splits
    x, y = raw(project / "classes.csv", rows)
    each = [result.predict(x) for result in results]
    mean = np.mean(each, axis=0)
    predicted = np.array(results[0].task.classes)[mean.argmax(1)]
    expected = {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
        "macro_f1": sk.f1_score(y, predicted, average="macro"),
        "mcc": sk.matthews_corrcoef(y, predicted),
        "roc_auc": sk.roc_auc_score(y == "yes", mean[:, 1]),
        "log_loss": sk.log_loss(y, mean),
        "brier": sk.brier_score_loss(y == "yes", mean[:, 1]),
    }
    assert {name: found.metrics[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    for own, probabilities in zip(found.of_members, each, strict=True):
        assert own["log_loss"] == pytest.approx(sk.log_loss(y, probabilities), rel=1e-5)
    differing = [np.mean(one.argmax(1) != mean.argmax(1)) for one in each]
    assert found.disagreement == pytest.approx(np.mean(differing))
    written = json.loads((found.directory / "metrics.json").read_text())
    assert written["ensemble"] == pytest.approx(found.metrics)


@pytest.mark.parametrize("own_splits", [False, True])
def test_values(own_splits: bool, project: Path) -> None:
    runs = [project / "values" / (str(k) if own_splits else "0") / ("0" if own_splits else str(k)) for k in (0, 1)]
    found = judged(runs)
    results = [mlpexp.load(run)[0] for run in runs]
    tested = [unpacked(result.identity.split, N)[2].numpy() for result in results]
    rows = np.intersect1d(tested[0], tested[1])
    x, y = raw(project / "values.csv", rows)
    each = np.stack([result.predict(x)[:, 0] for result in results])
    mean = each.mean(0)
    assert found.metrics["rmse"] == pytest.approx(sk.root_mean_squared_error(y, mean), rel=1e-5)
    assert found.metrics["mae"] == pytest.approx(sk.mean_absolute_error(y, mean), rel=1e-5)
    assert found.metrics["r2"] == pytest.approx(sk.r2_score(y, mean), rel=1e-5)
    assert found.disagreement == pytest.approx(each.std(0, ddof=1).mean(), rel=1e-5)


def test_another_table(project: Path, here: Path) -> None:
    pl.read_csv(project / "classes.csv")[:40].write_csv("more.csv")
    runs = [project / "classes" / str(split) / "0" for split in (0, 1, 2)]
    found = judged(runs, Path("more.csv"))
    assert found.rows == "all 40 rows of more.csv"
    x, y = raw(Path("more.csv"), np.arange(40))
    mean = np.mean([mlpexp.load(run)[0].predict(x) for run in runs], axis=0)
    assert found.metrics["log_loss"] == pytest.approx(sk.log_loss(y, mean), rel=1e-5)


def test_the_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["eval", str(project / "classes" / "0"), "--ensemble"]) == 0
    shown = capsys.readouterr().out
    assert "2 runs on the 76 rows that are in the test split of all" in shown
    assert "disagreement: " in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["classes/0/0", "--ensemble"], "is one run; --ensemble is for a sweep"),
        (["classes/0", "--ensemble", "--importance"], "--importance is for a run, and --ensemble for a sweep"),
    ],
)
def test_mistakes(
    arguments: list[str], said: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    try:
        code: object = call(["eval", *arguments])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_rows_that_each_was_learned_from_are_refused(here: Path, small: Callable[..., mlpexp.Config]) -> None:
    pl.DataFrame({"a": [*range(30)], "y": ["a", "b", "c"] * 10}).write_csv("t.csv")
    table = ["dataset=table", "dataset.path=t.csv", "epochs=1"]
    runs = [mlpexp.train(small(*table, f"dataset.seed={seed}"), str(seed)).directory for seed in range(6)]
    with pytest.raises(mlpexp.ConfigError, match=r"each row is a training row of at least one run; .*dataset.seed=0"):
        evaluate_ensemble(runs, here)
    digits = [mlpexp.train(small("epochs=1", f"dataset.seed={seed}"), f"d{seed}").directory for seed in (0, 1)]
    with pytest.raises(mlpexp.ConfigError, match="no test rows are known that it shares"):
        evaluate_ensemble(digits, here)
    with pytest.raises(mlpexp.ConfigError, match="needs two runs at least"):
        evaluate_ensemble(digits[:1], here)
    assert not Path("evaluations").exists()
