"""What columns make of their values, against scikit-learn's imputer, encoders and scalers, and against calendars."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.compose import make_column_transformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, RobustScaler, StandardScaler

from mlpexp.data import Category, Date, Image, Number, Preprocessing, Target, Task
from mlpexp.data.columns import MISSING, UNKNOWN, Column
from mlpexp.data.identity import Identity

SCALERS: dict[str, Any] = {
    "standard": StandardScaler(),
    "robust": RobustScaler(unit_variance=True),
    "quantile": QuantileTransformer(n_quantiles=200, output_distribution="normal", subsample=None),
}


def inputs_of(column: Column, raw: Any) -> np.ndarray:
    """What a network sees of one column's raw values [N]."""
    values = torch.as_tensor(raw, dtype=torch.float64).unsqueeze(1)
    return Preprocessing((column,)).inputs(values).numpy()


def draws(n: int, seed: int = 0) -> np.ndarray:
    """Numbers far from normal, some of them equal, a tenth of them missing."""
    generator = np.random.default_rng(seed)
    values = np.round(1e6 + generator.exponential(1000, n), -1)
    return np.where(generator.random(n) < 0.1, np.nan, values)


@pytest.mark.parametrize("scale", SCALERS)
def test_numbers_with_holes(scale: Any) -> None:
    train, new = draws(200), draws(50, seed=1)
    column = Number.fit("x", torch.from_numpy(train), scale, missing=True)
    # The scaler is fitted to the known values: it passes over what is missing.
    scaler = SCALERS[scale].fit(train[:, None])
    median = SimpleImputer(strategy="median").fit(train[:, None])
    expected = scaler.transform(median.transform(new[:, None]))
    found = inputs_of(column, new)
    atol = 0.02 if scale == "quantile" else 1e-5  # 180 known values have 180 quantiles, scikit-learn's 200 are between
    np.testing.assert_allclose(found[:, :1], expected, atol=atol)
    np.testing.assert_array_equal(found[:, 1:], MissingIndicator().fit_transform(new[:, None]))


def test_quantiles_are_scikit_learns_for_equal_values_and_beyond_the_ends() -> None:
    train = np.repeat([1.0, 2.0, 2.0, 5.0, 9.0], 40) + np.tile(np.arange(40) % 4 == 0, 5)
    theirs = QuantileTransformer(n_quantiles=200, output_distribution="normal").fit(train[:, None])
    column = Number.fit("x", torch.from_numpy(train), "quantile")
    new = np.array([-1e9, 0.5, 1.7, 2.0, 3.0, 6.5, 9.9, 1e9])
    np.testing.assert_allclose(inputs_of(column, new), theirs.transform(new[:, None]), atol=0.02)
    # Where scikit-learn takes the lowest value for −5.2, a third of the rows or not, ours is in the middle of its rows:
    # 30 of 200 are 1, so their probability is 0.075.
    np.testing.assert_allclose(inputs_of(column, [1.0]), scipy.stats.norm.ppf([[0.075]]), atol=0.03)


def test_what_is_constant_in_training_rows_is_0_in_all() -> None:
    column = Number.fit("x", torch.tensor([0.3, 0.1 + 0.2, 0.3], dtype=torch.float64))
    assert inputs_of(column, [0.3, 7.0, -1e9]).tolist() == [[0], [0], [0]]
    assert inputs_of(
        Number.fit("x", torch.tensor([np.nan, np.nan]).double(), missing=True), [5.0, np.nan]
    ).tolist() == [
        [0, 0],
        [0, 1],
    ]


def test_categories_are_scikit_learns_one_hot_codes() -> None:
    values = ["a"] * 9 + ["b"] * 6 + ["c"] * 4
    places = torch.tensor([["a", "b", "c"].index(value) for value in values]).double()
    column = Category.fit("letter", ["a", "b", "c"], places)
    theirs = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(np.array(values)[:, None])
    new = ["c", "a", "zebra", "b"]
    raw = [("a", "b", "c").index(value) if value != "zebra" else UNKNOWN for value in new]
    found = inputs_of(column, raw)
    np.testing.assert_array_equal(found[:, :3], theirs.transform(np.array(new)[:, None]))
    # No training row had another value: its input would have weights of chance.
    assert column.names == ["letter=a", "letter=b", "letter=c", "letter: other"]
    assert found[:, 3].tolist() == [0, 0, 0, 0]


def test_rare_and_unknown_categories_are_other_ones_and_missing_ones_a_category_of_their_own() -> None:
    # "b" has two rows in training: it is in the table, so its input stays, and is 0.
    column = Category.fit("letter", ["a", "b"], torch.tensor([0, 0, 0, 0, 1, 1, MISSING]).double(), missing=True)
    assert (column.rare, column.other) == (("b",), True)
    assert inputs_of(column, [0, 1, UNKNOWN, MISSING]).tolist() == [
        [1, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]


def test_at_most_64_values_have_inputs_of_their_own() -> None:
    places = torch.arange(100).repeat_interleave(3).double()
    column = Category.fit("id", [f"v{number}" for number in range(100)], places)
    assert len(column.values) == 64
    found = inputs_of(column, [0, 63, 64, 99])
    assert found.shape == (4, 65)
    assert found.argmax(1).tolist() == [0, 63, 64, 64]


def test_dates_are_a_day_a_month_and_a_weekday() -> None:
    days = [datetime.date(1969, 12, 28), datetime.date(2024, 2, 29), datetime.date(2026, 11, 28)]
    raw = np.array([(day - datetime.date(1970, 1, 1)).days for day in days], dtype=float)
    column = Date.fit("day", "year first", torch.from_numpy(np.append(raw, np.nan)), missing=True)
    found = inputs_of(column, [*(raw + 0.75), np.nan])
    names = column.names
    assert found.shape[1] == len(names) == 1 + 12 + 7 + 1
    for row, day in zip(found, days, strict=False):
        named = {name for name, value in zip(names[1:], row[1:], strict=True) if value}
        assert named == {f"day: month {day.month}", f"day: {day:%a}"}
    assert {name for name, value in zip(names[1:], found[-1, 1:], strict=True) if value} == {"day is missing"}
    scaled = StandardScaler().fit(raw[:, None])
    np.testing.assert_allclose(found[:3, :1], scaled.transform(raw[:, None] + 0.75), atol=1e-6)
    np.testing.assert_allclose(found[3:, :1], scaled.transform([[np.median(raw)]]), atol=1e-6)


def test_the_month_of_every_day_of_nine_centuries_is_numpys() -> None:
    days = np.arange("1600-01-01", "2500-01-01", dtype="datetime64[D]")
    found = Date("day").encoded(torch.from_numpy(days.astype(float))[:, None])[:, 1:13]
    np.testing.assert_array_equal(found.argmax(1), days.astype("datetime64[M]").astype(int) % 12)


def test_each_column_has_its_inputs_side_by_side() -> None:
    generator = np.random.default_rng(0)
    x = np.stack([generator.normal(size=60), generator.integers(0, 3, 60).astype(float), generator.normal(size=60)], 1)
    columns = (
        Number.fit("u", torch.from_numpy(x[:, 0])),
        Category.fit("k", ["a", "b", "c"], torch.from_numpy(x[:, 1])),
        Number.fit("v", torch.from_numpy(x[:, 2])),
    )
    theirs = make_column_transformer(
        (StandardScaler(), [0]), (OneHotEncoder(sparse_output=False), [1]), (StandardScaler(), [2])
    )
    found = Preprocessing(columns).inputs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(np.delete(found, 4, axis=1), theirs.fit_transform(x), atol=1e-6)
    assert Preprocessing(columns).input_names == ("u", "k=a", "k=b", "k=c", "k: other", "v")


@pytest.mark.parametrize("transform", ["none", "log", "log1p"])
def test_what_is_predicted_comes_back_in_its_own_units(transform: Any) -> None:
    values = torch.from_numpy(np.random.default_rng(0).lognormal(3, 2, (50, 1)))
    target = Target.fit("y", values, transform)
    scaled = target.scaled(values)
    plain = {"none": values, "log": values.log(), "log1p": (1 + values).log()}[transform]
    np.testing.assert_allclose(scaled, StandardScaler().fit_transform(plain), atol=1e-9)
    np.testing.assert_allclose(target.unscaled(scaled), values, rtol=1e-9)


def test_all_columns_come_back_from_json() -> None:
    columns = (
        Number("n", 1e12, 1 / 3, 0.1, (0.0, 1.5)),
        Category("c", ("yes, é", "no"), ("no",), missing=True, other=True),
        Date("d", "day first", 1.0, 0.0, None),
        Image("p", 2, 3),
    )
    known = Identity(
        Task("regression", n_values=2),
        Preprocessing(columns, Target("y", 1.0, 2.0, "log1p"), (Target("z", merged=("a", "b")),)),
    )
    assert Identity.of_plain(json.loads(json.dumps(known.plain))) == known
