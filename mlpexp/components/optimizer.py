"""Optimizers: torch's own, built from a config.

θ are the parameters, g their gradients, η the learning rate `lr`. Where torch has a fused implementation for
the parameters' device it is used: the same numbers in one kernel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from mlpexp.errors import ConfigError
from mlpexp.fields.convert import show
from mlpexp.fields.ranges import Count, Fraction, NonNegative, Positive, Range
from mlpexp.fields.registry import Registry

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer as TorchOptimizer


@dataclass(frozen=True)
class Optimizer(ABC):
    """Base of all optimizers."""

    # Quasi-Newton methods compare losses between steps: they need the whole training set as one batch.
    full_batch: ClassVar[bool] = False
    # Whether each element of a parameter is moved by its own gradients alone, so that members of a stack can share
    # what `build` makes.
    elementwise: ClassVar[bool] = False
    # Whether torch's optimizer can be part of a CUDA graph, with its rate in a tensor.
    cuda_graph_safe: ClassVar[bool] = False
    # How weight decay enters, where a step is else `lr` times what depends on gradients alone: λ·θ is "added" to the
    # gradient, or θ loses η·λ·θ, "decoupled" from it. None where a step is something else.
    decay: ClassVar[Literal["added", "decoupled"] | None] = None
    # Whether the length of a step depends on the rate and not on the size of the gradient, as in Adam.
    gradient_scale_invariant: ClassVar[bool] = True

    lr: Positive
    """η, the learning rate: the size of a step; `scheduler` says how it changes during the run."""

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        """A torch optimizer over `parameters`."""

    def build_stacked(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        """One over parameters [K, …] of K members; it moves those of each as `build` alone does, and its state is
        theirs with an axis for the members."""
        return self.build(parameters)

    @property
    def stacks(self) -> bool:
        """Whether members of a stack can share an optimizer."""
        return self.elementwise or type(self).build_stacked is not Optimizer.build_stacked


optimizers: Registry[Optimizer] = Registry(
    "optimizer", {"sgd_momentum": "momentum", "nag": "nesterov", "l-bfgs": "lbfgs", "l_bfgs": "lbfgs"}
)


def _fused(parameters: list[nn.Parameter], devices: tuple[str, ...] = ("cpu", "cuda")) -> bool:
    return all(parameter.device.type in devices for parameter in parameters)


def _pair(name: str, betas: Sequence[float]) -> tuple[float, float]:
    if len(betas) != 2:
        raise ConfigError(f"{name}={show(betas)}: must be a list of two numbers, such as [0.9,0.999].")
    return betas[0], betas[1]


@optimizers.register("sgd")
@dataclass(frozen=True)
class SGD(Optimizer):
    """θ ← θ − η·g, for parameters θ with the gradient g."""

    elementwise: ClassVar[bool] = True
    decay: ClassVar[Literal["added", "decoupled"] | None] = "added"
    cuda_graph_safe: ClassVar[bool] = True
    gradient_scale_invariant: ClassVar[bool] = False

    weight_decay: NonNegative = 0.0
    """λ, weight decay: λ·θ is added to the gradient g of the parameters θ (L2 regularisation)."""

    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        import torch

        params = list(parameters)
        return torch.optim.SGD(params, lr=self.lr, weight_decay=self.weight_decay, fused=_fused(params))


@optimizers.register("momentum")
@dataclass(frozen=True)
class Momentum(Optimizer):
    """v ← μ·v + g, θ ← θ − η·v (Polyak 1964)."""

    elementwise: ClassVar[bool] = True
    decay: ClassVar[Literal["added", "decoupled"] | None] = "added"
    cuda_graph_safe: ClassVar[bool] = True
    gradient_scale_invariant: ClassVar[bool] = False

    momentum: Fraction = 0.9
    """μ: decay rate of v per step."""
    weight_decay: NonNegative = 0.0
    """λ, weight decay: λ·θ is added to the gradient g of the parameters θ (L2 regularisation)."""
    nesterov: ClassVar[bool] = False

    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        import torch

        params = list(parameters)
        return torch.optim.SGD(
            params,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=_fused(params),
        )


@optimizers.register("nesterov")
@dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum that looks ahead: v ← μ·v + g, θ ← θ − η·(g + μ·v) (Sutskever et al. 2013)."""

    momentum: Annotated[float, Range(low=0, high=1, open_low=True, open_high=True)] = 0.9
    nesterov: ClassVar[bool] = True


@dataclass(frozen=True)
class AdaptiveMoments(Optimizer):
    """Base of Adam, AdamW and the like: decaying means m of g and v of g²."""

    # Of these only Adam and AdamW are safe in CUDA graphs: the capturable forms of the others correct in float32 what
    # is else done in float64, which makes other steps where β₂ is near 1.
    elementwise: ClassVar[bool] = True
    decay: ClassVar[Literal["added", "decoupled"] | None] = "added"

    betas: tuple[Fraction, ...] = (0.9, 0.999)
    """β₁ and β₂: decay rates per step of m, the running mean of g, and of v, that of g²."""
    eps: Positive = 1e-8
    """ε, added to √v̂ in the denominator against division by zero."""
    weight_decay: NonNegative = 0.0
    """λ, weight decay: λ·θ is added to the gradient g of the parameters θ (L2 regularisation)."""

    def __post_init__(self) -> None:
        _pair("betas", self.betas)

    def numbers(self) -> dict[str, Any]:
        """The arguments as torch's constructors name them."""
        return {
            "lr": self.lr,
            "betas": _pair("betas", self.betas),
            "eps": self.eps,
            "weight_decay": self.weight_decay,
        }


@optimizers.register("adam")
@dataclass(frozen=True)
class Adam(AdaptiveMoments):
    """θ ← θ − η·m̂/(√v̂ + ε), with m̂ and v̂ corrected for their start at zero (Kingma & Ba 2015, arXiv 1412.6980)."""

    cuda_graph_safe: ClassVar[bool] = True

    amsgrad: bool = False
    """Whether the largest v so far takes the place of v (AMSGrad; Reddi et al. 2018, arXiv 1904.09237)."""

    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        import torch

        params = list(parameters)
        return torch.optim.Adam(params, **self.numbers(), amsgrad=self.amsgrad, fused=_fused(params))


@optimizers.register("adamw")
@dataclass(frozen=True)
class AdamW(AdaptiveMoments):
    """Adam with decoupled weight decay, θ ← θ − η·λ·θ (Loshchilov & Hutter 2019, arXiv 1711.05101)."""

    cuda_graph_safe: ClassVar[bool] = True
    decay: ClassVar[Literal["added", "decoupled"] | None] = "decoupled"

    weight_decay: NonNegative = 0.01
    """λ, decoupled weight decay: each step also subtracts η·λ·θ from the parameters θ."""
    amsgrad: bool = False
    """Whether the largest v so far takes the place of v (AMSGrad; Reddi et al. 2018, arXiv 1904.09237)."""

    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        import torch

        params = list(parameters)
        return torch.optim.AdamW(params, **self.numbers(), amsgrad=self.amsgrad, fused=_fused(params))


@optimizers.register("nadam")
@dataclass(frozen=True)
class NAdam(AdaptiveMoments):
    """Adam with Nesterov momentum (Dozat 2016)."""

    momentum_decay: NonNegative = 0.004
    """ψ: at step t the momentum is β₁·(1 − ½·0.96^(t·ψ)), which rises to β₁."""

    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        import torch

        return torch.optim.NAdam(parameters, **self.numbers(), momentum_decay=self.momentum_decay)


@optimizers.register("radam")
@dataclass(frozen=True)
class RAdam(AdaptiveMoments):
    """Adam that rectifies the variance of its first steps (Liu et al. 2020, arXiv 1908.03265)."""

    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        import torch

        return torch.optim.RAdam(parameters, **self.numbers())


@optimizers.register("rmsprop")
@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v ← α·v + (1 − α)·g², θ ← θ − η·g/(√v + ε) (Hinton 2012, lecture 6e)."""

    elementwise: ClassVar[bool] = True
    decay: ClassVar[Literal["added", "decoupled"] | None] = "added"
    cuda_graph_safe: ClassVar[bool] = True

    alpha: Fraction = 0.99
    """α: decay rate of v per step."""
    eps: Positive = 1e-8
    """ε, added to √v in the denominator against division by zero."""
    weight_decay: NonNegative = 0.0
    """λ, weight decay: λ·θ is added to the gradient g of the parameters θ (L2 regularisation)."""
    momentum: Fraction = 0.0
    """Decay rate per step of a momentum of the steps; 0: no momentum."""
    centered: bool = False
    """Whether the squared mean of g is subtracted from v, which leaves the variance of g."""

    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        import torch

        return torch.optim.RMSprop(
            parameters,
            lr=self.lr,
            alpha=self.alpha,
            eps=self.eps,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            centered=self.centered,
        )


@optimizers.register("adagrad")
@dataclass(frozen=True)
class Adagrad(Optimizer):
    """v ← v + g², θ ← θ − η·g/(√v + ε) (Duchi et al. 2011)."""

    elementwise: ClassVar[bool] = True
    decay: ClassVar[Literal["added", "decoupled"] | None] = "added"

    lr_decay: NonNegative = 0.0
    """After t steps the rate is η/(1 + t·lr_decay)."""
    weight_decay: NonNegative = 0.0
    """λ, weight decay: λ·θ is added to the gradient g of the parameters θ (L2 regularisation)."""
    eps: Positive = 1e-10
    """ε, added to √v in the denominator against division by zero."""

    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        import torch

        params = list(parameters)
        return torch.optim.Adagrad(
            params,
            lr=self.lr,
            lr_decay=self.lr_decay,
            weight_decay=self.weight_decay,
            eps=self.eps,
            fused=_fused(params, devices=("cpu",)),
        )


@optimizers.register("muon")
@dataclass(frozen=True)
class Muon(Optimizer):
    """Muon for 2-D weights (momentum, orthogonalised by Newton-Schulz; Jordan 2024), AdamW for the rest.

    Steps of Muon are scaled to the size of AdamW's (Liu et al. 2025, arXiv 2502.16982), so that one `lr` and
    one `weight_decay` serve both.
    """

    decay: ClassVar[Literal["added", "decoupled"] | None] = "decoupled"

    weight_decay: NonNegative = 0.01
    """λ, decoupled weight decay: each step also subtracts η·λ·θ from the parameters θ."""
    momentum: Fraction = 0.95
    """μ of the 2-D weights: m ← μ·m + (1 − μ)·g."""
    nesterov: bool = True
    """Whether μ·m + (1 − μ)·g is orthogonalised, in place of m."""
    ns_steps: Annotated[int, Range(low=1, high=20)] = 5
    """Iterations of Newton-Schulz in each step."""
    betas: tuple[Fraction, ...] = (0.9, 0.999)
    """β₁ and β₂ of AdamW, which moves the parameters that are not 2-D."""

    def __post_init__(self) -> None:
        _pair("betas", self.betas)

    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        import torch

        return self._paired(parameters, 2, partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw"))

    def build_stacked(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        from mlpexp.components.stacked_muon import StackedMuon

        return self._paired(parameters, 3, StackedMuon)

    def _paired(
        self, parameters: Iterable[nn.Parameter], ndim: int, muon: Callable[..., TorchOptimizer]
    ) -> TorchOptimizer:
        """`muon` over the parameters of `ndim` dimensions, AdamW over the others."""
        import torch

        from mlpexp.components.paired_optimizer import PairedOptimizer

        params = list(parameters)
        matrices = [parameter for parameter in params if parameter.ndim == ndim]
        others = [parameter for parameter in params if parameter.ndim != ndim]
        parts: list[TorchOptimizer] = []
        if matrices:
            parts.append(
                muon(
                    matrices,
                    lr=self.lr,
                    weight_decay=self.weight_decay,
                    momentum=self.momentum,
                    nesterov=self.nesterov,
                    ns_steps=self.ns_steps,
                )
            )
        if others:
            betas = _pair("betas", self.betas)
            parts.append(
                torch.optim.AdamW(others, lr=self.lr, betas=betas, weight_decay=self.weight_decay, fused=_fused(others))
            )
        return PairedOptimizer(parts)


@optimizers.register("lbfgs")
@dataclass(frozen=True)
class LBFGS(Optimizer):
    """Limited-memory BFGS over the whole training set (Liu & Nocedal 1989); one step an epoch."""

    full_batch: ClassVar[bool] = True

    lr: Positive = 1.0
    """η, the step length: the first that line search tries; without line search, that of every iteration."""
    max_iter: Count = 20
    """Maximum number of iterations in an epoch."""
    history_size: Annotated[int, Range(low=1, high=1000)] = 10
    """Number of past iterations from which the Hessian is approximated."""
    line_search: Literal["strong_wolfe"] | None = "strong_wolfe"
    """strong_wolfe: step lengths that meet the strong Wolfe conditions; null: always η."""

    def build(self, parameters: Iterable[nn.Parameter]) -> TorchOptimizer:
        import torch

        return torch.optim.LBFGS(
            parameters,
            lr=self.lr,
            max_iter=self.max_iter,
            history_size=self.history_size,
            line_search_fn=self.line_search,
        )
