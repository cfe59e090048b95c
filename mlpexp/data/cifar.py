"""CIFAR-10: small colour photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mlpexp.data.dataset import Split, datasets
from mlpexp.data.downloaded import Downloaded
from mlpexp.data.pixels import pixel_rows
from mlpexp.errors import ConfigError


@datasets.register("cifar10")
@dataclass(frozen=True)
class CIFAR10(Downloaded):
    """Colour photographs of 32×32 pixels: 50000 for training and validation, 10000 for test (Krizhevsky 2009).

    Each channel is standardised with mean and deviation of the training rows. The files are pickles, which can hold
    code: torchvision reads them only where their MD5 digests are those of the published ones.
    """

    folder = "cifar-10-batches-py"
    shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)

    def files(self) -> tuple[str, ...]:
        return (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")

    def class_names(self) -> tuple[str, ...]:
        return ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def read(self, folder: Path) -> tuple[Split, Split]:
        import torch
        import torchvision.datasets

        splits = []
        for train in (True, False):
            try:
                found = torchvision.datasets.CIFAR10(folder.parent, train)
            except RuntimeError:
                raise _other_content(folder) from None
            except OSError as error:
                raise ConfigError(f"{error.filename or folder}: cannot be read: {error.strerror}.") from None
            splits.append(Split(pixel_rows(torch.from_numpy(found.data)), torch.tensor(found.targets)))
        train_split, test = splits
        return train_split, test

    def fetch(self, root: Path) -> None:
        import torchvision.datasets

        torchvision.datasets.CIFAR10(root, download=True)


def _other_content(folder: Path) -> ConfigError:
    """The error that names the files whose content is not the published one."""
    from torchvision.datasets import CIFAR10 as Published  # noqa: N811
    from torchvision.datasets.utils import check_integrity

    published = [*Published.train_list, *Published.test_list, (Published.meta["filename"], Published.meta["md5"])]
    wrong = [name for name, md5 in published if not check_integrity(folder / name, md5)]
    return ConfigError(
        f"{folder}: the content of {', '.join(wrong)} is not what was published: its MD5 digest differs. Delete "
        f"{'it' if len(wrong) == 1 else 'them'} to have {'it' if len(wrong) == 1 else 'them'} downloaded again."
    )
