"""One writer at a time: the lock of a run's or a sweep's directory."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpexp.errors import ConfigError
from mlpexp.run.directory import check_empty, claim_new, make_named, refuse_links
from mlpexp.run.files import writing

# An empty file. It stays, since whoever removed it could remove that of the next writer.
NAME = ".lock"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Within, no other process that asks for it writes in a directory; ConfigError where one does already.

    So it is where a part of the directory is a link that leads out of it.

    The system itself frees the lock of a process that ends, whatever ends it. Where the file system knows no locks,
    as some network file systems do not, nobody is kept out.
    """
    refuse_links(directory)
    path = directory / NAME
    with writing(path):
        # What a stranger's directory links to is neither made nor opened.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        if not _lock(descriptor):
            raise ConfigError(f"{directory}: is being written by another process, which is still running.")
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Whether the lock is ours, or there are none."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


@contextmanager
def claimed(path: Path, key: str | None = None) -> Iterator[Path]:
    """A new directory for a run or a sweep, locked: `path` itself where the user named it at `key`.

    ConfigError where that holds anything already, or another process has just begun there. Without a key, `path` or
    the next that is free, see `claim_new`.
    """
    if key is None:
        made = claim_new(path)
        with locked(made):
            yield made
        return
    make_named(path, key)
    check_empty(path, key, but=NAME)
    with locked(path):
        # Another process may have begun, and even ended, in between.
        check_empty(path, key, but=NAME)
        yield path
