"""MNIST: 70000 handwritten digits, read from its four IDX files.

An IDX file is a magic number (data type 8, unsigned bytes; number of axes), the length of each axis, and the
bytes; its numbers are big-endian 32-bit (LeCun, http://yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import math
import socket
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.data.columns import Image
from mlpexp.data.dataset import Data, Dataset, Split, datasets
from mlpexp.data.preprocessing import Preprocessing, Target
from mlpexp.data.source import Source
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError
from mlpexp.fields.ranges import Count, Index

if TYPE_CHECKING:
    from torch import Tensor

TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SIDE = 28


@datasets.register("mnist")
@dataclass(frozen=True)
class MNIST(Dataset):
    """Digits of 28×28 pixels, 0..255: 60000 to train and validate on, and 10000 to test on."""

    val_size: Count = 5000
    """Number of the 60000 training images that are held out for validation."""
    limit: Count | None = None
    """Number of rows that are kept of each split, for quick tries; null: all."""
    seed: Index = 0
    """Decides which images are held out."""

    def missing_files(self, data_dir: Path) -> list[str]:
        return [name for name in TRAIN + TEST if _find(data_dir / "MNIST" / "raw", name) is None]

    def load(self, data_dir: Path) -> Data:
        import torch

        folder = data_dir / "MNIST" / "raw"
        if missing := self.missing_files(data_dir):
            _download(data_dir, folder, missing)
        known, test = _read_split(folder, TRAIN), _read_split(folder, TEST)
        if self.val_size >= len(known):
            raise ConfigError(f"dataset.val_size={self.val_size}: must be less than the {len(known)} rows there are.")
        content = hashlib.sha256()
        for part in (known, test):
            content.update(part.x.numpy().data)
            content.update(part.y.numpy().data)
        rows = torch.randperm(len(known), generator=torch.Generator().manual_seed(self.seed))
        val_rows, train_rows = rows[: self.val_size][: self.limit], rows[self.val_size :][: self.limit]
        return Data(
            name="mnist",
            task=Task("classification", tuple(str(digit) for digit in range(10))),
            train=Split(known.x[train_rows], known.y[train_rows]),
            val=Split(known.x[val_rows], known.y[val_rows]),
            # Its first half was written by other people than its second, and is easier (LeCun's page).
            test=test if self.limit is None else test.sample(self.limit),
            # Mean and standard deviation of the training pixels over 255, as everyone uses them.
            fitted=Preprocessing((Image("pixels", SIDE, SIDE, 0.1307 * 255, 0.3081 * 255),), Target("digit")),
            source=Source(str(folder.absolute()), len(known) + len(test), (), content.hexdigest()),
        )


def _find(folder: Path, name: str) -> Path | None:
    """The file `name` or, as torchvision leaves them too, `name`.gz."""
    try:
        return next((path for path in (folder / name, folder / f"{name}.gz") if path.exists()), None)
    except OSError as error:
        raise ConfigError(f"{folder / name}: cannot be read: {error.strerror}.") from None


def _download(data_dir: Path, folder: Path, missing: list[str]) -> None:
    """Fetches the `missing` files through torchvision; ConfigError, and nothing left behind, where that fails."""
    import tempfile

    from torchvision.datasets import MNIST as Downloader  # noqa: N811

    made = [path for path in (data_dir, *data_dir.parents) if not path.exists()]
    patience = socket.getdefaulttimeout()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # urllib waits for ever for a network that does not answer.
        socket.setdefaulttimeout(30)
        # Beside their place and then renamed: nobody ever sees half a file, whatever interrupts this.
        with tempfile.TemporaryDirectory(dir=data_dir, prefix=".mnist-") as scratch:
            Downloader(scratch, download=True)
            folder.mkdir(parents=True, exist_ok=True)
            for name in missing:
                Path(scratch, "MNIST", "raw", name).replace(folder / name)
    except Exception as error:  # torchvision and urllib raise many kinds
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()
        reason = " ".join(str(error).split()) or type(error).__name__
        shown = reason if len(reason) <= 300 else f"{reason[:297]}..."
        raise ConfigError(
            f"dataset=mnist: {len(missing)} of its 4 files are not in {folder} (such as {missing[0]}), "
            f"and the download failed: {shown.rstrip('.')}. Set data_dir, or MLPEXP_DATA_DIR, to a folder "
            f"that holds MNIST/raw/{TRAIN[0]} and the others, or try again with a network."
        ) from None
    finally:
        socket.setdefaulttimeout(patience)


def _read_split(folder: Path, names: tuple[str, str]) -> Split:
    images_path, labels_path = (_find(folder, name) or folder / name for name in names)
    images, labels = read_idx(images_path, n_axes=3), read_idx(labels_path, n_axes=1)
    if images.shape[1:] != (SIDE, SIDE):
        height, width = images.shape[1:]
        raise ConfigError(f"{images_path}: holds images of {height}×{width} pixels, not {SIDE}×{SIDE}.")
    if len(images) != len(labels):
        raise ConfigError(f"{labels_path}: holds {len(labels)} labels for {len(images)} images.")
    if len(images) == 0:
        raise ConfigError(f"{images_path}: holds 0 images.")
    if (most := int(labels.max())) > 9:
        raise ConfigError(f"{labels_path}: holds the label {most}; digits are 0 to 9.")
    return Split(images.flatten(1), labels.long())


def read_idx(path: Path, n_axes: int) -> Tensor:
    """The bytes of an IDX file [length of each axis] (uint8), or ConfigError naming the file."""
    import torch

    remedy = "Delete it to have it downloaded again."
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            # torch wants a buffer that can be written to, and bytes cannot.
            content = bytearray(file.read())
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}. {remedy}") from None
    header = 4 + 4 * n_axes
    if len(content) < header:
        raise ConfigError(f"{path}: holds {len(content)} bytes, less than the header of an IDX file. {remedy}")
    magic, *shape = struct.unpack_from(f">{1 + n_axes}I", content)
    if magic != 0x0800 + n_axes:
        raise ConfigError(f"{path}: is no IDX file of {n_axes} axes: it begins with {magic:#010x}. {remedy}")
    n_bytes = math.prod(shape)
    if len(content) != header + n_bytes:
        raise ConfigError(f"{path}: holds {len(content)} bytes, where its header promises {header + n_bytes}. {remedy}")
    if n_bytes == 0:
        return torch.empty(shape, dtype=torch.uint8)
    return torch.frombuffer(content, dtype=torch.uint8, offset=header).view(*shape)
