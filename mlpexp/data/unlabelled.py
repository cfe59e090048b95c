"""Unlabelled rows to predict: the content of a path, in the form of a run's data.

N rows, R raw columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.data.arrays import raw_rows
from mlpexp.data.dataset import Dataset
from mlpexp.data.images import Images, files_to_predict, pixels_of
from mlpexp.data.npz import arrays_to_predict, is_archive
from mlpexp.data.pixels import image_axes
from mlpexp.data.preprocessing import Preprocessing
from mlpexp.data.table import Table
from mlpexp.data.tables.matrix import rows_of
from mlpexp.data.tables.raw import RawTable
from mlpexp.data.tables.reading import read_chunks
from mlpexp.errors import ConfigError, unknown

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from torch import Tensor

# Number of raw values of arrays and images that are processed at a time.
_PIECE = 1 << 22


class Unlabelled(ABC):
    """Some of the rows at a path."""

    @abstractmethod
    def raw(self, known: Preprocessing) -> Tensor:
        """Raw values [N, R] for a network with this preprocessing.

        ConfigError if columns or shapes differ from those of training.
        """

    @abstractmethod
    def column(self, name: str) -> pl.Series:
        """The column [N] that `--keep` writes beside the predictions; ConfigError if no column has this name."""

    @property
    def names(self) -> pl.Series | None:
        """Names that identify the rows, such as file names of images; None if there are none."""
        return None


def unlabelled(path: Path, dataset: Dataset, known: Preprocessing) -> Iterator[Unlabelled]:
    """The rows at `path`, in chunks, for a run that was trained on `dataset`.

    For a run on tables, `path` is a table. For other runs it is an .npz or .npy file; for a run on images also an image
    or a folder of images; else a table. ConfigError if it is missing or has another format.
    """
    where = f"data={path}"
    if not isinstance(dataset, Table) and is_archive(path):
        return _arrays(path, where, known)
    if known.image_shape is not None:
        return _images(path, where, known.image_shape, dataset)
    form, sheet = (dataset.text_form, dataset.sheet) if isinstance(dataset, Table) else (None, None)
    return (_OfTable(table) for table in read_chunks(path, where, form, sheet))


@dataclass(frozen=True)
class _OfTable(Unlabelled):
    table: RawTable

    def raw(self, known: Preprocessing) -> Tensor:
        return rows_of(self.table, known.columns)

    def column(self, name: str) -> pl.Series:
        return self.table.column(name, f"--keep={name}").cells.rename(name)


def _arrays(path: Path, where: str, known: Preprocessing) -> Iterator[Unlabelled]:
    x, origin, others = arrays_to_predict(path, where)
    if known.image_shape is not None:
        _check_pixels(x, where)
    axes = [(known.n_raw,), *(image_axes(known.image_shape) if known.image_shape else ())]
    if x.shape[1:] not in axes:
        # Raises ConfigError; for all rows at once, since the message has their number.
        raw_rows(x, known, where)
    n = max(1, _PIECE // known.n_raw)
    for first in range(0, len(x), n):
        rows = slice(first, first + n)
        yield _OfArrays(where, first, x[rows], origin[rows], {name: other[rows] for name, other in others.items()})


def _check_pixels(x: np.ndarray, where: str) -> None:
    """ConfigError if an array holds other values than the whole numbers from 0 to 255."""
    import numpy as np

    wrong = ~((x >= 0) & (x <= 255) & (np.floor(x) == x)) if x.dtype != "uint8" else np.zeros(0, bool)
    if wrong.any():
        raise ConfigError(f"{where}: a pixel is {x[wrong][0]:g}; pixels must be whole numbers from 0 to 255.")


@dataclass(frozen=True)
class _OfArrays(Unlabelled):
    where: str
    first: int
    x: np.ndarray
    origin: Sequence[str]  # the name of each row's array; empty if there is only one array
    others: Mapping[str, np.ndarray]

    def raw(self, known: Preprocessing) -> Tensor:
        import torch

        return torch.from_numpy(raw_rows(self.x, known, self.where, self.first))

    def column(self, name: str) -> pl.Series:
        import polars as pl

        if name not in self.others:
            what = f"--keep={name}: no array of the file has this name and one value for each row"
            raise ConfigError(unknown(what, name, self.others) if self.others else f"{what}.")
        return pl.Series(name, self.others[name].tolist())

    @property
    def names(self) -> pl.Series | None:
        import polars as pl

        return pl.Series("array", self.origin) if self.origin else None


def _images(path: Path, where: str, shape: tuple[int, int, int], dataset: Dataset) -> Iterator[Unlabelled]:
    folder, files = files_to_predict(path, where)
    channels, height, width = shape
    n = max(1, _PIECE // (channels * height * width))
    resized = isinstance(dataset, Images) and dataset.size is not None
    for first in range(0, len(files), n):
        yield _OfImages(where, folder, files[first : first + n], resized)


@dataclass(frozen=True)
class _OfImages(Unlabelled):
    where: str
    folder: Path
    files: Sequence[Path]
    resized: bool  # whether images are resized to the size of the run's images, as in training
    read: dict[tuple[int, int, int], Tensor] = field(default_factory=dict)

    def raw(self, known: Preprocessing) -> Tensor:
        shape = known.image_shape
        assert shape is not None
        # Read once for all networks of an ensemble.
        if shape not in self.read:
            self.read[shape] = pixels_of(self.folder, self.files, shape, self.where, resized=self.resized)
        return self.read[shape]

    def column(self, name: str) -> pl.Series:
        raise ConfigError(f"--keep={name}: applies to tables and arrays; for images the name of the file is written.")

    @property
    def names(self) -> pl.Series | None:
        import polars as pl

        return pl.Series("file", [file.relative_to(self.folder).as_posix() for file in self.files])
