"""A user's own table: what is read from good ones, and one clear error for each mistake in others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mlpexp.data.dataset import Data
from mlpexp.data.table import Table
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import Named


def load(tmp_path: Path, text: str | bytes, **options: Any) -> Data:
    path = tmp_path / "my table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Table(path=str(path), **options).load(tmp_path)


def table(*rows: str, header: str = "height,width,kind") -> str:
    return "\n".join([header, *rows]) + "\n"


KINDS = table(*(f"{i * i},{i % 5},{'cat' if i % 3 else 'dog'}" for i in range(30)))
VALUES = table(*(f"{i / 2},{i % 5},{i * 1.5 + 0.25}" for i in range(30)), header="a,b,price")


def whole(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    splits = data.splits().values()
    return torch.cat([split.x for split in splits]), torch.cat([split.y for split in splits])


def test_text_targets_are_classes(tmp_path: Path) -> None:
    data = load(tmp_path, KINDS)
    assert data.name == "my table"
    assert data.task.kind == "classification"
    assert data.task.classes == ("cat", "dog")
    assert data.feature_names == ("height", "width")
    assert data.target_name == "kind"
    assert [len(split) for split in data.splits().values()] == [18, 6, 6]
    assert [split.y.tolist().count(1) for split in data.splits().values()] == [6, 2, 2]


def test_features_are_standardised_with_the_training_rows(tmp_path: Path) -> None:
    data = load(tmp_path, KINDS)
    assert data.train.x.mean(0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert data.train.x.std(0, correction=0).tolist() == pytest.approx([1, 1], abs=1e-6)
    # The same line for all splits: one standardised unit of `height` is the same step everywhere.
    heights = whole(data)[0][:, 0].sort().values
    squares = torch.arange(30.0).square()
    assert torch.allclose(heights.diff() / heights.diff()[0], squares.diff() / squares.diff()[0], rtol=1e-4)


def test_many_numbers_are_values_standardised_likewise(tmp_path: Path) -> None:
    data = load(tmp_path, VALUES)
    assert data.task.kind == "regression"
    assert data.train.y.shape == (18, 1)
    assert float(data.train.y.mean()) == pytest.approx(0, abs=1e-6)
    assert float(data.train.y.std(correction=0)) == pytest.approx(1, abs=1e-6)
    x, y = whole(data)
    # price is a line in a: it stays one.
    assert float(torch.corrcoef(torch.stack([x[:, 0], y[:, 0]]))[0, 1]) == pytest.approx(1, abs=1e-5)
    assert "price is standardised with " in data.note
    # And it comes back in its own units.
    whole_price = torch.cat([data.targets_in_own_units(part.y) for part in (data.train, data.val, data.test)])
    rows = [line.split(",") for line in VALUES.strip().splitlines()[1:]]
    assert sorted(whole_price[:, 0].tolist()) == pytest.approx(sorted(float(row[-1]) for row in rows), rel=1e-5)


def test_few_whole_numbers_are_classes_in_order_of_size_and_the_note_says_so(tmp_path: Path) -> None:
    rows = [f"{i / 2},0,{(10, 9, '2.0', 2)[i % 4]}" for i in range(40)]
    data = load(tmp_path, table(*rows))
    assert data.task.classes == ("2", "9", "10")
    assert "3 different whole numbers of kind are classes; dataset.task=regression treats them as values" in data.note
    assert load(tmp_path, table(*rows), task="regression").task.kind == "regression"


def test_task_classification_takes_any_numbers_for_classes(tmp_path: Path) -> None:
    data = load(tmp_path, table(*(f"{i / 2},0,{i % 2 + 0.5}" for i in range(12))), task="classification")
    assert data.task.classes == ("0.5", "1.5")


def test_twenty_whole_numbers_are_classes_and_more_are_values(tmp_path: Path) -> None:
    assert load(tmp_path, table(*(f"{i / 2},0,{i % 20}" for i in range(80)))).task.n_classes == 20
    assert load(tmp_path, table(*(f"{i / 2},0,{i % 21}" for i in range(84)))).task.kind == "regression"


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ({}, ()),
        ({"rare": "drop"}, ("0", "1", "2", "3")),
        ({"rare": "merge"}, ("0", "1", "2", "3", "other")),
    ],
)
def test_whole_numbers_that_thin_out_are_values_unless_something_is_said_of_rare_classes(
    options: dict[str, Any], classes: tuple[str, ...], tmp_path: Path
) -> None:
    visits = [0, 1, 2, 3] * 8 + [4, 5, 5]
    data = load(tmp_path, table(*(f"{i * i},{n}" for i, n in enumerate(visits)), header="age,visits"), **options)
    assert data.task.classes == classes


def test_a_target_by_name(tmp_path: Path) -> None:
    data = load(tmp_path, VALUES, target=("b",))
    assert data.target_name == "b"
    assert data.feature_names == ("a", "price")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_quotes_blank_lines_windows_lines_and_byte_order_mark(delimiter: str, tmp_path: Path) -> None:
    rows = [f'{i}| "{i}"|"a, b; c"' if i % 2 else f"{i}|{i}|other" for i in range(12)]
    text = "\r\n".join(["one|two|three", "", *rows, "", ""]).replace("|", delimiter)
    data = load(tmp_path, b"\xef\xbb\xbf" + text.encode())
    assert data.feature_names == ("one", "two")
    assert data.task.classes == ("a, b; c", "other")
    assert torch.equal(data.train.x[:, 0], data.train.x[:, 1])


def test_a_constant_column_is_left_out(tmp_path: Path) -> None:
    data = load(tmp_path, table(*(f"{i / 2},0.1,{'ab'[i % 2]}" for i in range(12))))
    assert data.feature_names == ("height",)
    assert "left out: width (constant: 0.1 in every row)" in data.note
    data = load(tmp_path, table(*(f"{i / 2},0.1,{'ab'[i % 2]}" for i in range(12))), columns=Named(width="number"))
    assert whole(data)[0][:, 1].tolist() == [0] * 12


def test_values_far_from_zero_keep_their_differences(tmp_path: Path) -> None:
    # As 32-bit numbers these would all be the same.
    data = load(tmp_path, table(*(f"{1700000000 + i * i},0,{'ab'[i % 2]}" for i in range(12))))
    assert len(whole(data)[0][:, 0].unique()) == 12


def test_a_path_is_relative_to_where_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text(KINDS)
    monkeypatch.chdir(tmp_path)
    assert Table(path="t.csv").load(Path("elsewhere")).name == "t"


GOOD = ["1,2,a", "2,3,b"] * 5
# file content, options, what the message says after dataset.path=…:
MISTAKES: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "blank": ("\n \n", {}, "is empty"),
    "too many values": (table(*GOOD, "1,2,a,9"), {}, "line 12 has 4 values"),
    "line after blank lines": (table("1,2,a", "", "", "1,2,3,4,5"), {}, "line 5 has 5 values"),
    "too large": (table(*GOOD * 9, "1e999,2,a"), {}, "line 92, column 'height': '1e999' is no"),
    "text feature": (table(*GOOD * 9, "tall,2,a"), {}, "line 92, column 'height': 'tall' is not a number"),
    "text among values": (VALUES + "1,2,cheap\n", {}, "line 32, column 'price': 'cheap' is not a finite number"),
    "regression on text": (KINDS, {"task": "regression"}, "line 2, column 'kind': 'dog' is not a finite number"),
}


def the_error(tmp_path: Path, text: str | bytes, options: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file_names_key_path_line_and_column(mistake: str, tmp_path: Path) -> None:
    text, options, expected = MISTAKES[mistake]
    message = the_error(tmp_path, text, options)
    assert message.startswith(f"dataset.path={tmp_path / 'my table.csv'}: ")
    assert expected in message


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"/gone\.csv: no such file\.$"):
        Table(path=str(tmp_path / "gone.csv")).load(tmp_path)


def test_an_impossible_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: File name too long"):
        Table(path=str(tmp_path / ("x" * 300))).load(tmp_path)


def test_every_split_has_the_same_network_and_its_own_preprocessing(tmp_path: Path) -> None:
    """Inputs follow from all rows; means, medians and which categories are rare from the training rows alone."""
    rows = [
        f"{i * i % 97 if i % 9 else ''},{('red', 'blue', 'green')[i % 3] if i > 2 else 'gold'},{i}.5" for i in range(60)
    ]
    found = [load(tmp_path, table(*rows, header="size,colour,y"), seed=seed) for seed in range(6)]
    assert len({data.preprocessing.input_names for data in found}) == 1
    size, colour = zip(*(data.preprocessing.columns for data in found), strict=True)
    assert len({(column.mean, column.median) for column in size}) == 6
    # Gold is in three rows; in few splits are all of them in the training rows.
    assert {column.rare for column in colour} == {(), ("gold",)}
