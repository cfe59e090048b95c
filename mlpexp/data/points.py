"""Points in the plane whose classes lie on curves, for plots of decision boundaries.

Each dataset defines its curves; the base class adds normal noise and splits the points.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mlpexp.data.dataset import Data, Resampling, datasets
from mlpexp.data.preprocessing import Preprocessing
from mlpexp.data.splits import RandomlySplit, Samples
from mlpexp.data.task import Task
from mlpexp.fields.ranges import NonNegative, OpenFraction, Positive, Range

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Points(RandomlySplit):
    """Base of the datasets of points in the plane."""

    n_samples: Samples = 1000
    """Number of points of all classes and splits together."""
    noise: NonNegative = 0.2
    """Standard deviation of the normal noise, in units of the coordinates."""

    def resampling(self) -> Resampling:
        return "rows" if self.noise else "split"

    def n_classes(self) -> int:
        return 2

    @abstractmethod
    def curve(self, label: int, t: Tensor) -> tuple[Tensor, Tensor]:
        """The two coordinates of the curve of class `label`, for t [N] evenly spread over [0, 1]."""

    def load(self, data_dir: Path) -> Data:
        import torch

        n_classes = self.n_classes()
        # Class sizes differ by at most one; the first classes are the larger ones.
        y = torch.arange(self.n_samples).remainder(n_classes).sort().values
        curves = [
            torch.stack(self.curve(label, torch.linspace(0, 1, count)), dim=1)
            for label, count in enumerate(y.bincount().tolist())
        ]
        generator = self.generator()
        x = torch.cat(curves)
        x += self.noise * torch.randn(x.shape, generator=generator)
        train, val, test = self.split_rows(x, y, generator, groups=y)
        return Data(
            name=datasets.name_of(self),
            task=Task("classification", tuple(str(label) for label in range(n_classes))),
            train=train,
            val=val,
            test=test,
            fitted=Preprocessing.unscaled(["x1", "x2"], target="class"),
        )


@datasets.register("moons")
@dataclass(frozen=True)
class Moons(Points):
    """Two interleaving half circles, as in scikit-learn's make_moons."""

    def curve(self, label: int, t: Tensor) -> tuple[Tensor, Tensor]:
        angle = math.pi * t
        if label == 0:
            return angle.cos(), angle.sin()
        return 1 - angle.cos(), 0.5 - angle.sin()


@datasets.register("circles")
@dataclass(frozen=True)
class Circles(Points):
    """A circle inside a circle, as in scikit-learn's make_circles."""

    noise: NonNegative = 0.1
    factor: OpenFraction = 0.5
    """Radius of the inner circle; the radius of the outer circle is 1."""

    def curve(self, label: int, t: Tensor) -> tuple[Tensor, Tensor]:
        # A circle is closed: n points at angles 2π·i/n, without the end point.
        angle = 2 * math.pi * t * (len(t) - 1) / len(t)
        radius = self.factor if label == 1 else 1.0
        return radius * angle.cos(), radius * angle.sin()


@datasets.register("spirals")
@dataclass(frozen=True)
class Spirals(Points):
    """Spirals, one class each: radius 0.2 + 1.8t, angle 2π(label/arms + turns·t) (after Lang & Witbrock 1988)."""

    noise: NonNegative = 0.1
    arms: Annotated[int, Range(low=2, high=20)] = 3
    """Number of spirals; each is a class."""
    turns: Positive = 1.0
    """Number of times each spiral goes round the origin."""

    def n_classes(self) -> int:
        return self.arms

    def curve(self, label: int, t: Tensor) -> tuple[Tensor, Tensor]:
        # The arms begin outside the origin, where they would meet.
        radius = 0.2 + 1.8 * t
        angle = 2 * math.pi * (label / self.arms + self.turns * t)
        return radius * angle.cos(), radius * angle.sin()
