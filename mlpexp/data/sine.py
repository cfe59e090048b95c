"""A noisy sine: regression of one value on one feature, with a known true function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from mlpexp.data.dataset import Data, Dataset, Resampling, Split, datasets
from mlpexp.data.preprocessing import Preprocessing
from mlpexp.data.splits import Samples, part_of, split_at_random
from mlpexp.data.task import Task
from mlpexp.fields.ranges import Index, NonNegative, Share


@datasets.register("sine")
@dataclass(frozen=True)
class Sine(Dataset):
    """y = sin x + noise·ε with ε ~ N(0, 1), at equally spaced x in [−3, 3]."""

    split_fields: ClassVar[tuple[str, ...]] = ("seed",)

    n_samples: Samples = 50
    """Number of points of all splits together."""
    noise: NonNegative = 0.3
    """Standard deviation of the noise, in units of y."""
    split: Literal["random", "extrapolate"] = "random"
    """random: of every five neighbours, three are for training, one for validation and one for test; extrapolate: the
    first 70 % of the axis are for training, the rest for validation and test."""
    train_fraction: Share = 1.0
    """Share of the training points to use, for learning curves; a larger share includes the points of a smaller one."""
    seed: Index = 0
    """Decides the noise, and the random split. The run's seed, unless a number is given."""

    def resampling(self) -> Resampling:
        return "rows" if self.noise else "split"

    def load(self, data_dir: Path) -> Data:
        import torch

        generator = torch.Generator().manual_seed(self.seed)
        x = torch.linspace(-3, 3, self.n_samples).unsqueeze(1)
        y = x.sin() + self.noise * torch.randn(x.shape, generator=generator)
        note = ""
        if self.split == "random":
            # Of every five neighbours one goes to val and one to test: each split covers the whole axis.
            fives = torch.arange(self.n_samples) * (self.n_samples // 5) // self.n_samples
            train, val, test = split_at_random(x, y, 0.2, 0.2, generator, groups=fives)
        else:
            n_train = self.n_samples * 7 // 10
            train = Split(x[:n_train], y[:n_train])
            val = test = Split(x[n_train:], y[n_train:])
            note = (
                f"train is x < {float(x[n_train]):.2f}; val and test are the same {len(test)} points "
                "beyond it, so that test also chose the best epoch"
            )
        # Not stratified by fives, each of which would keep one of its three.
        train = train.of(part_of(torch.arange(len(train)), None, self.train_fraction, self.seed))
        return Data(
            name="sine",
            task=Task("regression"),
            train=train,
            val=val,
            test=test,
            fitted=Preprocessing.unscaled(["x"]),
            true_function=torch.sin,
            note=note,
        )
