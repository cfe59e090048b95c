"""Run directories: making one that no other process has, where things lie in it, and the lock of its one writer."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from mlpexp.errors import ConfigError, refusal
from mlpexp.run import record
from mlpexp.run.files import writing


@dataclass(frozen=True)
class RunDirectory:
    """The paths of one run."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.pt"

    @property
    def last(self) -> Path:
        return self.checkpoints / "last.pt"

    @property
    def history(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def figures(self) -> Path:
        return self.path / "figures"


# What a run or a sweep writes into, within its directory.
_PARTS = ("checkpoints", "figures", "evaluations", "comparisons", "settings", ".stacks", record.NAME)


def refuse_links(directory: Path) -> None:
    """ConfigError where a part of a run's or a sweep's directory is a link: what is written there could be elsewhere.

    The directory itself may be reached by links: that is what the user has named.
    """
    for name in _PARTS:
        refuse_link(directory / name)


def refuse_link(path: Path) -> None:
    """ConfigError where `path` is a link."""
    if path.is_symlink():
        raise ConfigError(f"{path}: is a link, which is not followed: put what it leads to in its place.")


def claim_new(path: Path) -> Path:
    """Makes `path`, or where it is taken `path`_1, `path`_2 and so on, and gives the one that was made.

    Making a directory is atomic: of fifty runs that start in the same second each gets its own.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for candidate in _candidates(path):
            try:
                candidate.mkdir()
            except FileExistsError:
                continue
            return candidate
    except OSError as error:
        raise refusal(error)(f"{path}: cannot be made: {error.strerror}.") from None
    raise AssertionError("count() never ends")


def _candidates(path: Path) -> Iterator[Path]:
    return (path if n == 0 else path.with_name(f"{path.name}_{n}") for n in count())


def free_name(path: Path) -> Path:
    """The first of `path`, `path`_1, `path`_2 and so on that is not there, or is an empty directory."""
    return next(name for name in _candidates(path) if not name.exists() or (name.is_dir() and not any(name.iterdir())))


def claim_named(path: Path, key: str) -> Path:
    """Makes the directory that the user named at `key`; ConfigError where it holds anything already."""
    make_named(path, key)
    check_empty(path, key)
    return path


def make_named(path: Path, key: str) -> None:
    """Makes the directory that the user named at `key`, or finds it made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file has that name" if path.exists() and not path.is_dir() else error.strerror
        raise refusal(error)(f"{key}={path}: cannot be made: {reason}.") from None


def check_empty(path: Path, key: str, but: str | None = None) -> None:
    """ConfigError where the directory that the user named at `key` holds anything `but` the file of that name."""
    try:
        taken = any(entry.name != but for entry in path.iterdir())
    except OSError as error:
        raise refusal(error)(f"{key}={path}: cannot be read: {error.strerror}.") from None
    if taken:
        held = "a run" if (path / record.NAME).exists() else "files"
        # To go on with a run would not write what --out is for.
        resume = f", or go on with `mlpexp resume {path}`" if held == "a run" and key != "--out" else ""
        if key == "directory":  # of a call from Python
            resume = ", or try exist='new' or exist='reuse'"
        raise ConfigError(f"{key}={path}: already holds {held}; choose another directory{resume}.")


# An empty file. It stays: removing it could remove the lock of the next writer.
NAME = ".lock"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Within, no other process that asks for it writes in a directory; ConfigError where one does already.

    So it is where a part of the directory is a link that leads out of it.

    The system frees the lock when the process ends, for any reason. Where the file system has no locks,
    as on some network file systems, two writers are possible.
    """
    refuse_links(directory)
    path = directory / NAME
    with writing(path):
        # A link in a directory from somebody else is neither followed nor created.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        if not _lock(descriptor):
            raise ConfigError(f"{directory}: is being written by another process, which is still running.")
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Whether the lock is ours, or the file system has none."""
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
