"""Losses: what training minimises.

N samples (any leading axes), C outputs. A loss is written sample by sample; the engine takes the mean over a
member's batch. A loss also says how many outputs the network needs for a task, and what they mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from mlpexp.data.task import Task
from mlpexp.errors import ConfigError, unknown
from mlpexp.fields.convert import Named, show
from mlpexp.fields.ranges import Positive
from mlpexp.fields.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Loss(ABC):
    """Base of all losses."""

    kind: ClassVar[str]  # the kind of task that the loss is for

    def resolve(self, task: Task) -> Loss:
        """The loss to use for `task`: this one, or ConfigError where it is not for such a task."""
        if task.kind != self.kind:
            name = losses.name_of(self)
            fitting = ["auto", *(other for other, cls in losses.items() if getattr(cls, "kind", "") == task.kind)]
            raise ConfigError(
                f"loss={name}: is for {self.kind}, and the dataset is a {task.kind} task. "
                f"Choose from: {', '.join(fitting)}."
            )
        return self

    def n_outputs(self, task: Task) -> int:
        """How many outputs C the network must have."""
        return task.n_classes if task.kind == "classification" else task.n_values

    @abstractmethod
    def per_sample(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Losses [N] of `outputs` [N, C] for `targets`: classes [N] (int64), or values [N, C].

        `smoothing` is ε of label smoothing (Szegedy et al. 2016, arXiv 1512.00567): the target distribution
        becomes (1 − ε)·one-hot + ε/n_classes. Losses for regression ignore it.
        """

    def predict(self, outputs: Tensor) -> Tensor:
        """The class [...] that outputs [..., C] stand for: the largest, or the sign of a single logit."""
        return (outputs[..., 0] > 0).long() if outputs.shape[-1] == 1 else outputs.argmax(-1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Class probabilities [N, n_classes] of outputs [N, C], for losses of classification."""
        return outputs.softmax(-1)

    def class_weights(self, shares: Sequence[float], task: Task) -> tuple[float, ...] | None:
        """The weight of a row of each class, where `shares` are those of the training rows; None: all count alike.

        The mean of losses l over rows is then Σ w·l / Σ w, as in torch's losses with a `weight`; smoothed targets have
        the weight of the true class.
        """
        return None

    def weighted_shares(self, targets: Tensor, task: Task, weight: Tensor | None = None) -> Tensor:
        """How much of the mean each class has among training `targets`, [n_classes]: its share times its weight."""
        shares = class_shares(targets, task, weight)
        weights = self.class_weights(shares.tolist(), task)
        if weights is None:
            return shares
        weighted = shares * shares.new_tensor(weights)
        return weighted / weighted.sum()

    def constant(self, targets: Tensor, task: Task, smoothing: float = 0.0, weight: Tensor | None = None) -> Tensor:
        """The constant outputs [C], the same for each input, with the least mean loss on `targets`.

        Found numerically, for convex losses; a loss whose best constant is known gives that. `weight` [N] is how much
        each target counts; without it all count alike.
        """
        import torch

        if task.kind == "regression":
            from scipy.optimize import minimize_scalar

            best = []
            shares = None if weight is None else (weight / weight.sum()).double().cpu()
            for y in targets.double().cpu().split(1, dim=1):
                low, high = y.min().item(), y.max().item()

                def mean_of(value: float, y: Tensor = y) -> float:
                    losses = self.per_sample(y.new_full((len(y), 1), value), y)
                    return losses.mean().item() if shares is None else (shares * losses).sum().item()

                options = {"xatol": 1e-6 * (high - low)}
                best.append(minimize_scalar(mean_of, bounds=(low, high), method="bounded", options=options).x)
            return targets.new_tensor(best)
        from scipy.optimize import minimize

        shares = self.weighted_shares(targets, task, weight).double().cpu()
        classes = torch.arange(task.n_classes)[shares > 0]

        def mean_loss(outputs: np.ndarray) -> tuple[float, np.ndarray]:
            z = torch.from_numpy(outputs).requires_grad_()
            losses = self.per_sample(z.expand(len(classes), -1), classes, smoothing)
            loss = (losses * shares[classes]).sum()
            loss.backward()
            assert z.grad is not None
            return loss.item(), z.grad.numpy()

        with torch.enable_grad():
            start = torch.zeros(self.n_outputs(task), dtype=torch.float64).numpy()
            found = minimize(mean_loss, start, jac=True, method="L-BFGS-B", bounds=[(-_LARGEST, _LARGEST)] * len(start))
        return torch.from_numpy(found.x).to(targets.device, torch.float32)


# The bound of logits that would grow without limit where a class has no row: a probability of 1e-6.
_LARGEST = 14.0


def class_shares(targets: Tensor, task: Task, weight: Tensor | None = None) -> Tensor:
    """How frequent each class is among `targets`, [n_classes]; by weight [N], where that is given."""
    import torch

    if weight is not None:
        return torch.bincount(targets, weight, task.n_classes).float() / weight.sum()
    return torch.bincount(targets, minlength=task.n_classes).float() / len(targets)


@dataclass(frozen=True)
class ClassWeighted(Loss):
    """Base of losses of classification, in which rows can count by their class."""

    class_weight: Literal["balanced"] | tuple[Positive, ...] | Named[Positive] | None = None
    """How much a row counts by its class: the mean is Σ w·loss / Σ w, in validation and test too. balanced: n / (number
    of classes · rows of the class), so that rare classes count as much as others; or weights by class name, 1 for those
    that are not named; or a list of one for each class. null: all rows count alike."""

    def __post_init__(self) -> None:
        if isinstance(self.class_weight, dict):
            object.__setattr__(self, "class_weight", Named(self.class_weight))

    def resolve(self, task: Task) -> Loss:
        given, n = self.class_weight, task.n_classes
        if given is not None and task.kind != "classification":
            raise ConfigError(
                f"loss.class_weight={show(given)}: is for classification, and the dataset is a regression task."
            )
        if isinstance(given, tuple) and len(given) != n:
            raise ConfigError(
                f"loss.class_weight={show(given)}: must be a list of {n} numbers, one for each class: "
                f"{', '.join(task.classes[:_MOST_NAMES])}{', …' if n > _MOST_NAMES else ''}."
            )
        unknown_names = [name for name in given if name not in task.classes] if isinstance(given, dict) else []
        if unknown_names:
            raise ConfigError(
                *(unknown(f"loss.class_weight.{name}: no such class", name, task.classes) for name in unknown_names)
            )
        return super().resolve(task)

    def class_weights(self, shares: Sequence[float], task: Task) -> tuple[float, ...] | None:
        given = self.class_weight
        if given is None:
            return None
        if isinstance(given, tuple):
            return given
        if isinstance(given, dict):
            return tuple(given.get(name, 1.0) for name in task.classes)
        # As scikit-learn's compute_class_weight. A class that no training row has counts as in a balanced set.
        n_there = sum(share > 0 for share in shares)
        return tuple(1 / (n_there * share) if share > 0 else 1.0 for share in shares)


# So many classes are named in a message.
_MOST_NAMES = 10


def _smoothed_shares(shares: Tensor, task: Task, smoothing: float) -> Tensor:
    """The mean of the smoothed target distributions, [n_classes], bounded away from 0 and 1."""
    shares = shares * (1 - smoothing) + smoothing / task.n_classes
    return shares.clamp(1e-6, 1 - 1e-6)


losses: Registry[Loss] = Registry(
    "loss",
    {
        "l1": "mae",
        "l2": "mse",
        "smooth_l1": "huber",
        "ce": "cross_entropy",
        "nll": "cross_entropy",
        "crossentropy": "cross_entropy",
        "categorical_crossentropy": "cross_entropy",
        "binary_crossentropy": "bce",
    },
)


@losses.register("auto")
@dataclass(frozen=True)
class Auto(ClassWeighted):
    """The usual loss of the dataset's task."""

    def resolve(self, task: Task) -> Loss:
        if task.kind == "regression" and self.class_weight is None:
            return MSE()
        return (BCE if task.n_classes == 2 else CrossEntropy)(self.class_weight).resolve(task)

    def per_sample(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        raise TypeError("auto stands for another loss: call resolve(task) first")


@losses.register("cross_entropy")
@dataclass(frozen=True)
class CrossEntropy(ClassWeighted):
    """−Σ_c q_c·log softmax(z)_c, q the one-hot (or smoothed) target distribution, z the C logits."""

    kind = "classification"

    def per_sample(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        import torch.nn.functional as F

        if outputs.device.type == "cpu":
            # Over a last axis as short as 10 classes torch's softmax takes ten times as long as over the first one.
            outputs, targets = outputs.T.contiguous()[None], targets[None]
        return F.cross_entropy(outputs, targets, reduction="none", label_smoothing=smoothing).flatten()

    def constant(self, targets: Tensor, task: Task, smoothing: float = 0.0, weight: Tensor | None = None) -> Tensor:
        return _smoothed_shares(self.weighted_shares(targets, task, weight), task, smoothing).log()


@losses.register("bce")
@dataclass(frozen=True)
class BCE(ClassWeighted):
    """Binary cross-entropy with logits: −[t·log σ(z) + (1 − t)·log(1 − σ(z))].

    Two classes need one logit z; more classes are taken one against the rest, summed over C logits.
    """

    kind = "classification"

    def n_outputs(self, task: Task) -> int:
        return 1 if task.n_classes == 2 else task.n_classes

    def per_sample(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        import torch
        import torch.nn.functional as F

        n_outputs = outputs.shape[-1]
        if n_outputs == 1:
            wanted = targets.unsqueeze(-1).to(outputs.dtype)
            n_classes = 2
        else:
            # F.one_hot waits for the device to check the range of the classes.
            wanted = (targets.unsqueeze(-1) == torch.arange(n_outputs, device=targets.device)).to(outputs.dtype)
            n_classes = n_outputs
        if smoothing:
            wanted = wanted * (1 - smoothing) + smoothing / n_classes
        return F.binary_cross_entropy_with_logits(outputs, wanted, reduction="none").sum(-1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        import torch

        ones = outputs.sigmoid()
        if outputs.shape[-1] == 1:
            return torch.cat([1 - ones, ones], -1)
        return ones / ones.sum(-1, keepdim=True)

    def constant(self, targets: Tensor, task: Task, smoothing: float = 0.0, weight: Tensor | None = None) -> Tensor:
        shares = _smoothed_shares(self.weighted_shares(targets, task, weight), task, smoothing)
        return shares.logit()[-self.n_outputs(task) :]


@losses.register("mse")
@dataclass(frozen=True)
class MSE(Loss):
    """Squared error (y − ŷ)²."""

    kind = "regression"

    def per_sample(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        return (outputs - targets).square().mean(-1)

    def constant(self, targets: Tensor, task: Task, smoothing: float = 0.0, weight: Tensor | None = None) -> Tensor:
        return targets.mean(0) if weight is None else (weight[:, None] * targets).sum(0) / weight.sum()


@losses.register("mae")
@dataclass(frozen=True)
class MAE(Loss):
    """Absolute error |y − ŷ|: less affected by outliers than mse."""

    kind = "regression"

    def per_sample(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        return (outputs - targets).abs().mean(-1)

    def constant(self, targets: Tensor, task: Task, smoothing: float = 0.0, weight: Tensor | None = None) -> Tensor:
        if weight is None:
            return targets.median(0).values
        ordered, order = targets.sort(0)
        half = weight[order].cumsum(0) >= weight.sum() / 2
        return ordered.gather(0, half.float().argmax(0, keepdim=True))[0]


@losses.register("huber")
@dataclass(frozen=True)
class Huber(Loss):
    """½e² for |e| ≤ δ, else δ(|e| − ½δ), with e = y − ŷ (Huber 1964): mse near zero, mae beyond δ."""

    kind = "regression"

    delta: Positive = 1.0
    """δ, the error at which the loss turns from quadratic to linear, in units of the target as the network sees it."""

    def per_sample(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        import torch.nn.functional as F

        return F.huber_loss(outputs, targets, reduction="none", delta=self.delta).mean(-1)
