"""The user's own images, with a folder for each class.

N images, C channels, H × W pixels.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlpexp.data.at_path import PARTS, AtPath, Rows
from mlpexp.data.dataset import datasets
from mlpexp.data.identity import Identity
from mlpexp.data.source import IMAGES, image_files
from mlpexp.errors import ConfigError, pluralize
from mlpexp.fields.ranges import Count

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

_SPELLINGS = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
# The most inputs that a stored preprocessing may have, see preprocessing.
_MOST_PIXELS = 2**24


@datasets.register("images")
@dataclass(frozen=True, kw_only=True)
class Images(AtPath):
    """A folder with a folder of images for each class, or with folders train, val and test that hold the class folders.

    PNG, JPEG, GIF, BMP, TIFF, WebP or PNM files with 8 bits per channel. Each channel is standardised with the training
    rows' mean and standard deviation. Without a folder test (or val), this split is drawn from train at random.
    """

    size: tuple[Count, Count] | None = None
    """Height and width in pixels that images are resized to; null: their own, which must be the same for all."""
    channels: Literal[1, 3] | None = None
    """1: grayscale; 3: colour; null: grayscale if all images are grayscale, else colour."""

    def read(self, path: Path, where: str, known: Identity | None = None) -> Rows:
        import torch

        files, notes = _found(path, where)
        paths = [file for part in files.values() for _, file in part]
        classes = tuple(sorted({name for part in files.values() for name, _ in part}))
        size, channels = self.size, self.channels
        if known is not None and (shape := known.preprocessing.image_shape) is not None:
            channels, size = (1 if shape[0] == 1 else 3), shape[1:]
        height, width, n_channels = _form(path, paths, size, channels, where)
        needed = len(paths) * n_channels * height * width
        if n_channels * height * width > _MOST_PIXELS or needed > _memory() // 2:
            raise ConfigError(
                f"{where}: {pluralize(len(paths), 'image')} of {height}×{width} pixels take {needed / 2**30:.1f} GiB, "
                f"{n_channels * height * width:,} inputs each; give a smaller size, such as dataset.size=[64,64]."
            )
        x = pixels_of(path, paths, (n_channels, height, width), where, resized=True)
        number = {name: label for label, name in enumerate(classes)}
        y = torch.tensor([number[name] for part in files.values() for name, _ in part])
        parts = {name: len(part) for name, part in files.items()} if "" not in files else {}
        return Rows(x, y, classes, (n_channels, height, width), parts, "; ".join(notes))


def _form(
    path: Path, files: Sequence[Path], size: tuple[int, int] | None, channels: int | None, where: str
) -> tuple[int, int, int]:
    """Height, width and channels that all images are converted to."""
    if size is not None and channels is not None:
        return *size, channels
    # Images whose size cannot be read are reported together with those that cannot be decoded.
    broken: dict[Path, Exception] = {}
    first: dict[tuple[int, int], Path] = {}
    gray = True
    for file in files:
        try:
            with _opened(file) as image:
                found, mode = (image.height, image.width), image.mode
        except Exception as error:
            broken[file] = error
            continue
        first.setdefault(found, file)
        gray = gray and mode in ("1", "L", "LA", "La")
    if not first:
        _refuse(path, broken, where)
    if size is None and len(first) > 1:
        one, other = (f"{h}×{w} pixels of {file.relative_to(path)}" for (h, w), file in list(first.items())[:2])
        least = ",".join(str(min(length)) for length in zip(*first, strict=True))
        raise ConfigError(
            f"{where}: images have {len(first)} sizes, such as {one} and {other}; give one to resize them to, "
            f"height and width: dataset.size=[{least}]."
        )
    return *(size or next(iter(first))), channels or (1 if gray else 3)


def _found(path: Path, where: str) -> tuple[dict[str, list[tuple[str, Path]]], list[str]]:
    """The images with their classes, by split (an empty name if there are no splits); and notes for the user."""
    if not path.is_dir():
        what = "is a file" if path.exists() else "no such folder"
        raise ConfigError(f"{where}: {what}; a folder with a folder of images for each class is needed.")
    try:
        files = image_files(path)
    except OSError as error:
        raise ConfigError(f"{error.filename or where}: cannot be read: {error.strerror}.") from None
    folders: dict[str, list[Path]] = {}
    for file in files:
        folders.setdefault(file.relative_to(path).parts[0], []).append(file)
    spelt = {name: _SPELLINGS.get(name.lower(), name.lower()) for name in folders if (path / name).is_dir()}
    parts = {*spelt.values()}
    if "train" in parts and (parts <= {*PARTS} or parts & {*PARTS[1:]}):
        found: dict[str, list[tuple[str, Path]]] = {}
        for part in PARTS:
            for name in (name for name in spelt if spelt[name] == part):
                if part in found:
                    raise ConfigError(f"{where}: has more than one folder for {part}.")
                if labelled := _by_class(path / name, folders[name]):
                    found[part] = labelled
        if "train" not in found:
            raise ConfigError(f"{where}: train holds no images in folders, one for each class.")
    else:
        found = {"": _by_class(path, files)}
        if not found[""]:
            raise ConfigError(f"{where}: holds no images in folders, one for each class.")
    known = {name for name, _ in found.get("train", found.get("", []))}
    for part, labelled in found.items():
        if foreign := sorted({name for name, _ in labelled} - known):
            raise ConfigError(f"{where}: {part} has a folder '{foreign[0]}', and train has none of that name.")
    left_out = len(files) - sum(map(len, found.values()))
    return found, [f"{pluralize(left_out, 'image')} in no folder of a class left out"] if left_out else []


def _by_class(folder: Path, files: Sequence[Path]) -> list[tuple[str, Path]]:
    """The images in the subfolders of a folder, with the subfolder's name as class."""
    return [(file.relative_to(folder).parts[0], file) for file in files if file.parent != folder]


@contextmanager
def _opened(file: Path) -> Iterator[Image]:
    """An opened image whose pixels are read on demand; ValueError if it has more than 8 bits per channel."""
    from PIL import Image

    with warnings.catch_warnings():
        # Warnings on palettes and metadata are ignored; decompression bombs are errors.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError("it has more than 8 bits a channel")
            yield image


def _size(file: Path) -> tuple[int, int]:
    """Height and width of an image."""
    with _opened(file) as image:
        return image.height, image.width


def _pixels(file: Path, height: int, width: int, channels: int) -> Tensor:
    """An image as uint8 [C, H, W]."""
    import numpy as np
    import torch
    from PIL import Image

    with _opened(file) as image:
        pixels = image.convert("L" if channels == 1 else "RGB")
    if pixels.size != (width, height):
        pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(pixels).reshape(height, width, channels)).movedim(2, 0)


def files_to_predict(path: Path, where: str) -> tuple[Path, list[Path]]:
    """A folder and the images at any depth below it, or the folder of one image; ConfigError if there are no images."""
    if not path.is_dir():
        if not path.is_file():
            what = "is not a regular file" if path.exists() else "no such file or folder"
            raise ConfigError(f"{where}: {what}; an image, a folder of images, or an .npz file is needed.")
        if path.suffix and path.suffix.lower() not in IMAGES:
            raise ConfigError(f"{where}: is no image; an image, a folder of images, or an .npz file is needed.")
        return path.parent, [path]
    try:
        files = image_files(path)
    except OSError as error:
        raise ConfigError(f"{error.filename or where}: cannot be read: {error.strerror}.") from None
    if not files:
        raise ConfigError(f"{where}: holds no images.")
    return path, files


def pixels_of(folder: Path, files: Sequence[Path], shape: tuple[int, int, int], where: str, *, resized: bool) -> Tensor:
    """Images of a `shape` (C, H, W) as rows [N, C·H·W], uint8.

    ConfigError for images that cannot be read and, unless `resized`, for an image of another size.
    """
    import torch

    channels, height, width = shape
    x = torch.empty((len(files), *shape), dtype=torch.uint8)
    broken: dict[Path, Exception] = {}
    for row, file in enumerate(files):
        try:
            size = (height, width) if resized else _size(file)
            if size == (height, width):
                x[row] = _pixels(file, height, width, channels)
        except Exception as error:  # PIL's readers of some thirty formats raise many kinds
            broken[file] = error
            continue
        if size != (height, width):
            raise ConfigError(
                f"{where}: {file.relative_to(folder)} has {size[0]}×{size[1]} pixels; the run was trained on images of "
                f"{height}×{width} that were not resized. Resize it, or train with dataset.size=[{height},{width}]."
            )
    _refuse(folder, broken, where)
    return x.flatten(1)


def _refuse(path: Path, broken: dict[Path, Exception], where: str) -> None:
    """ConfigError if images cannot be read: their number, some names, and the reason for the first."""
    if not broken:
        return
    named = ", ".join(str(file.relative_to(path)) for file in list(broken)[:3])
    error = next(iter(broken.values()))
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    if "cannot identify" in reason:
        reason = "it is not an image"
    raise ConfigError(
        f"{where}: {pluralize(len(broken), 'image')} cannot be read: {named}{', …' if len(broken) > 3 else ''} "
        f"({reason[:200].rstrip('.')}); repair or remove {'it' if len(broken) == 1 else 'them'}."
    )


def _memory() -> int:
    """Bytes of memory that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
