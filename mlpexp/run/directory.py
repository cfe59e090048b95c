"""Run directories: making one that nobody else has, and where things lie in it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from mlpexp.errors import ConfigError
from mlpexp.run import record


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
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def figures(self) -> Path:
        return self.path / "figures"


def claim_new(path: Path) -> Path:
    """Makes `path`, or where it is taken `path`_1, `path`_2 and so on, and gives the one that was made.

    Making a directory is atomic: of fifty runs that start in the same second each gets its own.
    """
    candidates: Iterator[Path] = (path if n == 0 else path.with_name(f"{path.name}_{n}") for n in count())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for candidate in candidates:
            try:
                candidate.mkdir()
            except FileExistsError:
                continue
            return candidate
    except OSError as error:
        raise ConfigError(f"{path}: cannot be made: {error.strerror}.") from None
    raise AssertionError("count() never ends")


def claim_named(path: Path, key: str) -> Path:
    """Makes the directory that the user named at `key`; ConfigError where it holds anything already."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        taken = any(path.iterdir())
    except OSError as error:
        reason = "a file has that name" if path.exists() and not path.is_dir() else error.strerror
        raise ConfigError(f"{key}={path}: cannot be made: {reason}.") from None
    if taken:
        if (path / record.NAME).exists():
            held, remedy = "a run", f"choose another directory, or go on with `mlpexp resume {path}`"
        else:
            held, remedy = "files", "choose another directory"
        raise ConfigError(f"{key}={path}: already holds {held}; {remedy}.")
    return path


def check_not_running(path: Path, found: record.Record) -> None:
    """ConfigError where the process that writes this run is still alive on this machine."""
    if found.state == "running" and found.host == socket.gethostname() and _alive(found.pid):
        raise ConfigError(f"{path}: is being written by process {found.pid}, which is still running.")


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    command = Path(f"/proc/{pid}/cmdline")
    # Ray's processes name themselves after what they run.
    if command.exists() and not any(name in command.read_bytes() for name in (b"mlpexp", b"python", b"ray::")):
        # The number has been given to another program since.
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
