"""`calibrate=temperature`, held to scipy's minimum of the likelihood, wherever probabilities come out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import softmax
from sklearn import metrics as sk

import mlpexp
from mlpexp.cli.main import call
from mlpexp.components.loss import BCE, CrossEntropy
from mlpexp.config.schema import parse
from mlpexp.data.identity import unpacked
from mlpexp.engine.temperature import LEAST, MOST, fit_temperature
from mlpexp.run import record
from mlpexp.run.raw_network import RawNetwork
from mlpexp.training.ensemble import evaluate_ensemble

QUICK = ["model.hidden=[8]", "log.figures=false", "log.tensorboard=false", "device=cpu", "calibrate=temperature"]
N = 240


def best_temperature(z: np.ndarray, y: np.ndarray) -> float:
    """Of softmax: where the derivative Σ (Σ_c p_c z_c − z_y) of the likelihood by 1/T is zero."""

    def slope(inverse: float) -> float:
        p = softmax(inverse * z, 1)
        return float(((p * z).sum(1) - z[np.arange(len(y)), y]).mean())

    return 1 / float(brentq(slope, 1 / MOST, 1 / LEAST, xtol=1e-14))


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_the_fit(scale: float) -> None:
    draw = np.random.default_rng(0)
    z = scale * draw.normal(size=(300, 3)).astype(np.float32)
    y = (z + 1.5 * scale * draw.gumbel(size=z.shape)).argmax(1)
    found = fit_temperature(CrossEntropy(), torch.from_numpy(z), torch.from_numpy(y))
    assert found == pytest.approx(best_temperature(z.astype(float), y), rel=1e-6)
    # A logit is the difference of two; three classes are taken one against the rest.
    z, y = z[:, :2], z[:, :2].argmax(1) ^ (draw.random(300) < 0.2)
    found = fit_temperature(BCE(), torch.from_numpy(z[:, 1:] - z[:, :1]), torch.from_numpy(y))
    assert found == pytest.approx(best_temperature(z.astype(float), y), rel=1e-6)


def test_the_fit_has_bounds() -> None:
    z = torch.tensor([[2.0, -1.0], [-1.0, 2.0]])
    assert fit_temperature(CrossEntropy(), z, torch.tensor([0, 1])) == 1
    assert fit_temperature(CrossEntropy(), z, torch.tensor([1, 0])) == pytest.approx(MOST)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("calibrated")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(N, 3)) * (1, 10, 1000)
    y = (x @ np.diag((1, 0.1, 1e-3)) + draw.gumbel(size=(N, 3))).argmax(1)
    pl.DataFrame(x, schema=["a", "b", "c"]).with_columns(y=pl.Series(np.array(["k", "l", "m"])[y])).write_csv(
        place / "rows.csv"
    )
    line = ["dataset=table", f"dataset.path={place}/rows.csv", "dataset.target=y", "dataset.seed=0"]
    for seed in (0, 1):
        mlpexp.train(mlpexp.compose([*QUICK, *line, "epochs=6", f"seed={seed}"]), place / "sweep" / str(seed))
    return place


def test_wherever_probabilities_come_out(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [project / "sweep" / str(seed) for seed in (0, 1)]
    results, _ = mlpexp.load(runs[0])
    noted = record.read(runs[0])
    data, temperature = results.data, noted.temperature
    assert temperature == results.temperature
    assert torch.load(runs[0] / "checkpoints" / "best.pt")["temperature"] == temperature
    outputs = {name: results.outputs(split).double().numpy() for name, split in data.splits().items()}
    assert temperature == pytest.approx(best_temperature(outputs["val"], data.val.y.numpy()), rel=1e-6)
    assert abs(temperature - 1) > 0.05

    # Metrics: of the calibrated probabilities, but for the loss.
    y = data.test.y.numpy()
    expected = softmax(outputs["test"] / temperature, 1)
    metrics = noted.metrics["test"]
    assert metrics["log_loss"] == pytest.approx(sk.log_loss(y, expected), rel=1e-5)
    assert metrics["brier"] == pytest.approx(np.square(expected - np.eye(3)[y]).sum(1).mean(), rel=1e-5)
    assert metrics["loss"] == pytest.approx(sk.log_loss(y, softmax(outputs["test"], 1)), rel=1e-5)
    assert metrics["accuracy"] == pytest.approx((outputs["test"].argmax(1) == y).mean())
    plain = dataclasses.replace(results, temperature=1.0)
    assert results.metrics_of(data.val)["log_loss"] < plain.metrics_of(data.val)["log_loss"]
    assert results.calibration(data.test).error == metrics["calibration_error"]
    assert results.metrics()["test"] == metrics

    # Predictions, of one run and of several, the exported network, the estimator of the run.
    rows = pl.read_csv(project / "rows.csv").drop("y")
    raw = torch.from_numpy(rows.to_numpy())
    found = results.predict(rows)
    logits = results.module(results.identity.preprocessing.inputs(raw)).detach().double().numpy()
    assert found == pytest.approx(softmax(logits / temperature, 1), abs=1e-6)
    assert RawNetwork(mlpexp.load(runs[0])[0])(raw).numpy() == pytest.approx(found, abs=1e-5)
    out = project / "predictions.csv"
    assert call(["predict", str(runs[0]), str(project / "rows.csv"), "--out", str(out), "--proba"]) == 0
    assert pl.read_csv(out).drop("predicted y").to_numpy() == pytest.approx(found, abs=1e-6)
    ensemble = evaluate_ensemble(runs, project / "sweep")
    mean = np.mean([mlpexp.load(run)[0].predict_raw(raw) for run in runs], 0)
    tested = unpacked(results.identity.split, N)[2].numpy()
    assert ensemble.metrics["log_loss"] == pytest.approx(sk.log_loss(y, mean[tested]), rel=1e-5)
    # The last epoch's weights have none of their own.
    assert mlpexp.load(runs[0], weights="last")[0].temperature == 1


def test_a_resumed_run_has_the_same(project: Path) -> None:
    whole = project / "sweep" / "0"
    config = parse(record.read(whole).config)
    mlpexp.train(dataclasses.replace(config, epochs=2), project / "resumed")
    mlpexp.resume(project / "resumed", {"epochs": config.epochs})
    assert record.read(project / "resumed").temperature == record.read(whole).temperature


def test_estimators(project: Path) -> None:
    frame = pl.read_csv(project / "rows.csv")
    x, y = frame.drop("y").to_numpy(), frame["y"].to_numpy()
    found = mlpexp.Classifier([*QUICK, "epochs=4"]).fit(x, y)
    plain = mlpexp.Classifier([*QUICK, "epochs=4", "calibrate=null"], validation_fraction=0.2).fit(x, y)
    z = np.log(plain.predict_proba(x))
    assert found._results.temperature != 1
    assert found.predict_proba(x) == pytest.approx(softmax(z / found._results.temperature, 1), abs=1e-6)
    with pytest.raises(ValueError, match=r"^calibrate=temperature: is for classification"):
        mlpexp.Regressor(QUICK).fit(x, x[:, 0])
