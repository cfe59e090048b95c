"""Conversion of text files to UTF-8, the only encoding that polars reads."""

from __future__ import annotations

import codecs
import re

from mlpexp.data.tables.raw import short
from mlpexp.errors import ConfigError

# UTF-32 begins as UTF-16 does, so it comes first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with a byte order mark"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_SAMPLE = 1 << 16
# Control characters that do not occur in text; tab, line ends, form feed and the DOS end-of-file mark do.
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1a") | {127})


def as_utf8(content: bytes, where: str, encoding: str | None = None) -> tuple[bytes, str]:
    """The text in UTF-8 with line ends that polars supports, and its original encoding, empty for UTF-8.

    A given encoding is used. Else it is inferred: from a byte order mark, or from zeros in every second byte (UTF-16);
    text that is not valid UTF-8 is read as Windows-1252 (Latin-1), in which every text is valid.
    """
    content, said = _decoded(content, where, encoding)
    if b"\0" in content:
        raise _binary(where)
    if b"\r" in content and re.search(rb"\r(?!\n)", content):
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return content, said


def _decoded(content: bytes, where: str, encoding: str | None) -> tuple[bytes, str]:
    if encoding is not None:
        try:
            return content.decode(encoding).encode().removeprefix(codecs.BOM_UTF8), encoding
        except LookupError:
            raise ConfigError(
                f"{where}: no such encoding: '{short(encoding)}' (such as utf-8, utf-16, latin-1)."
            ) from None
        except (UnicodeError, ValueError):
            raise ConfigError(f"{where}: is not {encoding} text.") from None
    for mark, name, said in _MARKS:
        if content.startswith(mark):
            return _transcoded(content, len(mark), name, said, where), said
    zeros = [content[start:_SAMPLE:2].count(0) for start in (0, 1)]
    if max(zeros) > len(content[:_SAMPLE]) // 5 and min(zeros) * 10 < max(zeros):
        return _transcoded(content, 0, "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be", "UTF-16", where), "UTF-16"
    if content.isascii():
        return content, ""
    try:
        content.decode()
        return content, ""
    except UnicodeDecodeError:
        sample = content[:_SAMPLE]
        if len(sample) - len(sample.translate(None, _CONTROL)) > len(sample) // 200:
            raise _binary(where) from None
    # Five bytes are undefined in Windows-1252; in Latin-1 they are control characters.
    try:
        return content.decode("cp1252").encode(), "Latin-1"
    except UnicodeDecodeError:
        return content.decode("latin-1").encode(), "Latin-1"


def _transcoded(content: bytes, start: int, encoding: str, said: str, where: str) -> bytes:
    try:
        text = content[start:].decode(encoding)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: begins as {said}, and byte {start + error.start + 1} is not.") from None
    return content[start:] if encoding == "utf-8" else text.encode()


def _binary(where: str) -> ConfigError:
    return ConfigError(
        f"{where}: is a binary file; a table is needed (CSV, parquet, feather, xlsx, npz, JSON lines or ARFF)."
    )
