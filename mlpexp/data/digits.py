"""The handwritten digits that ship inside scikit-learn: real data, no download."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.data.columns import Image
from mlpexp.data.dataset import Data, datasets
from mlpexp.data.file_cache import FileCache
from mlpexp.data.preprocessing import Preprocessing, Target
from mlpexp.data.selection import Selection
from mlpexp.data.splits import RandomlySplit
from mlpexp.data.task import Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@datasets.register("digits")
@dataclass(frozen=True)
class Digits(RandomlySplit):
    """1797 images of 8×8 pixels, 0..16 (Alpaydin & Kaynak 1998, the test part of UCI's optdigits)."""

    def load(self, data_dir: Path) -> Data:
        return self.load_with(data_dir, FileCache())

    def load_with(self, data_dir: Path, cache: FileCache) -> Data:
        x, y = cache.of("digits", _read)
        train, val, test = (Selection(x, rows, y[rows]) for rows in self.split_indices(len(x), groups=y))
        pixels = train.x.double()
        return Data(
            name="digits",
            task=Task("classification", tuple(str(digit) for digit in range(10))),
            train=train,
            val=val,
            test=test,
            fitted=Preprocessing((Image("pixels", 8, 8, float(pixels.mean()), float(pixels.std())),), Target("digit")),
        )


def _read() -> tuple[Tensor, Tensor]:
    """Pixels [1797, 64] (uint8) and digits [1797]."""
    import torch

    table = torch.from_numpy(_read_table())
    return table[:, :-1].contiguous(), table[:, -1].long()


def _read_table() -> np.ndarray:
    """[1797, 65] uint8: 64 pixels and the digit, from scikit-learn's own file.

    Importing sklearn.datasets takes about a second, all of it for SciPy; reading its file takes 10 ms.
    """
    import numpy as np

    spec = importlib.util.find_spec("sklearn")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (file := Path(folder, "datasets", "data", "digits.csv.gz")).is_file():
            return np.loadtxt(file, delimiter=",", dtype=np.uint8)
    # Fallback if scikit-learn moves the file.
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target]).astype(np.uint8)
