"""From raw columns to what a network sees: fitted on training rows only, in float64, and plain data.

N rows, R raw columns, F inputs. The one function `Preprocessing.inputs` serves training, evaluation, prediction and
figures. A column is of some kind, which says what it holds of its own: a further kind is a dataclass in KINDS.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

# What a file that somebody has made may ask for: images of 4096 × 4096 pixels.
_MOST_INPUTS = 2**24


@dataclass(frozen=True)
class Number:
    """A column of numbers, one input: (value − mean) / deviation."""

    kind: ClassVar[str] = "number"
    name: str
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def n_raw(self) -> int:
        """Number of raw columns that it takes."""
        return 1

    @property
    def n_inputs(self) -> int:
        """Number of inputs that it becomes."""
        return 1

    def encoded(self, raw: Tensor) -> Tensor:
        """Raw columns [N, n_raw] as numbers [N, n], float64, not yet standardised."""
        return raw


@dataclass(frozen=True)
class Image:
    """The pixels of a channel of an image, row by row, an input each; all of them have the same mean and deviation.

    A colour image is three such columns: all of its red, then green, then blue.
    """

    kind: ClassVar[str] = "image"
    name: str
    height: int
    width: int
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def n_raw(self) -> int:
        """Number of raw columns that it takes."""
        return self.height * self.width

    @property
    def n_inputs(self) -> int:
        """Number of inputs that it becomes."""
        return self.n_raw

    def encoded(self, raw: Tensor) -> Tensor:
        """Raw columns [N, n_raw] as numbers [N, n], float64, not yet standardised."""
        return raw


Column = Number | Image
KINDS: dict[str, type[Column]] = {kind.kind: kind for kind in (Number, Image)}


@dataclass(frozen=True)
class Target:
    """What is predicted: its name and, of values, how they were standardised. Classes are the task's."""

    name: str = "y"
    mean: float = 0.0
    deviation: float = 1.0


@dataclass(frozen=True)
class Preprocessing:
    """The columns in the order in which a network sees them, and the target."""

    columns: tuple[Column, ...]
    target: Target = Target()

    @staticmethod
    def unscaled(names: Sequence[str], target: str = "y") -> Preprocessing:
        """Of numbers that the network sees as they are."""
        return Preprocessing(tuple(Number(name) for name in names), Target(target))

    @staticmethod
    def fit(x: Tensor, names: Sequence[str], target: str = "y", values: Tensor | None = None) -> Preprocessing:
        """Mean and standard deviation of training rows `x` [N, R], and of the `values` [N, 1] to predict, if any.

        A column that is constant has the deviation 1.
        """
        columns = tuple(Number(name, *fitted) for name, fitted in zip(names, _moments(x), strict=True))
        return Preprocessing(columns, Target(target, *(_moments(values)[0] if values is not None else ())))

    @property
    def n_raw(self) -> int:
        """R."""
        return sum(column.n_raw for column in self.columns)

    @property
    def n_inputs(self) -> int:
        """F."""
        return sum(column.n_inputs for column in self.columns)

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """Channels, height and width, where the raw columns are the pixels of an image."""
        channels = [column for column in self.columns if isinstance(column, Image)]
        sizes = {(channel.height, channel.width) for channel in channels}
        return (len(channels), *sizes.pop()) if len(channels) == len(self.columns) and len(sizes) == 1 else None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the raw columns; empty for images, whose pixels have none."""
        return () if self.image_shape else tuple(column.name for column in self.columns)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each input [F], float64."""
        import torch

        counts = torch.tensor([column.n_inputs for column in self.columns])
        mean, deviation = (
            torch.tensor([getattr(column, name) for column in self.columns], dtype=torch.float64)
            for name in ("mean", "deviation")
        )
        return mean.repeat_interleave(counts), deviation.repeat_interleave(counts)

    def inputs(self, raw: Tensor) -> Tensor:
        """Raw columns [N, R] as the network sees them, [N, F] on the CPU: computed in float64, given in float32.

        In float32 timestamps of seconds have steps of two minutes, and 10¹² ± 10³ has no values at all.
        """
        import torch

        mean, deviation = self.moments
        parts = raw.double().split([column.n_raw for column in self.columns], dim=1)
        encoded = [column.encoded(part) for column, part in zip(self.columns, parts, strict=True)]
        together = encoded[0] if len(encoded) == 1 else torch.cat(encoded, dim=1)
        return ((together - mean) / deviation).float()

    def raw(self, inputs: Tensor) -> Tensor:
        """The inverse of `inputs`, float64."""
        mean, deviation = self.moments
        return inputs.cpu().double() * deviation + mean

    def targets(self, values: Tensor) -> Tensor:
        """Values [N, 1] to predict as the network is to give them, float32."""
        return ((values.double() - self.target.mean) / self.target.deviation).float()

    def values(self, targets: Tensor) -> Tensor:
        """The inverse of `targets`, float64."""
        return targets.cpu().double() * self.target.deviation + self.target.mean

    def to_plain(self) -> dict[str, Any]:
        """As JSON holds it; floats come back to the bit."""
        columns = [{"kind": column.kind, **vars(column)} for column in self.columns]
        return {"columns": columns, "target": vars(self.target).copy()}

    @staticmethod
    def of_plain(plain: Any) -> Preprocessing:
        """What `to_plain` gave; ValueError where it is something else."""
        columns = plain.get("columns") if isinstance(plain, Mapping) else None
        if not isinstance(columns, list) or not columns:
            raise ValueError("its preprocessing has no columns")
        found = Preprocessing(tuple(map(_column, columns)), _built(Target, plain.get("target")))
        if found.n_inputs > _MOST_INPUTS:
            raise ValueError(f"its preprocessing has {found.n_inputs:,} inputs")
        return found


def _column(plain: Any) -> Column:
    kind = plain.get("kind") if isinstance(plain, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"a column of its preprocessing is of no known kind: {kind}")
    return _built(KINDS[kind], {name: value for name, value in plain.items() if name != "kind"})


def _built(cls: type[T], plain: Any) -> T:
    """A dataclass of texts, whole numbers greater than 0 and finite floats, from a mapping of its fields."""
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    if not isinstance(plain, Mapping) or set(plain) != set(names):
        raise ValueError(f"its preprocessing lacks a part: {', '.join(names)}")
    for name, value in plain.items():
        right = type(value) is hints[name] and (
            hints[name] is str or (math.isfinite(value) and (value > 0 or name == "mean"))
        )
        if not right:
            raise ValueError(f"its preprocessing has {name}={value}")
    return cls(**plain)


def _moments(x: Tensor) -> list[tuple[float, float]]:
    """Mean and standard deviation of each column of [N, R]."""
    import torch

    constant = (x == x[0]).all(dim=0)
    deviation = torch.where(constant, 1.0, x.std(dim=0, correction=0))
    return list(zip(x.mean(dim=0).tolist(), deviation.tolist(), strict=True))
