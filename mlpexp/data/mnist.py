"""MNIST and datasets of the same format: images of 28×28 pixels in four IDX files.

An IDX file is a magic number (data type 8, unsigned bytes; number of axes), the length of each axis, and the
bytes; its numbers are big-endian 32-bit (LeCun, http://yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import gzip
import math
import string
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from mlpexp.data.columns import Image
from mlpexp.data.dataset import Split, datasets
from mlpexp.data.downloaded import Downloaded, find
from mlpexp.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SIDE = 28


@dataclass(frozen=True)
class IDX(Downloaded):
    """Base of datasets in the format of MNIST."""

    torchvision_name: ClassVar[str]
    shape = (1, SIDE, SIDE)

    def files(self) -> tuple[str, ...]:
        return TRAIN + TEST

    def read(self, folder: Path) -> tuple[Split, Split]:
        files = self.files()
        return self._read_split(folder, files[:2]), self._read_split(folder, files[2:])

    def fetch(self, root: Path) -> None:
        import torchvision.datasets

        getattr(torchvision.datasets, self.torchvision_name)(root, download=True)

    def _read_split(self, folder: Path, names: tuple[str, ...]) -> Split:
        images_path, labels_path = (find(folder, name) or folder / name for name in names)
        images, labels = read_idx(images_path, n_axes=3), read_idx(labels_path, n_axes=1)
        if images.shape[1:] != (SIDE, SIDE):
            height, width = images.shape[1:]
            raise ConfigError(f"{images_path}: holds images of {height}×{width} pixels, not {SIDE}×{SIDE}.")
        if len(images) != len(labels):
            raise ConfigError(f"{labels_path}: holds {len(labels)} labels for {len(images)} images.")
        if len(images) == 0:
            raise ConfigError(f"{images_path}: holds 0 images.")
        first = self.first_label()
        last = first + len(self.class_names()) - 1
        for label in (int(labels.max()), int(labels.min())):
            if not first <= label <= last:
                raise ConfigError(f"{labels_path}: holds the label {label}; labels are {first} to {last}.")
        return Split(self.upright(images).flatten(1), labels.long() - first)

    def first_label(self) -> int:
        """The label that the first class has in the files."""
        return 0

    def upright(self, images: Tensor) -> Tensor:
        """The images [N, H, W] of a file in upright orientation."""
        return images


@datasets.register("mnist")
@dataclass(frozen=True)
class MNIST(IDX):
    """Digits of 28×28 pixels, 0..255: 60000 for training and validation, 10000 for test (LeCun et al. 1998)."""

    torchvision_name = "MNIST"
    folder = "MNIST/raw"
    target = "digit"

    def class_names(self) -> tuple[str, ...]:
        return tuple(string.digits)

    def fitted(self, train: Split) -> tuple[Image, ...]:
        # The customary mean and standard deviation of the training pixels / 255.
        return (Image("pixels", SIDE, SIDE, 0.1307 * 255, 0.3081 * 255),)


@datasets.register("fashion_mnist")
@dataclass(frozen=True)
class FashionMNIST(IDX):
    """Clothing, in the format of MNIST and harder: 60000 and 10000 images (Xiao et al. 2017, arXiv 1708.07747)."""

    torchvision_name = "FashionMNIST"
    folder = "FashionMNIST/raw"

    def class_names(self) -> tuple[str, ...]:
        clothes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker")
        return (*clothes, "Bag", "Ankle boot")


@datasets.register("kmnist")
@dataclass(frozen=True)
class KMNIST(IDX):
    """Cursive Japanese characters in the format of MNIST: 60000 and 10000 (Clanuwat et al. 2018, arXiv 1812.01718)."""

    torchvision_name = "KMNIST"
    folder = "KMNIST/raw"
    target = "character"

    def class_names(self) -> tuple[str, ...]:
        return ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


# Letters whose lower case looks like the upper case: both are one class.
_MERGED = set("cijklmopsuvwxyz")


@datasets.register("emnist")
@dataclass(frozen=True)
class EMNIST(IDX):
    """Handwritten letters and digits in the format of MNIST (Cohen et al. 2017, arXiv 1702.05373).

    The files hold transposed images; here they are upright, as in MNIST.
    """

    torchvision_name = "EMNIST"
    folder = "EMNIST/raw"
    target = "character"

    part: Literal["balanced", "letters", "digits", "mnist", "bymerge", "byclass"] = "balanced"
    """balanced: 47 classes, 112800 training and 18800 test images; letters: 26 classes, upper and lower case together;
    digits, mnist: 10 classes; byclass: 62 classes of very different sizes; bymerge: the same images in 47 classes."""

    def files(self) -> tuple[str, ...]:
        kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
        return tuple(f"emnist-{self.part}-{split}-{kind}" for split in ("train", "test") for kind in kinds)

    def class_names(self) -> tuple[str, ...]:
        if self.part == "letters":
            return tuple(string.ascii_lowercase)
        if self.part in ("digits", "mnist"):
            return tuple(string.digits)
        every = string.digits + string.ascii_uppercase + string.ascii_lowercase
        return tuple(name for name in every if self.part == "byclass" or name not in _MERGED)

    def fetch(self, root: Path) -> None:
        import torchvision.datasets

        torchvision.datasets.EMNIST(root, self.part, download=True)

    def first_label(self) -> int:
        return 1 if self.part == "letters" else 0

    def upright(self, images: Tensor) -> Tensor:
        return images.mT


def read_idx(path: Path, n_axes: int) -> Tensor:
    """The bytes of an IDX file [length of each axis] (uint8), or ConfigError naming the file."""
    import torch

    remedy = "Delete it to have it downloaded again."
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            # torch.frombuffer expects a writable buffer.
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
