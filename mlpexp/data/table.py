"""A table of one's own: a file of any usual format, with columns of numbers, categories and dates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpexp.data.dataset import Data, Recommended, Split, datasets
from mlpexp.data.identity import Identity, packed, unpacked
from mlpexp.data.source import Source, digest
from mlpexp.data.tables.settings import TableSettings
from mlpexp.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from mlpexp.data.tables.raw import RawTable

Rows = tuple["Tensor", "Tensor", "Tensor"]
# What is recommended: so many batches an epoch, and so many steps in all within these epochs.
_BATCHES, _STEPS = 40, 6000
_FEWEST_EPOCHS, _MOST_EPOCHS = 20, 100


@datasets.register("table")
@dataclass(frozen=True, kw_only=True)
class Table(TableSettings):
    """A table in a file: CSV and its kin, parquet, feather, Excel, npz, JSON lines or ARFF, gzipped or zipped too.

    What each column is, is found and can be said. Numbers are scaled with the training rows' mean and standard
    deviation, categories have an input for each value, dates one for the day, and one for each month and weekday.
    """

    @classmethod
    def recommend(cls, settings: Mapping[str, Any]) -> Recommended:
        """As `suited` to about so many training rows as the file will give."""
        from mlpexp.data.tables.opening import count_rows

        rows = count_rows(Path(str(settings.get("path"))))
        if rows is None:
            return Recommended(epochs=_MOST_EPOCHS)
        shares = [settings.get(name) for name in ("val_fraction", "test_fraction")]
        return suited(max(1, round(rows * (1 - sum(share for share in shares if isinstance(share, float))))))

    def read(self, path: Path, where: str) -> RawTable:
        """The table in a file, as the settings say it is written; ConfigError that begins with `where`."""
        from mlpexp.data.tables.reading import read_table

        return read_table(path, where, self.text_form, self.sheet)

    def load(self, data_dir: Path) -> Data:
        return self.learned(self.read(Path(self.path), f"dataset.path={self.path}"), digest(Path(self.path)))

    def learned(self, table: RawTable, sha256: str) -> Data:
        """The data of a table that has been read from a file of this digest."""
        from mlpexp.data.tables.learning import learn

        test = (
            None if self.test_path is None else self.read(Path(self.test_path), f"dataset.test_path={self.test_path}")
        )
        learned = learn(table, test, self)
        source = Source(str(Path(self.path).absolute()), table.n_rows, table.names, sha256)
        tested = None if test is None or self.test_path is None else _source(Path(self.test_path), test)
        split = packed(learned.rows, len(learned.x))
        known = Identity(learned.task, learned.fitted, source, split, tested, learned.odd)
        notes = [*learned.notes, *self._recommendation(table.n_rows)]
        return self._data(learned.x, learned.y, learned.rows, known, notes)

    def _recommendation(self, n_rows: int) -> list[str]:
        """Where the settings are those that the number of rows recommends, which they are."""
        suited, given = self.recommend(vars(self)), self.recommended
        if (given.batch_size, given.epochs) != (suited.batch_size, suited.epochs):
            return []
        return [f"recommended for {n_rows:,} rows: batch_size={given.batch_size}, epochs={given.epochs}"]

    def _data(self, x: Tensor, y: Tensor, rows: Rows, known: Identity, notes: Sequence[str] = ()) -> Data:
        """The data of raw rows x [N, R] and classes or values y, split as `rows` say and preprocessed as `known` is."""
        fitted = known.preprocessing
        inputs, targets = fitted.inputs(x), y if known.task.classes else fitted.targets(y)
        train, val, test = (Split(inputs[part], targets[part]) for part in rows)
        return Data(
            name=_name(self.path),
            task=known.task,
            train=train,
            val=val,
            test=test,
            fitted=fitted,
            note="\n".join(notes),
            source=known.source,
            dealt=known.split,
            test_source=known.test_source,
            odd=known.odd,
        )

    def load_again(self, data_dir: Path, known: Identity, run: Path, file: Path | None = None) -> Data:
        import torch

        from mlpexp.data.tables.matrix import labelled_rows

        if known.source is None or (known.test_source is None) != (self.test_path is None):
            raise ConfigError(f"{run}: does not say what table it was trained on; its run.json is damaged.")
        tables = [self._again(data_dir, self.path, known.source, run, file)]
        if known.test_source is not None and self.test_path is not None:
            tables.append(self._again(data_dir, self.test_path, known.test_source, run, None))
        # Rows that were left out of all splits may have holes.
        parts = [labelled_rows(table, known.preprocessing, known.task, complete=False) for table in tables]
        x, y = (torch.cat(part) for part in zip(*parts, strict=True))
        rows = unpacked(known.split, len(x))
        has = y >= 0 if known.task.classes else ~y.isnan().any(1)
        if not all(bool(has[part].all()) for part in rows):
            raise ConfigError(f"{run}: rows of its splits have no target; its run.json is damaged.")
        return self._data(x, y, rows, known)

    def _again(self, data_dir: Path, named: str, source: Source, run: Path, file: Path | None) -> RawTable:
        """The table that a run was trained on; ConfigError where it is not there, or is another now."""
        path = source.find_again(
            named, data_dir, run, file, lambda other: _source(other, self.read(other, f"data={other}"))
        )
        return self.read(path, f"data={path}")

    def labelled(self, known: Identity, file: Path) -> Split:
        from mlpexp.data.tables.matrix import check_classes, labelled_rows

        table = self.read(file, f"data={file}")
        x, y = labelled_rows(table, known.preprocessing, known.task)
        if known.task.classes:
            check_classes(table, known.preprocessing.target.name, y, known.task.classes)
        has = y >= 0 if known.task.classes else ~y.isnan().any(1)
        if not bool(has.any()):
            names = ", ".join(target.name for target in known.preprocessing.outputs)
            raise ConfigError(f"data={file}: no row has a value of {names}; there is nothing to compare with.")
        x, y = x[has], y[has]
        return Split(known.preprocessing.inputs(x), y if known.task.classes else known.preprocessing.targets(y))


def suited(n: int) -> Recommended:
    """For n training rows: batches of about 1/40 of them, 32 to 1024; so many epochs that there are about 6,000 steps.

    The epochs are 20 to 100.
    """
    batch_size = min(max(2 ** int(math.log2(n / _BATCHES)), 32), 1024) if n > _BATCHES else 32
    epochs = min(max(round(_STEPS * batch_size / n), _FEWEST_EPOCHS), _MOST_EPOCHS)
    return Recommended(epochs=epochs, batch_size=batch_size)


def _source(path: Path, table: RawTable) -> Source:
    return Source.of(path, table.n_rows, table.names)


def _name(path: str) -> str:
    """A file's name without what says its format: data for data.csv.gz."""
    stem = Path(path).stem
    return Path(stem).stem if Path(path).suffix in (".gz", ".zip", ".bz2", ".xz", ".zst") else stem
