"""Data sets in the files of others: read as torchvision reads them, upright, with the names of their classes."""

from __future__ import annotations

import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets
from torch import Tensor

from mlpexp.data.cifar import CIFAR10
from mlpexp.data.dataset import datasets
from mlpexp.data.downloaded import Downloaded
from mlpexp.data.mnist import EMNIST
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import build

Made = Callable[[str], list[str]]  # the fixture's
PARTS = ("balanced", "letters", "digits", "mnist", "bymerge", "byclass")
FETCHED = [name for name, dataset in datasets.items() if issubclass(dataset, Downloaded)]


def folder_of(made: Made, name: str) -> Path:
    return Path(made(name)[0].removeprefix("data_dir="))


def write_emnist(data_dir: Path, part: str, labels: list[int]) -> Tensor:
    """Files of a part in which image i has a line of 200 at its top, as the files hold it: at its left."""
    raw = data_dir / "EMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    upright = torch.zeros(len(labels), 28, 28, dtype=torch.uint8)
    upright[:, 0, :] = 200
    upright[:, 5, 2] = torch.arange(len(labels))
    for split in ("train", "test"):
        for kind, axes, content in (
            ("images-idx3", (len(labels), 28, 28), upright.mT.contiguous().numpy().tobytes()),
            ("labels-idx1", (len(labels),), bytes(labels)),
        ):
            head = bytes([0, 0, 8, len(axes)]) + b"".join(axis.to_bytes(4, "big") for axis in axes)
            (raw / f"emnist-{part}-{split}-{kind}-ubyte").write_bytes(head + content)
    return upright.flatten(1)


@pytest.mark.parametrize("part", PARTS)
def test_emnist_is_upright_and_its_classes_have_the_names_that_torchvision_gives(part: str, tmp_path: Path) -> None:
    names = [name for name in torchvision.datasets.EMNIST.classes_split_dict[part] if name != "N/A"]
    first = 1 if part == "letters" else 0
    upright = write_emnist(tmp_path, part, [first, first + len(names) - 1, first + 2])
    data = build(EMNIST, {"part": part, "val_size": 1}, "dataset").load(tmp_path)
    assert data.task.classes == tuple(names)
    assert torch.equal(data.test.x, upright)
    reference = torchvision.datasets.EMNIST(tmp_path, part, train=False)
    assert [data.task.classes[k] for k in data.test.y] == [reference.classes[k] for k in reference.targets]
    wrong = 0 if first else len(names)
    write_emnist(tmp_path, part, [first, wrong])
    with pytest.raises(ConfigError, match=f"holds the label {wrong}; labels are {first} to {first + len(names) - 1}"):
        EMNIST(part=part, val_size=1).load(tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "reference"), [("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
def test_those_in_the_form_of_mnist_are_what_torchvision_reads(name: str, reference: str, made: Made) -> None:
    folder = folder_of(made, name)
    data = build(datasets[name], {"val_size": 100}, "dataset").load(folder)
    found = getattr(torchvision.datasets, reference)(folder, train=False)
    assert data.task.classes == tuple(found.classes)
    assert torch.equal(data.test.x, found.data.flatten(1))
    assert torch.equal(data.test.y, found.targets)


def test_cifar10_is_what_torchvision_reads_standardised_by_channel(made: Made) -> None:
    folder = folder_of(made, "cifar10")
    data = CIFAR10(val_size=100).load(folder)
    found = torchvision.datasets.CIFAR10(folder, train=False)
    assert data.task.classes == tuple(found.classes)
    assert data.test.y.tolist() == found.targets
    np.testing.assert_array_equal(data.test.x.view(-1, 3, 32, 32).permute(0, 2, 3, 1), found.data)
    pixels = data.train.x.double().view(-1, 3, 1024)
    mean, deviation = pixels.mean((0, 2)), pixels.std((0, 2), correction=0)
    assert [channel.name for channel in data.preprocessing.columns] == ["red", "green", "blue"]
    for known, expected in (("mean", mean), ("deviation", deviation)):
        numbers = [getattr(channel, known) for channel in data.preprocessing.columns]
        np.testing.assert_allclose(numbers, expected, rtol=1e-12)
    standardised = ((pixels - mean[:, None]) / deviation[:, None]).flatten(1).float()
    torch.testing.assert_close(data.inputs(data.train.x), standardised)
    torch.testing.assert_close(data.preprocessing.inputs(data.train.x), standardised)
    few = CIFAR10(val_size=100, limit=7).load(folder)
    assert [len(split) for split in few.splits().values()] == [7, 7, 7]


def test_pickles_that_were_not_published_are_named_and_not_opened(made: Made, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return Path.touch, (tmp_path / "done",)  # type: ignore[return-value]

    shutil.copytree(folder_of(made, "cifar10"), tmp_path / "data")
    for name in ("data_batch_3", "batches.meta"):
        (tmp_path / "data" / CIFAR10.folder / name).write_bytes(pickle.dumps(Evil()))
        with pytest.raises(ConfigError, match=f"the content of .*{name} is not what was published") as caught:
            CIFAR10(val_size=100).load(tmp_path / "data")
    assert "data_batch_3, batches.meta" in str(caught.value)
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("name", FETCHED)
def test_a_download_that_fails_is_one_line_and_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route\nto host")

    for module in ("mnist", "cifar"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", fail)
    dataset = build(datasets[name], {}, "dataset")
    assert isinstance(dataset, Downloaded)
    n, first = len(dataset.files()), dataset.files()[0]
    line = (
        f"dataset={name}: {n} of its {n} files are not in {tmp_path}/no/{dataset.folder} (such as {first}), and the "
        f"download failed: no route to host. Set data_dir, or MLPEXP_DATA_DIR, to a folder that holds {dataset.folder}/"
        f"{first} and the others, or try again with a network."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(line)}$"):
        dataset.load(tmp_path / "no")
    assert not list(tmp_path.iterdir())


def test_the_archive_of_emnist_is_fetched_once_for_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, download_root: str, md5: str) -> None:
        archive = Path(download_root, "gzip")
        archive.mkdir()
        (archive / "readme.txt").touch()
        for part in ("letters", "digits"):
            write_emnist(tmp_path / "source", part, [1, 2, 3])
        for path in (tmp_path / "source").rglob("*-ubyte"):
            (archive / f"{path.name}.gz").touch()
            shutil.copy(path, download_root)

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", download)
    monkeypatch.setattr("torchvision.datasets.mnist.extract_archive", lambda *_: None)
    EMNIST(part="digits", val_size=1).load(tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["EMNIST"]
    monkeypatch.undo()
    assert EMNIST(part="letters", val_size=1).load(tmp_path / "data").task.n_classes == 26
