"""The preprocessing from raw columns to network inputs: fitted on training rows only, in float64, storable as JSON.

N rows, R raw columns, F inputs. The one function `Preprocessing.inputs` serves training, evaluation, prediction and
figures.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from mlpexp.data.columns import KINDS, Column, Image, Number, moments
from mlpexp.fields.convert import as_plain, hints_of

if TYPE_CHECKING:
    from torch import Tensor

Transform = Literal["none", "log", "log1p"]
# Transformed values must be greater than this bound.
BOUNDS: dict[Transform, float] = {"none": -math.inf, "log": 0.0, "log1p": -1.0}
# The most inputs that a stored file may declare: images of 4096 × 4096 pixels.
_MOST_INPUTS = 2**24
# Values encoded at a time, so that temporary tensors are small compared with the inputs.
_PART = 2**22


@dataclass(frozen=True)
class Target:
    """The target: its name and, for values, the mean and deviation of its scaling. The task holds the classes."""

    name: str = "y"
    mean: float = 0.0
    deviation: float = 1.0
    transform: Transform = "none"
    """Transform before standardisation: none, ln y or ln(1 + y)."""
    merged: tuple[str, ...] = ()
    """Rare classes that are merged into the last one."""

    @staticmethod
    def fit(name: str, values: Tensor, transform: Transform = "none") -> Target:
        """Fits to the training rows' values, float64 [n, 1]."""
        values = _transformed(values, transform)
        mean, deviation = moments(values)
        return Target(name, mean, deviation or 1.0, transform)

    def scaled(self, values: Tensor) -> Tensor:
        """Values in the scale of the network output, float64."""
        return (_transformed(values.double(), self.transform) - self.mean) / self.deviation

    def unscaled(self, scaled: Tensor) -> Tensor:
        """The inverse of `scaled`, float64."""
        values = scaled.cpu().double()
        # As tensors: a Python number is rounded to float32 in ONNX export.
        values = values * values.new_tensor(self.deviation) + values.new_tensor(self.mean)
        return values.exp() if self.transform == "log" else values.expm1() if self.transform == "log1p" else values


@dataclass(frozen=True)
class Preprocessing:
    """The columns in the order of the network inputs, and the target."""

    columns: tuple[Column, ...]
    target: Target = Target()
    further: tuple[Target, ...] = ()
    """The other targets, if several values are predicted."""

    @staticmethod
    def unscaled(names: Sequence[str], target: str = "y") -> Preprocessing:
        """The preprocessing that leaves numbers unchanged."""
        return Preprocessing(tuple(Number(name) for name in names), Target(target))

    @staticmethod
    def fit(x: Tensor, names: Sequence[str], target: str = "y", values: Tensor | None = None) -> Preprocessing:
        """Mean and standard deviation of training rows `x` [N, R], and of the `values` [N, 1] to predict, if any."""
        columns = tuple(Number.fit(name, column) for name, column in zip(names, x.T, strict=True))
        return Preprocessing(columns, Target(target) if values is None else Target.fit(target, values))

    @property
    def outputs(self) -> tuple[Target, ...]:
        """All targets."""
        return (self.target, *self.further)

    @property
    def n_raw(self) -> int:
        """R, the number of raw columns."""
        return sum(column.n_raw for column in self.columns)

    @property
    def n_inputs(self) -> int:
        """F, the number of inputs."""
        return sum(n for column in self.columns for *_, n in column.scaling)

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width) if the raw columns are the pixels of an image, else None."""
        channels = [column for column in self.columns if isinstance(column, Image)]
        sizes = {(channel.height, channel.width) for channel in channels}
        return (len(channels), *sizes.pop()) if len(channels) == len(self.columns) and len(sizes) == 1 else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the raw columns; empty for images."""
        return () if self.image_shape else tuple(column.name for column in self.columns)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(name for column in self.columns for name in column.names)

    @property
    def inputs_of_columns(self) -> tuple[slice, ...]:
        """The inputs of each raw column."""
        ends = [0, *accumulate(sum(n for *_, n in column.scaling) for column in self.columns)]
        return tuple(slice(*pair) for pair in pairwise(ends))

    @property
    def linear(self) -> bool:
        """Whether each raw value is one input, (value − mean) / deviation, so that the inverse exists."""
        return self.n_inputs == self.n_raw and not any(getattr(column, "quantiles", ()) for column in self.columns)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each input [F], float64; the deviation is infinite if training rows are constant."""
        import torch

        parts = [part for column in self.columns for part in column.scaling]
        mean, deviation = (torch.tensor([part[at] for part in parts], dtype=torch.float64) for at in (0, 1))
        counts = torch.tensor([n for *_, n in parts])
        deviation = torch.where(deviation == 0, math.inf, deviation)
        return mean.repeat_interleave(counts), deviation.repeat_interleave(counts)

    def inputs(self, raw: Tensor) -> Tensor:
        """Network inputs [N, F] of raw columns [N, R], on the CPU: computed in float64, returned in float32.

        In float32, timestamps in seconds have a resolution of two minutes, and 10¹² ± 10³ are the same number.
        """
        import torch

        mean, deviation = self.moments
        found = torch.empty(len(raw), self.n_inputs)
        n = max(1, _PART // max(1, self.n_inputs))
        for rows, part in zip(found.split(n), raw.split(n), strict=True):
            rows.copy_((self.encoded(part.double()) - mean) / deviation)
        return found

    def encoded(self, raw: Tensor) -> Tensor:
        """Inputs [N, F] before scaling, of raw columns [N, R], float64. Only torch operations, for ONNX export."""
        import torch

        columns = raw.split([column.n_raw for column in self.columns], dim=1)
        return torch.cat([column.encoded(values) for column, values in zip(self.columns, columns, strict=True)], dim=1)

    def raw(self, inputs: Tensor) -> Tensor:
        """The inverse of `inputs` if they are `linear`, float64."""
        mean, deviation = self.moments
        return (inputs.cpu().double() * deviation.nan_to_num(posinf=0)) + mean

    def targets(self, values: Tensor) -> Tensor:
        """Target values [N, T] in the scale of the network output, float32."""
        return self._of_each(Target.scaled, values).float()

    def values(self, targets: Tensor) -> Tensor:
        """The inverse of `targets`, float64."""
        return self._of_each(Target.unscaled, targets)

    def _of_each(self, change: Callable[[Target, Tensor], Tensor], values: Tensor) -> Tensor:
        import torch

        return torch.cat(
            [change(target, part) for target, part in zip(self.outputs, values.split(1, 1), strict=True)], 1
        )

    def to_plain(self) -> dict[str, Any]:
        """The form stored in JSON; floats are restored exactly."""
        columns = [{"kind": column.kind, **as_plain(column)} for column in self.columns]
        return {"columns": columns, "targets": as_plain(self.outputs)}

    @staticmethod
    def of_plain(plain: Any) -> Preprocessing:
        """The inverse of `to_plain`; ValueError if the content is invalid."""
        columns = plain.get("columns") if isinstance(plain, Mapping) else None
        if not isinstance(columns, list) or not columns:
            raise ValueError("its preprocessing has no columns")
        targets = plain.get("targets")
        if not isinstance(targets, list) or not targets:
            raise ValueError("its preprocessing has no target")
        first, *further = (_built(Target, target) for target in targets)
        found = Preprocessing(tuple(map(_column, columns)), first, tuple(further))
        if found.n_inputs > _MOST_INPUTS:
            raise ValueError(f"its preprocessing has {found.n_inputs:,} inputs")
        return found


def _column(plain: Any) -> Column:
    kind = plain.get("kind") if isinstance(plain, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"a column of its preprocessing is of no known kind: {kind}")
    return _built(KINDS[kind], {name: value for name, value in plain.items() if name != "kind"})


def _built(cls: Any, plain: Any) -> Any:
    """A dataclass from a mapping of its fields, each of them checked."""
    names = [field.name for field in dataclasses.fields(cls)]
    if not isinstance(plain, Mapping) or set(plain) != set(names):
        raise ValueError(f"its preprocessing lacks a part: {', '.join(names)}")
    for name, value in plain.items():
        if not _fits(value, hints_of(cls)[name]) or (name in ("height", "width") and value < 1):
            raise ValueError(f"its preprocessing has {name}={value}")
    if plain.get("deviation", 0.0) < 0:
        raise ValueError(f"its preprocessing has deviation={plain['deviation']}")
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()})


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value has the type `hint`: str, int, bool, finite float, or a list of one of these."""
    if get_origin(hint) is types.UnionType:
        return value is None or _fits(value, get_args(hint)[0])
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(_fits(entry, get_args(hint)[0]) for entry in value)
    return type(value) is hint and (hint is not float or math.isfinite(value))


def _transformed(values: Tensor, transform: Transform) -> Tensor:
    return values.log() if transform == "log" else values.log1p() if transform == "log1p" else values
