"""Models: networks that turn inputs [B, F] into outputs [B, C]."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from mlpexp.components.activation import Activation
from mlpexp.components.regularizer import Regularizer
from mlpexp.components.regularizer import regularizers as known_regularizers
from mlpexp.fields.ranges import Range
from mlpexp.fields.registry import Registry

if TYPE_CHECKING:
    from torch import nn

# A layer of a million units is larger than anything that is trained here, and still fits in memory.
Width = Annotated[int, Range(low=1, high=1_000_000)]


@dataclass(frozen=True)
class Model(ABC):
    """Base of all models."""

    @property
    def activates(self) -> bool:
        """Whether `build` uses the activation, and the layers that regularizers add."""
        return True

    @abstractmethod
    def build(
        self, n_features: int, n_outputs: int, activation: Activation, regularizers: Sequence[Regularizer]
    ) -> nn.Module:
        """A new plain module from [B, n_features] to [B, n_outputs]; the engine initialises its linear layers."""

    @abstractmethod
    def n_parameters(self, n_features: int, n_outputs: int) -> int:
        """How many weights and biases the linear layers have; known before anything is allocated."""


models: Registry[Model] = Registry("model", {"dense": "mlp", "dnn": "mlp", "nn": "mlp", "linear": "perceptron"})


def _linear_sizes(widths: Sequence[int]) -> int:
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(widths))


@models.register("perceptron")
@dataclass(frozen=True)
class Perceptron(Model):
    """One linear layer: what can be learned without hidden units."""

    @property
    def activates(self) -> bool:
        return False

    def build(
        self, n_features: int, n_outputs: int, activation: Activation, regularizers: Sequence[Regularizer]
    ) -> nn.Module:
        from torch import nn

        return nn.Sequential(OrderedDict(output=nn.Linear(n_features, n_outputs)))

    def n_parameters(self, n_features: int, n_outputs: int) -> int:
        return _linear_sizes([n_features, n_outputs])


@models.register("mlp")
@dataclass(frozen=True)
class MLP(Model):
    """Hidden layers, each: linear, normalisation, activation, dropout; then a linear output."""

    hidden: tuple[Width, ...]
    """Units of each hidden layer, from the input on; []: no hidden layer."""

    @property
    def activates(self) -> bool:
        return bool(self.hidden)

    def build(
        self, n_features: int, n_outputs: int, activation: Activation, regularizers: Sequence[Regularizer]
    ) -> nn.Module:
        from torch import nn

        layers: OrderedDict[str, nn.Module] = OrderedDict()
        n_in = n_features
        for index, width in enumerate(self.hidden, 1):
            layers[f"hidden{index}"] = nn.Linear(n_in, width)
            for regularizer in regularizers:
                if (layer := regularizer.before_activation(width)) is not None:
                    layers[f"{known_regularizers.name_of(regularizer)}{index}"] = layer
            layers[f"activation{index}"] = activation.build()
            for regularizer in regularizers:
                if (layer := regularizer.after_activation()) is not None:
                    layers[f"{known_regularizers.name_of(regularizer)}{index}"] = layer
            n_in = width
        layers["output"] = nn.Linear(n_in, n_outputs)
        return nn.Sequential(layers)

    def n_parameters(self, n_features: int, n_outputs: int) -> int:
        return _linear_sizes([n_features, *self.hidden, n_outputs])
