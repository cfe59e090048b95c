"""Trials of components in a small stack: what mixes members is found. Ours: see tests/test_every_component.py."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mlpexp.components.activation import Activation
from mlpexp.components.init import Init
from mlpexp.components.loss import Loss
from mlpexp.components.model import Model
from mlpexp.components.optimizer import Optimizer
from mlpexp.components.regularizer import Regularizer, regularizers
from mlpexp.components.scheduler import Scheduler, Span
from mlpexp.data.batch import Batch
from mlpexp.data.task import Task
from mlpexp.engine.trial import why_alone

CLASSES = Task("classification", ("a", "b", "c"))
OTHER = "in a stack it gives other numbers than alone"
GLOBAL = "it draws from torch's global random numbers, which the members of a stack share"


class Calls(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@dataclass(frozen=True)
class Called(Activation):
    function: Callable[[Tensor], Tensor]

    def build(self) -> nn.Module:
        return Calls(self.function)

    def gain(self) -> float:
        return 1.0


@dataclass(frozen=True)
class Penalised(Regularizer):
    function: Callable[[list[Tensor]], Tensor]

    def penalty(self, weights: list[Tensor]) -> Tensor:
        return self.function(weights)


@dataclass(frozen=True)
class Constrained(Regularizer):
    function: Callable[[Tensor], object]

    def constrain(self, weights: list[Tensor]) -> None:
        for weight in weights:
            self.function(weight)


@dataclass(frozen=True)
class Augmented(Regularizer):
    noise: Callable[[Batch], Tensor]

    def augment(self, batch: Batch) -> Batch:
        return Batch(batch.x + self.noise(batch), batch.y, batch.y_mixed, batch.lam, batch.generators)


@dataclass(frozen=True)
class Layered(Regularizer):
    layer: Callable[[int], nn.Module]

    def before_activation(self, width: int) -> nn.Module:
        return self.layer(width)


@dataclass(frozen=True)
class Weighted(Loss):
    """Cross-entropy, its rows weighted by a function of the targets."""

    kind: ClassVar[str] = "classification"
    weights: Callable[[Tensor], Tensor]

    def per_sample(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        return functional.cross_entropy(outputs, targets, reduction="none") * self.weights(targets)


class Sign(torch.optim.Optimizer):
    """Steps of the sign of a gradient, divided by a norm of the parameter."""

    def __init__(self, parameters: Any, lr: float, norm: Callable[[Tensor], Tensor | float]) -> None:
        super().__init__(parameters, {"lr": lr})
        self.norm = norm

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                with torch.no_grad():
                    parameter -= group["lr"] * parameter.grad.sign() / self.norm(parameter)


@dataclass(frozen=True)
class Signed(Optimizer):
    elementwise: ClassVar[bool] = True

    norm: Callable[[Tensor], Tensor | float] = abs

    def build(self, parameters: Any) -> torch.optim.Optimizer:
        return Sign(parameters, self.lr, self.norm)


@dataclass(frozen=True)
class Halved(Scheduler):
    def rate(self, step: int, span: Span, lr: float) -> float:
        return lr / 2 ** (step // span.of(1))


@dataclass(frozen=True)
class Ones(Init):
    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        weight.fill_(0.1)


@dataclass(frozen=True)
class Linear(Model):
    layer: Callable[[int], nn.Module]

    def build(
        self, n_features: int, n_outputs: int, activation: Activation, regularizers: Sequence[Regularizer]
    ) -> nn.Module:
        linear = nn.Linear(n_features, n_outputs)
        return nn.Sequential(OrderedDict(output=linear, last=self.layer(n_outputs)))

    def n_parameters(self, n_features: int, n_outputs: int) -> int:
        return (n_features + 1) * n_outputs


def drawn(batch: Batch) -> Tensor:
    """MemberRng from the members' own generators."""
    generators = batch.generators or [None] * len(batch.x)
    return torch.stack([torch.randn(batch.x.shape[1:], generator=generator) for generator in generators])


def shares(targets: Tensor) -> Tensor:
    """For each row one over the share of its class."""
    return 1 / (targets[:, None] == targets).float().mean(1)


USERS: dict[str, tuple[Any, str | None]] = {
    "activation, by element": (Called(torch.sin), None),
    "activation, in place": (Called(lambda x: x.clone().relu_()), None),
    "activation, over units": (Called(lambda x: x - x.mean(-1, keepdim=True)), None),
    "activation, over everything": (Called(lambda x: torch.relu(x - x.mean())), OTHER),
    "activation, over the first axis": (Called(lambda x: x - x.mean(0)), OTHER),
    "activation, at random": (Called(lambda x: x + torch.rand_like(x)), GLOBAL),
    "activation, for matrices only": (Called(lambda x: x @ torch.eye(x.shape[1])), "in a stack it fails with …"),
    "penalty, a member each": (Penalised(lambda ws: sum(w.square().sum((-2, -1)) for w in ws)), None),  # type: ignore[arg-type,return-value]
    "penalty, a norm": (Penalised(lambda ws: 0.3 * sum(w.norm() for w in ws)), OTHER),
    "penalty, a mean": (Penalised(lambda ws: torch.stack([w.square().mean() for w in ws]).sum()), OTHER),
    "penalty, a small mean": (Penalised(lambda ws: 1e-9 * torch.stack([w.square().mean() for w in ws]).sum()), OTHER),
    "constraint, by unit": (Constrained(lambda w: w.div_(w.norm(dim=-1, keepdim=True))), None),
    "constraint, over everything": (Constrained(lambda w: w.div_(w.norm())), OTHER),
    "constraint, a small one": (Constrained(lambda w: w.mul_(1 - 1e-7 * w.norm())), OTHER),
    "noise of the members": (Augmented(drawn), None),
    "noise of torch's": (Augmented(lambda batch: 1e-3 * torch.randn_like(batch.x)), GLOBAL),
    "noise, over everything": (Augmented(lambda batch: batch.x.std()), OTHER),
    "layer that stacks": (Layered(lambda width: nn.LayerNorm(width)), None),
    "layer that does not": (
        Layered(lambda width: nn.GroupNorm(1, width)),
        "GroupNorm is a layer that cannot be stacked",
    ),
    "layer of a kind that does, without parameters": (
        Layered(lambda width: nn.LayerNorm(width, elementwise_affine=False)),
        "in a stack it fails with …",
    ),
    "layer with another momentum": (Layered(lambda width: nn.BatchNorm1d(width, momentum=None)), OTHER),
    "loss, by row": (Weighted(lambda y: y.float() + 1), None),
    "loss, by class": (Weighted(shares), OTHER),
    "optimizer, by element": (Signed(lr=0.1, norm=lambda _: 1.0), None),
    "optimizer, by norm": (Signed(lr=0.1, norm=torch.linalg.vector_norm), OTHER),
    "scheduler": (Halved(), None),
    "init": (Ones(), None),
    "model": (Linear(lambda _: nn.Tanh()), None),
    "model, a layer that does not stack": (
        Linear(lambda n: nn.GroupNorm(1, n)),
        "GroupNorm is a layer that cannot be stacked",
    ),
}


@pytest.mark.parametrize("case", USERS)
def test_what_mixes_members_is_found(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Layers have the names of the regularizers that add them.
    monkeypatch.setattr(regularizers, "_components", {**regularizers._components, "layered": Layered})
    component, expected = USERS[case]
    reason = why_alone(component, CLASSES, 3)
    if expected is not None and expected.endswith("…"):
        assert reason is not None
        assert reason.startswith(expected[:-1])
    else:
        assert reason == expected


def test_torchs_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    why_alone(Called(lambda x: x + torch.rand_like(x)), CLASSES, 3)
    assert torch.equal(torch.get_rng_state(), before)
