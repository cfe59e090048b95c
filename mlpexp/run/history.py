"""metrics.csv: a row an epoch, the columns named as the TensorBoard tags."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mlpexp.config.metric import KINDS
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import build
from mlpexp.fields.ranges import Index
from mlpexp.run.files import CHECKSUM, hex_checksum, opened, write_bytes, writing

if TYPE_CHECKING:
    from mlpexp.engine.loop import Row

# Bytes: a million epochs of forty columns are less.
_MOST = 2**30

# How many rows there are, and their checksum with the header's: what checkpoints and run.json hold of a history.
# An empty cell stands for a missing value.
Written = Mapping[str, Any]


# What every epoch measures, besides a score.
_ALWAYS = {"epoch", "loss/train", "loss/val"}


@dataclass(frozen=True)
class _Written:
    rows: Index
    crc32: str


def checked_written(value: Any) -> Written:
    """What was read for a `Written`, or ConfigError where it is something else."""
    return dataclasses.asdict(build(_Written, value, "history")) if value != {} else {}


def measured(row: Row) -> Row:
    """The values that there are: of the run or of its end, R² and the like are nan where a split has none."""
    return {tag: value for tag, value in row.items() if not (math.isnan(value) and _can_be_undefined(tag))}


def _can_be_undefined(tag: str) -> bool:
    """Whether splits can lack a metric: its tag is `r2/val`, or `best_epoch/r2/val`."""
    kind = KINDS.get(tag.rpartition("/")[0].removeprefix("best_epoch/"))
    return kind is not None and kind.can_be_undefined


class History:
    """Collects the rows of a run, and writes them at `flush`. Values that are not `measured` are left empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: list[Row] = []
        self._file: BinaryIO | None = None
        self._columns: tuple[str, ...] = ()
        self._n_rows, self._crc = 0, 0

    @property
    def written(self) -> dict[str, Any]:
        """How many rows have been handed to the system, and their checksum."""
        return {"rows": self._n_rows, CHECKSUM: hex_checksum(self._crc)}

    def go_on(self, epoch: int, written: Written) -> None:
        """Drops the rows after `epoch`: those that a run had written when it died past its last checkpoint.

        ConfigError where those before it are not the ones that the checkpoint knows as `written`.
        """
        if epoch == 0:
            # The header may itself be incomplete.
            with writing(self.path):
                self.path.unlink(missing_ok=True)
            return
        kept = _rows(self.path, {**written, "rows": epoch})
        write_bytes(self.path, kept)
        self._n_rows, self._crc = epoch, zlib.crc32(kept)

    def add(self, row: Row) -> None:
        """Adds a row; the first one decides the columns."""
        self._pending.append(row)

    def flush(self) -> None:
        """Hands all rows so far to the system, where they outlive the process."""
        # Never twice: what could not be written stays in the file object's own buffer.
        rows, self._pending = self._pending, []
        if not rows:
            return
        with writing(self.path):
            file = self._file or self._open(tuple(rows[0]))
            lines = []
            for row in map(measured, rows):
                pattern, pick = _line(self._columns, tuple(row))
                lines.append(pattern % pick(row))
            content = "".join(lines).encode()
            file.write(content)
            file.flush()
        self._n_rows, self._crc = self._n_rows + len(rows), zlib.crc32(content, self._crc)

    def _open(self, columns: tuple[str, ...]) -> BinaryIO:
        self._file, self._columns = self.path.open("ab"), columns
        if self._n_rows:
            with opened(self.path, _MOST) as file:
                self._columns = tuple(next(csv.reader([file.readline().decode()])))
        else:
            header = io.StringIO()
            csv.writer(header, lineterminator="\n").writerow(columns)
            content = header.getvalue().encode()
            self._file.write(content)
            self._crc = zlib.crc32(content)
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
    """How a row of the values `measured` is written. Numbers need no quotes, and csv.writer takes twice the time."""
    assert set(measured) <= set(columns)
    pattern = ",".join("%s" if name in measured else "" for name in columns) + "\n"
    return pattern, itemgetter(*[name for name in columns if name in measured])


def _rows(path: Path, written: Written) -> bytes:
    """The header and as many rows as are `written`; ConfigError where they are not those."""
    n_rows = written["rows"]
    try:
        with opened(path, _MOST) as file:
            header, *rows = [*islice(file, n_rows + 1)] or [b""]
    except OSError as error:
        raise ConfigError(f"{path}: is damaged or unreadable: {error.strerror}.") from None
    # Only the last row can be incomplete, and it is past the checkpoint.
    kept = [row for row in rows if row.endswith(b"\n")]
    if len(kept) != n_rows:
        raise ConfigError(f"{path}: is damaged: it has {len(kept)} rows of the {n_rows} epochs that were checkpointed.")
    content = b"".join([header, *kept])
    if written.get(CHECKSUM) != hex_checksum(zlib.crc32(content)):
        raise ConfigError(f"{path}: is damaged: its first {n_rows} rows are not those that were written.")
    return content


def check(path: Path, written: Written) -> None:
    """ConfigError unless the history begins with the rows that are `written`."""
    if written["rows"]:
        _rows(path, written)


def read(path: Path, written: Written | None = None) -> dict[str, list[float]]:
    """The columns of a metrics.csv; a value that was not measured is nan.

    ConfigError where it is damaged; silent damage shows only against what is known to be `written`.
    """
    if written:
        check(path, written)
    try:
        with opened(path, _MOST) as file:
            # The last row of a run that is killed can be incomplete.
            rows = csv.reader(line.decode() for line in file if line.endswith(b"\n"))
            header = next(rows, [])
            columns: list[list[float]] = [[] for _ in header]
            for row in rows:
                if len(row) != len(header):
                    raise ValueError(f"line {rows.line_num} has {len(row)} of {len(header)} values")
                for column, cell in zip(columns, row, strict=True):
                    column.append(float(cell or "nan"))
            if lacking := _ALWAYS - {*header} if columns and columns[0] else set():
                raise ValueError(f"it lacks the column {sorted(lacking)[0]}")
    except OSError as error:
        raise ConfigError(f"{path}: is damaged or unreadable: {error.strerror}.") from None
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: is damaged or unreadable: {error}.") from None
    return dict(zip(header, columns, strict=True)) if columns and columns[0] else {}
