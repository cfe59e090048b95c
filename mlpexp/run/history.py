"""metrics.csv: a row an epoch, the columns named as the TensorBoard tags."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mlpexp.errors import ConfigError
from mlpexp.run.files import write_text, writing

if TYPE_CHECKING:
    from mlpexp.engine.loop import Row


class History:
    """Collects the rows of a run, and writes them when told to. A value that an epoch did not measure is left empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: list[Row] = []
        self._file: TextIO | None = None
        self._columns: tuple[str, ...] = ()

    def add(self, row: Row) -> None:
        """Takes note of a row; the first one decides the columns."""
        self._pending.append(row)

    def flush(self) -> None:
        """Hands all rows so far to the system, where they outlive the process."""
        # Never twice: what could not be written stays in the file object's own buffer.
        rows, self._pending = self._pending, []
        if not rows:
            return
        with writing(self.path):
            file = self._file or self._open(tuple(rows[0]))
            for row in rows:
                pattern, pick = _line(self._columns, tuple(row))
                file.write(pattern % pick(row))
            file.flush()

    def _open(self, columns: tuple[str, ...]) -> TextIO:
        new = not self.path.exists()
        if not new:
            with self.path.open(newline="") as file:
                columns = tuple(next(csv.reader(file)))
        self._file, self._columns = self.path.open("a", newline=""), columns
        if new:
            csv.writer(self._file, lineterminator="\n").writerow(columns)
        return self._file

    def close(self) -> None:
        """Writes what is left; the file is closed whether that succeeds or not."""
        try:
            self.flush()
        finally:
            file, self._file = self._file, None
            if file is not None:
                with writing(self.path):
                    file.close()


@lru_cache(maxsize=64)
def _line(columns: tuple[str, ...], measured: tuple[str, ...]) -> tuple[str, Callable[[Row], Any]]:
    """How a row of the values `measured` is written. Numbers need no quotes, and csv's writer twice the time."""
    assert set(measured) <= set(columns)
    pattern = ",".join("%s" if name in measured else "" for name in columns) + "\n"
    return pattern, itemgetter(*[name for name in columns if name in measured])


def read(path: Path) -> dict[str, list[float]]:
    """The columns of a metrics.csv; a value that was not measured is nan. ConfigError where it is damaged."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        columns = list(rows[0]) if rows else []
        return {name: [float(row[name] or "nan") for row in rows] for name in columns}
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise ConfigError(f"{path}: is damaged or unreadable: {error}") from None


def cut(path: Path, epoch: int) -> None:
    """Drops the rows after `epoch`: those that a run had written when it died past its last checkpoint."""
    if epoch == 0:
        # The header may itself be incomplete.
        with writing(path):
            path.unlink(missing_ok=True)
        return
    try:
        header, *rows = path.read_text().splitlines(keepends=True)
        # Only the last row can be incomplete, and it is past the checkpoint.
        kept = [row for row in rows if row.endswith("\n") and int(row.split(",", 1)[0]) <= epoch]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: is damaged or unreadable: {error}") from None
    if len(kept) != epoch:
        raise ConfigError(f"{path}: is damaged: it has {len(kept)} rows of the {epoch} epochs that were checkpointed.")
    write_text(path, "".join([header, *kept]))
