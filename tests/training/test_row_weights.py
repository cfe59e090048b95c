"""`dataset.weight`: training by hand in torch, metrics of scikit-learn with sample_weight."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as sk

import mlpexp
from mlpexp.cli.main import call
from mlpexp.components.loss import MAE, Huber, losses
from mlpexp.data.dataset import Data
from mlpexp.data.identity import unpacked
from mlpexp.data.task import Task
from mlpexp.engine.loop import Engine
from mlpexp.engine.metrics import Answers, metrics
from mlpexp.errors import ConfigError
from mlpexp.run import record
from mlpexp.training.ensemble import evaluate_ensemble

QUICK = ["model.hidden=[4]", "log.figures=false", "log.tensorboard=false", "device=cpu", "dataset=table"]
N = 120
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(N, 3))
W = DRAW.exponential(size=N) * 1000
W[::10] = 0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("weights")
    frame = pl.DataFrame(X, schema=["a", "b", "c"]).with_columns(w=pl.Series(W))
    noisy = X @ (1, 1, -1) + DRAW.normal(size=N)
    frame.with_columns(y=pl.Series(np.digitize(noisy, (-1, 1))).cast(pl.String).replace({"0": "no"})).write_csv(
        place / "classes.csv"
    )
    frame.with_columns(y=pl.Series(50 * noisy + 7)).write_csv(place / "values.csv")
    return place


def config(place: Path, name: str, *overrides: str) -> mlpexp.Config:
    given = [f"dataset.path={place}/{name}.csv", "dataset.weight=w", "dataset.seed=0", *overrides]
    return mlpexp.compose([*QUICK, *given])


def of_split(data: Data) -> dict[str, np.ndarray]:
    """The rows of the file in each split."""
    return dict(zip(data.splits(), (part.numpy() for part in unpacked(data.identity.split, N)), strict=True))


@pytest.mark.parametrize("name", ["classes", "values"])
def test_the_weights_of_the_rows(name: str, place: Path) -> None:
    data = config(place, name).dataset.load(place)
    rows = of_split(data)
    assert data.n_features == 3
    assert sorted(np.concatenate(list(rows.values()))) == list(np.flatnonzero(W))
    for split, part in zip(data.splits().values(), rows.values(), strict=True):
        assert split.weight is not None
        assert split.weight.numpy() == pytest.approx(W[part] / W[rows["train"]].mean(), rel=1e-6)


@pytest.mark.parametrize("mixup", [False, True])
@pytest.mark.parametrize("loss", ["cross_entropy", "cross_entropy loss.class_weight=[1,2,3]", "mse"])
def test_the_loss_of_a_step_by_hand(loss: str, mixup: bool, place: Path) -> None:
    name = "values" if loss == "mse" else "classes"
    given = config(place, name, *f"loss={loss}".split(), *["regularizer=[mixup]"] * mixup, "batch_size=16")
    data = given.dataset.load(place)
    engine = Engine([given], data, torch.device("cpu"))
    with engine.training_batches() as batches:
        batch = next(iter(batches))
        assert batch.weight is not None
        found, outputs = engine.step(batch)
    y, z = batch.y[0], outputs[0]
    known = {tuple(x): w for x, w in zip(data.train.x.tolist(), data.train.weight.tolist(), strict=True)}  # type: ignore[union-attr]
    if not mixup:
        assert batch.weight[0].tolist() == [known[tuple(x)] for x in batch.x[0].tolist()]
    if name == "values":
        expected = (batch.weight[0] * (z - y)[:, 0].square()).mean()
    else:
        c = torch.tensor([1.0, 2.0, 3.0]) if "class_weight" in loss else torch.ones(3)

        def mean(y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            losses = (weight * F.cross_entropy(z, y, c, reduction="none")).sum()
            return losses / (len(y) if c.unique().numel() == 1 else (weight * c[y]).sum())

        expected = mean(y, batch.weight[0])
        if mixup:
            assert batch.y_mixed is not None
            assert batch.weight_mixed is not None
            assert batch.lam is not None
            assert sorted(batch.weight_mixed[0].tolist()) == sorted(batch.weight[0].tolist())
            lam = batch.lam[0]
            expected = lam * expected + (1 - lam) * mean(batch.y_mixed[0], batch.weight_mixed[0])
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def of_classes(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> dict[str, float]:
    """By scikit-learn, of classes 0 … C − 1."""
    predicted = p.argmax(1)
    n = p.shape[1]
    one_hot = np.eye(n)[y]
    aucs = [sk.roc_auc_score(y == c, p[:, c], sample_weight=w) for c in ([1] if n == 2 else range(n))]
    return {
        "accuracy": sk.accuracy_score(y, predicted, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted, sample_weight=w),
        "macro_f1": sk.f1_score(y, predicted, average="macro", sample_weight=w),
        "mcc": sk.matthews_corrcoef(y, predicted, sample_weight=w),
        "roc_auc": float(np.mean(aucs)),
        "log_loss": sk.log_loss(y, p, sample_weight=w, labels=range(n)),
        "brier": np.average(np.square(p - one_hot).sum(1), weights=w) / (2 if n == 2 else 1),
    }


def of_values(y: np.ndarray, found: np.ndarray, w: np.ndarray) -> dict[str, float]:
    return {
        "r2": sk.r2_score(y, found, sample_weight=w),
        "rmse": sk.root_mean_squared_error(y, found, sample_weight=w),
        "mae": sk.mean_absolute_error(y, found, sample_weight=w),
    }


@pytest.mark.parametrize("n_classes", [2, 4])
def test_metrics_are_scikit_learns(n_classes: int) -> None:
    draw = np.random.default_rng(n_classes)
    # Of few digits, so that some are tied.
    p = draw.dirichlet(np.ones(n_classes), (3, 90)).round(1) + 0.05
    p /= p.sum(2, keepdims=True)
    y, w = draw.integers(n_classes, size=90), draw.exponential(size=90)
    given = Answers(torch.from_numpy(p.argmax(2)), torch.from_numpy(p))
    names = Task("classification", tuple(map(str, range(n_classes)))).metrics
    found = metrics(given, torch.from_numpy(y), names, torch.from_numpy(w))
    for k in range(3):
        expected = of_classes(y, p[k], w)
        del expected["accuracy"]
        assert {name: float(value[k]) for name, value in found.items()} == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("name", "metric"), [("classes", "roc_auc"), ("values", "mae")])
def test_everything_that_is_measured(name: str, metric: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [place / "sweep" / name / str(seed) for seed in (0, 1)]
    for seed, run in enumerate(runs):
        mlpexp.train(config(place, name, "epochs=3", f"seed={seed}", f"metric={metric}"), run)
    found = record.read(runs[0])
    results, _ = mlpexp.load(runs[0])
    rows = of_split(results.data)
    frame = pl.read_csv(place / f"{name}.csv")
    answers = {split: [mlpexp.load(run)[0].predict(frame[part]) for run in runs] for split, part in rows.items()}
    if name == "classes":
        y = np.array([results.task.classes.index(value) for value in frame["y"].cast(pl.String)])
        of: Callable[..., dict[str, float]] = of_classes
        shares = np.bincount(y[rows["train"]], W[rows["train"]]) / W[rows["train"]].sum()
        constant = np.tile(shares, (N, 1))
    else:
        y, of = frame["y"].to_numpy()[:, None], of_values
        constant = np.full((N, 1), np.average(y[rows["train"]], 0, W[rows["train"]]))
    for split, part in rows.items():
        expected = of(y[part], answers[split][0], W[part])
        assert {key: found.metrics[split][key] for key in expected} == pytest.approx(expected, rel=1e-4, abs=1e-6)
        expected = of(y[part], constant[part], W[part])
        assert {key: found.constant[split][key] for key in expected} == pytest.approx(expected, rel=1e-4, abs=1e-6)
    history = pl.read_csv(runs[0] / "metrics.csv")
    for key in (results.task.score, metric):
        assert history[f"{key}/val"][found.best_epoch - 1] == pytest.approx(found.metrics["val"][key], rel=1e-5)
    mean = np.mean(answers["test"], 0)
    expected = of(y[rows["test"]], mean, W[rows["test"]])
    ensemble = evaluate_ensemble(runs, place / "sweep" / name).metrics
    assert {key: ensemble[key] for key in expected} == pytest.approx(expected, rel=1e-4, abs=1e-6)

    # Read again: the same; another table, with weights and without.
    assert results.metrics() == found.metrics
    other = frame[::2]
    other.write_csv(place / "other.csv")
    other.drop("w").write_csv(place / "unweighted.csv")
    for file, w in (("other", W[::2]), ("unweighted", np.ones(N // 2))):
        evaluation = mlpexp.evaluate(runs[0], data=place / f"{file}.csv")
        (judged,) = evaluation.metrics.values()
        expected = of(y[::2], results.predict(other), w)
        assert {key: judged[key] for key in expected} == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert any("has no column w" in remark for remark in evaluation.remarks) == (file == "unweighted")
    out = place / f"{name}-predictions.csv"
    assert call(["predict", str(runs[0]), str(place / "unweighted.csv"), "--out", str(out)]) == 0
    capsys.readouterr()


def test_stacked_and_alone(place: Path) -> None:
    given = [config(place, "classes", "epochs=3", f"seed={k}", f"dataset.seed={k % 2}") for k in range(3)]
    data = {seed: own.dataset.load(place) for seed, own in enumerate(given[:2])}
    together = list(Engine(given, [data[k % 2] for k in range(3)], torch.device("cpu")).epochs())
    for k, own in enumerate(given):
        for rows, (row,) in zip(together, Engine([own], data[k % 2], torch.device("cpu")).epochs(), strict=True):
            assert rows[k] == pytest.approx(row, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("loss", [losses["mse"](), MAE(), Huber()])
def test_the_best_constant(loss: mlpexp.components.Loss) -> None:
    """That of rows which are repeated as often as their weights say."""
    y = torch.tensor(DRAW.normal(size=(40, 1))).float()
    weight = torch.tensor(DRAW.integers(1, 5, 40))
    task = Task("regression")
    found = loss.constant(y, task, 0.0, weight.float())
    repeated = y.repeat_interleave(weight, 0)
    least = float(loss.per_sample(loss.constant(repeated, task).expand(len(repeated), 1), repeated).mean())
    assert float(loss.per_sample(found.expand(len(repeated), 1), repeated).mean()) == pytest.approx(least, rel=1e-5)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({3: None}, r"column 'w': the weight is missing; each row needs a number from 0 to 1e\+30"),
        ({3: "-1", 7: "inf"}, r"column 'w': '-1.*' is not a weight \(2 such rows\)"),
        ({3: "much"}, "'much' is not a weight"),
        (dict.fromkeys(range(N), "0"), "column 'w': all weights are 0"),
    ],
)
def test_what_is_no_weight(cells: dict[int, str | None], told: str, place: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(place / "values.csv")
    texts = [cells.get(at, str(w)) for at, w in enumerate(frame["w"])]
    frame.with_columns(w=pl.Series(texts, dtype=pl.String)).write_csv(tmp_path / "values.csv")
    with pytest.raises(ConfigError, match=told):
        config(tmp_path, "values").dataset.load(tmp_path)
