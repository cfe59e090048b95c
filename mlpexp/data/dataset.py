"""What a dataset is: its three splits as tensors, and what a reader needs to know of them.

N samples, F features. The whole set is loaded at once and moved to the device once; batches are selected from
it by index.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlpexp.data.source import Source
from mlpexp.data.task import Task
from mlpexp.fields.ranges import Count, Positive
from mlpexp.fields.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Split:
    """`x` [N, F] (float32, or uint8 for images), `y`: classes [N] (int64) or values [N, 1] (float32)."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return self.x.shape[0]

    def to(self, device: torch.device) -> Split:
        return Split(self.x.to(device), self.y.to(device))

    def sample(self, n: int) -> Split:
        """min(n, N) rows in their order: one from each of n equal parts of the split, the same ones each time.

        Rows are often sorted by class, so the first n need not hold every class. Within its part a row is drawn at
        random: rows at equal distances need not hold every class either, where classes alternate.
        """
        import torch

        n = min(n, len(self))
        bounds = torch.arange(n + 1) * len(self) // n
        within = torch.rand(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        rows = bounds[:-1] + (within * bounds.diff()).long()
        return Split(self.x[rows.to(self.x.device)], self.y[rows.to(self.y.device)])


@dataclass(frozen=True)
class Units:
    """How columns were standardised before they became a split: (value − mean) / std, all [n] on the CPU."""

    mean: Tensor
    std: Tensor

    def standardised(self, values: Tensor) -> Tensor:
        """[N, n] in the columns' own units as the network sees them: computed in float64, given in float32."""
        return ((values.double() - self.mean) / self.std).float()

    def restored(self, values: Tensor) -> Tensor:
        """The inverse of `standardised`, in float64: a column of 10¹² ± 10³ has no values in float32."""
        return values.cpu().double() * self.std + self.mean


@dataclass(frozen=True)
class Data:
    """A dataset in memory. `train` is learned from, `val` steers the run, `test` is looked at once, at the end."""

    name: str
    task: Task
    train: Split
    val: Split
    test: Split
    # Networks see (x − shift)·scale: how images stay bytes in memory and reach the network standardised.
    shift: float = 0.0
    scale: float = 1.0
    feature_units: Units | None = None  # where the features in the splits are standardised already
    target_units: Units | None = None  # likewise the values to predict
    feature_names: tuple[str, ...] = ()
    target_name: str = "y"
    image_shape: tuple[int, int] | None = None  # height, width, where the features are pixels
    true_function: Callable[[Tensor], Tensor] | None = None  # [N, F] → [N, 1], where it is known
    note: str = ""  # what a reader of the results must know, such as splits that share samples
    source: Source | None = None  # the file that the data were read from

    @property
    def n_features(self) -> int:
        return self.train.x.shape[1]

    def splits(self) -> dict[str, Split]:
        return {"train": self.train, "val": self.val, "test": self.test}

    def inputs(self, x: Tensor) -> Tensor:
        """Rows [..., F] of a split as the network sees them: standardised, float32."""
        if x.is_floating_point():
            return x
        # Bytes less a float would be floats too, converted in a copy that the difference is not written to.
        return x.float().sub_(self.shift).mul_(self.scale)

    def from_own_units(self, x: Tensor) -> Tensor:
        """Inputs [N, F] in the data's own units (pixels, a table's columns) as the network sees them, on the CPU."""
        if self.feature_units is not None:
            return self.feature_units.standardised(x)
        return x.double().sub(self.shift).mul(self.scale).float()

    def features_in_own_units(self, x: Tensor) -> Tensor:
        """Rows [N, F] of a split in the data's own units, on the CPU."""
        return x.cpu() if self.feature_units is None else self.feature_units.restored(x)

    def targets_in_own_units(self, y: Tensor) -> Tensor:
        """Values [N, 1] of a split, or predicted ones, in the data's own units, on the CPU; classes as they are."""
        return y.cpu() if self.target_units is None else self.target_units.restored(y)

    def to(self, device: torch.device) -> Data:
        # Splits that are one and the same stay so: truth tables are held once, not thrice.
        moved = {id(split): split.to(device) for split in self.splits().values()}
        return replace(self, train=moved[id(self.train)], val=moved[id(self.val)], test=moved[id(self.test)])


@dataclass(frozen=True)
class Recommended:
    """The settings that suit a dataset. The rest of the config refers to them, and any override takes precedence."""

    epochs: Count = 50
    """Passes over the training rows."""
    batch_size: Count = 32
    """Training rows in each step."""
    hidden: list[Count] = field(default_factory=lambda: [64, 64])
    """Units of each hidden layer."""
    lr: Positive = 0.001
    """Learning rate of optimizers that scale their steps, such as adam."""
    lr_momentum: Positive = 0.01
    """Learning rate of momentum and nesterov."""
    lr_sgd: Positive = 0.1
    """Learning rate of sgd."""


@dataclass(frozen=True)
class Dataset(ABC):
    """Base of all datasets: a config that can load the data it names."""

    recommended: Recommended = field(default_factory=Recommended)
    """Settings with which this dataset is learned: the defaults of other keys refer to them."""

    def missing(self, data_dir: Path) -> list[str]:
        """The names of files that `load` would have to fetch into `data_dir`."""
        return []

    @abstractmethod
    def load(self, data_dir: Path) -> Data:
        """The data, on the CPU. ConfigError where files are missing or unreadable, naming them and what to do."""


datasets: Registry[Dataset] = Registry("dataset", {"table": "csv", "tabular": "csv", "dataframe": "csv"})
