"""`mlpexp predict` on any file: what a data frame of the same rows gives, or one line, and no file left.

The long form tries 3,000 files; MLPEXP_FUZZ=30000 as many as there is time for.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import mlpexp
from mlpexp.cli.main import call

QUICK = ["epochs=2", "model.hidden=[6]", "log.figures=false", "log.tensorboard=false", "device=cpu"]
MANY = int(os.environ.get("MLPEXP_FUZZ", "3000"))
COLUMNS = ["size", "weight", "colour", "day"]
Random = np.random.Generator


def rows(random: Random, n: int, *, new: bool) -> pl.DataFrame:
    """Rows to train on or, `new`, to predict: with categories and dates beyond those of training. `weight` has none
    missing."""
    colours = ["red", "green", "Ökologisch, grün", "two words"] + ["purple", "Größe"] * new
    days = np.datetime64("2019-01-01") + random.integers(0, 2000 + 3000 * new, n)
    return pl.DataFrame(
        {
            "size": [None if random.random() < 0.15 else round(x, 2) for x in random.normal(50, 20, n).tolist()],
            "weight": [round(x, 1) for x in random.normal(0, 1000, n).tolist()],
            "colour": [None if random.random() < 0.1 else str(random.choice(colours)) for _ in range(n)],
            "day": pl.Series([str(day) for day in days]).str.to_date(),
        }
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on one table, of classes and of values, and one on two columns of numbers."""
    place = tmp_path_factory.mktemp("fuzz")
    random = np.random.default_rng(0)
    frame = rows(random, 300, new=False)
    kind = np.where(frame["weight"] > 0, "large", "small")
    frame.with_columns(kind=pl.Series(kind), price=frame["weight"] * 2 + 7).write_csv(place / "t.csv")
    line = ["dataset=table", f"dataset.path={place}/t.csv", *QUICK]
    for name, own in {
        "classes": ["dataset.target=kind", "dataset.ignore=price"],
        "values": ["dataset.target=price", "dataset.ignore=kind"],
        "numbers": ["dataset.target=kind", "dataset.ignore=[price,size,colour,day]"],
    }.items():
        mlpexp.train(mlpexp.compose([*line, *own]), place / name)
    return place


def text_of(frame: pl.DataFrame, random: Random) -> bytes:
    """The frame as text, in one of the forms that people write."""
    decimal, separator = [(".", ","), (".", ";"), (",", ";"), (".", "\t"), (",", "\t"), (".", "|")][random.integers(6)]
    hole = str(random.choice(["", "", "NA", "?", "null", "NaN"]))
    numbers = pl.selectors.float()
    frame = frame.with_columns(numbers.cast(pl.String).str.replace(r"\.", decimal))
    if random.random() < 0.3:
        frame = frame.with_columns(pl.selectors.date().dt.strftime(str(random.choice(["%Y/%m/%d", "%Y-%m-%d 00:00"]))))
    content = frame.write_csv(
        separator=separator,
        null_value=hole,
        line_terminator=str(random.choice(["\n", "\n", "\r\n"])),
        quote_style="always" if random.random() < 0.2 and not hole else "necessary",
    )
    encoded = content.encode(str(random.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])))
    return gzip.compress(encoded) if random.random() < 0.1 else encoded


def file_of(frame: pl.DataFrame, random: Random) -> tuple[str, bytes]:
    """A name and the content of a file that holds the frame."""
    kind = random.integers(10)
    content = io.BytesIO()
    if kind == 0:
        frame.write_parquet(content)
        return "new.parquet", content.getvalue()
    if kind == 1:
        frame.write_ipc(content)
        return "new.feather", content.getvalue()
    if kind == 2:
        plain = frame.with_columns(pl.selectors.date().cast(pl.String))
        return "new.jsonl", "".join(json.dumps(row) + "\n" for row in plain.to_dicts()).encode()
    return "new.csv", text_of(frame, random)


def harmless(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    """The same rows with their columns in another order, and others among them."""
    names = list(random.permutation(COLUMNS))
    if random.random() < 0.5:
        extra = str(random.choice(["kind", "id", "Größe", "SIZE"]))
        frame = frame.with_columns(pl.Series(extra, random.choice(["large", "x", "3"], len(frame))))
        names.insert(int(random.integers(5)), extra)
    return frame.select(names)


# What a run that needs the column cannot work with, and the word that its line must have.
def lacking(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    name = str(random.choice(COLUMNS))
    return frame.drop(name), name


def renamed(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    name = str(random.choice(COLUMNS))
    return frame.rename({name: str(random.choice([name + "s", "x " + name, "other"]))}), name


def of_another_kind(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    name = str(random.choice(["size", "weight", "day"]))
    return frame.with_columns(pl.Series(name, [f"word {k}" for k in range(len(frame))])), name


def with_a_hole(frame: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, str]:
    at = int(random.integers(len(frame)))
    values = frame["weight"].to_list()
    return frame.with_columns(pl.Series("weight", [*values[:at], None, *values[at + 1 :]])), "weight"


WRONG: list[Callable[[pl.DataFrame, Random], tuple[pl.DataFrame, str]]] = [
    lacking,
    renamed,
    of_another_kind,
    with_a_hole,
]


def damaged(content: bytes, random: Random) -> bytes:
    """What may happen to a file on its way."""
    at, how = int(random.integers(len(content))), random.integers(5)
    if how == 0:
        return content[:at]
    if how == 1:
        return content[:at] + random.bytes(3) + content[at + int(random.integers(4)) :]
    if how == 2:
        return b""
    return content[:at] + b'"' + content[at:] if how == 3 else random.bytes(40) + content[at:]


def answers(results: mlpexp.Results, frame: pl.DataFrame) -> Any:
    """What is predicted of a data frame: its columns have types, and nothing is read."""
    names = [column.name for column in results.identity.preprocessing.columns]
    return results.predict(frame.select(names))


@pytest.mark.parametrize("n", [40, pytest.param(MANY, marks=pytest.mark.long)])
def test_any_file_is_predicted_rightly_or_refused_in_one_line(
    n: int, project: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = {name: mlpexp.load(project / name)[0] for name in ("classes", "values", "numbers")}
    counts = {"right": 0, "refused": 0, "damaged and read": 0}
    for number in range(n):
        random = np.random.default_rng(number)
        run = str(random.choice(list(loaded)))
        frame = rows(random, int(random.choice([1, 2, 20, 100])), new=True)
        how = random.random()
        word = ""
        written = frame
        if 0.5 < how < 0.8:
            written, word = WRONG[random.integers(len(WRONG))](frame, random)
        else:
            written = harmless(frame, random)
        name, content = file_of(written, random)
        if how >= 0.8:
            content = damaged(content, random)
        Path(name).write_bytes(content)
        arguments = ["predict", str(project / run), name, "--out", "out.csv", "--proba"]
        capsys.readouterr()
        code = call(arguments)
        errors = capsys.readouterr().err
        used = {column.name for column in loaded[run].identity.preprocessing.columns}
        where = f"file {number}, {run}: {errors or Path('out.csv').read_text()[:300]}"
        if code == 0:
            assert not errors, where
            found = pl.read_csv("out.csv", infer_schema_length=None)
            Path("out.csv").unlink()
            if how < 0.8:
                assert word not in used, where
                same(found, loaded[run], answers(loaded[run], frame), where)
                counts["right"] += 1
            else:
                counts["damaged and read"] += 1
        else:
            assert code == 2, where
            lines = errors.splitlines()
            assert len(lines) == 1, where
            assert lines[0].startswith("mlpexp: "), where
            assert lines[0].isprintable(), where
            assert len(lines[0]) < 1000, where
            assert word in used or how >= 0.8, where
            assert word in lines[0], where
            counts["refused"] += 1
        assert [path.name for path in here.iterdir()] == [name], where
        Path(name).unlink()
    assert counts["right"] > n // 3, counts
    assert counts["refused"] > n // 5, counts
    print(counts)


def same(found: pl.DataFrame, results: mlpexp.Results, expected: Any, where: str) -> None:
    """What was written is what was expected."""
    if classes := results.task.classes:
        np.testing.assert_allclose(found.select([f"p({name})" for name in classes]), expected, atol=1e-5, err_msg=where)
        told = [classes[at] for at in expected.argmax(1)]
        sure = np.abs(expected[:, 0] - 0.5) > 1e-4
        assert (np.array(told) == found["predicted kind"].to_numpy())[sure].all(), where
    else:
        np.testing.assert_allclose(found["predicted price"], expected[:, 0], rtol=1e-4, atol=1e-3, err_msg=where)
