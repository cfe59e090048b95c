"""The issues of a table: each is found in a small table worked out by hand, and none in a table without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats
from sklearn.datasets import load_breast_cancer, load_wine

from mlpexp.config.overrides import parse_override
from mlpexp.data.identity import DataIssue
from mlpexp.data.tables.finding import find_kinds
from mlpexp.data.tables.formats import from_frame
from mlpexp.data.tables.issues import find_issues
from mlpexp.data.tables.relations import best_r2, collinear_pairs, rank_correlation
from mlpexp.data.tables.targets import find_target

N = 40
RNG = np.random.default_rng(0)
# Two columns and a target of either kind without any issue.
A, B, OTHER = RNG.normal(size=(3, N)).tolist()
CLASS = RNG.permutation(["no", "yes"] * (N // 2)).tolist()
VALUE = RNG.uniform(1, 2, N).tolist()
HOLES: list[Any] = [None] * 21
COUNT = list(range(N))
HALF = ["a", "b"] * (N // 2)


def issues_of(columns: Mapping[str, Sequence[Any]], target: str = "y", ignore: Sequence[str] = ()) -> list[DataIssue]:
    table = from_frame(pl.DataFrame(columns, strict=False), "t.csv")
    kinds = find_kinds(table, ignore=ignore, targets=[target])
    return find_issues(table, kinds, find_target(table, table.column(target, "")))


def swapped(n_pairs: int) -> list[float]:
    """Values in order but for so many pairs of neighbours."""
    values = [float(i) for i in COUNT]
    for i in range(0, 2 * n_pairs, 2):
        values[i : i + 2] = values[i + 1], values[i]
    return values


# By symptom: what stands beside `a` and `b` (None: in their place), the columns named, figures, the first remedy.
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...], str]] = {
    "empty": ({"e": [None] * N}, ("e",), (), ""),
    "constant": (
        {f"c{i}": [i] * N for i in range(6)} | {"d": ["x"] * N},
        ("c0", "c1", "c2", "c3", "c4", "c5", "d"),
        ("c0, c1, c2, c3, c4 and 2 more",),
        "",
    ),
    "id_like": ({"id": COUNT, "name": [f"n{i}" for i in COUNT]}, ("id", "name"), (), ""),
    "no_inputs": ({"a": None, "b": None, "c": [7] * N}, ("c",), (), ""),
    "missing_targets": ({"y": [None, *CLASS[1:]]}, ("y",), ("1 row of 40",), ""),
    "mostly_missing": ({"m": [*HOLES, *OTHER[21:]]}, ("m",), ("52.5 %",), "dataset.ignore=[m]"),
    "rows_with_missing": (
        {"m": [None, None, *OTHER[2:]], "k": [None, "x", None, "z", *HALF[:36]]},
        ("m", "k"),
        ("3 of 40 rows (7.5 %)", "leave 37 rows"),
        "",
    ),
    "nearly_constant": (
        {"a": RNG.normal(size=200), "b": None, "y": CLASS * 5, "s": [1, 2] + [0] * 198},
        ("s",),
        ("99 %",),
        "dataset.ignore=[s]",
    ),
    "inconsistent_spelling": (
        {"answer": ["Yes", "yes", " YES", "no", "No", "maybe", "maybe", "x"] * 5},
        ("answer",),
        ("'YES', 'Yes', 'yes'", "'No', 'no'"),
        "",
    ),
    "heavy_tails": ({"h": [*range(1, N), 10_000]}, ("h",), ("10000", "the median is 20.5"), "dataset.scale=quantile"),
    "redundant": (
        {"c": [2.54 * x + 3 for x in A]},
        ("a", "c"),
        ("c is linearly related to a",),
        "dataset.ignore=[c]",
    ),
    "target_leakage": (
        {"g": [{"no": 8, "yes": 3}[y] for y in CLASS]},
        ("g",),
        ("40 of 40 rows (100 %)",),
        "dataset.ignore=[g]",
    ),
    "constant_target": ({"y": ["x"] * N}, ("y",), ("x in every row",), ""),
    "class_imbalance": ({"y": ["no"] * 37 + ["yes"] * 3}, ("y",), ("92.5 %", "7.5 %", "0.9250"), ""),
    "rare_classes": ({"y": [*CLASS[:37], "x", "x", "z"]}, ("y",), ("x (2), z (1)",), "dataset.rare=merge"),
    "wide_target_range": ({"y": [*VALUE[1:], 1500.5]}, ("y",), ("3.", "decades"), "dataset.target_transform=log"),
    "duplicate_rows": (
        {"a": [*A[:38], A[0], A[0]], "b": [*B[:38], B[0], B[0]], "y": [*CLASS[:38], CLASS[0], CLASS[0]]},
        (),
        ("2 of 40 rows (5 %)",),
        "",
    ),
    # Of the rows that are equal, one of three and one of two have another class: 38 of 40 can be predicted.
    "conflicting_targets": (
        {
            "a": [1.5] * 3 + [2.5] * 2 + A[5:],
            "b": [1.5] * 3 + [2.5] * 2 + B[5:],
            "y": [*"ppq", *"pq", *["p", "q"] * 17, "p"],
        },
        ("y",),
        ("5 of 40 rows (12.5 %)", "is at most 0.9500"),
        "",
    ),
    "more_columns_than_rows": (
        {f"c{i}": RNG.normal(size=3) for i in range(4)} | {"a": None, "b": None, "y": [1.5, 1.75, 2.5]},
        (),
        ("4 input columns", "3 rows"),
        "regularizer=l2",
    ),
}
# Other symptoms that the table has too.
BESIDE = {
    "mostly_missing": {"rows_with_missing"},
    "no_inputs": {"constant"},
    "rare_classes": {"class_imbalance"},
    "conflicting_targets": {"duplicate_rows"},
}


@pytest.mark.parametrize("symptom", CASES)
def test_each_finding_and_no_other(symptom: str) -> None:
    change, columns, figures, remedy = CASES[symptom]
    whole = {"a": A, "b": B, "y": CLASS} | change
    target = whole.pop("y")
    found = {
        issue.symptom: issue for issue in issues_of({k: v for k, v in whole.items() if v is not None} | {"y": target})
    }
    assert set(found) - BESIDE.get(symptom, set()) == {symptom}
    issue = found[symptom]
    assert (issue.columns, issue.remedy) == (columns, remedy)
    assert all(figure in issue.evidence for figure in figures), issue.evidence


@pytest.mark.parametrize("y", [CLASS, VALUE])
def test_nothing_is_odd_where_nothing_is(y: list[Any]) -> None:
    assert issues_of({"a": A, "b": B, "y": y}) == []


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_nothing_is_odd_in_tables_that_were_looked_after(load: Any) -> None:
    data = load()
    columns = dict(zip(data.feature_names, data.data.T, strict=True))
    assert issues_of(columns | {"y": data.target_names[data.target]}) == []


@pytest.mark.parametrize(
    ("change", "symptom"),
    [
        ({"y": [np.exp(x) for x in A]}, "target_leakage"),  # the same order
        ({"y": [-(x**3) for x in A]}, "target_leakage"),
        ({"c": [x + 0.05 * z for x, z in zip(A, B, strict=True)]}, None),  # r = 0.9988
        ({"c": [x + 0.02 * z for x, z in zip(A, B, strict=True)]}, None),  # 0.9998
        ({"c": [x + 0.008 * z for x, z in zip(A, B, strict=True)]}, "redundant"),  # 0.99997
        ({"c": A}, "redundant"),
        ({"m": [*HOLES[:20], *OTHER[20:]]}, "rows_with_missing"),  # no more than half
        ({"m": [*HOLES[:2], *OTHER[2:]]}, None),  # 5 %
        # The median of |x − 20.5| is 10, and so 50 deviations from the median end at 20.5 + 50 · 14.826 = 761.8.
        ({"h": [*range(1, N), 761]}, None),
        ({"h": [*range(1, N), 763]}, "heavy_tails"),
        ({"c": HALF, "d": [{"a": "x", "b": "y"}[k] for k in HALF]}, "redundant"),
        ({"c": HALF, "d": [{"a": 5, "b": 3}[k] for k in HALF]}, "redundant"),
        ({"c": HALF, "d": ["x", *HALF[1:]]}, None),
        # Three values a class, of six or seven rows each; and a class of four rows, which one value stands for.
        (
            {"y": CLASS, "g": [CLASS[:i].count(y) % 3 + 4 * (y == "yes") for i, y in enumerate(CLASS)]},
            "target_leakage",
        ),
        ({"y": [*CLASS[4:], *["x"] * 4], "g": [len(y) for y in [*CLASS[4:], *["x"] * 4]]}, "target_leakage"),
        ({"y": [*VALUE[:-1], 0.0]}, None),  # no logarithm
        ({"y": [*VALUE[:-1], 900.0]}, None),
        ({"y": [1.5] * N}, "constant_target"),
        # Spearman's ρ is 1 − 6 Σ d² / (n³ − n), and neighbours that change places add 2 to Σ d²: 0.9998 and 0.9989.
        ({"a": [1.5 * i for i in COUNT[::-1]], "y": swapped(1)}, "target_leakage"),
        ({"a": [1.5 * i for i in COUNT[::-1]], "y": swapped(6)}, None),
        (
            {"y": CLASS, "g": [2 * i + (y == "yes") for i, y in enumerate(CLASS)]},
            None,
        ),  # determines the class only since it differs in each row
        ({"y": CLASS, "g": [*CLASS[:-1], {"yes": "no", "no": "yes"}[CLASS[-1]]]}, None),  # 1 of 20 errors is left
    ],
)
def test_where_the_thresholds_are(change: dict[str, Any], symptom: str | None) -> None:
    found = [issue.symptom for issue in issues_of({"a": A, "b": B, "y": VALUE} | change)]
    assert found == ([symptom] if symptom else [])


@pytest.mark.parametrize(
    ("n", "n_wrong", "symptoms"),
    [
        (200, 1, ["target_leakage", "conflicting_targets"]),  # 1 of 100 errors of a constant answer, 0.995 at best
        (200, 3, ["conflicting_targets"]),
        (2000, 1, ["target_leakage"]),  # 0.9995 at best
    ],
)
def test_where_the_thresholds_of_many_rows_are(n: int, n_wrong: int, symptoms: list[str]) -> None:
    y = CLASS * (n // N)
    code, other = {"no": 8, "yes": 3}, {"no": 3, "yes": 8}
    g = [(other if row < n_wrong else code)[label] for row, label in enumerate(y)]
    found = [issue.symptom for issue in issues_of({"g": g, "y": y})]
    assert [symptom for symptom in found if symptom != "duplicate_rows"] == symptoms


@pytest.mark.parametrize(
    ("y", "remedy"),
    [([*[3, 4] * 19, 5, 6], "dataset.rare=merge"), ([*[3] * 37, 4, 5, 6], "dataset.task=regression")],
)
def test_whole_numbers_that_are_rare_may_be_values(y: list[int], remedy: str) -> None:
    (rare,) = (issue for issue in issues_of({"a": A, "b": B, "y": y}) if issue.symptom == "rare_classes")
    assert rare.remedy == remedy
    assert {rare.remedy, *rare.alternatives} == {"dataset.rare=merge", "dataset.rare=drop", "dataset.task=regression"}


def test_copied_rows_do_not_make_columns_determine_the_class() -> None:
    found = issues_of({"a": A * 3, "b": B * 3, "y": CLASS * 3})
    assert [issue.symptom for issue in found] == ["duplicate_rows"]
    assert "80 of 120 rows" in found[0].evidence


def test_the_bound_on_r2_is_what_the_means_of_equal_rows_reach() -> None:
    x, y = np.repeat([0.0, 1.0, 2.0], [2, 3, 1]), np.array([1.0, 3.0, 5.0, 5.0, 8.0, 4.0])
    means = np.array([2.0, 2.0, 6.0, 6.0, 6.0, 4.0])
    expected = 1 - ((y - means) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    bound, n_rows = best_r2(pl.DataFrame({"0": x}), pl.Series(y + 1e9))
    assert bound == pytest.approx(expected, abs=1e-9)
    assert n_rows == 5


def test_ranks_and_lines_are_those_of_scipy_where_values_are_missing() -> None:
    x: Any = RNG.normal(size=(9000, 3)).round(1)
    x[:, 2] = -3 * x[:, 0] + 1e-4 * x[:, 1]
    x[RNG.random(x.shape) < 0.1] = np.nan
    both = ~np.isnan(x[:, 0]) & ~np.isnan(x[:, 2])
    ((i, j, r),) = collinear_pairs(x, 0.9999)
    assert (i, j) == (0, 2)
    assert r == pytest.approx(np.corrcoef(x[both][:, [0, 2]].T)[0, 1], rel=1e-9)
    a, b = (pl.Series(x[:, k]).fill_nan(None) for k in (0, 2))
    expected = scipy.stats.spearmanr(x[both, 0], x[both, 2]).statistic
    assert rank_correlation(a, b) == pytest.approx(expected, rel=1e-9)


def test_values_whose_squares_are_infinite_and_values_that_are_equal_but_for_rounding() -> None:
    x = np.array([[1e200 * a, -2e200 * a, *[(0.3, 0.1 * 3)[i % 2]] * 2] for i, a in enumerate(A)])
    ((i, j, r),) = collinear_pairs(x, 0.9999)
    assert (i, j) == (0, 1)
    assert r == pytest.approx(-1)
    bound, _ = best_r2(pl.DataFrame({"0": [0.0, 0.0, 1.0]}), pl.Series([1e200, 3e200, 5e200]))
    assert bound == pytest.approx(0.75)
    assert [
        issue.symptom for issue in issues_of({"a": A, "h": [x * 1e97 for x in [*range(1, N), 763]], "y": CLASS})
    ] == ["heavy_tails"]


def test_what_is_left_out_on_request_is_not_odd_and_remedies_are_overrides_of_hydra() -> None:
    name = "it's [b], 100 %\\"
    columns = {"a": A, "id": COUNT, name: [2 * x for x in A], "y": CLASS}
    found = issues_of(columns, ignore=["id"])
    assert [issue.symptom for issue in found] == ["redundant"]
    assert parse_override(found[0].remedy).value() == [name]
    assert asdict(found[0])["columns"] == ("a", name)
