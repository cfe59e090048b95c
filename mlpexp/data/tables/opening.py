"""Reads the content of a file, decompressed if necessary. Files that are known not to be tables are errors."""

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
# Magic bytes of common files that are not read as tables, and what the message says about them.
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
    b"\x28\xb5\x2f\xfd": "compressed with zstd; decompress it first (zstd -d)",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\x80\x04": "a pickle, which runs code when it is read; save the table as CSV or parquet",
    b"\x80\x05": "a pickle, which runs code when it is read; save the table as CSV or parquet",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with: git lfs pull",
}
_CHUNK = 1 << 20
# Lines are counted in so many bytes at the beginning of a file.
_COUNTED = 1 << 26
# Spaces, line ends, and byte order marks.
_BLANK = b" \t\r\n\0\xef\xbb\xbf\xff\xfe"


def read_content(path: Path, where: str) -> tuple[bytes, str, list[str]]:
    """The decompressed bytes of a file; its name without a suffix such as .gz; and notes on what was decompressed.

    ConfigError, with one line that begins with `where`, if the file is missing, not a regular file, empty, known not to
    be a table, or larger than memory.
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
    """The approximate number of rows of the table in a file: lines of text, or the exact number of a parquet file.

    None if it is unknown. The number is cached as long as the file does not change, for the jobs of a sweep.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    # Reading a pipe could block.
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
            # The number is extrapolated to the rest of a large file.
            return round(beginning.count(b"\n") * max(1.0, size / max(1, len(beginning))))
        return None if content.startswith(b"PK") else content.count(b"\n")
    # Errors are reported when the file is read.
    except (OSError, ValueError, ConfigError, MemoryError):
        return None
    except Exception as error:
        if type(error).__module__.startswith("polars"):
            return None
        raise


def _memory() -> int:
    """Bytes of physical memory; 64 GiB where the system does not report it."""
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 1 << 36


def _read_regular(path: Path, where: str, most: int) -> bytes:
    """The bytes of a regular file. ConfigError for other files: reading a pipe or a device may never end."""
    if "\0" in str(path):
        raise ConfigError(f"{where}: a path cannot contain a zero byte.")
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
            # At most the size checked above, even if the file grows meanwhile.
            return file.read(found.st_size)
    except FileNotFoundError:
        raise ConfigError(f"{where}: no such file{'' if path.is_absolute() else f' in {Path.cwd()}'}.") from None
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror or error}.") from None


def _too_large(where: str, size: int) -> ConfigError:
    return ConfigError(f"{where}: its {size / 2**20:,.0f} MiB do not fit into memory.")


def _unpack(opener: Callable[[], Any], where: str, most: int) -> bytes:
    """The decompressed bytes; ConfigError if they are damaged, encrypted, or need more than `most` bytes of memory."""
    parts: list[bytes] = []
    size = 0
    try:
        with opener() as file:
            while part := file.read(_CHUNK):
                parts.append(part)
                size += len(part)
                # The parts and the joined bytes are in memory at the same time.
                if size > most // 2:
                    raise _too_large(where, size)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ConfigError(f"{where}: cannot be unpacked: {printable(str(error))}.") from None
    except RuntimeError:  # raised by zipfile
        raise ConfigError(f"{where}: is encrypted; unpack it first.") from None
    return b"".join(parts)


def _open_member(packed: bytes, name: str) -> IO[bytes]:
    return zipfile.ZipFile(io.BytesIO(packed)).open(name)


def _member(content: bytes, where: str) -> str | None:
    """The name of the only file in a zip archive; None if the archive is an .xlsx or .npz file.

    ConfigError if the archive has several files, or is damaged.
    """
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
