"""Reads the content of a regular file, decompressed if necessary; files of other formats are errors."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any

from mlpexp.data.tables.raw import printable, short
from mlpexp.errors import ConfigError

# Magic bytes of compressed files, and the functions that open them.
PACKED: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
# What else people have at hand begins with, what it is, and what to do.
FOREIGN = {
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls); save it as .xlsx or CSV",
    b"%PDF": "a PDF; a table is needed",
    b"\x89PNG": "a picture; a table is needed",
    b"\xff\xd8\xff": "a picture; a table is needed",
    b"GIF8": "a picture; a table is needed",
    b"\x89HDF": "an HDF5 file; save the table as CSV or parquet",
    b"SQLite format 3": "a database; save the table as CSV or parquet",
    b"RDX": "an R data file; write.csv(d, file, row.names=FALSE) in R makes a table of it",
    b"RDA": "an R data file; write.csv(d, file, row.names=FALSE) in R makes a table of it",
    b"X\n\0\0\0": "an R data file; write.csv(d, file, row.names=FALSE) in R makes a table of it",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first (zstd -d)",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\x80\x04": "a pickle, which runs code when it is read; save the table as CSV or parquet",
    b"\x80\x05": "a pickle, which runs code when it is read; save the table as CSV or parquet",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with: git lfs pull",
}
_CHUNK = 1 << 20
# Bytes at the beginning of a file in which lines are counted.
_COUNTED = 1 << 26
# Spaces, line ends, and the byte order marks of the encodings.
_BLANK = b" \t\r\n\0\xef\xbb\xbf\xff\xfe"


def read_content(path: Path, where: str) -> tuple[bytes, str, list[str]]:
    """The file's bytes, unpacked; its name without the ending of the packing; notes on what was unpacked.

    ConfigError, one line that `where` begins, for what is no regular file, is empty, holds something other than a
    table, or does not fit into memory.
    """
    most = _memory()
    content = _read_regular(path, where, most)
    name, notes = path.name, []
    for _ in range(3):  # a table within a zip within a gzip
        magic = next((magic for magic in PACKED if content.startswith(magic)), None)
        if magic is not None:
            content = _unpack(partial(PACKED[magic], io.BytesIO(content)), where, most)
            name = name.rsplit(".", 1)[0] if name.lower().endswith((".gz", ".bz2", ".xz")) else name
            notes.append(f"unpacked to {len(content):,} bytes")
        elif content.startswith(b"PK\x03\x04") and (inner := _member(content, where)) is not None:
            content = _unpack(partial(_open_member, content, inner), where, most)
            name = inner.rsplit("/", 1)[-1]
            notes.append(f"the archive's file '{short(name)}' is read")
        else:
            break
    if not content[:_CHUNK].strip(_BLANK) and not content.strip(_BLANK):
        raise ConfigError(f"{where}: is empty.")
    for magic, what in FOREIGN.items():
        if content.startswith(magic):
            raise ConfigError(f"{where}: is {what}.")
    if content[:500].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise ConfigError(f"{where}: is a web page; download the table itself (on GitHub: the 'Raw' button).")
    return content, name, notes


def count_rows(path: Path) -> int | None:
    """About how many rows the table in a file has: lines of text, or as parquet says; None where it is unknown.

    An unchanged file is counted once, however many jobs of a sweep need the number.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    # A pipe is not waited for.
    return _counted(path.absolute(), found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else None


@lru_cache(maxsize=64)
def _counted(path: Path, _modified: int, size: int) -> int | None:
    try:
        with path.open("rb") as file:
            first = file.read(4096)
        if first.startswith(b"PAR1"):
            import polars as pl

            return int(pl.scan_parquet(path).select(pl.len()).collect().item())
        content = read_content(path, "")[0] if any(first.startswith(mark) for mark in (*PACKED, b"PK")) else None
        if content is None:
            with path.open("rb") as file:
                beginning = file.read(_COUNTED)
            # The rest of a large file is taken to have lines as long.
            return round(beginning.count(b"\n") * max(1.0, size / max(1, len(beginning))))
        return None if content.startswith(b"PK") else content.count(b"\n")
    # What is wrong with the file is said when it is read.
    except (OSError, ValueError, ConfigError, MemoryError):
        return None
    except Exception as error:
        if type(error).__module__.startswith("polars"):
            return None
        raise


def _memory() -> int:
    """Bytes of physical memory, or a bound that stands for it where the system does not say."""
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 1 << 36


def _read_regular(path: Path, where: str, most: int) -> bytes:
    """A pipe is not waited for, and a device not read: it may never end."""
    if "\0" in str(path):
        raise ConfigError(f"{where}: no path holds a zero byte.")
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if path.is_dir():
            raise ConfigError(f"{where}: is a directory; the file of a table is needed.")
        with open(path, "rb", opener=lambda name, wanted: os.open(name, wanted | flags)) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError(f"{where}: is not a regular file.")
            if found.st_size > most:
                raise _too_large(where, found.st_size)
            # A file that grows meanwhile is not followed to its end.
            return file.read(found.st_size)
    except FileNotFoundError:
        raise ConfigError(f"{where}: no such file{'' if path.is_absolute() else f' in {Path.cwd()}'}.") from None
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror or error}.") from None


def _too_large(where: str, size: int) -> ConfigError:
    return ConfigError(f"{where}: its {size / 2**20:,.0f} MiB need more memory than there is.")


def _unpack(opener: Callable[[], Any], where: str, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        with opener() as file:
            while part := file.read(_CHUNK):
                parts.append(part)
                size += len(part)
                # What was read and its parts joined stand side by side.
                if size > most // 2:
                    raise _too_large(where, size)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ConfigError(f"{where}: cannot be unpacked: {printable(str(error))}.") from None
    except RuntimeError:  # zipfile's word for it
        raise ConfigError(f"{where}: is encrypted; unpack it first.") from None
    return b"".join(parts)


def _open_member(packed: bytes, name: str) -> IO[bytes]:
    return zipfile.ZipFile(io.BytesIO(packed)).open(name)


def _member(content: bytes, where: str) -> str | None:
    """The one table in a zip archive, or None where the archive itself is a format of tables."""
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ConfigError(f"{where}: cannot be unpacked: {printable(str(error))}.") from None
    if not names or "[Content_Types].xml" in names or all(name.endswith(".npy") for name in names):
        return None
    files = [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX/")]
    files = [name for name in files if not name.rsplit("/", 1)[-1].startswith(".")]
    if len(files) == 1:
        return files[0]
    listed = ", ".join(map(short, sorted(files)[:5])) + (", …" if len(files) > 5 else "")
    raise ConfigError(f"{where}: holds {len(files)} files ({listed}); unpack it and name one of them.")
