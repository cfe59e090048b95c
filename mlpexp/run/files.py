"""Writing files so that a reader finds either the old content or the new one, whenever the writer dies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mlpexp.errors import RunError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system says against writing to `path`, such as that the disk is full, into a RunError."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Calls `write` on a temporary file beside `path`, which takes its place once it is safely on disk.

    RunError where that cannot be done, such as on a full disk; what `path` held before is then still whole.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path):
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_directory(path: Path) -> None:
    """Makes a directory in one that exists; RunError where that cannot be done."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be made: {error.strerror}") from error


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    write_atomically(path, lambda file: file.write(content))
