"""The truth tables of AND, OR and XOR: four rows of two bits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mlpexp.data.dataset import Data, Dataset, Resampling, Split, datasets
from mlpexp.data.preprocessing import Preprocessing
from mlpexp.data.task import Task


@dataclass(frozen=True)
class TruthTable(Dataset):
    """Two bits in, one bit out. Train, val and test are the same four rows."""

    gate: ClassVar[str]
    outputs: ClassVar[tuple[int, int, int, int]]  # for inputs 00, 01, 10, 11

    def resampling(self) -> Resampling:
        return "nothing"

    def load(self, data_dir: Path) -> Data:
        import torch

        x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        table = Split(x, torch.tensor(self.outputs))
        return Data(
            name=self.gate,
            task=Task("classification", ("0", "1")),
            train=table,
            val=table,
            test=table,
            fitted=Preprocessing.unscaled(["a", "b"], target=f"a {self.gate.upper()} b"),
            note="train, val and test are the same four rows",
        )


@datasets.register("and")
@dataclass(frozen=True)
class And(TruthTable):
    """1 if both bits are 1: linearly separable."""

    gate: ClassVar[str] = "and"
    outputs: ClassVar[tuple[int, int, int, int]] = (0, 0, 0, 1)


@datasets.register("or")
@dataclass(frozen=True)
class Or(TruthTable):
    """1 if at least one bit is 1: linearly separable."""

    gate: ClassVar[str] = "or"
    outputs: ClassVar[tuple[int, int, int, int]] = (0, 1, 1, 1)


@datasets.register("xor")
@dataclass(frozen=True)
class Xor(TruthTable):
    """1 if the bits differ: not linearly separable (Minsky & Papert 1969)."""

    gate: ClassVar[str] = "xor"
    outputs: ClassVar[tuple[int, int, int, int]] = (0, 1, 1, 0)
