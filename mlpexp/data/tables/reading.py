"""Reads a file of any usual format as a table, at once or in chunks; the format is inferred from its content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from mlpexp.data.tables.arff import read_arff
from mlpexp.data.tables.delimited import read_delimited, read_parts
from mlpexp.data.tables.dialect import TextForm
from mlpexp.data.tables.encoding import as_utf8
from mlpexp.data.tables.formats import read_arrow, read_excel, read_json_lines, read_npz, read_parquet
from mlpexp.data.tables.opening import FOREIGN, PACKED, read_content
from mlpexp.data.tables.raw import RawTable
from mlpexp.errors import ConfigError

# Files up to this many bytes are read at once, larger ones in chunks of this size.
_CHUNK = 1 << 24


def read_table(path: Path, where: str, form: TextForm | None = None, sheet: str | None = None) -> RawTable:
    """The table in the file at `path`: delimited text, parquet, feather, xlsx, npz, JSON lines or ARFF.

    The file may be compressed. `form` has the settings for a text file, `sheet` names a sheet of a workbook.
    ConfigError, with one line that begins with `where`, if it is not a table; it names line and column of a text file.
    """
    try:
        content, name, unpacked = read_content(path, where)
        table = _read(content, name.lower(), where, form or TextForm(), sheet)
    except MemoryError:
        raise ConfigError(f"{where}: does not fit into memory.") from None
    return replace(table, notes=(*unpacked, *table.notes))


def read_chunks(
    path: Path, where: str, form: TextForm | None = None, sheet: str | None = None, size: int = _CHUNK
) -> Iterator[RawTable]:
    """The rows of a table in chunks of about `size` bytes, so that files larger than memory can be processed.

    Only delimited text in UTF-8 is read in chunks; other files are read at once. ConfigError as `read_table`.
    """
    form = form or TextForm()
    if form.encoding is None and path.is_file() and path.stat().st_size > size:
        with path.open("rb") as file:
            if _is_plain_text(file.read(1 << 20), path.name):
                file.seek(0)
                yield from read_parts(_whole_rows(file, where, size), where, form)
                return
    yield read_table(path, where, form, sheet)


def _whole_rows(file: BinaryIO, where: str, size: int) -> Iterator[bytes]:
    """Whole rows, about `size` bytes at a time. A line end within quotes is not the end of a row."""
    rest = b""
    while block := file.read(size):
        content = rest + block
        end = content.rfind(b"\n") + 1
        while end and content.count(b'"', 0, end) % 2:
            end = content.rfind(b"\n", 0, end - 1) + 1
        if end:
            yield as_utf8(content[:end], where)[0]
        rest = content[end:]
    if rest:
        yield as_utf8(rest, where)[0]


def _is_plain_text(beginning: bytes, name: str) -> bool:
    """Whether a file with this beginning is delimited text in ASCII or UTF-8, with a row on each line."""
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
    """Whether the first line after comments begins as in an ARFF file."""
    lines = (line.strip() for line in content[:100_000].split(b"\n"))
    first = next((line for line in lines if line and not line.startswith(b"%")), b"")
    return re.match(rb"@(relation|attribute)\s", first, re.IGNORECASE) is not None
