"""Regularizers: methods against overfitting. Several can be combined.

Each overrides the one or two methods below that it needs; all others do nothing. Formulas are written for one
member. Leading axes are free: weights are [..., n_out, n_in], inputs [..., B, F], so that the same code
serves a member alone and a stack of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mlpexp.fields.ranges import Count, Fraction, NonNegative, OpenFraction, Positive
from mlpexp.fields.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mlpexp.data.batch import Batch


@dataclass(frozen=True)
class Regularizer:
    """Base of all regularizers."""

    # Members of one stack may differ in these fields of a regularizer that adds layers or changes batches.
    strengths: ClassVar[tuple[str, ...]] = ()

    def before_activation(self, width: int) -> nn.Module | None:
        """A layer of `width` units to put between each hidden linear layer and its activation."""
        return None

    def after_activation(self) -> nn.Module | None:
        """A layer to put behind each hidden activation."""
        return None

    def penalty(self, weights: list[Tensor]) -> Tensor | None:
        """A term [...] to add to the loss, from the linear layers' weights [..., n_out, n_in]."""
        return None

    def constrain(self, weights: list[Tensor]) -> None:
        """Changes the weights [..., n_out, n_in] in place after a step."""

    def augment(self, batch: Batch) -> Batch:
        """The training batch to learn from instead of `batch`; validation and test batches are not augmented."""
        return batch

    @property
    def smoothing(self) -> float:
        """ε of label smoothing."""
        return 0.0

    @property
    def only_adds_layers(self) -> bool:
        """Whether it does nothing in a network without hidden layers."""
        own = {
            name
            for name in ("before_activation", "after_activation", "penalty", "constrain", "augment", "smoothing")
            if getattr(type(self), name) is not getattr(Regularizer, name)
        }
        return bool(own) and own <= {"before_activation", "after_activation"}


regularizers: Registry[Regularizer] = Registry(
    "regularizer",
    {
        "weight_decay": "l2",
        "ridge": "l2",
        "lasso": "l1",
        "batch_norm": "batchnorm",
        "layer_norm": "layernorm",
        "bn": "batchnorm",
        "noise": "input_noise",
    },
)


@regularizers.register("dropout")
@dataclass(frozen=True)
class Dropout(Regularizer):
    """Each hidden unit is 0 with probability p, else scaled by 1/(1 − p) (Srivastava et al. 2014)."""

    strengths: ClassVar[tuple[str, ...]] = ("p",)

    p: Fraction = 0.5
    """Probability that a unit is dropped."""

    def after_activation(self) -> nn.Module:
        from mlpexp.components import dropout

        return dropout.Dropout(self.p)


@regularizers.register("alpha_dropout")
@dataclass(frozen=True)
class AlphaDropout(Regularizer):
    """Dropout that keeps mean and variance under SELU (Klambauer et al. 2017, arXiv 1706.02515)."""

    strengths: ClassVar[tuple[str, ...]] = ("p",)

    p: Fraction = 0.1
    """Probability that a unit is dropped: set to the limit of SELU for x → −∞."""

    def after_activation(self) -> nn.Module:
        from mlpexp.components import dropout

        return dropout.AlphaDropout(self.p)


@regularizers.register("batchnorm")
@dataclass(frozen=True)
class BatchNorm(Regularizer):
    """γ·(x − mean)/√(var + ε) + β over the batch, for each unit (Ioffe & Szegedy 2015, arXiv 1502.03167)."""

    momentum: OpenFraction = 0.1
    """Share of the newest batch in the running mean and variance, which evaluation uses."""
    eps: Positive = 1e-5
    """ε, added to the variance in the denominator against division by zero."""

    def before_activation(self, width: int) -> nn.Module:
        from torch import nn

        return nn.BatchNorm1d(width, eps=self.eps, momentum=self.momentum)


@regularizers.register("layernorm")
@dataclass(frozen=True)
class LayerNorm(Regularizer):
    """γ·(x − mean)/√(var + ε) + β over the units, for each sample (Ba et al. 2016, arXiv 1607.06450)."""

    eps: Positive = 1e-5
    """ε, added to the variance in the denominator against division by zero."""

    def before_activation(self, width: int) -> nn.Module:
        from torch import nn

        return nn.LayerNorm(width, eps=self.eps)


@regularizers.register("l1")
@dataclass(frozen=True)
class L1(Regularizer):
    """Adds strength·Σ|w| over the weights of the linear layers (not their biases) to the loss."""

    strength: NonNegative = 1e-5
    """Factor of Σ|w| in the loss."""

    def penalty(self, weights: list[Tensor]) -> Tensor:
        import torch

        return self.strength * torch.stack([weight.abs().sum((-2, -1)) for weight in weights]).sum(0)


@regularizers.register("l2")
@dataclass(frozen=True)
class L2(Regularizer):
    """Adds strength·Σw² over the weights of the linear layers (not their biases) to the loss.

    Under plain SGD this is weight decay of 2·strength; under Adam it is not (arXiv 1711.05101).
    """

    strength: NonNegative = 1e-4
    """Factor of Σw² in the loss."""

    def penalty(self, weights: list[Tensor]) -> Tensor:
        import torch

        return self.strength * torch.stack([weight.square().sum((-2, -1)) for weight in weights]).sum(0)


@regularizers.register("max_norm")
@dataclass(frozen=True)
class MaxNorm(Regularizer):
    """After each step the incoming weights of every unit are scaled back to norm `limit` where they exceed it.

    Srebro & Shraibman 2005; with dropout: Srivastava et al. 2014.
    """

    limit: Positive = 3.0
    """Maximum Euclidean norm of a unit's incoming weights."""

    def constrain(self, weights: list[Tensor]) -> None:
        for weight in weights:
            norms = weight.norm(dim=-1, keepdim=True)
            weight.mul_((self.limit / norms.clamp(min=1e-12)).clamp(max=1.0))


@regularizers.register("label_smoothing")
@dataclass(frozen=True)
class LabelSmoothing(Regularizer):
    """Targets (1 − ε)·one-hot + ε/n_classes (Szegedy et al. 2016, arXiv 1512.00567)."""

    epsilon: Fraction = 0.1
    """ε, the share of a target that is spread evenly over all classes."""

    @property
    def smoothing(self) -> float:
        return self.epsilon


@regularizers.register("input_noise")
@dataclass(frozen=True)
class InputNoise(Regularizer):
    """Adds N(0, std²) to the inputs of each training batch (Bishop 1995)."""

    strengths: ClassVar[tuple[str, ...]] = ("std",)

    std: NonNegative = 0.1
    """Standard deviation of the noise, in units of the standardised inputs."""

    def augment(self, batch: Batch) -> Batch:
        return batch.noisy(self.std)


@regularizers.register("mixup")
@dataclass(frozen=True)
class Mixup(Regularizer):
    """Each batch becomes λ·batch + (1 − λ)·shuffled batch, targets too, λ ~ Beta(α, α) (arXiv 1710.09412)."""

    strengths: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: Positive = 0.2
    """α of the Beta distribution: near 0 batches stay almost as they are, at 1 λ is uniform."""

    def augment(self, batch: Batch) -> Batch:
        return batch.mixed(self.alpha)


@regularizers.register("early_stopping")
@dataclass(frozen=True)
class EarlyStopping(Regularizer):
    """Stops when the validation loss has not fallen by more than `min_delta` for `patience` epochs.

    As without it, the result is that of the weights of the best epoch.
    """

    patience: Count = 10
    """Epochs without a fall of the validation loss after which training stops."""
    min_delta: NonNegative = 0.0
    """A fall of the validation loss counts if it is larger than this, in units of that loss."""
