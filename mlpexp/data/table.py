"""The user's own table: a file of any usual format, with columns of numbers, categories and dates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpexp.data.dataset import Data, Dataset, Recommended, Split, datasets
from mlpexp.data.file_cache import FileCache
from mlpexp.data.identity import Identity, packed, unpacked
from mlpexp.data.source import Source
from mlpexp.data.tables.settings import TableSettings
from mlpexp.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from mlpexp.data.tables.prepared_table import PreparedTable
    from mlpexp.data.tables.raw import RawTable

Rows = tuple["Tensor", "Tensor", "Tensor"]
# Recommended number of batches per epoch, and of steps in total.
_BATCHES, _STEPS = 40, 6000
_FEWEST_EPOCHS, _MOST_EPOCHS = 20, 100


@datasets.register("table")
@dataclass(frozen=True, kw_only=True)
class Table(TableSettings):
    """A table in a file: delimited text such as CSV, parquet, feather, Excel, npz, JSON lines or ARFF, also compressed.

    The kind of each column is inferred, or given in `columns`. Numbers are standardised with the mean and standard
    deviation of the training rows. A category has an input for each value; a date has one for the day, and one for each
    month and weekday.
    """

    @classmethod
    def recommend(cls, settings: Mapping[str, Any]) -> Recommended:
        """The settings of `suited` for the estimated number of training rows."""
        from mlpexp.data.tables.opening import count_rows

        rows = count_rows(Path(str(settings.get("path"))))
        if rows is None:
            return Recommended(epochs=_MOST_EPOCHS)
        shares = [settings.get(name) for name in ("val_fraction", "test_fraction")]
        return suited(max(1, round(rows * (1 - sum(share for share in shares if isinstance(share, float))))))

    def read(self, path: Path, where: str) -> RawTable:
        """The table in a file, read with these settings; ConfigError with messages that begin with `where`."""
        from mlpexp.data.tables.reading import read_table

        return read_table(path, where, self.text_form, self.sheet)

    def load(self, data_dir: Path) -> Data:
        return self.load_with(data_dir, FileCache())

    def load_with(self, data_dir: Path, cache: FileCache) -> Data:
        from mlpexp.data.tables.preparation import prepare_table

        def prepare() -> tuple[PreparedTable, Source, Source | None]:
            # Not cached: `PreparedTable` holds all that is needed of the table.
            (table, source), *tested = cache.of(_tables_of(self.unsplit), self._content, keep=False)
            test, test_source = tested[0] if tested else (None, None)
            return prepare_table(table, test, self), source, test_source

        return self._split(*cache.of(self.unsplit, prepare))

    def _content(self) -> list[tuple[RawTable, Source]]:
        """The table and, if there is a test file, the table of test rows; each with its source."""
        return [self._file("path", self.path), *self._test_file()]

    def _test_file(self) -> list[tuple[RawTable, Source]]:
        return [] if self.test_path is None else [self._file("test_path", self.test_path)]

    def _file(self, key: str, name: str) -> tuple[RawTable, Source]:
        table = self.read(Path(name), f"dataset.{key}={name}")
        return table, _source(Path(name), table)

    def prepared(self, table: RawTable, sha256: str) -> Data:
        """The data of a table that was read from a file with this SHA-256."""
        from mlpexp.data.tables.preparation import prepare_table

        test, test_source = next(iter(self._test_file()), (None, None))
        source = Source(str(Path(self.path).absolute()), table.n_rows, table.names, sha256)
        return self._split(prepare_table(table, test, self), source, test_source)

    def _split(self, table: PreparedTable, source: Source, tested: Source | None) -> Data:
        parts = table.split(self)
        split = packed(parts.rows, len(table.x))
        known = Identity(table.task, parts.fitted, source, split, tested, table.issues)
        notes = [*parts.notes, *self._recommendation(source.n_rows)]
        return self._data(table.x, table.y, table.weight, parts.rows, known, notes)

    def _recommendation(self, n_rows: int) -> list[str]:
        """A note, if batch size and epochs are those recommended for the number of rows."""
        suited, given = self.recommend(vars(self)), self.recommended
        if (given.batch_size, given.epochs) != (suited.batch_size, suited.epochs):
            return []
        return [f"recommended for {n_rows:,} rows: batch_size={given.batch_size}, epochs={given.epochs}"]

    def _data(
        self, x: Tensor, y: Tensor, weight: Tensor | None, rows: Rows, known: Identity, notes: Sequence[str] = ()
    ) -> Data:
        """The data of raw rows x [N, R] and classes or values y, split by `rows` and preprocessed with `known`."""
        fitted = known.preprocessing
        inputs, targets = fitted.inputs(x), y if known.task.classes else fitted.targets(y)
        weight = None if weight is None else (weight / weight[rows[0]].mean()).float()
        every = Split(inputs, targets, weight)
        train, val, test = (every.of(part) for part in rows)
        return Data(
            name=_name(self.path),
            task=known.task,
            train=train,
            val=val,
            test=test,
            fitted=fitted,
            note="\n".join(notes),
            source=known.source,
            packed_split=known.split,
            test_source=known.test_source,
            issues=known.issues,
        )

    def load_again(
        self, data_dir: Path, known: Identity, run: Path, file: Path | None = None, cache: FileCache | None = None
    ) -> Data:
        import torch

        from mlpexp.data.tables.matrix import labelled_rows
        from mlpexp.data.tables.weights import raw_weights

        if known.source is None or (known.test_source is None) != (self.test_path is None):
            raise ConfigError(f"{run}: does not say what table it was trained on; its run.json is damaged.")
        sources = [(self.path, known.source, file)]
        if known.test_source is not None and self.test_path is not None:
            sources.append((self.test_path, known.test_source, None))

        def again() -> list[tuple[RawTable, Source]]:
            return [(self._again(data_dir, name, source, run, at), source) for name, source, at in sources]

        cache = cache or FileCache()
        found = cache.of((self.unsplit, known.source, known.test_source), again)
        # Runs of other seeds that have not begun use the same rows.
        cache.of(_tables_of(self.unsplit), lambda: found)
        tables = [table for table, _ in found]
        # Rows outside all splits may have missing values.
        parts = [labelled_rows(table, known.preprocessing, known.task, complete=False) for table in tables]
        x, y = (torch.cat(part) for part in zip(*parts, strict=True))
        rows = unpacked(known.split, len(x))
        has = y >= 0 if known.task.classes else ~y.isnan().any(1)
        if not all(bool(has[part].all()) for part in rows):
            raise ConfigError(f"{run}: rows of its splits have no target; its run.json is damaged.")
        weight = None
        if self.weight is not None:
            weight = torch.cat([raw_weights(table, self.weight) for table in tables])
            if not all(bool((weight[part] > 0).all()) for part in rows):
                raise ConfigError(f"{run}: rows of its splits have no weight; its run.json is damaged.")
        return self._data(x, y, weight, rows, known)

    def _again(self, data_dir: Path, named: str, source: Source, run: Path, file: Path | None) -> RawTable:
        """The table that a run was trained on; ConfigError if the file is missing or has changed."""
        path = source.find_again(
            named, data_dir, run, file, lambda other: _source(other, self.read(other, f"data={other}"))
        )
        return self.read(path, f"data={path}")

    def labelled(self, known: Identity, file: Path) -> Split:
        from mlpexp.data.tables.matrix import check_classes, labelled_rows
        from mlpexp.data.tables.weights import weights_of

        table = self.read(file, f"data={file}")
        x, y = labelled_rows(table, known.preprocessing, known.task)
        if known.task.classes:
            check_classes(table, known.preprocessing.target.name, y, known.task.classes)
        has = y >= 0 if known.task.classes else ~y.isnan().any(1)
        if not bool(has.any()):
            names = ", ".join(target.name for target in known.preprocessing.outputs)
            raise ConfigError(f"data={file}: no row has a value of {names}; there is nothing to compare with.")
        weight = None
        if self.weight is not None and self.weight in table.names:
            weight = weights_of(table, self.weight, has)
            has &= weight > 0
        y = y if known.task.classes else known.preprocessing.targets(y)
        return Split(known.preprocessing.inputs(x), y, None if weight is None else weight.float()).of(
            has.nonzero().squeeze(1)
        )


def suited(n: int) -> Recommended:
    """Settings for n training rows: batch size about n / 40, from 32 to 1024; epochs for about 6,000 steps in total.

    The number of epochs is from 20 to 100.
    """
    batch_size = min(max(2 ** int(math.log2(n / _BATCHES)), 32), 1024) if n > _BATCHES else 32
    epochs = min(max(round(_STEPS * batch_size / n), _FEWEST_EPOCHS), _MOST_EPOCHS)
    return Recommended(epochs=epochs, batch_size=batch_size)


def _tables_of(dataset: Dataset) -> tuple[str, Dataset]:
    """The cache key of a dataset's tables; the dataset itself is the key of its prepared table."""
    return "tables", dataset


def _source(path: Path, table: RawTable) -> Source:
    return Source.of(path, table.n_rows, table.names)


def _name(path: str) -> str:
    """A file's name without its suffixes: data for data.csv.gz."""
    stem = Path(path).stem
    return Path(stem).stem if Path(path).suffix in (".gz", ".zip", ".bz2", ".xz", ".zst") else stem
