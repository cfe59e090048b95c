"""Base of the image datasets that torchvision downloads: their files, split and identity."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mlpexp.data.columns import Image
from mlpexp.data.dataset import Data, Dataset, Resampling, Split, datasets
from mlpexp.data.file_cache import FileCache
from mlpexp.data.pixels import fitted_pixels
from mlpexp.data.preprocessing import Preprocessing, Target
from mlpexp.data.selection import Selection
from mlpexp.data.source import Source
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError
from mlpexp.fields.ranges import Count, Index, Share


@dataclass(frozen=True)
class Downloaded(Dataset):
    """Base of image datasets with a fixed test split; torchvision downloads them."""

    split_fields: ClassVar[tuple[str, ...]] = ("seed",)
    folder: ClassVar[str]
    """Folder of the files below data_dir, as in torchvision."""
    shape: ClassVar[tuple[int, int, int]]
    """Channels, height and width of an image."""
    target: ClassVar[str] = "class"
    """Name of the target."""

    val_size: Count = 5000
    """Number of training images that are held out for validation."""
    limit: Count | None = None
    """Number of rows that are kept of each split, for quick tries; null: all."""
    train_fraction: Share = 1.0
    """Share of the training rows to use, for learning curves; a larger share includes the rows of a smaller one."""
    seed: Index = 0
    """Decides which images are held out for validation. The run's seed, unless a number is given."""

    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """The names of the files."""

    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""

    @abstractmethod
    def read(self, folder: Path) -> tuple[Split, Split]:
        """All training and all test rows, uint8; ConfigError that names the invalid file."""

    @abstractmethod
    def fetch(self, root: Path) -> None:
        """Downloads the files into torchvision's folder below `root`; raises torchvision's exceptions."""

    def fitted(self, train: Split) -> tuple[Image, ...]:
        """The preprocessing of each channel: mean and standard deviation of the training rows."""
        return fitted_pixels(train.x, self.shape)

    def resampling(self) -> Resampling:
        return "validation"

    def missing_files(self, data_dir: Path) -> list[str]:
        return [name for name in self.files() if find(data_dir / self.folder, name) is None]

    def load(self, data_dir: Path) -> Data:
        return self.load_with(data_dir, FileCache())

    def load_with(self, data_dir: Path, cache: FileCache) -> Data:
        import torch

        folder = data_dir / self.folder
        known, test, n_test, digest = cache.of((self.unsplit, data_dir), lambda: self._content(data_dir))
        if self.val_size >= len(known):
            raise ConfigError(f"dataset.val_size={self.val_size}: must be less than the {len(known)} rows there are.")
        rows = torch.randperm(len(known), generator=torch.Generator().manual_seed(self.seed))
        val_rows, train_rows = rows[: self.val_size][: self.limit], rows[self.val_size :][: self.limit]
        # The rows are in random order.
        train_rows = train_rows[: max(1, round(self.train_fraction * len(train_rows)))]
        train = Selection(known.x, train_rows, known.y[train_rows])
        return Data(
            name=datasets.name_of(self),
            task=Task("classification", self.class_names()),
            train=train,
            val=Selection(known.x, val_rows, known.y[val_rows]),
            test=test,
            fitted=Preprocessing(self.fitted(train), Target(self.target)),
            source=Source(str(folder.absolute()), len(known) + n_test, (), digest),
        )

    def _content(self, data_dir: Path) -> tuple[Split, Split, int, str]:
        """All training rows, the test rows that are kept, their number, and the digest of all."""
        if missing := self.missing_files(data_dir):
            _download(self, data_dir, missing)
        known, test = self.read(data_dir / self.folder)
        content = hashlib.sha256()
        for part in (known, test):
            content.update(part.x.numpy().data)
            content.update(part.y.numpy().data)
        # A sample, since the first half of MNIST's test rows is easier than the second (LeCun's page).
        kept = test if self.limit is None else test.sample(self.limit)
        return known, kept, len(test), content.hexdigest()


def find(folder: Path, name: str) -> Path | None:
    """The file `name` or `name`.gz, since torchvision stores both."""
    try:
        return next((path for path in (folder / name, folder / f"{name}.gz") if path.exists()), None)
    except OSError as error:
        raise ConfigError(f"{folder / name}: cannot be read: {error.strerror}.") from None


def _download(dataset: Downloaded, data_dir: Path, missing: list[str]) -> None:
    """Downloads files through torchvision; ConfigError if that fails, and partial files are removed.

    An archive may hold more than the `missing` files, such as all parts of EMNIST: all of them are kept.
    """
    import tempfile

    folder = data_dir / dataset.folder
    made = [path for path in (data_dir, *data_dir.parents) if not path.exists()]
    patience = socket.getdefaulttimeout()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # By default urllib has no timeout.
        socket.setdefaulttimeout(30)
        # Downloaded to a temporary folder and renamed: an interruption leaves no partial file.
        with tempfile.TemporaryDirectory(dir=data_dir, prefix=f".{datasets.name_of(dataset)}-") as scratch:
            dataset.fetch(Path(scratch))
            folder.mkdir(parents=True, exist_ok=True)
            fetched = [path for path in Path(scratch, dataset.folder).iterdir() if path.suffix not in (".gz", ".zip")]
            for path in fetched:
                if find(folder, path.name) is None:
                    path.replace(folder / path.name)
    except Exception as error:  # torchvision and urllib raise many kinds
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()
        reason = " ".join(str(error).split()) or type(error).__name__
        shown = reason if len(reason) <= 300 else f"{reason[:297]}..."
        raise ConfigError(
            f"dataset={datasets.name_of(dataset)}: {len(missing)} of its {len(dataset.files())} files are not in "
            f"{folder} (such as {missing[0]}), and the download failed: {shown.rstrip('.')}. Set data_dir, or "
            f"MLPEXP_DATA_DIR, to a folder that holds {dataset.folder}/{dataset.files()[0]} and the others, or try "
            "again with a network."
        ) from None
    finally:
        socket.setdefaulttimeout(patience)
