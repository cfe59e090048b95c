"""A table in pieces, so that files larger than memory can be processed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mlpexp.data.tables.delimited import read_parts
from mlpexp.data.tables.encoding import as_utf8
from mlpexp.data.tables.raw import RawTable
from mlpexp.data.tables.reading import is_plain_text, read_table
from mlpexp.data.tables.text_form import TextForm

# Files up to this many bytes are read whole, larger ones in pieces of as many.
_PIECE = 1 << 24


def read_pieces(
    path: Path, where: str, form: TextForm | None = None, sheet: str | None = None, piece: int = _PIECE
) -> Iterator[RawTable]:
    """The rows of a table, some at a time; text in UTF-8 is read as they are asked for, other files at once.

    ConfigError as `read_table`.
    """
    form = form or TextForm()
    if form.encoding is None and path.is_file() and path.stat().st_size > piece:
        with path.open("rb") as file:
            if is_plain_text(file.read(1 << 20), path.name):
                file.seek(0)
                yield from read_parts(_parts(file, where, piece), where, form)
                return
    yield read_table(path, where, form, sheet)


def _parts(file: BinaryIO, where: str, size: int) -> Iterator[bytes]:
    """Whole rows, about `size` bytes at a time: a line's end within quotes is none of a row."""
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
