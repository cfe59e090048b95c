"""Activations: element-wise functions between the layers.

Each is a frozen dataclass whose `build` gives torch's own module and whose `gain` scales the Kaiming
initialisations: the factor by which weights must be larger than 1/√fan_in for the signal to keep its size.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from mlpexp.fields.ranges import NonNegative, Positive
from mlpexp.fields.registry import Registry

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Activation(ABC):
    """Base of all activations."""

    # The limits of the output for x → ±∞; None where a side has none. Near them the slope is small: units saturate.
    limits: ClassVar[tuple[float, float] | None] = None

    @abstractmethod
    def build(self) -> nn.Module:
        """A new module that computes the function element by element, on any shape."""

    def gain(self) -> float:
        """1/√E[f(z)²] for z ~ N(0, 1): He et al. 2015 (arXiv 1502.01852), eq. 10, for any function f.

        For ReLU this is √2, as there. Where torch.nn.init.calculate_gain has a value of its own, that is
        used instead (sigmoid, tanh, relu, leaky_relu, selu, identity).
        """
        import numpy as np
        import torch

        # Probabilists' Gauss-Hermite nodes: exact for smooth f; 200 of them give √2 for ReLU to 1e-3.
        nodes, weights = np.polynomial.hermite_e.hermegauss(200)
        with torch.no_grad():
            values = self.build().double()(torch.from_numpy(nodes))
        second_moment = float((torch.from_numpy(weights) * values.square()).sum()) / math.sqrt(2 * math.pi)
        return 1 / math.sqrt(second_moment)


activations: Registry[Activation] = Registry(
    "activation",
    {"swish": "silu", "linear": "identity", "none": "identity", "lrelu": "leaky_relu", "logistic": "sigmoid"},
)


@activations.register("identity")
@dataclass(frozen=True)
class Identity(Activation):
    """f(x) = x. A network of it is linear, however deep."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Identity()

    def gain(self) -> float:
        return 1.0


@activations.register("sigmoid")
@dataclass(frozen=True)
class Sigmoid(Activation):
    """f(x) = 1 / (1 + e⁻ˣ), range (0, 1); its derivative is at most 1/4, so gradients vanish with depth."""

    limits: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Sigmoid()

    def gain(self) -> float:
        return 1.0


@activations.register("tanh")
@dataclass(frozen=True)
class Tanh(Activation):
    """f(x) = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ), range (−1, 1)."""

    limits: ClassVar[tuple[float, float] | None] = (-1.0, 1.0)

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Tanh()

    def gain(self) -> float:
        return 5 / 3


@activations.register("relu")
@dataclass(frozen=True)
class ReLU(Activation):
    """f(x) = max(0, x), range [0, ∞)."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.ReLU()

    def gain(self) -> float:
        return math.sqrt(2)


@activations.register("leaky_relu")
@dataclass(frozen=True)
class LeakyReLU(Activation):
    """f(x) = x for x ≥ 0, else a·x (Maas et al. 2013)."""

    negative_slope: NonNegative = 0.01
    """a, the slope below zero."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.LeakyReLU(self.negative_slope)

    def gain(self) -> float:
        return math.sqrt(2 / (1 + self.negative_slope**2))


@activations.register("prelu")
@dataclass(frozen=True)
class PReLU(Activation):
    """f(x) = x for x ≥ 0, else a·x with one learned a for each layer (He et al. 2015, arXiv 1502.01852)."""

    init: NonNegative = 0.25
    """Initial value of a, the slope below zero."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.PReLU(init=self.init)


@activations.register("elu")
@dataclass(frozen=True)
class ELU(Activation):
    """f(x) = x for x > 0, else α(eˣ − 1), range (−α, ∞) (Clevert et al. 2016, arXiv 1511.07289)."""

    alpha: Positive = 1.0
    """α: the function tends to −α for x → −∞."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.ELU(self.alpha)


@activations.register("selu")
@dataclass(frozen=True)
class SELU(Activation):
    """λ·ELU with α ≈ 1.6733, λ ≈ 1.0507 (Klambauer et al. 2017, arXiv 1706.02515); goes with init=lecun_normal."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.SELU()

    def gain(self) -> float:
        return 3 / 4


@activations.register("gelu")
@dataclass(frozen=True)
class GELU(Activation):
    """f(x) = x·Φ(x), range [≈ −0.17, ∞), Φ the normal distribution's CDF (arXiv 1606.08415)."""

    approximate: Literal["none", "tanh"] = "none"
    """none: Φ itself; tanh: Φ(x) ≈ (1 + tanh(√(2/π)·(x + 0.044715·x³)))/2."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.GELU(self.approximate)


@activations.register("silu")
@dataclass(frozen=True)
class SiLU(Activation):
    """f(x) = x·σ(x), also called swish, range [≈ −0.28, ∞) (arXiv 1702.03118)."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.SiLU()


@activations.register("mish")
@dataclass(frozen=True)
class Mish(Activation):
    """f(x) = x·tanh(softplus(x)), range [≈ −0.31, ∞) (Misra 2019, arXiv 1908.08681)."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Mish()


@activations.register("softplus")
@dataclass(frozen=True)
class Softplus(Activation):
    """f(x) = ln(1 + e^(βx)) / β, range (0, ∞): a smooth ReLU."""

    beta: Positive = 1.0
    """β, the sharpness of the bend at zero: the larger, the nearer to ReLU."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Softplus(self.beta)


@activations.register("softsign")
@dataclass(frozen=True)
class Softsign(Activation):
    """f(x) = x / (1 + |x|), range (−1, 1): tanh with slower tails."""

    limits: ClassVar[tuple[float, float] | None] = (-1.0, 1.0)

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Softsign()


@activations.register("hardswish")
@dataclass(frozen=True)
class Hardswish(Activation):
    """f(x) = x·min(max(x + 3, 0), 6) / 6, range [−0.375, ∞) (Howard et al. 2019, arXiv 1905.02244)."""

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Hardswish()
