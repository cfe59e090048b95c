"""What columns are taken for, and why; their values; which targets are classes."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlpexp.data.tables.finding import find_kinds
from mlpexp.data.tables.formats import from_frame
from mlpexp.data.tables.kinds import Categories, Dates, Ignored, Kind, Numbers
from mlpexp.data.tables.raw import RawTable
from mlpexp.data.tables.reading import read_table
from mlpexp.data.tables.targets import TargetColumn, find_target, labels_of
from mlpexp.data.tables.values import codes_of, days_of, numbers_of
from mlpexp.errors import ConfigError

N = 60
COUNT = [str(i) for i in range(N)]


def table(tmp_path: Path, **columns: Sequence[Any]) -> RawTable:
    """A file of columns, each repeated to the length of the longest, and read."""
    n = max(map(len, columns.values()))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([[values[i % len(values)] for values in columns.values()] for i in range(n)])
    path = tmp_path / "t.csv"
    path.write_text(text.getvalue())
    return read_table(path, "dataset.path=t")


def kind_of(tmp_path: Path, cells: Sequence[Any], name: str = "x", **said: str) -> Kind:
    """Beside a column of numbers, so that there is something to learn from."""
    found = find_kinds(table(tmp_path, **{name: cells, "beside": [0.5, 1.5, 2.5]}, rows=["a"] * N), said)
    assert [kind.name for kind in found] == [name, "beside", "rows"]
    return found[0]


@pytest.mark.parametrize(
    ("cells", "kind", "reason"),
    [
        (["1.5", "2", "NA", "3"], Numbers, "numbers"),
        (["4", "8", "15", "16"], Numbers, "numbers"),
        ([f"{i * i + 7}" for i in range(N)], Numbers, "numbers"),  # differ in every row, and are no index
        ([f"{10**12 + i * 17.5}" for i in range(N)], Numbers, "numbers"),
        (["red", "blue", "blue"], Categories, "text"),
        (["True", "False"], Categories, "text"),
        (["007", "010", "007"], Categories, "whole numbers with leading zeros"),
        (["2", "3", "4", "5more"], Categories, "4 different values, 1 of them text"),
        ([str(i) if i % 3 else f"PC {i}" for i in range(30)], Categories, "30 different values, 10 of them text"),
        ([str(i) if i % 3 else f"PC {i}" for i in range(N)], Ignored, "text that differs in every row"),
        (["yes", ""], Categories, "yes or missing"),
        (["1", ""], Categories, "1 or missing"),
        (["2020-01-31", "2019-12-01"], Dates, "dates, year first"),
        (COUNT, Ignored, "counts the rows, from 0 to 59"),
        ([f"name {i}" for i in range(N)], Ignored, "text that differs in every row"),
        ([f"some text {i % 50}" for i in range(N)], Ignored, "free text or an id: 50 different ones in 60 rows"),
        (["5"], Ignored, "constant: 5 in every row"),
        (["a"], Ignored, "constant: a in every row"),
        (["0.3", "0.30000000000000004"], Ignored, "constant but for rounding: 0.3 to 0.30000000000000004"),
        (["", "NA", "?"], Ignored, "all values are missing"),
    ],
)
def test_each_kind_is_found_with_its_reason(tmp_path: Path, cells: list[str], kind: type[Kind], reason: str) -> None:
    found = kind_of(tmp_path, cells)
    assert type(found) is kind
    assert found.reason.startswith(reason)


@pytest.mark.parametrize("name", ["id", "PassengerId", "customer_id", "Unnamed: 0", "rownames", "index"])
def test_whole_numbers_that_differ_in_every_row_are_an_id_where_the_name_says_so(tmp_path: Path, name: str) -> None:
    assert kind_of(tmp_path, [f"{1000 + 37 * i}" for i in range(N)], name).reason.startswith("an id")
    assert isinstance(kind_of(tmp_path, [f"{1000 + i % 7}" for i in range(N)], name), Numbers)


@pytest.mark.parametrize(
    "word", ["", "NA", "N/A", "NaN", "null", "None", "?", "-", ".", "#N/A", "<NA>", "\\N", " na ", "NULL"]
)
def test_every_word_for_a_missing_value_is_a_hole(tmp_path: Path, word: str) -> None:
    read = table(
        tmp_path, number=["1.5", word, "2.5"], text=["a", word, "b"], day=["2020-01-02", word, "1999-1-1"], row=["a"]
    )
    number, text, day, _ = find_kinds(read)
    assert (number.n_missing, text.n_missing, day.n_missing) == (1, 1, 1)
    assert isinstance(text, Categories)
    assert text.values == ("a", "b")
    assert isinstance(day, Dates)
    assert np.isnan(numbers_of(read, read.columns[0])).tolist() == [False, True, False]
    assert codes_of(read.columns[1], text).tolist() == [0, -1, 1]
    assert np.isnan(days_of(read, read.columns[2], day)).tolist() == [False, True, False]


def test_categories_are_in_the_order_of_their_frequency(tmp_path: Path) -> None:
    found = kind_of(tmp_path, ["b", "c", "c", "a", "b", "c"])
    assert isinstance(found, Categories)
    assert (found.values, found.counts, found.n_values) == (("c", "b", "a"), (30, 20, 10), 3)
    read = table(tmp_path, x=["a", "new", "", "c"], rows=COUNT[:4])
    assert codes_of(read.columns[0], found).tolist() == [2, -2, -1, 0]


def days(*found: str) -> list[float]:
    return [(dt.datetime.fromisoformat(text) - dt.datetime(1970, 1, 1)) / dt.timedelta(days=1) for text in found]


@pytest.mark.parametrize(
    ("cells", "order", "expected"),
    [
        (["2020-02-29", "1969-12-31"], "year first", days("2020-02-29", "1969-12-31")),
        (["2020/2/9", "1969/12/31"], "year first", days("2020-02-09", "1969-12-31")),
        (["20200229", "19691231", "20210101"], "year first", days("2020-02-29", "1969-12-31", "2021-01-01")),
        (["2020-02", "2020-12"], "year first", days("2020-02-01", "2020-12-01")),
        (["2020-02-29T06:00:00Z", "2020-03-01 12:00"], "year first", days("2020-02-29T06:00", "2020-03-01T12:00")),
        (["2020-02-29 06:00:00+02:00", "2020-03-01"], "year first", days("2020-02-29T04:00", "2020-03-01")),
        (["31.12.2019", "1.2.2020"], "day first", days("2019-12-31", "2020-02-01")),
        (["31/12/99", "01/02/20"], "day first", days("1999-12-31", "2020-02-01")),
        (["12/31/2019 11:00 PM", "1/2/2020"], "month first", days("2019-12-31T23:00", "2020-01-02")),
        (["31 Dec 2019", "1 February 2020"], "day first", days("2019-12-31", "2020-02-01")),
        (["31-DEC-19", "01-FEB-20"], "day first", days("2019-12-31", "2020-02-01")),
        (["Dec 31, 2019", "February 1, 2020"], "day first", days("2019-12-31", "2020-02-01")),
    ],
)
def test_dates_of_the_usual_orders_are_days(
    tmp_path: Path, cells: list[str], order: str, expected: list[float]
) -> None:
    read = table(tmp_path, day=cells, x=["0.5", "1", "2", "3", "4", "5"])
    found = find_kinds(read)[0]
    assert isinstance(found, Dates)
    assert found.order == order
    assert "the other order" not in found.reason
    assert days_of(read, read.columns[0], found)[: len(cells)] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("mark", "taken", "other"), [("/", "month", "day"), (".", "day", "month"), ("-", "day", "month")]
)
def test_an_ambiguous_order_of_day_and_month_is_said(tmp_path: Path, mark: str, taken: str, other: str) -> None:
    cells = [f"{day}{mark}4{mark}2020" for day in (3, 5, 7)]
    found = kind_of(tmp_path, cells)
    assert found.reason == f"dates, {taken} first (the other order fits too: dataset.columns.x={other}_first)"
    turned = kind_of(tmp_path, cells, x=f"{other}_first")
    assert isinstance(turned, Dates)
    assert turned.order == f"{other} first"


def test_what_the_user_says_holds(tmp_path: Path) -> None:
    read = table(tmp_path, zip=["8001", "8002", "8001"], n=COUNT, name=[f"n{i}" for i in range(N)], t=["a", "b", "b"])
    said = {"zip": "category", "n": "number", "name": "category"}
    kinds = find_kinds(read, said, ignore=["t"])
    assert [type(kind) for kind in kinds] == [Categories, Numbers, Categories, Ignored]
    assert {kind.reason for kind in kinds} == {"as given"}
    assert kinds[0].values == ("8001", "8002")  # type: ignore[attr-defined]
    assert [kind.name for kind in find_kinds(read, targets=["t"])] == ["zip", "n", "name"]


def test_unknown_names_and_kinds_are_a_line_each_with_the_nearest_match(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_kinds(table(tmp_path, zip=COUNT, age=COUNT), {"zipp": "category", "age": "numbr"}, ignore=["aeg"])
    assert [line.split("?")[0] for line in caught.value.lines] == [
        "dataset.columns.zipp: no column of the table has this name; did you mean 'zip'",
        "dataset.ignore=aeg: no column of the table has this name; did you mean 'age'",
        "dataset.columns.age=numbr: no such kind; did you mean 'number'",
    ]


def test_stray_texts_among_numbers_are_a_mistake_that_names_line_column_and_cell(tmp_path: Path) -> None:
    cells = [f"{i}.5" for i in range(N)]
    cells[4], cells[9], cells[11], cells[30] = "4,5o", "old", "inf", "x" * 50
    with pytest.raises(ConfigError) as caught:
        kind_of(tmp_path, cells)
    assert str(caught.value) == (
        "dataset.path=t: line 6, column 'x': '4,5o' is not a number, unlike 56 of 60 cells (4 such cells; also line 11 "
        "'old', line 13 'inf'); correct it, leave it empty, or take the column for categories: "
        "dataset.columns.x=category."
    )
    assert isinstance(kind_of(tmp_path, cells, x="category"), Categories)
    with pytest.raises(ConfigError, match="line 2, column 'x': 'x' is not a number, unlike 59 of 60 cells; correct it"):
        kind_of(tmp_path, ["x", *(str(i % 5) for i in range(N - 1))])
    with pytest.raises(ConfigError, match="line 2, column 'x': 'a' is not a finite number"):
        kind_of(tmp_path, ["a", "b"], x="number")
    with pytest.raises(ConfigError, match=r"line 7, column 'x': '2020-02-30' is not a date \(year first\)"):
        kind_of(tmp_path, [*[f"2020-01-0{i}" for i in range(1, 6)], "2020-02-30", *["2020-01-01"] * 54])
    with pytest.raises(ConfigError, match="row 2, column 'f': 'inf' is not a finite number"):
        find_kinds(from_frame(pl.DataFrame({"f": [1.0, float("inf")]}), "t"))


def test_a_counter_is_numbers_where_nothing_else_is_there(tmp_path: Path) -> None:
    (found,) = find_kinds(table(tmp_path, x=COUNT, y=[0.5, 2, 3]), targets=["y"])
    assert isinstance(found, Numbers)


def test_typed_columns_keep_their_kind() -> None:
    frame = pl.DataFrame(
        {
            "flag": [True, False, None, True],
            "day": [dt.date(1970, 1, 2), None, dt.date(1970, 1, 3), dt.date(1970, 1, 3)],
            "time": [dt.datetime(1970, 1, 1, 12)] * 3 + [dt.datetime(1970, 1, 2)],
            "text": ["1", "2", "2", "NA"],
        }
    )
    read = from_frame(frame, "t")
    flag, day, time, text = find_kinds(read)
    assert isinstance(flag, Categories)
    assert (flag.values, codes_of(read.columns[0], flag).tolist()) == (("True", "False"), [0, 1, -1, 0])
    assert isinstance(day, Dates)
    assert days_of(read, read.columns[1], day).tolist() == pytest.approx([1, np.nan, 2, 2], nan_ok=True)
    assert isinstance(time, Dates)
    assert days_of(read, read.columns[2], time).tolist() == [0.5, 0.5, 0.5, 1]
    assert isinstance(text, Numbers)


def target(tmp_path: Path, cells: Sequence[Any], task: Any = "auto") -> TargetColumn:
    read = table(tmp_path, y=cells, x=COUNT)
    return find_target(read, read.columns[0], task)


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["no", "yes"], ("no", "yes")),
        (["b", "a", "NA"], ("a", "b")),
        (["10", "9", "2.0"], ("2", "9", "10")),
        (["007", "010", "2"], ("2", "007", "010")),
        (["True", "False"], ("False", "True")),
        ([str(i) for i in range(20)] * 3, tuple(str(i) for i in range(20))),
        ([str(i) for i in range(21)] * 3, ()),
        (["0"] * (N - 9) + ["1", "2", "3"] * 2 + ["4"] * 3, ()),  # a count that thins out
        (["0"] * (N - 9) + ["1", "2", "3"] * 3, ("0", "1", "2", "3")),
        (["0"] * (N - 12) + ["1", "2", "3", "4"] * 3, ("0", "1", "2", "3", "4")),
        (["0"] * (N - 3) + ["1", "2", "3"], ("0", "1", "2", "3")),
        (["0.5", "1.5"], ()),
        (["1", "2", "3+", "4"], ("1", "2", "3+", "4")),
    ],
)
def test_text_and_few_whole_numbers_are_classes(tmp_path: Path, cells: list[str], classes: tuple[str, ...]) -> None:
    assert target(tmp_path, cells).classes == classes


def test_notes_on_targets_say_what_else_they_may_be(tmp_path: Path) -> None:
    assert target(tmp_path, [str(i) for i in range(26)]).notes == (
        "26 different whole numbers of y are values; dataset.task=classification treats them as classes",
    )
    assert target(tmp_path, ["0", "1"]).notes == (
        "2 different whole numbers of y are classes; dataset.task=regression treats them as values",
    )
    spelled = target(tmp_path, ["Yes", "yes", "YES", "no"])
    assert spelled.classes == ("YES", "Yes", "no", "yes")
    assert spelled.notes == ("'YES', 'Yes' and 'yes' are 3 spellings in y, and 3 classes",)
    assert len(target(tmp_path, [str(i) for i in range(26)], "classification").classes) == 26
    assert target(tmp_path, ["0", "1"], "regression").classes == ()


def test_labels_and_holes_of_a_target(tmp_path: Path) -> None:
    read = table(tmp_path, y=["b", "a", "", "b"], x=["1"])
    found = find_target(read, read.columns[0])
    assert found.n_missing == 1
    assert labels_of(read.columns[0], found).tolist() == [1, 0, -1, 1]
    with pytest.raises(ConfigError, match=r"^dataset\.target=y: has no value in any row"):
        target(tmp_path, ["NA", ""])
    with pytest.raises(ConfigError, match="line 3, column 'y': 'x' is not a finite number"):
        target(tmp_path, ["1.5", "x", "2.5"])
    with pytest.raises(ConfigError, match="line 2, column 'y': 'a' is not a finite number"):
        target(tmp_path, ["a", "b"], "regression")
