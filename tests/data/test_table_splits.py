"""Which rows of a table are trained on and tested, and what is predicted: against scikit-learn, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import r2_score
from sklearn.preprocessing import QuantileTransformer, RobustScaler

import mlpexp
from mlpexp.config.schema import Config
from mlpexp.data.columns import Number
from mlpexp.data.dataset import Data
from mlpexp.data.identity import unpacked
from mlpexp.data.table import Table
from mlpexp.errors import ConfigError

Small = Callable[..., Config]
Columns = dict[str, Any]  # by name, the cells


def write(columns: Columns, path: str = "t.csv") -> None:
    pl.DataFrame({name: list(map(str, cells)) for name, cells in columns.items()}).write_csv(path)


def loaded(table: Columns, **settings: Any) -> Data:
    write(table)
    return Table(path="t.csv", **settings).load(Path())


def split_rows(data: Data) -> list[list[int]]:
    """The rows of train, val and test."""
    assert data.source is not None
    n_rows = data.source.n_rows + (data.test_source.n_rows if data.test_source else 0)
    return [rows.tolist() for rows in unpacked(data.packed_split, n_rows)]


def used(data: Data) -> list[int]:
    """The rows of all splits."""
    return sorted(row for rows in split_rows(data) for row in rows)


def classes(n: int, names: Sequence[str] = "pq") -> list[str]:
    return [names[i % len(names)] for i in range(n)]


def uneven(n: int) -> list[float]:
    """Different numbers that do not count the rows."""
    return [round(float(np.sin(i + 1)) * 9, 4) for i in range(n)]


@pytest.mark.parametrize("name", ["patient {}", "{}", "0{}"])
@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_no_group_is_in_two_splits(name: str, seed: int, here: Path) -> None:
    groups = [name.format(i * 7 % 25) for i in range(200)]
    data = loaded({"g": groups, "x": uneven(200), "y": classes(200)}, group="g", seed=seed)
    members = [{groups[row] for row in rows} for rows in split_rows(data)]
    assert [len(part) for part in members] == [15, 5, 5]
    assert len(set.union(*members)) == 25
    assert used(data) == list(range(200))
    assert data.feature_names == ("x",)


@pytest.mark.parametrize(("val", "test"), [(0.05, 0.9), (0.9, 0.05)])
def test_each_split_has_one_of_three_groups(val: float, test: float, here: Path) -> None:
    columns: Columns = {"x": uneven(30), "g": classes(30, "abc"), "y": uneven(30)}
    data = loaded(columns, group="g", val_fraction=val, test_fraction=test)
    assert [len(rows) for rows in split_rows(data)] == [10, 10, 10]


def test_rows_of_one_patient_in_train_and_test_look_like_learning(here: Path, small: Small) -> None:
    draw = np.random.default_rng(0)
    patients = draw.normal(size=(60, 8)).repeat(10, axis=0)
    rows = patients + draw.normal(scale=0.01, size=patients.shape)
    labels = draw.permutation([0, 1] * 30).repeat(10)
    columns: Columns = {f"x{at}": rows[:, at] for at in range(8)}
    write({"patient": [f"P{i // 10}" for i in range(600)], **columns, "y": labels})
    chosen = ["dataset=table", "dataset.path=t.csv", "epochs=12", "optimizer.lr=0.02"]
    without = mlpexp.train(small(*chosen, "dataset.ignore=[patient]"), "rows")
    grouped = mlpexp.train(small(*chosen, "dataset.group=patient"), "groups")
    assert without.metrics["test"]["accuracy"] > 0.97
    assert grouped.metrics["train"]["accuracy"] > 0.8
    assert 0.25 < grouped.metrics["test"]["accuracy"] < 0.75


def dates(form: str) -> list[str]:
    start = np.datetime64("2019-11-05")
    days = [(start + i * 11).item() for i in range(100)]
    return [f"{day:{form}}" for day in days]


TIMES: dict[str, Sequence[Any]] = {
    "numbers": [i * 0.5 - 3 for i in range(100)],
    "years": [1900 + i for i in range(100)],
    "ISO dates": dates("%Y-%m-%d"),
    "days first": dates("%d.%m.%Y"),
    "months first": dates("%m/%d/%Y"),
    "times of a day": dates("%Y-%m-%d 00:%d"),
}


@pytest.mark.parametrize("kind", TIMES)
def test_the_last_rows_in_time_are_the_test(kind: str, here: Path) -> None:
    order = np.random.default_rng(0).permutation(100).tolist()
    data = loaded({"when": [TIMES[kind][i] for i in order], "x": uneven(100), "y": classes(100)}, time="when")
    places = [sorted(order[row] for row in rows) for rows in split_rows(data)]
    assert places == [list(range(60)), list(range(60, 80)), list(range(80, 100))]
    assert data.feature_names == ("x",)


def test_dates_that_fit_both_orders_are_split_as_said(here: Path) -> None:
    when = [f"{i % 12 + 1:02}/{i // 12 + 1:02}/2020" for i in range(144)]
    columns: Columns = {"when": when, "x": uneven(144), "y": classes(144)}
    for said, key in (("day_first", (1, 0)), ("month_first", (0, 1))):
        data = loaded(columns, time="when", columns={"when": said}, ignore=("when",))
        in_time = sorted(range(144), key=lambda row: [when[row].split("/")[at] for at in key])
        assert set(split_rows(data)[0]) == set(in_time[: len(split_rows(data)[0])])


def test_rows_of_one_time_are_in_one_split(here: Path) -> None:
    when = [2000] * 50 + [2001] * 5 + [2002] * 40 + [2003] * 5
    data = loaded({"when": when, "x": uneven(100), "y": classes(100)}, time="when")
    years = [{when[row] for row in rows} for rows in split_rows(data)]
    # 55, 40 and 5 rows are nearest to 60, 20 and 20.
    assert years == [{2000, 2001}, {2002}, {2003}]


def test_a_column_says_the_split_in_several_spellings(here: Path) -> None:
    said = ["Train", "training", " train", "learn", "VAL", "validation", "valid", "dev", "test", "Testing", "holdout"]
    columns: Columns = {"part": said * 4, "x": uneven(44), "y": classes(44)}
    data = loaded(columns, split="part")
    expected = [{"train", "learn"}, {"val", "dev"}, {"test", "holdout"}]
    for rows, (name, other) in zip(split_rows(data), expected, strict=True):
        assert rows == [i for i in range(44) if said[i % 11].lower().strip().startswith((name, other))]


def test_val_is_drawn_from_train_where_the_column_names_none(here: Path) -> None:
    columns: Columns = {"part": ["train"] * 40 + ["test"] * 10, "x": uneven(50), "y": classes(50, "pppq")}
    for seed in range(4):
        data = loaded(columns, split="part", seed=seed)
        train, _, test = split_rows(data)
        assert test == list(range(40, 50))
        assert used(data) == list(range(50))
        assert len(train) == 32
        assert data.val.y.tolist().count(1) == 2  # the same share of each class


def refused(table: Columns, *parts: str, other: Columns | None = None, **settings: Any) -> None:
    """One line, with all these parts."""
    if other is not None:
        write(other, "other.csv")
        settings["test_path"] = "other.csv"
    write(table)
    with pytest.raises(ConfigError) as caught:
        Table(path="t.csv", **settings).load(Path())
    (line,) = caught.value.lines
    for part in parts:
        assert part in line, line


FEW: Columns = {"g": classes(30, "ab"), "n": classes(30, ["1", "2", ""]), "x": uneven(30), "y": classes(30)}
TEST: Columns = {"x": uneven(6), "c": classes(6, "uv"), "y": classes(6)}
LEARNED: Columns = {"x": uneven(30), "c": classes(30, "uvw"), "y": classes(30)}
WRONG: dict[str, tuple[Columns, tuple[str, ...], dict[str, Any]]] = {
    "group of two": (FEW, ("dataset.group=g: has 2 groups; at least 3",), {"group": "g"}),
    "group missing": (FEW, ("dataset.group=n: line 4: the value is missing", "10 such rows"), {"group": "n"}),
    "group unknown": (
        {**FEW, "patient": uneven(30)},
        ("dataset.group=patent: no column", "did you mean 'patient'?"),
        {"group": "patent", "target": ("y",)},
    ),
    "time of two": (
        {**FEW, "n": classes(30, "12")},
        ("dataset.time=n: has 2 different times; at least 3",),
        {"time": "n"},
    ),
    "time is text": (FEW, ("dataset.time=g: holds neither numbers nor dates", "line 2", "'a'"), {"time": "g"}),
    "time in either order": (
        {**FEW, "n": ["01/02/2020", "02/02/2020", "03/02/2020"] * 10},
        ("dataset.time=n: its dates, such as '01/02/2020'", "dataset.columns.n=day_first or month_first"),
        {"time": "n"},
    ),
    "no val for a class": (
        {**FEW, "g": ["train", "train", "test"] * 10, "y": ["c", *"ab" * 14, "a"]},
        ("dataset.split=g: val cannot be split off the 20 training rows", "1 member", "can say which rows are for val"),
        {"split": "g"},
    ),
    "time missing": (FEW, ("dataset.time=n: line 4: the value is missing",), {"time": "n"}),
    "split misspelt": (
        {**FEW, "g": ["train", "tset", "val"] * 10},
        ("dataset.split=g: line 3: 'tset' names no split; did you mean 'test'?",),
        {"split": "g"},
    ),
    "split without test": (
        {**FEW, "g": ["train", "val"] * 15},
        ("dataset.split=g: no row is assigned to test",),
        {"split": "g"},
    ),
    "split missing": (
        {**FEW, "g": ["train", "test", ""] * 10},
        ("dataset.split=g: line 4: the value is missing",),
        {"split": "g"},
    ),
    "two rules": (FEW, ("time=x: group=g splits the rows already",), {"group": "g", "time": "x"}),
    "class only in test": (
        {**FEW, "g": ["train", "val", "test"] * 10, "y": ["a", "b", "c"] * 10},
        ("2 classes of the target are in no training row",),
        {"split": "g"},
    ),
    "value only in train": (
        {**FEW, "g": ["train", "val", "test"] * 10, "y": [0.1, 2.5, 3.5] * 10},
        ("dataset.target=y: is 0.1 in every training row",),
        {"split": "g"},
    ),
    "rare": (
        {**FEW, "y": [*"aaabbbb" * 4, "c", "d"]},
        (
            "dataset.target=y: has 2 classes with fewer than 3 rows: 'c' (1), 'd' (1)",
            "dataset.rare=drop",
            "dataset.rare=merge",
        ),
        {},
    ),
    "merge of two rows": (
        {**FEW, "y": [*"aaabbbb" * 4, "c", "d"]},
        ("dataset.rare=merge: y has 2 classes", "dataset.rare=drop leaves them out"),
        {"rare": "merge"},
    ),
    "drop to one class": (
        {**FEW, "y": [*"a" * 28, "c", "d"]},
        ("dataset.rare=drop: y has 2 classes", "too few other classes"),
        {"rare": "drop"},
    ),
    "missing": (
        {"x": ["", *uneven(29)], "y": classes(30)},
        ("line 2, column 'x': the value is missing (1 such cell)", "dataset.missing=impute"),
        {"missing": "refuse"},
    ),
    "too large": (
        {"x": [*uneven(29), "-1e101"], "y": classes(30)},
        ("dataset.path=t.csv: line 31, column 'x': '-1e+101' is too large a number (at most 1e+100)",),
        {},
    ),
    "log of zero": (
        {"x": uneven(30), "y": [1.5, 0, *range(28)]},
        ("dataset.target_transform=log: needs values greater than 0", "t.csv line 3 has y = 0"),
        {"target_transform": "log", "task": "regression"},
    ),
    "log1p of -1": (
        {"x": uneven(30), "y": [1.5, -1, *range(28)]},
        ("dataset.target_transform=log1p", "greater than -1", "line 3 has y = -1"),
        {"target_transform": "log1p", "task": "regression"},
    ),
    "test: log of zero": (
        {**LEARNED, "y": range(1, 31)},
        ("dataset.target_transform=log", "in dataset.test_path=other.csv line 4 has y = 0"),
        {"other": {**TEST, "y": [1.5, 2, 0, 3, 4, 5]}, "target_transform": "log"},
    ),
    "log of classes": (
        FEW,
        ("dataset.target_transform=log: applies to values; y holds classes",),
        {"target_transform": "log"},
    ),
    "target ignored": (FEW, ("dataset.ignore=y: y is the target",), {"ignore": ("y",)}),
    "target's kind": (
        FEW,
        ("dataset.columns.y=category: y is the target", "dataset.task"),
        {"columns": {"y": "category"}},
    ),
    "target of values with text": (
        {**FEW, "y": [*uneven(29), "many"]},
        ("line 31, column 'y': 'many' is not a finite number", "dataset.task=classification"),
        {},
    ),
    "several with classes": (FEW, ("dataset.target: g holds classes",), {"target": ("x", "g")}),
    "test: class unknown": (
        LEARNED,
        ("dataset.test_path=other.csv: line 4, column 'y': the run knows no class 'Q'", "q"),
        {"other": {**TEST, "y": [*"pqQ", *"pqp"]}},
    ),
    "test: column missing": (
        LEARNED,
        ("dataset.test_path=other.csv: the column c is missing",),
        {"other": {"x": uneven(6), "y": classes(6)}},
    ),
    "test: no target": (
        LEARNED,
        ("dataset.test_path=other.csv: no row has a value of y",),
        {"other": {**TEST, "y": [""] * 6}},
    ),
    "test: text": (
        LEARNED,
        ("dataset.test_path=other.csv: line 3, column 'x': 'tall' is not a finite number",),
        {"other": {**TEST, "x": [1, "tall", 2, 3, 4, 5]}},
    ),
    "test: hole": (
        LEARNED,
        ("dataset.test_path=other.csv: line 2, column 'c': the value is missing (1 such cell)",),
        {"other": {**TEST, "c": ["", *"uvuvu"]}, "missing": "refuse"},
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_one_line(mistake: str, here: Path) -> None:
    table, parts, settings = WRONG[mistake]
    refused(table, *parts, **settings)


def test_split_sees_the_columns_of_another_file_in_any_order(here: Path) -> None:
    """And categories that no training row has, holes that only test rows have, and rows without a target."""
    learned: Columns = {"x": uneven(30), "c": classes(30, "uvw"), "y": classes(30)}
    write(
        {"y": ["q", "p", "", "p"], "extra": [1, 2, 3, 4], "c": ["new", "v", "u", "u"], "x": [1, "", 2, 3]}, "other.csv"
    )
    data = loaded(learned, test_path="other.csv")
    assert [len(rows) for rows in split_rows(data)] == [24, 6, 3]
    assert split_rows(data)[2] == [30, 31, 33]
    assert data.test.y.tolist() == [1, 0, 0]
    x = data.test.x
    names = list(data.feature_names)
    assert names == ["x", "x is missing", "c=u", "c=v", "c=w", "c: other"]
    assert x[:, 1:].tolist() == [[0, 0, 0, 0, 0], [1, 0, 1, 0, 0], [0, 1, 0, 0, 0]]
    train = torch.tensor(learned["x"], dtype=torch.float64)[split_rows(data)[0]]
    deviation = train.std(correction=0)
    filled = torch.tensor([1, float(np.median(train)), 3], dtype=torch.float64)
    assert torch.allclose(x[:, 0].double(), (filled - train.mean()) / deviation, atol=1e-5)
    again = Table(path="t.csv", test_path="other.csv").load_again(Path(), data.identity, Path("run"))
    assert torch.equal(again.test.x, x)


def test_a_category_that_is_written_as_a_number_is_the_same_where_all_are_numbers(here: Path) -> None:
    write({"c": ["2.50", "1.0", "1.0", "3"], "y": classes(4)}, "other.csv")
    data = loaded({"c": classes(60, ["1.0", "2.50", "a"]), "y": classes(60)}, test_path="other.csv")
    assert data.feature_names == ("c=1.0", "c=2.50", "c=a", "c: other")
    assert data.test.x.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_true_and_false_are_the_same_in_text_and_in_a_data_frame(here: Path) -> None:
    pl.DataFrame({"c": [True, False], "d": [1.5, 2], "y": ["p", "q"]}).write_parquet("other.parquet")
    columns: Columns = {"c": classes(30, ["TRUE", "FALSE"]), "d": classes(30, ["a", "b", "c"]), "y": classes(30)}
    data = loaded(columns, test_path="other.parquet")
    assert data.feature_names == ("c=FALSE", "c=TRUE", "c: other", "d=a", "d=b", "d=c", "d: other")
    assert data.test.x[:, :3].tolist() == [[0, 1, 0], [1, 0, 0]]
    assert data.test.x[:, 3:].tolist() == [[0] * 4] * 2


@pytest.mark.parametrize("rare", ["drop", "merge"])
def test_rare_classes_are_left_out_or_one_class_here_and_when_loaded_again(rare: str, here: Path, small: Small) -> None:
    labels = ["c", *"ab" * 20, "d", "e", "e"]
    write({"x": uneven(44), "y": labels})
    chosen = [f"dataset.rare={rare}", "dataset=table", "dataset.path=t.csv", "epochs=1"]
    run = mlpexp.train(small(*chosen), "run")
    results, _ = mlpexp.load("run")
    other = ("other",) if rare == "merge" else ()
    assert results.task.classes == ("a", "b", *other)
    assert used(results.data) == (list(range(44)) if rare == "merge" else list(range(1, 41)))
    for split, rows in zip(results.data.splits().values(), split_rows(results.data), strict=True):
        expected = [labels[row] if labels[row] in "ab" else "other" for row in rows]
        assert [results.task.classes[at] for at in split.y] == expected
    assert results.metrics()["test"] == pytest.approx(run.metrics["test"], rel=1e-6)
    # Another table, whose rows of rare classes count as they did.
    write({"y": ["a", "e", "b", "c"], "x": [1, 2, 3, 4]}, "new.csv")
    if rare == "drop":
        with pytest.raises(ConfigError, match=r"data=new\.csv: line 3, column 'y': the run knows no class 'e'"):
            mlpexp.evaluate("run", data="new.csv")
    else:
        found = mlpexp.evaluate("run", data="new.csv").metrics["all 4 rows of new.csv"]
        best = results.predict(pl.read_csv("new.csv")).argmax(1)
        assert found["accuracy"] == pytest.approx((best == [0, 2, 1, 2]).mean())


def test_rows_with_holes_are_left_out(here: Path, small: Small) -> None:
    x: list[Any] = uneven(40)
    c: list[Any] = classes(40, "uv")
    x[3] = x[7] = c[7] = c[12] = ""
    write({"x": x, "c": c, "y": classes(40)})
    run = mlpexp.train(small("dataset=table", "dataset.path=t.csv", "dataset.missing=drop", "epochs=1"), "run")
    results, _ = mlpexp.load("run")
    assert used(results.data) == sorted({*range(40)} - {3, 7, 12})
    # What no row lacks that is learned from has no input for it.
    assert results.identity.preprocessing.input_names == ("x", "c=u", "c=v", "c: other")
    assert results.metrics()["val"] == pytest.approx(run.metrics["val"], rel=1e-6)
    with pytest.raises(ConfigError, match=r"row 4, column 'x': the value is missing \(and 1 more\)"):
        results.predict(pl.DataFrame({"x": [None if value == "" else value for value in x], "c": c}))


@pytest.mark.parametrize("transform", ["none", "log", "log1p"])
def test_r2_and_predictions_of_several_values_are_scikit_learns(transform: str, here: Path, small: Small) -> None:
    x = np.array(uneven(60))
    values = np.stack([np.exp(x / 3) * 50, (x + 10) ** 2 + 1], 1)
    write({"big": values[:, 0], "x": x, "small": values[:, 1]})
    chosen = ["dataset=table", "dataset.path=t.csv", "epochs=12", "optimizer.lr=0.01", "batch_size=8"]
    chosen += ["dataset.target=[small,big]", f"dataset.target_transform={transform}"]
    run = mlpexp.train(small(*chosen), "run")
    results, _ = mlpexp.load("run")
    train, _, test = split_rows(results.data)
    predicted = results.predict(pl.DataFrame({"x": x}))
    assert predicted.shape == (60, 2)
    function: Any = {"none": np.array, "log": np.log, "log1p": np.log1p}[transform]
    true, found = (function(part) for part in (values[:, ::-1], predicted))
    mean, deviation = true[train].mean(0), true[train].std(0)
    true, found = (true - mean) / deviation, (found - mean) / deviation
    expected = r2_score(true[test], found[test], multioutput="variance_weighted")
    assert run.metrics["test"]["r2"] == pytest.approx(expected, abs=1e-4)
    assert expected > 0.5
    # A row alone gives the same as among others.
    np.testing.assert_allclose(results.predict(pl.DataFrame({"x": x[:1]})), predicted[:1], rtol=1e-5)


def test_several_values_are_learned_in_a_stack_as_alone(here: Path, small: Small) -> None:
    write({"x": uneven(40), "a": [value**2 for value in uneven(40)], "b": [value * 3 for value in uneven(40)]})
    chosen = ["dataset=table", "dataset.path=t.csv", "dataset.target=[a,b]", "epochs=2", "model.hidden=[4]"]
    mlpexp.train_sweep([*chosen, "seed=0,1", "log.figures=false", "log.tensorboard=false"], "sweep")
    for seed in (0, 1):
        stacked = json.loads(Path(f"sweep/{seed}/run.json").read_text())["metrics"]
        alone = mlpexp.train(small(*chosen, f"seed={seed}"), f"alone_{seed}").metrics
        for split, metrics in alone.items():
            assert stacked[split] == pytest.approx(metrics, rel=1e-4), split


def test_a_column_that_is_constant_in_train_alone_is_0_everywhere(here: Path, small: Small) -> None:
    part = ["train"] * 30 + ["val"] * 10 + ["test"] * 10
    x = uneven(50)
    same = [0.1] * 40 + [1e6 * i for i in range(10)]
    write({"x": x, "same": same, "part": part, "y": [2 * value + 1 for value in x]})
    chosen = ["dataset=table", "dataset.path=t.csv", "dataset.split=part", "epochs=30", "optimizer.lr=0.01"]
    run = mlpexp.train(small(*chosen), "run")
    results, _ = mlpexp.load("run")
    assert results.data.test.x[:, 1].tolist() == [0] * 10
    assert run.metrics["test"]["r2"] > 0.9


@pytest.mark.parametrize("scale", ["robust", "quantile"])
def test_scales_are_scikit_learns(scale: Any, here: Path) -> None:
    x = np.random.default_rng(0).standard_cauchy(200)
    data = loaded({"x": x.tolist(), "y": classes(200)}, scale=scale)
    train, _, test = split_rows(data)
    column = x[:, None]
    if scale == "robust":
        known: Any = RobustScaler(unit_variance=True)
    else:
        known = QuantileTransformer(n_quantiles=len(train), output_distribution="normal")
    known.fit(column[train])
    np.testing.assert_allclose(data.test.x, known.transform(column[test]), rtol=1e-5, atol=1e-5)


def test_equal_numbers_are_in_the_middle_of_their_quantiles() -> None:
    column = Number.fit("x", torch.tensor([0.0, 0, 0, 1, 2]).double(), "quantile")
    scores = column.encoded(torch.tensor([[0.0], [0.5], [1]]).double())[:, 0]
    # Φ⁻¹ of the middle of 0, 0.25 and 0.5; of 0.625; of 0.75.
    assert scores.tolist() == pytest.approx([-0.674490, 0.318639, 0.674490], abs=1e-6)


@pytest.mark.parametrize("scale", ["standard", "robust", "quantile"])
@pytest.mark.parametrize("size", [1e-200, 1e98])
def test_very_large_and_very_small_numbers_are_scaled_too(scale: Any, size: float, here: Path) -> None:
    x = np.random.default_rng(0).normal(size=60)
    columns: Columns = {name: (x * size).tolist() for name in "xy"}
    data, plain = loaded(columns, scale=scale), loaded({name: x.tolist() for name in "xy"}, scale=scale)
    for split, expected in zip(data.splits().values(), plain.splits().values(), strict=True):
        np.testing.assert_allclose(split.x, expected.x, atol=1e-5)
        np.testing.assert_allclose(split.y, expected.y, atol=1e-5)
