"""Base of datasets that are read from a path given by the user. Rows are split as the data say, or at random.
A run stores the split and a digest of the content, so that the same data are found again.

N rows, R raw columns.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.data.dataset import Data, Split
from mlpexp.data.file_cache import FileCache
from mlpexp.data.identity import Identity, packed, unpacked
from mlpexp.data.pixels import fitted_pixels
from mlpexp.data.preprocessing import Preprocessing, Target
from mlpexp.data.selection import Selection
from mlpexp.data.source import Source
from mlpexp.data.splits import RandomlySplit
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError, pluralize, unknown
from mlpexp.fields.ranges import PathName

if TYPE_CHECKING:
    from torch import Tensor

# The row numbers of train, val and test.
SplitIndices = tuple["Tensor", "Tensor", "Tensor"]
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Rows:
    """The content of a path: raw rows and their targets."""

    x: Tensor
    """[N, R]: numbers (float64), or the pixels of images (uint8)."""
    y: Tensor
    """Classes [N] (int64), or values [N, 1] (float64)."""
    classes: tuple[str, ...]
    """Names of the classes; empty for regression."""
    image: tuple[int, int, int] | None = None
    """Channels, height and width of images."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """Number of rows of each split, in the order of the rows; empty if the data have no splits of their own."""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class AtPath(RandomlySplit):
    """Base of datasets that are read from a path, see `read`."""

    path: PathName
    """Path of the data, relative to the working directory."""

    @abstractmethod
    def read(self, path: Path, where: str, known: Identity | None = None) -> Rows:
        """The rows at a path; with `known`, the identity of a run's data, in the form of those data.
        ConfigError, with messages that begin with `where`, if they cannot be read."""

    def load(self, data_dir: Path) -> Data:
        return self.load_with(data_dir, FileCache())

    def load_with(self, data_dir: Path, cache: FileCache) -> Data:
        path, where = Path(self.path), f"dataset.path={self.path}"
        found, source = cache.of(self.unsplit, lambda: self._content(path, where))
        if len(found.classes) == 1:
            raise ConfigError(f"{where}: has only the class '{found.classes[0]}'; at least two are needed.")
        if not found.classes and bool((found.y == found.y[0]).all()):
            raise ConfigError(f"{where}: y is {found.y[0].item():g} in every row: nothing to learn.")
        rows = self._split(found, where)
        task = Task("classification", found.classes) if found.classes else Task("regression")
        known = Identity(task, _fitted(found, rows[0]), source, packed(rows, len(found.x)))
        return self._data(found, rows, known, path)

    def _content(self, path: Path, where: str) -> tuple[Rows, Source]:
        found = self.read(path, where)
        return found, self._source(path, found)

    def load_again(
        self, data_dir: Path, known: Identity, run: Path, file: Path | None = None, cache: FileCache | None = None
    ) -> Data:
        source = known.source
        if source is None:
            raise ConfigError(f"{run}: does not say what data it was trained on; its run.json is damaged.")

        def again() -> tuple[Rows, Path]:
            path = source.find_again(
                self.path, data_dir, run, file, lambda other: self._content(other, f"data={other}")[1]
            )
            return self._in_form(known, path), path

        cache = cache or FileCache()
        shape = known.preprocessing.image_shape
        found, path = cache.of((self.unsplit, source, known.task, shape), again)
        # Runs of other seeds that have not begun use the same rows.
        cache.of(self.unsplit, lambda: (found, source))
        return self._data(found, unpacked(known.split, len(found.x)), known, path)

    def _source(self, path: Path, found: Rows) -> Source:
        return Source.of(path, len(found.x), ())

    def labelled(self, known: Identity, file: Path) -> Split:
        return _splits(self._in_form(known, file), known.preprocessing)

    def _in_form(self, known: Identity, path: Path) -> Rows:
        """The rows at a path, with the classes numbered as in a run; ConfigError if columns or classes differ."""
        import torch

        where = f"data={path}"
        found = self.read(path, where, known)
        shape = known.preprocessing.image_shape
        if (found.image, found.x.shape[1]) != (shape, known.preprocessing.n_raw):
            this, the_runs = _form(found.image, found.x.shape[1]), _form(shape, known.preprocessing.n_raw)
            raise ConfigError(f"{where}: holds {this}, and the run was trained on {the_runs}.")
        if foreign := [name for name in found.classes if name not in known.task.classes]:
            what = f"{where}: the run knows no class '{foreign[0]}'"
            raise ConfigError(unknown(what, foreign[0], known.task.classes))
        if not found.classes:
            return found
        numbers = torch.tensor([known.task.classes.index(name) for name in found.classes])
        return Rows(found.x, numbers[found.y], known.task.classes, found.image, found.parts, found.note)

    def _split(self, found: Rows, where: str) -> SplitIndices:
        """The row numbers of train, val and test: splits that the data lack are split off train at random."""
        import torch

        n_train = found.parts.get("train", len(found.x))
        bounds = torch.tensor([0, *found.parts.values()]).cumsum(0).tolist()
        given = {name: torch.arange(*bounds[at : at + 2]) for at, name in enumerate(found.parts)}
        if "test" in given and self.fold is not None:
            raise ConfigError(f"{where}: says which rows are for test; dataset.fold={self.fold} cannot say it too.")
        labels = found.y if found.classes else None
        if all(name in given for name in PARTS):
            return self.part_of(given["train"], labels), given["val"], given["test"]
        groups = found.y[:n_train] if found.classes else None
        for label, n in enumerate([n_train] if groups is None else groups.bincount().tolist()):
            if 0 < n < 3:
                whose = f"the class '{found.classes[label]}'" if found.classes else "it"
                raise ConfigError(f"{where}: {whose} has {pluralize(n, 'row')} to split; at least 3 are needed.")
        train, val, test = self.full_split_indices(n_train, groups)
        if "val" in given:
            train, val = torch.cat([train, val]).sort().values, given["val"]
        if "test" in given:
            train, test = torch.cat([train, test]).sort().values, given["test"]
        return self.part_of(train, labels), val, test

    def _data(self, found: Rows, rows: SplitIndices, known: Identity, path: Path) -> Data:
        """The data, split by `rows` and preprocessed with `known`."""
        every, target = _splits(found, known.preprocessing), known.preprocessing.target
        if found.image is None:
            train, val, test = (Split(every.x[part], every.y[part]) for part in rows)
        else:
            train, val, test = (Selection(every.x, part, every.y[part]) for part in rows)
        notes = [] if found.image is None else [_form(found.image, found.x.shape[1])]
        notes += [found.note] if found.note else []
        if found.parts:
            random = [name for name in PARTS if name not in found.parts]
            split_off = f", {' and '.join(random)} split off train at random" if random else ""
            notes.append(f"{', '.join(found.parts)} as they are divided{split_off}")
        if not known.task.classes:
            notes.append(f"{target.name} is standardised: losses are in units of its variance, {target.deviation**2:g}")
        return Data(
            name=path.absolute().name if path.is_dir() else path.stem,
            task=known.task,
            train=train,
            val=val,
            test=test,
            fitted=known.preprocessing,
            note="; ".join(notes),
            source=known.source,
            packed_split=known.split,
        )


def _splits(found: Rows, fitted: Preprocessing) -> Split:
    """All rows as one split: numbers standardised, pixels unchanged."""
    x = fitted.inputs(found.x) if found.image is None else found.x
    return Split(x, found.y if found.classes else fitted.targets(found.y))


def _fitted(found: Rows, train: Tensor) -> Preprocessing:
    """Preprocessing with the training rows' mean and standard deviation of each column or channel, and of values."""
    target = Target("class")
    if not found.classes:
        target = Preprocessing.fit(found.y[train], ["y"], "y", found.y[train]).target
    if found.image is not None:
        return Preprocessing(fitted_pixels(found.x[train], found.image), target)
    names = [f"x{number}" for number in range(1, found.x.shape[1] + 1)]
    return Preprocessing(Preprocessing.fit(found.x[train], names).columns, target)


def _form(image: tuple[int, int, int] | None, n_columns: int) -> str:
    if image is None:
        return f"rows of {pluralize(n_columns, 'number')}"
    channels, height, width = image
    return f"{'colour' if channels == 3 else 'grayscale'} images of {height}×{width} pixels"
