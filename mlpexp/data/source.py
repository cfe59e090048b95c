"""The file that a dataset was read from: enough to notice that it has another content now."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpexp.errors import ConfigError
from mlpexp.fields.ranges import Index


@dataclass(frozen=True)
class Source:
    """A file as it was when it was read."""

    path: str
    """As the config names it."""
    n_rows: Index
    """How many rows it had, without the header."""
    columns: list[str]
    """The names of its columns, in their order."""
    sha256: str
    """The SHA-256 digest of its bytes."""

    @staticmethod
    def of(path: Path, n_rows: int, columns: list[str]) -> Source:
        """The source of rows that were read from the file at `path`."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Source(str(path), n_rows, columns, digest)

    def check(self, now: Source | None, run: Path) -> None:
        """ConfigError saying what has changed since `run` was trained on this file; `now` is the file of today.

        Another content would deal its rows to the splits anew: rows that were trained on would count as test rows.
        """
        if now is not None and now.sha256 == self.sha256:
            return
        if now is None:
            what = "is not the source of its data any more"
        elif now.columns != self.columns:
            what = f"has other columns: {_difference(self.columns, now.columns)}"
        elif now.n_rows != self.n_rows:
            what = f"has {now.n_rows:,} rows, and had {self.n_rows:,}"
        else:
            what = "has another content, in as many rows and the same columns"
        raise ConfigError(
            f"{run}: the table that it was trained on has changed: {self.path} {what}. Put the former file back, or "
            "train a new run on this one."
        )


def _difference(before: Sequence[str], now: Sequence[str]) -> str:
    gone = [name for name in before if name not in now]
    new = [name for name in now if name not in before]
    parts = [f"{', '.join(names)} {what}" for names, what in ((gone, "missing"), (new, "added")) if names]
    return " and ".join(parts) or f"their order was {', '.join(before)}"
