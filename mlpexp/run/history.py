"""metrics.csv: a row an epoch, the columns named as the TensorBoard tags."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mlpexp.errors import ConfigError, RunError
from mlpexp.run.files import write_text

if TYPE_CHECKING:
    from mlpexp.engine.loop import Row


class History:
    """Writes the rows of a run as they come. A value that an epoch did not measure is left empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._writer: csv.DictWriter[str] | None = None

    def add(self, row: Row) -> None:
        """Appends a row; the first one decides the columns."""
        try:
            if self._writer is None:
                self._open(list(row))
            assert self._writer is not None
            assert self._file is not None
            self._writer.writerow(row)
            self._file.flush()
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _open(self, columns: list[str]) -> None:
        new = not self.path.exists()
        if not new:
            with self.path.open(newline="") as file:
                columns = next(csv.reader(file))
        self._file = self.path.open("a", newline="")
        self._writer = csv.DictWriter(self._file, columns, lineterminator="\n")
        if new:
            self._writer.writeheader()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None


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
