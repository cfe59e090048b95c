"""Files of every usual format are read as the same table; what is none is one line that says what is wrong."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import lzma
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlpexp.data.tables import opening
from mlpexp.data.tables.dialect import TextForm
from mlpexp.data.tables.raw import RawTable
from mlpexp.data.tables.reading import read_table
from mlpexp.errors import ConfigError

# Each format writes this table.
TABLE = {"height": [1.5, 22.25, None], "count": [3, 1234, -7], "kind": ["cat", "dog, big", "Käfer"]}
PLAIN = 'height,count,kind\n1.5,3,cat\n22.25,1234,"dog, big"\n,-7,Käfer\n'
SEMICOLON = "height;count;kind\n1.5;3;cat\n22.25;1234;dog, big\n;-7;Käfer\n"


def read(tmp_path: Path, content: str | bytes, name: str = "t.csv", sheet: str | None = None, **form: Any) -> RawTable:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, "dataset.path=t", TextForm(**form), sheet)


def values(table: RawTable) -> dict[str, list[Any]]:
    return {column.name: column.cells.to_list() for column in table.columns}


def zipped(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def written(write: Callable[[pl.DataFrame, io.BytesIO], Any]) -> bytes:
    content = io.BytesIO()
    write(pl.DataFrame(TABLE), content)
    return content.getvalue()


def npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def as_npz() -> bytes:
    return npz(height=np.array([1.5, 22.25, np.nan]), count=np.array([3, 1234, -7]), kind=np.array(TABLE["kind"]))


ARFF = """% made up
@RELATION pets
@attribute height numeric
@ATTRIBUTE 'count' integer
@attribute kind {cat, 'dog, big', Käfer}
@data
1.5,3,cat
% a comment
22.25, 1234, 'dog, big'
?,-7,Käfer
"""


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        pytest.param(PLAIN, (), id="comma"),
        pytest.param(SEMICOLON, ("separator ;",), id="semicolon"),
        pytest.param(SEMICOLON.replace(";", "\t"), ("separator tab",), id="tab"),
        pytest.param(SEMICOLON.replace(";", "|"), ("separator |",), id="pipe"),
        pytest.param(
            'height count   kind\n  1.5  3  cat\n22.25 1234 "dog, big"  \nNA   -7 Käfer\n',
            ("separator spaces",),
            id="runs of spaces",
        ),
        pytest.param(
            'height  count kind\n1 1.5 3 cat\n2 22.25 1234 "dog, big"\n3 NA -7 Käfer\n',
            ("separator spaces", "the first column is an index and is left out"),
            id="R's write.table",
        ),
        pytest.param(
            "height;count;kind\n1,5;3;cat\n22,25;1.234;dog, big\n;-7;Käfer\n",
            ("separator ;", "decimal comma, a point between thousands"),
            id="decimal comma",
        ),
        pytest.param(
            'height,count,kind\n1.5,3,cat\n22.25,"1,234","dog, big"\n,-7,Käfer\n',
            ("a comma between thousands, so 1,234 is 1234",),
            id="thousands",
        ),
        pytest.param(
            'height,count,kind\n1.5,3,cat\n22.25,"1\u202f234","dog, big"\n,-7,Käfer\n',
            ("a space or apostrophe between thousands",),
            id="thousands apart by a narrow space",
        ),
        pytest.param("\ufeff" + PLAIN, ("UTF-8 with a byte order mark",), id="BOM"),
        pytest.param(PLAIN.encode("utf-16"), ("UTF-16",), id="UTF-16"),
        pytest.param(PLAIN.encode("utf-16-be"), ("UTF-16",), id="UTF-16 without a mark"),
        pytest.param(PLAIN.encode("latin-1"), ("Latin-1",), id="Latin-1"),
        pytest.param("sep=;\n" + SEMICOLON, ("separator ;",), id="sep="),
        pytest.param("Pets of 2020, all of them\n\n" + PLAIN, ("1 title line before the table left out",), id="title"),
        pytest.param("# made up\n" + PLAIN + "# the end\n", (), id="comments"),
        pytest.param("# made up\n# " + PLAIN, (), id="names in a comment"),
        pytest.param(PLAIN.replace("\n", ",\n"), ("lines end with a separator",), id="a comma at each line's end"),
        pytest.param(
            PLAIN.replace("\n", ",\n").replace("kind,", "kind"),
            ("lines end with a separator",),
            id="a comma at the end of each line but the header",
        ),
        pytest.param(
            '"","height","count","kind"\n"1",1.5,3,"cat"\n"2",22.25,1234,"dog, big"\n"3",NA,-7,"Käfer"\n',
            ("the first column is an index and is left out",),
            id="R's write.csv",
        ),
        pytest.param(
            ',height,count,kind\n0,1.5,3,cat\n1,22.25,1234,"dog, big"\n2,,-7,Käfer\n',
            ("the first column is an index and is left out",),
            id="pandas' to_csv",
        ),
        pytest.param(PLAIN.replace("\n", "\r\n"), (), id="lines of Windows"),
        pytest.param(PLAIN.replace("\n", "\r"), (), id="lines of old Macs"),
        pytest.param("\n" + PLAIN.replace("\n", "\n\n") + ",,\n", (), id="blank lines"),
        pytest.param('height , count, kind\n 1.5, 3, cat\n22.25 ,1234 , "dog, big"\n , -7, Käfer \n', (), id="spaces"),
        pytest.param(PLAIN.removesuffix("\n"), (), id="no line end at the end"),
        pytest.param(gzip.compress(PLAIN.encode(), mtime=0), (f"unpacked to {len(PLAIN.encode())} bytes",), id="gzip"),
        pytest.param(bz2.compress(PLAIN.encode()), (f"unpacked to {len(PLAIN.encode())} bytes",), id="bzip2"),
        pytest.param(lzma.compress(PLAIN.encode()), (f"unpacked to {len(PLAIN.encode())} bytes",), id="xz"),
        pytest.param(
            zipped(**{"data/pets": PLAIN, "__MACOSX/pets": "x", "data/": ""}),
            ("the archive's file 'pets' is read",),
            id="zip",
        ),
        pytest.param(written(pl.DataFrame.write_parquet), (), id="parquet"),
        pytest.param(written(pl.DataFrame.write_ipc), (), id="feather"),
        pytest.param(written(pl.DataFrame.write_ndjson), (), id="JSON lines"),
        pytest.param(written(pl.DataFrame.write_json), (), id="JSON"),
        pytest.param(as_npz(), (), id="npz"),
        pytest.param(ARFF, (), id="ARFF"),
    ],
)
def test_each_format_is_read_as_the_same_table(tmp_path: Path, content: str | bytes, notes: tuple[str, ...]) -> None:
    table = read(tmp_path, content)
    assert values(table) == TABLE
    assert [column.cells.dtype for column in table.columns] == [pl.Float64, pl.Int64, pl.String]
    assert table.notes == notes


@pytest.mark.parametrize(
    ("content", "form", "expected"),
    [
        ("1,2.5\n3,4\n", {}, {"column_1": [1, 3], "column_2": [2.5, 4]}),
        ("5.1,setosa\n4.9,setosa\n", {}, {"column_1": [5.1, 4.9], "column_2": ["setosa", "setosa"]}),
        ("p,x\np,y\nq,x\np,y\n", {}, {"column_1": ["p", "p", "q", "p"], "column_2": ["x", "y", "x", "y"]}),
        ("a,b\nc,d\n", {"header": False}, {"column_1": ["a", "c"], "column_2": ["b", "d"]}),
        ("1,2\n3,4\n", {"header": True}, {"1": [3], "2": [4]}),
        ("land,1990,1991\nA,1.5,2\nB,2,3\n", {}, {"land": ["A", "B"], "1990": [1.5, 2], "1991": [2, 3]}),
        (",0,1\n0,7,2.5\n1,8,4\n", {}, {"0": [7, 8], "1": [2.5, 4]}),
        ("a,a,,a_2\n1,2,3,4\n", {}, {"a": [1], "a_3": [2], "column_3": [3], "a_2": [4]}),
        ("a;b\n1,234;x\n", {}, {"a": [1.234], "b": ["x"]}),
        ("a;b\n1,234;x\n", {"decimal": "."}, {"a": [1234], "b": ["x"]}),
        ('a,b\n"1,234",x\n', {"decimal": ","}, {"a": [1.234], "b": ["x"]}),
        ("a;b\n1.234.567;0,5\n1.234;12,25\n", {}, {"a": [1234567, 1234], "b": [0.5, 12.25]}),
        # A separator that the header does not have is none.
        ("f,g\n1,x|y\n2,y|z\n", {}, {"f": [1, 2], "g": ["x|y", "y|z"]}),
        ('a  b,"c\nd\x1b"\n1,2\n', {}, {"a b": [1], "c d": [2]}),
        ("a:b\n1:2\n", {"sep": ":"}, {"a": [1], "b": [2]}),
        ("a b\n1 2\n", {"sep": "space"}, {"a": [1], "b": [2]}),
        ("a\tb\n1\t\n\t2\n", {"sep": "tab"}, {"a": [1, None], "b": [None, 2]}),
        ("a,b\n007,1\n010,2\n", {}, {"a": ["007", "010"], "b": [1, 2]}),
        ("a,b\n12345678901234567,1\n1,2\n", {}, {"a": ["12345678901234567", "1"], "b": [1, 2]}),
        ('a,b\n1,"two\nlines, and ""quotes"""\n3,x\n', {}, {"a": [1, 3], "b": ['two\nlines, and "quotes"', "x"]}),
        ('a,b\n1,5" pipe\n2,x\n', {}, {"a": [1, 2], "b": ['5" pipe', "x"]}),
        ("a,b\n1,x\n# no, row, at all\n2,y\n", {}, {"a": [1, 2], "b": ["x", "y"]}),
        ("a,b\n#ff0000,1\n#00ff00,2\n", {}, {"a": ["#ff0000", "#00ff00"], "b": [1, 2]}),
        ("x,y\n1,Ж\n".encode("koi8-r"), {"encoding": "koi8-r"}, {"x": [1], "y": ["Ж"]}),
        # A column of dates without a name is no index.
        (",b\n2020-01-01,1\n2020-01-02,2\n", {}, {"column_1": ["2020-01-01", "2020-01-02"], "b": [1, 2]}),
    ],
)
def test_headers_marks_and_quotes(tmp_path: Path, content: str | bytes, form: Any, expected: Any) -> None:
    assert values(read(tmp_path, content, **form)) == expected


@pytest.mark.parametrize(
    "word",
    ["", "NA", "N/A", "NaN", "null", "None", "?", "-", ".", "#N/A", "<NA>", "\\N", " na ", "nan", "NULL"],
)
def test_every_word_for_a_missing_value_is_a_hole_in_numbers(tmp_path: Path, word: str) -> None:
    assert values(read(tmp_path, f"a,b\n1,x\n{word},y\n2.5,z\n"))["a"] == [1, None, 2.5]


def test_a_row_knows_its_line(tmp_path: Path) -> None:
    plain = read(tmp_path, "title\n\na,b\n1,2\n\n3,4\n")
    assert [plain.place(row) for row in range(2)] == ["line 4", "line 6"]
    quoted = read(tmp_path, 'a,b\n1,"x\ny"\n# c\n3,4\n')
    assert [quoted.place(row) for row in range(2)] == ["line 2", "line 5"]
    assert read(tmp_path, ARFF).place(2) == "line 10"
    assert read(tmp_path, '\n{"a":1}\n\n{"a":2}\n').place(1) == "line 4"
    assert read(tmp_path, written(pl.DataFrame.write_parquet)).place(1) == "row 2"


def test_types_of_typed_formats_stay(tmp_path: Path) -> None:
    content = io.BytesIO()
    frame = pl.DataFrame(
        {
            "flag": [True, None],
            "day": [dt.date(2020, 2, 29), None],
            "time": [dt.datetime(2020, 1, 1, 12), None],
            "small": pl.Series([1, 2], dtype=pl.UInt8),
            "hole": pl.Series([0.5, float("nan")], dtype=pl.Float32),
            "code": pl.Series(["a", "b"], dtype=pl.Categorical),
            "list": [[1], [2]],
        }
    )
    frame.write_parquet(content)
    table = read(tmp_path, content.getvalue())
    assert values(table) == {
        **{name: frame[name].to_list() for name in ("flag", "day", "time", "small", "code")},
        "hole": [0.5, None],
    }
    assert table.notes == ("column 'list' holds lists and is left out",)
    matrix = read(tmp_path, npz(X=np.arange(4.0).reshape(2, 2), y=np.array([b"no", b"yes"])))
    assert values(matrix) == {"X_1": [0, 2], "X_2": [1, 3], "y": ["no", "yes"]}


def xlsx() -> bytes:
    rows = "<row><c t='inlineStr'><is><t>a</t></is></c><c t='inlineStr'><is><t>b</t></is></c></row>" + (
        "<row><c><v>1</v></c><c t='inlineStr'><is><t>x</t></is></c></row>"
    )
    main, office = "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://schemas.openxmlformats.org"
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    links = f"{office}/package/2006/relationships"
    of = f"{office}/officeDocument/2006/relationships"
    return zipped(
        **{
            "[Content_Types].xml": f"<Types xmlns='{office}/package/2006/content-types'>"
            "<Default Extension='rels' ContentType='application/vnd.openxmlformats-package.relationships+xml'/>"
            f"<Override PartName='/xl/workbook.xml' ContentType='{kinds}.sheet.main+xml'/>"
            f"<Override PartName='/xl/worksheets/s.xml' ContentType='{kinds}.worksheet+xml'/></Types>",
            "_rels/.rels": f"<Relationships xmlns='{links}'><Relationship Id='r' Type='{of}/officeDocument' "
            "Target='xl/workbook.xml'/></Relationships>",
            "xl/workbook.xml": f"<workbook xmlns='{main}' xmlns:r='{of}'><sheets><sheet name='pets' sheetId='1' "
            "r:id='r1'/></sheets></workbook>",
            "xl/_rels/workbook.xml.rels": f"<Relationships xmlns='{links}'><Relationship Id='r1' "
            f"Type='{of}/worksheet' Target='worksheets/s.xml'/></Relationships>",
            "xl/worksheets/s.xml": f"<worksheet xmlns='{main}'><sheetData>{rows}</sheetData></worksheet>",
        }
    )


def test_excel_is_read_by_its_extra(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel", reason="polars reads Excel files through fastexcel (the extra xlsx)")
    assert values(read(tmp_path, xlsx())) == {"a": [1], "b": ["x"]}
    with pytest.raises(ConfigError, match="has no sheet 'cats'; choose from: pets"):
        read(tmp_path, xlsx(), sheet="cats")


def test_excel_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(ConfigError, match=r"^dataset.path=t: .*pip install 'mlpexp\[xlsx\]'"):
        read(tmp_path, xlsx())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty."),
        ("\ufeff \n\n", "is empty."),
        ("a,b\n", "has a header line and no rows."),
        ("a,b\n1,2\n3\n", "line 3 has 1 value, and the header has 2 (separator: ,; text that holds it needs quotes)."),
        ("a,b\n1,2\n\n3,4,5\n", "line 4 has 3 values, and the header has 2"),
        ("a,b\n1,2\n" * 400 + "9\n", "line 801 has 1 value"),
        ("a,b,c,d\n1,2,3\n4,5,6\n", "line 2 has 3 values, and line 1 above it has 4 names."),
        ('a,b\n1,"x\n3,4\n', "line 2: a quotation mark is opened and not closed."),
        ('a,b\n1,2\n1,"x"y\n3,4\n', "line 3: text follows a closing quotation mark"),
        (b"a,b\n1,\0\n", "is a binary file; a table is needed"),
        (bytes(range(1, 256)) * 9, "is a binary file; a table is needed"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is a picture"),
        (b"%PDF-1.7\n", "is a PDF"),
        ("<!DOCTYPE html>\n<html>", "is a web page; download the table itself"),
        ("version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS"),
        (b"\x80\x04\x95abc", "is a pickle"),
        (gzip.compress(b"RDX3\nX\n", mtime=0), "is an R data file"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-4], "cannot be unpacked: "),
        (zipped(a="1", b="2"), "holds 2 files (a, b); unpack it and name one of them."),
        (zipped(a=PLAIN)[:-9], "cannot be unpacked: "),
        (written(pl.DataFrame.write_parquet)[:90], "is not a readable parquet file: "),
        (written(pl.DataFrame.write_ipc)[:90], "is not a readable feather file: "),
        ('{"a":1}\n\n{"a":\n', "line 3 is not JSON: "),
        ('{"a":1}\n[2]\n', "line 2 is not a JSON object"),
        ('[{""\x01', "is not a readable JSON file: "),
        (npz(X=np.zeros((3, 2)), y=np.zeros(2)), "its arrays need the same number of rows: X [3, 2], y [2]."),
        (npz(X=np.array([{}])), "holds Python objects"),
        (ARFF + "1,2\n", "line 11 has 2 values, and 3 attributes are declared."),
        (ARFF + "{0 1}\n", "line 11: sparse rows are not read"),
        (ARFF.split("@data")[0], "has no @data line"),
        (PLAIN.encode("utf-16")[:-1], "begins as UTF-16, and byte "),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"dataset.path=t: {message}")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"sep": "::"}, "sep=::: one character is needed"),
        ({"decimal": "x"}, "decimal=x: choose from"),
        ({"encoding": "utf9"}, "no such encoding: 'utf9'"),
        ({"encoding": "ascii"}, "is not ascii text."),
    ],
)
def test_settings_of_the_form_are_checked(tmp_path: Path, form: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, PLAIN, **form)


def test_only_regular_files_that_fit_into_memory_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            read_table(path, "path")
        return str(caught.value)

    assert refused(tmp_path) == "path: is a directory; the file of a table is needed."
    assert refused(tmp_path / "none.csv") == "path: no such file."
    assert refused(Path("none.csv")) == f"path: no such file in {Path.cwd()}."
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert refused(tmp_path / "pipe") == "path: is not a regular file."
        assert refused(Path("/dev/zero")) == "path: is not a regular file."
    monkeypatch.setattr(opening, "_memory", lambda: 1000)
    (tmp_path / "large.csv").write_text(PLAIN * 100)
    assert "do not fit into memory" in refused(tmp_path / "large.csv")
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(PLAIN.encode() * 100, mtime=0))
    assert "do not fit into memory" in refused(tmp_path / "bomb.csv.gz")


def test_polars_is_imported_when_a_table_is_read() -> None:
    program = "import sys, mlpexp.data.tables.reading, mlpexp.cli.main; sys.exit('polars' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_rows_are_counted_without_waiting_for_a_pipe_and_once_for_each_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    program = f"from pathlib import Path; from {opening.__name__} import count_rows; print(count_rows(Path('pipe')))"
    asked = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert asked.stdout == "None\n"
    path = tmp_path / "t.csv"
    path.write_text(PLAIN)
    n = opening.count_rows(path)
    assert n == PLAIN.count("\n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_, **__: pytest.fail("it was read again"))
        assert opening.count_rows(path) == n
    path.write_text(PLAIN + PLAIN)
    assert opening.count_rows(path) == 2 * n


@pytest.mark.parametrize("unit", ["day", "ms", "us"])
@pytest.mark.parametrize("years", [-3_000, 9_000])
def test_a_date_beyond_those_of_python_is_one_line(unit: str, years: int, tmp_path: Path) -> None:
    """A damaged file of columns with types can hold any: polars' Rust code fails on those that are far beyond."""
    days = pl.Series("day", [0, years * 366], dtype=pl.Int64)
    if unit == "day":
        dates = days.cast(pl.Int32).cast(pl.Date)
    else:
        dates = (days * {"ms": 86_400_000, "us": 86_400_000_000}[unit]).cast(pl.Datetime(unit))  # type: ignore[arg-type]
    pl.DataFrame([dates]).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ConfigError, match=r"t\.parquet: column 'day' holds a date outside of the years 1 to 9999"):
        read_table(tmp_path / "t.parquet", str(tmp_path / "t.parquet"))
