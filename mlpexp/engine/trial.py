"""Trials of users' components: whether a run with them can train, and whether such runs can share a stack.

K members, B samples, F features.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mlpexp.components.activation import Activation, Tanh
from mlpexp.components.device import devices
from mlpexp.components.init import Default, Init
from mlpexp.components.loss import Auto, Loss
from mlpexp.components.model import MLP, Model
from mlpexp.components.optimizer import SGD, Optimizer
from mlpexp.components.regularizer import Regularizer
from mlpexp.components.scheduler import Constant, Scheduler
from mlpexp.config.schema import Config, Log
from mlpexp.config.user_code import in_one_line
from mlpexp.data.dataset import Data, Split, datasets
from mlpexp.data.task import Task
from mlpexp.engine.batched_stack import unstackable
from mlpexp.engine.loop import Engine, Row
from mlpexp.engine.member import build_module
from mlpexp.engine.process import runtime_context

# Two batches.
_ROWS, _BATCH = 8, 4
# By how much results may differ after four steps because sums are taken in another order: relative to the largest
# value.
_ROUNDING = 1e-4
# The config key of each kind of component; "" for regularizers, of which a config has a list.
_KEYS = {
    Model: "model",
    Activation: "activation",
    Init: "init",
    Loss: "loss",
    Optimizer: "optimizer",
    Scheduler: "scheduler",
    Regularizer: "",
}


def few_rows(data: Data) -> Data:
    """The same data with at most _ROWS rows in each split, spread evenly over the split."""

    def few(split: Split) -> Split:
        rows = torch.linspace(0, len(split) - 1, min(_ROWS, len(split))).long()
        return Split(split.x[rows], split.y[rows])

    return dataclasses.replace(data, train=few(data.train), val=few(data.val), test=few(data.test))


def try_epoch(config: Config, data: Data) -> None:
    """Trains a config for an epoch on a few rows, and raises the errors of its components. Nothing is written."""
    plain = dataclasses.replace(config, compile=False)
    # Whole batches only: a component may refuse a shorter last batch, which the full data may not have.
    whole = len(data.train) - len(data.train) % min(config.batch_size, len(data.train))
    data = dataclasses.replace(data, train=Split(data.train.x[:whole], data.train.y[:whole]))
    with torch.random.fork_rng(devices=[]), runtime_context(plain, 1) as device:
        engine = Engine([plain], data, device)
        next(engine.epochs())
        # A checkpoint must be able to hold the state.
        file = io.BytesIO()
        torch.save(engine.state_dict(0), file)
        file.seek(0)
        torch.load(file, weights_only=True)


def why_alone(component: Any, task: Task, n_features: int) -> str | None:
    """Why runs with a component cannot share a stack, or None where they can.

    Two small networks with different weights are trained in one stack and each alone: their metrics and weights must
    agree after each of two epochs. All other components of these networks are built in.
    """
    if not any(isinstance(component, kind) for kind in _KEYS):
        # A dataset or a device: its code does not run in a stack.
        return None
    configs = [_around(component, seed) for seed in (0, 1)]
    data = _made_up(task, n_features)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            modules = [build_module(config, data, config.loss.resolve(task)) for config in configs]
            if (layer := unstackable(modules[0], type(configs[0].activation.build()))) is not None:
                return f"{layer} is a layer that cannot be stacked"
            return _found(configs, data)
        except Exception as error:
            return f"in a stack it fails with {in_one_line(error)}"


def _found(configs: Sequence[Config], data: Data) -> str | None:
    together, drawn = _two_epochs(configs, data)
    if drawn:
        return "it draws from torch's global random numbers, which the members of a stack share"
    other = "in a stack it gives other numbers than alone"
    for k, config in enumerate(configs):
        # The second epoch of the single run continues from the member's state in the stack, which is tested so too.
        alone, _ = _two_epochs([config], data, [together[0].states[k]])
        same = [_agree(epoch.of(k), single.of(0)) for epoch, single in zip(together, alone, strict=False)]
        if len(alone) != len(together) or not all(same):
            return other
    return None if all(map(_apart, configs[0].regularizer)) else other


@dataclass(frozen=True)
class _Epoch:
    """The state of each member after an epoch."""

    rows: list[Row]
    states: list[dict[str, Any]]

    def of(self, k: int) -> list[Tensor]:
        row = torch.tensor(list(self.rows[k].values()), dtype=torch.float64)
        return [*row.split(1), *self.states[k]["module"].values()]


def _two_epochs(
    configs: Sequence[Config], data: Data, states: Sequence[dict[str, Any]] | None = None
) -> tuple[list[_Epoch], bool]:
    """Two epochs of a stack, and whether it drew from torch's global random numbers.

    With `states` the second epoch begins from these.
    """
    before = torch.get_rng_state()
    engine = Engine(configs, data, torch.device("cpu"))
    found: list[_Epoch] = []
    for _ in range(2):
        if found and states is not None:
            engine = Engine(configs, data, torch.device("cpu"))
            engine.load_state_dicts(states)
        rows = next(engine.epochs())
        found.append(_Epoch(rows, [engine.state_dict(k) for k in range(len(configs))]))
        if not all(member.active for member in engine.members):
            break
    return found, not torch.equal(before, torch.get_rng_state())


def _around(component: Any, seed: int) -> Config:
    """A small config with one component of a user's; all others are built in."""
    key = next(key for kind, key in _KEYS.items() if isinstance(component, kind))
    parts: dict[str, Any] = {
        "dataset": datasets["xor"](),
        "model": MLP((5, 3)),
        "activation": Tanh(),
        "init": Default(),
        "loss": Auto(),
        "optimizer": SGD(lr=0.1),
        "scheduler": Constant(),
        "device": devices["cpu"](),
        **({key: component} if key else {"regularizer": (component,)}),
    }
    return Config(**parts, epochs=2, batch_size=_BATCH, seed=seed, log=Log(diagnostics=0))


def _made_up(task: Task, n_features: int) -> Data:
    """Random rows [_ROWS, F] with targets of a task."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(_ROWS, n_features, generator=generator)
    y = torch.arange(_ROWS) % task.n_classes if task.kind == "classification" else x[:, :1].sin()
    split = Split(x, y)
    return Data("trial", task, split, split, split)


def _apart(regularizer: Regularizer) -> bool:
    """Whether a penalty and a constraint have the same effect on each member of a stack as on it alone.

    They are tested apart from the loss: beside it they may be too small to be seen in a few steps, and still determine
    the weights in the end.
    """
    both = _weights()
    singles = [[weight[k : k + 1] for weight in both] for k in (0, 1)]
    together, *alone = [_penalised(regularizer, weights) for weights in (both, *singles)]
    moved, *moved_alone = [_moves(regularizer, weights) for weights in (both, *singles)]
    return (
        _close(together[0], alone[0][0] + alone[1][0])
        and _agree(together[1:], [torch.cat(parts) for parts in zip(*[rest for _, *rest in alone], strict=True)])
        and _agree(moved, [torch.cat(parts) for parts in zip(*moved_alone, strict=True)])
    )


def _weights() -> list[Tensor]:
    """Weights [2, n_out, n_in] of two layers; those of the second member are larger."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0, 3.0])[:, None, None]
    return [torch.randn(2, *shape, generator=generator) * scale for shape in ((5, 4), (3, 5))]


def _penalised(regularizer: Regularizer, weights: list[Tensor]) -> list[Tensor]:
    """The penalty on weights, summed over members, and its gradient with respect to each of them."""
    leaves = [weight.clone().requires_grad_() for weight in weights]
    penalty = regularizer.penalty(leaves)
    if penalty is None:
        return [torch.zeros(())]
    penalty.sum().backward()
    return [penalty.detach().sum(), *[torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]]


@torch.no_grad()
def _moves(regularizer: Regularizer, weights: list[Tensor]) -> list[Tensor]:
    """The change that a constraint makes to weights, in float64, since it may be small."""
    constrained = [weight.double() for weight in weights]
    regularizer.constrain(constrained)
    return [after - before for after, before in zip(constrained, weights, strict=True)]


def _agree(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(_close(one, other) for one, other in zip(some, others, strict=True))


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal up to rounding, relative to the largest finite value."""
    one, other = one.double(), other.double()
    finite = other[other.isfinite()]
    most = finite.abs().max().item() if finite.numel() else 0.0
    return one.shape == other.shape and torch.allclose(
        one, other, rtol=_ROUNDING, atol=_ROUNDING * most, equal_nan=True
    )
