"""Whatever stands in a file, it is a table or one line; what polars reads of it is what Python's csv module reads.

`mlpexp train` ends in a run, whose numbers come again from its directory and the file, or in lines on what is wrong.
The long form looks at 2,000 of each; MLPEXP_FUZZ=30000 at as many as there is time for.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, r2_score

import mlpexp
from mlpexp.cli.main import call
from mlpexp.config.overrides import quote
from mlpexp.data.identity import unpacked
from mlpexp.data.tables import delimited
from mlpexp.data.tables.dialect import Dialect, TextForm
from mlpexp.data.tables.finding import find_kinds
from mlpexp.data.tables.kinds import Categories, Dates, Numbers
from mlpexp.data.tables.raw import RawTable
from mlpexp.data.tables.reading import read_table
from mlpexp.data.tables.targets import find_target, labels_of
from mlpexp.data.tables.values import codes_of, days_of, numbers_of, texts_of
from mlpexp.errors import ConfigError

MANY = int(os.environ.get("MLPEXP_FUZZ", "2000"))
amounts = pytest.mark.parametrize("n", [40, pytest.param(MANY, marks=pytest.mark.long)])


def tried(n: int) -> Any:
    """Settings of hypothesis: `n` examples, the same ones each time."""
    return settings(
        max_examples=n, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


words = st.sampled_from(["a", "b", "cat", "Käfer", "yes", "Yes", "two words", "x,y", "semi;colon", "1,5", "1.234,5"])
holes = st.sampled_from(["", "NA", "?", "null", "-", ".", "\\N", "nan", " "])
numbers = st.one_of(
    st.integers(-5, 30).map(str),
    st.integers().map(str),
    st.floats().map(repr),
    st.floats(-1e3, 1e3).map(lambda value: f"{value:.2f}"),
    st.floats(-1e6, 1e6).map(lambda value: f"{value:,.1f}"),
    st.floats(-1e6, 1e6).map(lambda value: f"{value:.3f}".replace(".", ",")),
)
dates = st.one_of(st.dates().map(str), st.datetimes().map(str), st.dates().map(lambda day: f"{day:%d.%m.%Y}"))
texts = st.text(max_size=6)
quoted = st.text('"\n,;\t a#\r1', max_size=5)
cells = st.one_of(numbers, numbers, words, holes, dates, texts, quoted)
# A column mostly of one kind, and its name.
columns = st.sampled_from([numbers, words, dates, cells, texts, quoted, st.integers(-3, 40).map(str)]).flatmap(
    lambda kind: st.tuples(
        st.one_of(st.sampled_from(["x", "y", "id", "", "a b", "1990", "Größe"]), st.text(max_size=5)),
        st.lists(st.one_of(kind, kind, kind, kind, holes) if kind is not cells else cells, min_size=8, max_size=8),
    )
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Tables of 0 to 1,000 rows as people write them, and what may happen to their bytes."""
    found = draw(st.lists(columns, min_size=1, max_size=5))
    n_rows = draw(st.sampled_from([0, 1, 2, 3, 7, 20, 20, 100, 1000]))
    shift = draw(st.integers(1, 7))
    rows = [[cells[(i * shift + i // 8) % 8] for _, cells in found] for i in range(n_rows)]
    text = io.StringIO()
    ends = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    separator = draw(st.sampled_from([",", ";", "\t", "|", " "]))
    if draw(st.booleans()):
        if draw(st.booleans()):
            writer = csv.writer(text, delimiter=separator, lineterminator=ends, quoting=csv.QUOTE_ALL)
        else:
            writer = csv.writer(text, delimiter=separator, lineterminator=ends)
        writer.writerows([[name for name, _ in found]] * draw(st.integers(0, 1)) + rows)
    else:
        lines = [separator.join(row) for row in [[name for name, _ in found], *rows]]
        text.write(ends.join(lines) + draw(st.sampled_from(["", ends])))
    before = draw(st.sampled_from(["", "", "", "sep=;\n", "# a comment\n", "A title\n\n", "\n\n", '"', "%\n"]))
    after = draw(st.sampled_from(["", "", "", "\n\n", '"', ",,,", "# the end\n", "a,b,c,d,e,f,g"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1", "cp1252"]))
    content = (before + text.getvalue() + after).encode(encoding, errors="replace")
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=4)) + content[at + draw(st.integers(0, 3)) :]
    return gzip.compress(content) if draw(st.integers(0, 9)) == 0 else content


magic = st.sampled_from(
    [
        b"PAR1",
        b"ARROW1\0\0",
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"BZh9",
        b"\xfd7zXZ\0",
        b'{"a":',
        b'[{"a":1},',
        b"@relation r\n",
    ]
)
junk = st.one_of(
    st.binary(max_size=300),
    st.tuples(magic, st.binary(max_size=100)).map(b"".join),
    st.lists(
        st.sampled_from([b"@relation r\n", b"@attribute x numeric\n", b"@data\n", b"1,'a b'\n", b"?\n", b"% c\n", b"'"])
    ).map(b"".join),
    st.lists(
        st.sampled_from(
            [b'{"a":1}\n', b'{"a":"x","b":null}\n', b'{"a":[1]}\n', b'{"b":{"c":1}}\n', b"{}\n", b"[", b"1e999\n"]
        )
    ).map(b"".join),
)
forms = st.builds(
    TextForm,
    sep=st.sampled_from([None, None, None, ",", ";", "tab", "space", "x"]),
    header=st.sampled_from([None, None, True, False]),
    decimal=st.sampled_from([None, None, ".", ","]),
    encoding=st.sampled_from([None, None, None, "utf-8", "latin-1", "utf-16"]),
)


def said_well(error: ConfigError) -> None:
    for line in error.lines:
        assert line.strip()
        assert "\n" not in line
        assert line.isprintable()
        assert len(line) < 1000


def looked_through(table: RawTable) -> None:
    """All that can be asked of a table has an answer: arrays of its length with holes, or one line."""
    n = table.n_rows
    assert n > 0
    assert len(set(table.names)) == len(table.names)
    assert all(len(column.cells) == n and table.place(n - 1) for column in table.columns)
    for column, task in zip(table.columns, ("auto", "classification", "regression", "auto", "auto"), strict=False):
        try:
            target = find_target(table, column, task)  # type: ignore[arg-type]
        except ConfigError as error:
            said_well(error)
        else:
            if target.classes:
                labels = labels_of(column, target)
                assert set(labels[labels >= 0].tolist()) == set(range(len(target.classes)))
                assert int((labels < 0).sum()) == target.n_missing
    for kind in find_kinds(table):
        column = table.column(kind.name, "")
        if isinstance(kind, Numbers):
            holes = np.isnan(numbers_of(table, column))
        elif isinstance(kind, Dates):
            holes = np.isnan(days_of(table, column, kind))
        elif isinstance(kind, Categories):
            holes = codes_of(column, kind) == -1
        else:
            continue
        assert len(holes) == n
        assert int(holes.sum()) == kind.n_missing


@amounts
def test_any_file_is_a_table_or_one_line(n: int, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    read = 0

    @tried(n)
    @given(content=st.one_of(files(), files(), files(), junk), form=forms)
    def try_all(content: bytes, form: TextForm) -> None:
        nonlocal read
        path.write_bytes(content)
        try:
            table = read_table(path, "path", form)
            read += 1
            looked_through(table)
        except ConfigError as error:
            said_well(error)

    try_all()
    assert read > n // 5  # it is not the first check that refuses them all


@amounts
def test_polars_reads_what_the_csv_module_reads(n: int) -> None:
    agreed = 0

    @tried(n)
    @given(
        rows=st.lists(st.lists(st.one_of(words, numbers, quoted), min_size=2, max_size=4), min_size=1, max_size=30),
        even=st.integers(0, 4),
        separator=st.sampled_from([",", ";", "\t"]),
        plain=st.booleans(),
    )
    def try_all(rows: list[list[str]], even: int, separator: str, plain: bool) -> None:
        nonlocal agreed
        width = len(rows[0])
        if even:
            rows = [(row * 2)[:width] for row in rows]
        if plain:
            content = "".join(separator.join(row).replace("\r", "") + "\n" for row in rows)
        else:
            text = io.StringIO()
            csv.writer(text, delimiter=separator, lineterminator="\n").writerows(rows)
            content = text.getvalue().replace("\r", "")
        dialect = Dialect(separator, None, width, first=1)
        fast = delimited._with_polars(content.encode(), dialect)
        if fast is None:
            return
        agreed += 1
        slow, lines = delimited._with_csv(content.encode(), dialect, "path")
        # The csv module leaves out spaces before a cell, and all that is done with cells later those around it.
        assert [column.str.strip_chars().to_list() for column in fast[0]] == [
            column.str.strip_chars().to_list() for column in slow
        ]
        assert list(fast[1]) == list(lines)

    try_all()
    assert agreed > n // 10


@amounts
def test_texts_come_back_as_they_were_written(n: int, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    letters = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=4).map(lambda text: f"«{text}»")

    @tried(n)
    @given(
        rows=st.lists(st.lists(letters, min_size=3, max_size=3), min_size=1, max_size=20),
        separator=st.sampled_from([",", ";", "\t", "|"]),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    )
    def try_all(rows: list[list[str]], separator: str, encoding: str) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=separator).writerows([["<a>", "<b>", "<c>"], *rows])
        path.write_bytes(text.getvalue().encode(encoding))
        table = read_table(path, "path", TextForm(sep=separator, header=True))
        assert table.names == ("<a>", "<b>", "<c>")
        expected = [list(column) for column in zip(*rows, strict=True)]
        assert [texts_of(column).to_list() for column in table.columns] == expected

    try_all()


WORDS = ["number", "category", "date", "day_first", "month_first", "ignore", "numbr"]
KEYS = {
    "task": ["classification", "regression"],
    "missing": ["impute", "drop", "refuse"],
    "rare": ["drop", "merge", "refuse"],
    "scale": ["robust", "quantile", "standard"],
    "target_transform": ["log", "log1p", "none"],
    "header": ["true", "true", "false"],
    "sep": ["tab", "';'", "pipe"],
    "decimal": ["'.'", "','"],
    "encoding": ["latin-1", "utf-8", "utf-16"],
    "val_fraction": ["0.1", "0.5", "0.7"],
    "test_fraction": ["0.05", "0.4", "0.6"],
    "seed": ["1", "4294967296"],
    "test_path": ["t.csv", "other.csv"],
}


@st.composite
def settings_of_a_table(draw: st.DrawFn, names: list[str]) -> tuple[str, ...]:
    """Overrides of `dataset=table`, most of them possible with columns of these names."""
    name = st.sampled_from(names) if draw(st.integers(0, 7)) < 7 else st.sampled_from(["X", "no such", "t t", "", "ta"])
    found = []
    for key in draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=2, unique=True)):
        wrong = draw(st.integers(0, 15)) == 15
        found.append(f"dataset.{key}={'zz' if wrong else draw(st.sampled_from(KEYS[key]))}")
    for key in draw(st.lists(st.sampled_from(["target", "group", "time", "split", "ignore", "columns"]), max_size=1)):
        if key == "columns":
            pairs = draw(st.lists(st.tuples(name, st.sampled_from(WORDS)), min_size=1, max_size=2))
            value = f"[{','.join(quote(f'{column}: {word}') for column, word in pairs)}]"
        elif key in ("ignore", "target") and draw(st.booleans()):
            value = f"[{','.join(map(quote, draw(st.lists(name, min_size=1, max_size=2))))}]"
        else:
            value = quote(draw(name))
        found.append(f"dataset.{key}={value}")
    return tuple(found)


@st.composite
def experiments(draw: st.DrawFn) -> tuple[bytes, bytes, tuple[str, ...]]:
    """A file, mostly of a table that one can learn from; one of its rows in another order; what is said of them."""
    if draw(st.integers(0, 6)) == 6:
        content = draw(files())
        return content, content, draw(settings_of_a_table(["x", "y", "id"]))
    whole, fractions = st.integers(-9, 99).map(str), st.integers(-1, 99).map("{}.25".format)
    kinds = draw(st.lists(st.sampled_from([whole, words, dates]), max_size=2))
    found = [draw(st.lists(st.one_of(kind, kind, kind, kind, holes), min_size=8, max_size=8)) for kind in kinds]
    found.insert(0, draw(st.lists(whole, min_size=8, max_size=8, unique=True)))
    strange = draw(st.lists(columns, max_size=1))
    names = [*(f"c{at}" for at in range(len(found))), *(name for name, _ in strange), "t"]
    classes, values = st.permutations(list("pqrpqrpq")), st.lists(fractions, min_size=8, max_size=8, unique=True)
    anything = st.sampled_from([numbers, words, st.integers(0, 3).map(str)]).flatmap(
        lambda kind: st.lists(st.one_of(kind, kind, kind, kind, holes), min_size=8, max_size=8)
    )
    found += [*(cells for _, cells in strange), draw(st.one_of(classes, values, values, anything))]
    n_rows, shift = draw(st.sampled_from([50, *[100] * 12, 50, 20, 20, 1000, 3, 0])), draw(st.integers(1, 7))
    rows = [[cells[(i * shift + i // 8 * at) % 8] for at, cells in enumerate(found)] for i in range(n_rows)]
    for i, row in enumerate(rows):  # which a row can be told by
        row[0] = f"{row[0]}.{i * 7919 % 997}" if row[0].strip("-").isdigit() else row[0]
    separator = draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"]))
    contents = []
    for order in (slice(None), slice(None, None, -1)):
        text = io.StringIO()
        csv.writer(text, delimiter=separator).writerows([row[order] for row in [names, *rows]])
        contents.append(text.getvalue().encode(encoding, errors="replace"))
    return contents[0], contents[1], draw(settings_of_a_table(names))


def numbers_again(run: Path, options: list[str], evaluated: bool) -> None:
    """What is computed from the directory and the file is what run.json says of the run."""
    stored = json.loads((run / "run.json").read_text())
    assert stored["state"] == "completed"
    results, epoch = mlpexp.load(run)
    assert epoch == stored["best_epoch"]
    found = mlpexp.evaluate(run).metrics if evaluated else results.metrics()
    for split, metrics in stored["metrics"].items():
        known = {name: np.nan if value is None else value for name, value in metrics.items()}
        assert found[split] == pytest.approx(known, rel=1e-5, abs=1e-6, nan_ok=True), split
    table_of_test(results, mlpexp.compose(options).dataset, stored["metrics"]["test"])


def table_of_test(results: mlpexp.Results, dataset: Any, stored: dict[str, Any]) -> None:
    """What the network predicts of the file's own test rows, as a data frame, has the stored score."""
    known, task = results.identity, results.task
    tables = [dataset.read(Path(path), path) for path in (dataset.path, dataset.test_path) if path]
    table = tables[-1]
    n_rows = sum(part.n_rows for part in tables)
    train, _, test = (rows.numpy() for rows in unpacked(known.split, n_rows))
    test = test - (n_rows - table.n_rows)
    frame = pl.DataFrame([column.cells.alias(column.name) for column in table.columns])
    predicted = results.predict(frame[test])
    if task.classes:
        texts = texts_of(table.column(known.preprocessing.target.name, "t"))[test]
        names = [text if text in task.classes else "other" for text in texts]
        best = [task.classes[at] for at in predicted.argmax(1)]
        assert accuracy_score(names, best) == pytest.approx(stored["accuracy"])
        return
    transform: Any = {"none": np.array, "log": np.log, "log1p": np.log1p}[dataset.target_transform]

    def values(part: RawTable) -> Any:
        names = [target.name for target in known.preprocessing.outputs]
        return transform(np.stack([numbers_of(part, part.column(name, "t")) for name in names], axis=1))

    with np.errstate(all="ignore"):
        fitted = values(tables[0])[train]
        true, found = ((part - fitted.mean(0)) / fitted.std(0) for part in (values(table)[test], transform(predicted)))
        r2 = r2_score(true, found, multioutput="variance_weighted") if len(test) > 1 else np.nan
    if stored["r2"] is not None:
        assert r2 == pytest.approx(stored["r2"], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("n", [20, pytest.param(MANY, marks=pytest.mark.long)])
def test_any_table_is_trained_on_or_refused_in_lines(n: int, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained, seen = 0, set()
    run = here / "run"

    def try_one(experiment: tuple[bytes, bytes, tuple[str, ...]]) -> None:
        nonlocal trained
        if experiment in seen:
            return
        seen.add(experiment)
        shutil.rmtree(run, ignore_errors=True)
        content, other, said = experiment
        Path("t.csv").write_bytes(content)
        Path("other.csv").write_bytes(other)
        options = ["dataset=table", "dataset.path=t.csv", *said]
        small = ["epochs=1", "model.hidden=[4]", "log.figures=false", "log.tensorboard=false", "hydra.run.dir=run"]
        capsys.readouterr()
        code = call(["train", *options, *small])
        errors = capsys.readouterr().err
        if code == 0:
            assert not errors
            trained += 1
            numbers_again(run, options, evaluated=trained % 10 == 1)
            return
        assert code == 2, errors
        lines = errors.splitlines()
        assert lines
        for line in lines:
            assert line.startswith("mlpexp: ")
            assert line.isprintable()
            assert len(line) < 1000
        assert sorted(path.name for path in here.iterdir()) == ["other.csv", "t.csv"]

    # A search begins with the simplest example of all, and goes on with small changes of those that it has found: the
    # second ones of many searches differ more.
    for start in range(n):
        seed(start)(tried(2)(given(experiment=experiments())(try_one)))()
    assert trained > n // 5  # it is not the first check that refuses them all
