"""Reading IDX files: what is in them, and one clear error for each way in which they can be wrong."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch

import mlpexp
from mlpexp.data.mnist import MNIST, TEST, TRAIN, read_idx
from mlpexp.errors import ConfigError
from mlpexp.run.record import finite


def idx(shape: tuple[int, ...], content: bytes, magic: int | None = None) -> bytes:
    """An IDX file, written from the format's description alone."""
    return struct.pack(f">I{len(shape)}I", 0x800 + len(shape) if magic is None else magic, *shape) + content


def write_files(data_dir: Path, n_train: int = 12, n_test: int = 5) -> Path:
    """Four small files in which each pixel of image i is i, and its label i modulo 10."""
    folder = data_dir / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for (images, labels), n in ((TRAIN, n_train), (TEST, n_test)):
        pixels = b"".join(bytes([i]) * 784 for i in range(n))
        (folder / images).write_bytes(idx((n, 28, 28), pixels))
        (folder / labels).write_bytes(idx((n,), bytes(i % 10 for i in range(n))))
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any download fails as it does without a network."""

    def fail(*args: Any, **kwargs: Any) -> None:
        raise URLError("no route\nto host")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", fail)


def test_reads_images_and_labels(tmp_path: Path) -> None:
    write_files(tmp_path)
    data = MNIST(val_size=4).load(tmp_path)
    assert [len(split) for split in data.splits().values()] == [8, 4, 5]
    for split in data.splits().values():
        assert split.x.dtype == torch.uint8
        assert split.x.shape == (len(split), 784)
        assert torch.equal(split.x, split.x[:, :1].expand(-1, 784))
        assert torch.equal(split.x[:, 0].long() % 10, split.y)
    held = [*data.train.x[:, 0].tolist(), *data.val.x[:, 0].tolist()]
    assert sorted(held) == list(range(12))
    assert data.test.x[:, 0].tolist() == list(range(5))


def test_reads_compressed_files(tmp_path: Path) -> None:
    folder = write_files(tmp_path)
    plain = MNIST(val_size=4).load(tmp_path)
    for name in TRAIN + TEST:
        Path(folder, f"{name}.gz").write_bytes(gzip.compress(Path(folder, name).read_bytes()))
        Path(folder, name).unlink()
    zipped = MNIST(val_size=4).load(tmp_path)
    assert torch.equal(plain.train.x, zipped.train.x)
    assert torch.equal(plain.train.y, zipped.train.y)


def test_pixels_reach_the_network_as_everyone_standardises_them(tmp_path: Path) -> None:
    write_files(tmp_path)
    data = MNIST(val_size=4).load(tmp_path)
    expected = (data.test.x.float() / 255 - 0.1307) / 0.3081
    assert torch.allclose(data.inputs(data.test.x), expected, atol=1e-6)


def test_limit_keeps_rows_from_all_over_the_files(tmp_path: Path) -> None:
    write_files(tmp_path)
    whole, few = MNIST(val_size=4).load(tmp_path), MNIST(val_size=4, limit=3).load(tmp_path)
    # Train and val are in random order already.
    kept = {"train": whole.train.x[:3], "val": whole.val.x[:3], "test": whole.test.sample(3).x}
    for name, split in few.splits().items():
        assert torch.equal(split.x, kept[name])
        assert len(split.y) == 3


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(idx((3,), b"abc"), mtime=0)[:-9], b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff"],
    ids=["no gzip", "cut off", "empty"],
)
def test_a_wrong_compressed_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels.gz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"labels\.gz: cannot be read: .+ Delete it"):
        read_idx(path, n_axes=1)


def test_a_directory_where_a_file_should_be(tmp_path: Path) -> None:
    folder = write_files(tmp_path)
    (folder / TRAIN[0]).unlink()
    (folder / TRAIN[0]).mkdir()
    with pytest.raises(ConfigError, match="train-images-idx3-ubyte: cannot be read: Is a directory"):
        MNIST(val_size=4).load(tmp_path)


@pytest.mark.usefixtures("offline")
def test_offline_the_error_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    data_dir = tmp_path / "no" / "data"
    with pytest.raises(ConfigError) as caught:
        MNIST().load(data_dir)
    message = str(caught.value)
    assert f"4 of its 4 files are not in {data_dir}/MNIST/raw" in message
    assert "and the download failed: Error downloading train-images-idx3-ubyte.gz: Tried https://" in message
    assert "<urlopen error no route to host>" in message
    assert "Set data_dir, or MLPEXP_DATA_DIR, to a folder that holds MNIST/raw/train-images-idx3-ubyte" in message
    assert "\n" not in message
    # A failed download leaves nothing behind.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("offline")
def test_offline_one_missing_file_is_named_and_the_others_stay(tmp_path: Path) -> None:
    folder = write_files(tmp_path)
    (folder / TEST[1]).unlink()
    with pytest.raises(ConfigError, match=r"1 of its 4 files are not in .*\(such as t10k-labels-idx1-ubyte\)"):
        MNIST().load(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*TRAIN, TEST[0]])


def test_a_download_fills_in_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    write_files(source)

    def download(url: str, download_root: str, filename: str, md5: str) -> None:
        name = filename.removesuffix(".gz")
        Path(download_root, name).write_bytes((source / "MNIST" / "raw" / name).read_bytes())

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", download)
    data_dir = tmp_path / "data"
    data = MNIST(val_size=4).load(data_dir)
    assert len(data.train) == 8
    assert [path.name for path in data_dir.iterdir()] == ["MNIST"]
    assert sorted(path.name for path in (data_dir / "MNIST" / "raw").iterdir()) == sorted(TRAIN + TEST)


@pytest.mark.mnist
def test_the_real_files_hold_the_published_numbers_of_each_digit() -> None:
    folder = Path(os.environ.get("MLPEXP_DATA_DIR", "nowhere"), "MNIST", "raw")
    if not folder.is_dir():
        pytest.skip("MLPEXP_DATA_DIR names no folder with MNIST/raw")
    train, test = (read_idx(folder / name, n_axes=1).bincount().tolist() for name in (TRAIN[1], TEST[1]))
    assert train == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_a_run_finds_the_same_images_elsewhere_needs_none_to_predict_and_refuses_others(here: Path) -> None:
    folder = write_files(here / "first")
    config = mlpexp.compose(
        ["dataset=mnist", "dataset.val_size=4", "data_dir=first", "epochs=1", "log.figures=false", "device=cpu"]
    )
    run = mlpexp.train(config, "run")
    raw = np.repeat(np.arange(256)[:, None], 784, 1)
    expected = run.results.predict(raw)
    (here / "first").rename(here / "second")
    np.testing.assert_array_equal(mlpexp.load("run")[0].predict(raw), expected)
    # Metrics that a split cannot have are nan, which equals nothing.
    assert finite(mlpexp.evaluate("run", {"data_dir": "second"}).metrics) == finite(run.metrics)
    with pytest.raises(ConfigError, match=r"^run: was made with data_dir=first, where data are missing"):
        mlpexp.evaluate("run")
    labels = here / "second" / folder.relative_to(here / "first") / TEST[1]
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x09")
    with pytest.raises(
        ConfigError, match=r"^run: the data that it was trained on have changed: .* has another content"
    ):
        mlpexp.evaluate("run", {"data_dir": "second"})
