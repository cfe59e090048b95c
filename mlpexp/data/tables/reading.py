"""Reads a file of any usual format as a table; the format is inferred from its content."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mlpexp.data.tables.arff import read_arff
from mlpexp.data.tables.delimited import read_delimited
from mlpexp.data.tables.encoding import as_utf8
from mlpexp.data.tables.formats import read_arrow, read_excel, read_json_lines, read_npz, read_parquet
from mlpexp.data.tables.opening import FOREIGN, PACKED, read_content
from mlpexp.data.tables.raw import RawTable
from mlpexp.data.tables.text_form import TextForm
from mlpexp.errors import ConfigError


def read_table(path: Path, where: str, form: TextForm | None = None, sheet: str | None = None) -> RawTable:
    """The table in the file at `path`: delimited text, parquet, feather, xlsx, npz, JSON lines or ARFF; packed or not.

    `form` says what is known of a text file, `sheet` which one of a workbook. ConfigError, one line that begins
    with `where`, for what is no table; it names line and column where the file has lines.
    """
    try:
        content, name, unpacked = read_content(path, where)
        table = _read(content, name.lower(), where, form or TextForm(), sheet)
    except MemoryError:
        raise ConfigError(f"{where}: needs more memory than there is.") from None
    return replace(table, notes=(*unpacked, *table.notes))


def is_plain_text(beginning: bytes, name: str) -> bool:
    """Whether a file that begins so is a table in ASCII or UTF-8 text, with a row on a line."""
    other = (b"PAR1", b"ARROW1", b"FEA1", b"PK", *PACKED, *FOREIGN)
    if beginning.startswith(other) or b"\0" in beginning or re.search(rb"\r(?!\n)", beginning):
        return False
    name = name.lower()
    return not (_is_json(beginning, name) or name.endswith(".arff") or _declares_attributes(beginning))


def _is_json(content: bytes, name: str) -> bool:
    braces = re.match(rb'\s*(\[\s*)?\{\s*("|\})', content[:1000])
    return name.endswith((".json", ".jsonl", ".ndjson")) or braces is not None


def _read(content: bytes, name: str, where: str, form: TextForm, sheet: str | None) -> RawTable:
    if content.startswith(b"PAR1"):
        return read_parquet(content, where)
    if content.startswith((b"ARROW1", b"FEA1")):
        return read_arrow(content, where)
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return read_excel(content, where, sheet) if b"[Content_Types].xml" in content else read_npz(content, where)
    if _is_json(content, name):
        return read_json_lines(as_utf8(content, where, form.encoding)[0], where)
    if name.endswith(".arff") or _declares_attributes(content):
        return read_arff(content, where)
    return read_delimited(content, where, form)


def _declares_attributes(content: bytes) -> bool:
    """Whether the first line that is no comment begins as ARFF does."""
    lines = (line.strip() for line in content[:100_000].split(b"\n"))
    first = next((line for line in lines if line and not line.startswith(b"%")), b"")
    return re.match(rb"@(relation|attribute)\s", first, re.IGNORECASE) is not None
