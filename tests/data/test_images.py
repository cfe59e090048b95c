"""Images in folders: which splits and classes the folders are, what the pixels become, one line for each mistake."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mlpexp.data.dataset import Data
from mlpexp.data.images import Images
from mlpexp.data.source import digest
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import build

SIZE = (2, 3)


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=shape).astype(np.uint8)


def write(folder: Path, names: str, shape: tuple[int, ...] = SIZE, ending: str = "png", n: int = 4) -> None:
    """`n` images of noise in each folder of the `names`."""
    for name in names.split():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(n):
            Image.fromarray(pixels(len(name) + number, *shape)).save(folder / name / f"{number}.{ending}")


def load(**options: Any) -> Data:
    return build(Images, {"path": "pictures", **options}, "dataset").load(Path("nowhere"))


def sizes(data: Data) -> list[int]:
    return [len(split) for split in data.splits().values()]


def test_a_folder_for_each_class_is_split_at_random_with_the_same_share_of_each(here: Path) -> None:
    write(here / "pictures", "dog cat", n=10)
    (here / "pictures" / ".hidden").mkdir()
    (here / "pictures" / "dog" / "notes.txt").write_text("a good dog")
    Image.fromarray(pixels(0, 2, 3)).save(here / "pictures" / "title.png")
    data = load()
    assert (data.task.classes, data.image_shape, sizes(data)) == (("cat", "dog"), (1, 2, 3), [12, 4, 4])
    assert all(split.y.bincount().tolist() == [len(split) // 2] * 2 for split in data.splits().values())
    assert data.note == "grayscale images of 2×3 pixels; 1 image in no folder of a class left out"
    expected = {name: {pixels(3 + number, *SIZE).tobytes() for number in range(10)} for name in ("cat", "dog")}
    for split in data.splits().values():
        for row, label in zip(split.x, split.y, strict=True):
            assert row.numpy().tobytes() in expected[data.task.classes[label]]


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ("train/a train/b test/a test/b", [6, 2, 8]),
        ("train/a train/b val/a val/b test/a test/b", [8, 8, 8]),
        ("Training/a Training/b Validation/a", [6, 4, 2]),
        ("train/a/more train/a train/b", [6, 3, 3]),
    ],
)
def test_folders_for_the_splits_are_found_and_said(here: Path, folders: str, expected: list[int]) -> None:
    write(here / "pictures", folders)
    data = load()
    assert (data.task.classes, sizes(data)) == (("a", "b"), expected)
    assert "as they are divided" in data.note
    assert ("split off train at random" in data.note) == (expected != [8, 8, 8])


def test_a_test_folder_without_classes_is_left_out_and_said(here: Path) -> None:
    write(here / "pictures", "train/a train/b")
    write(here / "pictures", "test")
    data = load()
    assert sum(sizes(data)) == 8
    assert data.note.startswith("grayscale images of 2×3 pixels; 4 images in no folder of a class left out; train as")


FORMATS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "png": lambda image: image,
    "bmp": lambda image: image,
    "tiff": lambda image: image,
    "ppm": lambda image: image,
    "gif": lambda image: image.convert("P", palette=Image.Palette.ADAPTIVE),
    "webp": lambda image: image.convert("RGBA"),
}


@pytest.mark.parametrize("ending", FORMATS)
def test_pixels_are_those_of_pil_channel_by_channel(here: Path, ending: str) -> None:
    (here / "pictures").mkdir()
    for name, value in {"a": 10, "b": 200}.items():
        (here / "pictures" / name).mkdir()
        for number in range(3):
            image = np.full((*SIZE, 3), value + number, np.uint8)
            image[0, 1] = (255, 128, 0)
            converted = FORMATS[ending](Image.fromarray(image))
            converted.save(here / "pictures" / name / f"{number}.{ending.upper()}", lossless=True, format=ending)
    data = load()
    assert data.image_shape == (3, *SIZE)
    for split in data.splits().values():
        first = split.x[split.y == 0][0].view(3, *SIZE)
        assert first[:, 0, 1].tolist() == [255, 128, 0]
        assert first[:, 1].unique().tolist() in ([10], [11], [12])


def test_size_and_channels(here: Path) -> None:
    write(here / "pictures", "a", (4, 4, 3))
    write(here / "pictures", "b", (6, 8))
    data = load(size=[3, 2], channels=1)
    assert data.image_shape == (1, 3, 2)
    expected = {
        np.asarray(Image.open(path).convert("L").resize((2, 3), Image.Resampling.BILINEAR)).tobytes()
        for path in (here / "pictures").glob("*/*")
    }
    assert {row.numpy().tobytes() for split in data.splits().values() for row in split.x} == expected
    # One image in colours makes all of them so.
    assert load(size=[3, 2]).image_shape == (3, 3, 2)
    with pytest.raises(ConfigError, match=r"^dataset\.channels=2: not allowed"):
        load(channels=2)


def whole(folder: Path) -> None:
    write(folder, "a b")


def other_sizes(folder: Path) -> None:
    whole(folder)
    write(folder, "c", (5, 2))


def broken(folder: Path) -> None:
    write(folder, "a b", (20, 20, 3))
    for name in ("a/0.png", "a/1.png", "b/2.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:300])
    (folder / "b" / "3.png").write_text("no image")


def rare(folder: Path) -> None:
    write(folder, "a")
    write(folder, "b", n=2)


def deep(folder: Path) -> None:
    whole(folder)
    Image.fromarray(np.full((2, 3), 70_000, np.int32)).save(folder / "a" / "deep.tif")


WRONG: dict[str, tuple[Callable[[Path], object], dict[str, Any], str]] = {
    "nothing there": (lambda folder: None, {}, "no such folder; a folder with a folder of images for each class"),
    "a file": (Path.touch, {}, "is a file; a folder with a folder of images for each class is needed."),
    "empty": (Path.mkdir, {}, "holds no images in folders, one for each class."),
    "no folders": (lambda folder: write(folder, "."), {}, "holds no images in folders, one for each class."),
    "one class": (lambda folder: write(folder, "a"), {}, "has only the class 'a'; at least two are needed."),
    "a rare class": (
        rare,
        {},
        "the class 'b' has 2 rows to split; at least 3 are needed.",
    ),
    "another class in test": (
        lambda folder: write(folder, "train/a train/b test/c"),
        {},
        "test has a folder 'c', and train has none of that name.",
    ),
    "train twice": (
        lambda folder: write(folder, "train/a train/b training/a"),
        {},
        "has more than one folder for train.",
    ),
    "sizes": (
        other_sizes,
        {},
        "images have 2 sizes, such as 2×3 pixels of a/0.png and 5×2 pixels of c/0.png; give one to resize them to, "
        "height and width: dataset.size=[2,2].",
    ),
    "broken": (broken, {}, "4 images cannot be read: a/0.png, a/1.png, b/2.png, … ("),
    "broken, of a known form": (broken, {"size": [2, 2], "channels": 1}, "4 images cannot be read: a/0.png, a/1.png, "),
    "more bits": (
        deep,
        {},
        "1 image cannot be read: a/deep.tif (it has more than 8 bits a channel); repair or remove it.",
    ),
    "too large": (
        whole,
        {"size": [5000, 5000]},
        "8 images of 5000×5000 pixels take 0.2 GiB, 25,000,000 inputs each; give a smaller size, such as "
        "dataset.size=[64,64].",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_each_mistake_is_one_line(what: str, here: Path) -> None:
    make, options, said = WRONG[what]
    make(here / "pictures")
    with pytest.raises(ConfigError, match=f"^dataset.path=pictures: {re.escape(said)}") as caught:
        load(**options)
    assert len(caught.value.lines) == 1


def test_the_digest_of_a_folder_is_of_names_and_contents(here: Path) -> None:
    write(here / "pictures", "a b")
    before = load().source
    assert before is not None
    (here / "pictures").rename(here / "elsewhere")
    (here / "elsewhere" / ".DS_Store").touch()
    (here / "elsewhere" / "a" / "notes.txt").touch()
    assert digest(here / "elsewhere") == before.sha256
    # Of another class, and in the order of the names still where it was.
    (here / "elsewhere" / "a" / "3.png").rename(here / "elsewhere" / "b" / "+.png")
    assert digest(here / "elsewhere") != before.sha256
    (here / "elsewhere" / "b" / "+.png").rename(here / "elsewhere" / "a" / "3.png")
    content = (here / "elsewhere" / "a" / "0.png").read_bytes()
    (here / "elsewhere" / "a" / "0.png").write_bytes(content + b"\0")
    assert digest(here / "elsewhere") != before.sha256


def test_colours_are_standardised_by_channel_over_the_training_rows(here: Path) -> None:
    write(here / "pictures", "a b", (*SIZE, 3), n=8)
    data = load()
    planes = data.train.x.double().view(-1, 3, 6)
    expected = (planes - planes.mean((0, 2))[:, None]) / planes.std((0, 2), correction=0)[:, None]
    torch.testing.assert_close(data.inputs(data.train.x), expected.flatten(1).float())
