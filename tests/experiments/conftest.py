"""A stand-in for MNIST, so that its experiments run everywhere in a shrunk form."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with 300 training and 100 test images of noise, each class a little brighter than the last."""
    directory = tmp_path_factory.mktemp("data")
    raw = directory / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for split, n in (("train", 300), ("t10k", 100)):
        labels = random.integers(10, size=n).astype(np.uint8)
        images = (random.integers(30, size=(n, 28, 28)) + 20 * labels[:, None, None]).astype(np.uint8)
        for name, array in ((f"{split}-images-idx3-ubyte", images), (f"{split}-labels-idx1-ubyte", labels)):
            head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (raw / name).write_bytes(head + array.tobytes())
    return directory
