"""Initialisations of the linear layers: what the weights are before the first step.

Each draws from a generator that the member owns, so that a seed gives the same weights wherever the run
happens. Biases are zero, except under `default`. n_in and n_out below are a layer's inputs and outputs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlpexp.fields.ranges import Finite, Positive
from mlpexp.fields.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Init(ABC):
    """Base of all initialisations."""

    def fill(self, linear: nn.Linear, gain: float, generator: torch.Generator) -> None:
        """Sets the weights and biases of one layer in place; `gain` is that of the activation in use."""
        from torch import nn

        self.fill_weight(linear.weight, gain, generator)
        if linear.bias is not None:
            nn.init.zeros_(linear.bias)

    @abstractmethod
    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        """Sets `weight` [n_out, n_in] in place."""


inits: Registry[Init] = Registry(
    "init",
    {
        "glorot": "xavier_uniform",
        "glorot_uniform": "xavier_uniform",
        "glorot_normal": "xavier_normal",
        "he": "kaiming_normal",
        "he_normal": "kaiming_normal",
        "he_uniform": "kaiming_uniform",
        "kaiming": "kaiming_normal",
        "xavier": "xavier_uniform",
        "zero": "zeros",
    },
)


@inits.register("default")
@dataclass(frozen=True)
class Default(Init):
    """torch's own for nn.Linear: weights and biases from U(−b, b) with b = 1/√n_in."""

    def fill(self, linear: nn.Linear, gain: float, generator: torch.Generator) -> None:
        from torch import nn

        self.fill_weight(linear.weight, gain, generator)
        if linear.bias is not None:
            bound = 1 / math.sqrt(linear.in_features)
            nn.init.uniform_(linear.bias, -bound, bound, generator=generator)

    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        from torch import nn

        nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)


@inits.register("xavier_uniform")
@dataclass(frozen=True)
class XavierUniform(Init):
    """U(−b, b) with b = gain·√(6/(n_in + n_out)) (Glorot & Bengio 2010)."""

    gain: Positive = 1.0
    """Factor of the standard deviation of the weights: 1 suits sigmoid, 5/3 tanh."""

    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        from torch import nn

        nn.init.xavier_uniform_(weight, gain=self.gain, generator=generator)


@inits.register("xavier_normal")
@dataclass(frozen=True)
class XavierNormal(Init):
    """N(0, s²) with s = gain·√(2/(n_in + n_out)) (Glorot & Bengio 2010)."""

    gain: Positive = 1.0
    """Factor of the standard deviation of the weights: 1 suits sigmoid, 5/3 tanh."""

    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        from torch import nn

        nn.init.xavier_normal_(weight, gain=self.gain, generator=generator)


@inits.register("kaiming_uniform")
@dataclass(frozen=True)
class KaimingUniform(Init):
    """U(−b, b) with b = gain·√(3/n_in), the gain from the activation in use (He et al. 2015, arXiv 1502.01852)."""

    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        from torch import nn

        bound = gain * math.sqrt(3 / weight.shape[1])
        nn.init.uniform_(weight, -bound, bound, generator=generator)


@inits.register("kaiming_normal")
@dataclass(frozen=True)
class KaimingNormal(Init):
    """N(0, s²) with s = gain/√n_in, the gain from the activation in use (He et al. 2015, arXiv 1502.01852)."""

    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        from torch import nn

        nn.init.normal_(weight, 0.0, gain / math.sqrt(weight.shape[1]), generator=generator)


@inits.register("lecun_normal")
@dataclass(frozen=True)
class LecunNormal(Init):
    """N(0, 1/n_in) (LeCun et al. 1998); the one that SELU networks need."""

    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        from torch import nn

        nn.init.normal_(weight, 0.0, 1 / math.sqrt(weight.shape[1]), generator=generator)


@inits.register("orthogonal")
@dataclass(frozen=True)
class Orthogonal(Init):
    """gain times a random (semi-)orthogonal matrix (Saxe et al. 2014, arXiv 1312.6120)."""

    gain: Positive = 1.0
    """Factor of the matrix, by which a layer multiplies lengths."""

    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        from torch import nn

        nn.init.orthogonal_(weight, gain=self.gain, generator=generator)


@inits.register("normal")
@dataclass(frozen=True)
class Normal(Init):
    """N(mean, std²), whatever the layer's size."""

    mean: Finite = 0.0
    """Mean of the weights."""
    std: Positive = 0.01
    """Standard deviation of the weights."""

    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        from torch import nn

        nn.init.normal_(weight, self.mean, self.std, generator=generator)


@inits.register("zeros")
@dataclass(frozen=True)
class Zeros(Init):
    """All weights 0: every unit of a layer stays the same as its neighbours, so that the network cannot learn."""

    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        from torch import nn

        nn.init.zeros_(weight)
