"""`mlpexp.Classifier` and `mlpexp.Regressor`: what scikit-learn asks of an estimator, and what it does with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import mlpexp
from mlpexp.errors import ConfigError, DivergedError
from mlpexp.training.estimators import _split

QUICK = ("epochs=5", "batch_size=16", "model.hidden=[8]", "optimizer.lr=0.05", "log.diagnostics=0")
IRIS: Any = load_iris()
SPECIES = IRIS.target_names[IRIS.target]

# Text, a date and holes; the target follows from the first two.
RNG = np.random.default_rng(0)
COLOURS = RNG.choice(["red", "green", "blue"], 200)
NUMBERS = RNG.normal(size=200)
FRAME = pl.DataFrame(
    {
        "colour": [None if hole else colour for hole, colour in zip(RNG.random(200) < 0.05, COLOURS, strict=True)],
        "number": [None if hole else number for hole, number in zip(RNG.random(200) < 0.05, NUMBERS, strict=True)],
        "day": [f"2024-{month:02}-07" for month in RNG.integers(1, 13, 200)],
    }
)
YES = np.where((COLOURS == "red") | (NUMBERS > 1), "yes", "no")


EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "A row that is repeated falls into several batches, in an order of their own; one with a weight falls into one."
    )
}


@parametrize_with_checks([mlpexp.Classifier(QUICK), mlpexp.Regressor(QUICK)], expected_failed_checks=lambda _: EXPECTED)
def test_scikit_learns_own_checks_pass(estimator: Any, check: Any, here: Path) -> None:
    check(estimator)
    assert not list(here.iterdir())


def test_it_works_in_pipelines_and_searches() -> None:
    pipeline = make_pipeline(StandardScaler(), mlpexp.Classifier(QUICK, random_state=1))
    assert cross_val_score(pipeline, IRIS.data, SPECIES, cv=3).mean() > 0.85
    quick, slow = list(QUICK), [*QUICK, "optimizer.lr=1e-9"]
    grid = {"overrides": [slow, quick], "validation_fraction": [None, 0.2]}
    search = GridSearchCV(mlpexp.Classifier(), grid, cv=2).fit(IRIS.data, SPECIES)
    assert search.best_params_["overrides"] == quick
    assert search.score(IRIS.data, SPECIES) > 0.85


def _numpys() -> np.ndarray:
    """The state of numpy's global generator."""
    found: Any = np.random.get_state()  # noqa: NPY002
    numbers: np.ndarray = found[1].copy()
    return numbers


def test_clones_and_pickles_predict_the_same(tmp_path: Path) -> None:
    state = torch.get_rng_state(), _numpys()
    first = mlpexp.Classifier(QUICK, random_state=3).fit(IRIS.data, SPECIES)
    joblib.dump(first, tmp_path / "model")
    loaded, again = joblib.load(tmp_path / "model"), clone(first).fit(IRIS.data, SPECIES)
    other = mlpexp.Classifier(QUICK, random_state=4).fit(IRIS.data, SPECIES)
    expected = first.predict_proba(IRIS.data)
    assert (loaded.predict_proba(IRIS.data) == expected).all()
    assert (again.predict_proba(IRIS.data) == expected).all()
    assert (other.predict_proba(IRIS.data) != expected).any()
    assert list(loaded.classes_) == sorted(IRIS.target_names)
    # No data are kept.
    assert (tmp_path / "model").stat().st_size < 12_000
    assert torch.equal(torch.get_rng_state(), state[0])
    assert (_numpys() == state[1]).all()


def test_a_data_frame_with_text_and_holes() -> None:
    model = mlpexp.Classifier([*QUICK, "epochs=20"])
    # Some parts lack a hole or a value that others have.
    assert cross_val_score(model, FRAME, YES, cv=4).mean() > 0.9
    model.fit(FRAME[:100].with_columns(pl.col("number").fill_null(0.5)), YES[:100])
    assert list(model.feature_names_in_) == FRAME.columns
    mean = float(FRAME[:100]["number"].fill_null(0.5).mean())  # type: ignore[arg-type]
    hole, filled = (FRAME[:1].with_columns(number=pl.lit(value, pl.Float64)) for value in (None, mean))
    np.testing.assert_allclose(model.predict_proba(hole), model.predict_proba(filled), rtol=1e-6)
    assert model.predict(FRAME[:1].with_columns(colour=pl.lit("violet"))).shape == (1,)


@pytest.mark.parametrize("given", [{"number": NUMBERS}, NUMBERS[:, None]], ids=["frame", "array"])
def test_settings_of_columns_and_targets_hold(given: Any) -> None:
    x = pl.DataFrame(given) if isinstance(given, dict) else given
    y = np.exp(3 * NUMBERS)
    model = mlpexp.Regressor([*QUICK, "dataset.target_transform=log", "dataset.scale=quantile"]).fit(x, y)
    assert np.corrcoef(np.log(model.predict(x)), np.log(y))[0, 1] > 0.95
    (column,) = model._results.identity.preprocessing.columns
    assert getattr(column, "quantiles", ())
    with pytest.raises(ConfigError, match="target_transform=log: needs values greater than 0"):
        model.fit(x, -y)


def test_several_values() -> None:
    x, y = load_diabetes(return_X_y=True)
    both = np.stack([y, 1000 - 10 * y], 1)
    model = mlpexp.Regressor(QUICK).fit(x, both)
    assert model.predict(x).shape == both.shape
    assert model.score(x, both) > 0.3


def test_all_rows_train_unless_some_are_to_validate() -> None:
    def model(*more: str, **parameters: Any) -> mlpexp.Classifier:
        return mlpexp.Classifier([*QUICK, "optimizer.lr=0.3", "epochs=12", *more], **parameters).fit(IRIS.data, SPECIES)

    def of(share: float | None) -> Any:
        return model("epochs=1", validation_fraction=share)._results.identity.preprocessing.columns

    # One row of a class is enough, where no row validates and where some do.
    rows = [0, 50, 51, 52, 53, 54, 100, 101, 102, 103, 104]
    for share in (None, 0.6):
        few = mlpexp.Classifier(QUICK, validation_fraction=share).fit(IRIS.data[rows], SPECIES[rows])
        assert list(few.classes_) == list(IRIS.target_names)
    train, val = _split(IRIS.target[rows], 0.6, np.random.default_rng(0))
    assert np.bincount(IRIS.target[rows][train]).tolist() == [1, 2, 2]
    assert sorted([*train, *val]) == list(range(len(rows)))
    for more in ("regularizer=[early_stopping]", "metric=loss", "dataset.val_fraction=0.2", "scheduler=plateau"):
        assert model(more).history_ == model(more, validation_fraction=0.2).history_
    (first, *_), (fewer, *_) = (of(None), of(0.2))
    assert first.mean == pytest.approx(IRIS.data[:, 0].mean()) != pytest.approx(fewer.mean)
    # The weights of the best epoch, by the loss of these rows, or those of the last one.
    best = model("metric=loss", validation_fraction=0.2)
    least = min(best.history_, key=lambda row: row["loss/val"])["epoch"]
    assert least < 12
    until = model("metric=loss", f"epochs={least:g}", validation_fraction=0.2)
    assert (best.predict_proba(IRIS.data) == until.predict_proba(IRIS.data)).all()
    assert (model().predict_proba(IRIS.data) != model("epochs=11").predict_proba(IRIS.data)).any()


WHOLE = {"colour": COLOURS, "number": NUMBERS}


@pytest.mark.parametrize("kind", ["classes", "numbers", "values", "points", "images"])
def test_the_estimator_of_a_run_predicts_what_load_predicts(kind: str, here: Path) -> None:
    targets = {"classes": YES, "numbers": (YES == "yes") * 2 + 1, "values": NUMBERS**2}
    frame = pl.DataFrame(WHOLE)
    own = {"points": "dataset=circles", "images": "dataset=digits"}.get(kind, "dataset=circles")
    config = mlpexp.compose([*QUICK, own, "log.figures=false", "log.tensorboard=false"])
    run = mlpexp.train(config, "run", data=(frame, targets[kind]) if kind in targets else None)
    x = {"points": RNG.normal(size=(20, 2)), "images": load_digits().data[:20]}.get(kind, frame)
    model = run.estimator()
    results, _ = mlpexp.load("run")
    if kind == "values":
        assert isinstance(model, mlpexp.Regressor)
        assert (model.predict(x) == results.predict(x)[:, 0]).all()
    else:
        assert isinstance(model, mlpexp.Classifier)
        assert (model.predict_proba(x) == results.predict(x)).all()
    if kind in targets:
        assert model.score(x, targets[kind]) > 0.6
        again = clone(model).fit(frame, targets[kind])
        assert [p.shape for p in again._results.module.parameters()] == [p.shape for p in results.module.parameters()]
        assert again.n_iter_ == model.n_iter_ == 5


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a text": ({"overrides": "epochs=3"}, "overrides='epochs=3': must be a list of texts, such as ['epochs=20']."),
    "no key": ({"overrides": ["epoch=3"]}, "epoch=3: no such key"),
    "a dataset": ({"overrides": ["dataset=xor"]}, "dataset=xor: an estimator learns from the rows that fit is given"),
    "rows": ({"overrides": ["dataset.group=a"]}, "dataset.group: is not for an estimator; dataset.columns, "),
    "a share": ({"validation_fraction": 2}, "validation_fraction=2: must be None or a float between 0 and 1."),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_line(what: str) -> None:
    parameters, said = WRONG[what]
    with pytest.raises(ConfigError) as refused:
        mlpexp.Classifier(**parameters).fit(IRIS.data, SPECIES)
    (line,) = refused.value.lines
    assert line.startswith(said)


def test_one_class_is_refused_and_so_are_columns_that_say_nothing() -> None:
    with pytest.raises(ConfigError, match=r"^y: has the one class setosa; at least two are needed.$"):
        mlpexp.Classifier(QUICK).fit(IRIS.data[:50], SPECIES[:50])
    with pytest.raises(ConfigError, match=r"^X: has no input column \(a: constant: 1 in every row\).$"):
        mlpexp.Classifier(QUICK).fit(pl.DataFrame({"a": [1] * 50}), SPECIES[25:75])


def test_a_run_that_diverges_says_so() -> None:
    with pytest.raises(DivergedError, match="diverged: the training loss was"):
        mlpexp.Regressor([*QUICK, "optimizer=sgd", "optimizer.lr=1e20"]).fit(NUMBERS[:, None], NUMBERS)


@pytest.mark.parametrize("kind", [mlpexp.Classifier, mlpexp.Regressor])
def test_weights_of_rows(kind: Any) -> None:
    """Their ratios count; 0 is as if the row were not there."""
    x, y = IRIS.data[::3], IRIS.data[::3, 2] if kind is mlpexp.Regressor else SPECIES[::3]
    whole = ("epochs=5", "batch_size=500", "model.hidden=[8]", "optimizer=sgd", "log.diagnostics=0")
    weight = np.random.default_rng(0).integers(0, 4, len(x))

    def answers(estimator: Any) -> np.ndarray:
        return np.asarray(estimator.predict_proba(x) if kind is mlpexp.Classifier else estimator.predict(x))

    weighted = kind(whole).fit(x, y, sample_weight=10.0 * weight)
    without = kind(whole).fit(x[weight > 0], y[weight > 0], sample_weight=weight[weight > 0])
    assert answers(weighted) == pytest.approx(answers(without), rel=1e-6)
    alike = kind(whole).fit(x[weight > 0], y[weight > 0])
    assert np.abs(answers(weighted) - answers(alike)).max() > 1e-4
    metric = accuracy_score if kind is mlpexp.Classifier else r2_score
    expected = metric(y, weighted.predict(x), sample_weight=weight)
    assert weighted.score(x, y, sample_weight=weight) == pytest.approx(expected)
