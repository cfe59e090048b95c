"""What the doctor measures of a run's network, data and machine when the run has ended."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlpexp.components.device import available
from mlpexp.components.loss import Loss, class_shares
from mlpexp.data.dataset import Data, Split
from mlpexp.data.task import Task
from mlpexp.doctor.case import Case, Layer, RareClass, Time
from mlpexp.engine.loop import Engine
from mlpexp.engine.member import Member
from mlpexp.engine.objective import outputs_of, train_shares
from mlpexp.engine.rows import Rows
from mlpexp.engine.stack import ModuleStack, layers

# Units whose incoming weights differ by less than this share of their size are the same: rounding lets equal ones
# drift apart by 1e-6 in a thousand steps, while those of a network that learns differ by about their own size.
_SAME = 1e-3


@torch.no_grad()
def layers_of(module: nn.Module) -> list[Layer]:
    """The layers of a plain network, and which of its hidden ones have units that are all the same."""
    owned = layers(module)
    kinds = dict(module.named_modules())
    linear = [name for name in owned if isinstance(kinds.get(name), nn.Linear)]
    found = []
    for name, parameters in owned.items():
        n = sum(parameter.numel() for parameter in parameters)
        squares = torch.stack([parameter.float().square().sum() for parameter in parameters]).sum()
        hidden = name in linear[:-1]
        symmetric = hidden and _symmetric(parameters)
        found.append(Layer(name, n, float((squares / n).sqrt()), hidden, len(parameters[0]), symmetric))
    return found


def _symmetric(parameters: list[nn.Parameter]) -> bool:
    """Whether all units (rows of weight [n_out, n_in], with bias [n_out]) have the same incoming weights."""
    rows = torch.cat([parameter.float().view(len(parameter), -1) for parameter in parameters], 1)
    if len(rows) == 1:
        return False
    middle = rows.mean(0)
    size = middle.norm()
    # Weights that have diverged show nothing.
    return bool(size.isfinite() and (rows - middle).norm(dim=1).max() <= _SAME * size)


def majority(data: Data) -> tuple[float, float]:
    """The share of the training rows' most frequent class, among them and among the validation rows.

    It is what a constant answer gets right; 0 in regression.
    """
    if data.task.kind == "regression":
        return 0.0, 0.0
    shares = class_shares(data.train.y, data.task, data.train.weight)
    most = shares.argmax()
    return float(shares[most]), float(class_shares(data.val.y, data.task, data.val.weight)[most])


@torch.no_grad()
def constant_loss(data: Data, loss: Loss, smoothing: float) -> float:
    """The mean training loss of the best answer that is the same for all inputs: the baseline of learning."""
    train, task = data.train, data.task
    shares = class_shares(train.y, task, train.weight).tolist() if task.n_classes else []
    weights = loss.class_weights(shares, task) if task.n_classes else None
    return loss_of_constant(train, task, loss, constant_outputs(data, loss, smoothing), weights, smoothing)


def constant_outputs(data: Data, loss: Loss, smoothing: float = 0.0) -> Tensor:
    """The outputs [C], the same for all inputs, with the least mean loss on the training rows."""
    train = data.train
    if train.weight is None:
        # A user's loss need not know of weights.
        return loss.constant(train.y, data.task, smoothing)
    return loss.constant(train.y, data.task, smoothing, train.weight)


@torch.no_grad()
def loss_of_constant(
    split: Split, task: Task, loss: Loss, outputs: Tensor, weights: Sequence[float] | None, smoothing: float = 0.0
) -> float:
    """The mean loss of `outputs` [C] that are the same for all rows of a split, on the same device.

    `weights` are those of the classes, None where all rows count alike.
    """
    if task.kind == "regression":
        losses = loss.per_sample(outputs.expand(len(split), -1), split.y)
        return float(losses.mean() if split.weight is None else (split.weight * losses).sum() / split.weight.sum())
    # Rows of one class have one loss.
    shares = class_shares(split.y, task, split.weight)
    if weights is not None:
        shares = shares * shares.new_tensor(weights)
        shares = shares / shares.sum()
    classes = shares.nonzero().squeeze(1)
    return float((loss.per_sample(outputs.expand(len(classes), -1), classes, smoothing) * shares[classes]).sum())


def rare_classes(shares: Sequence[float]) -> list[int]:
    """Classes that have less than half of the rows that each would have if all had as many."""
    return [c for c, share in enumerate(shares) if 0 < share < 0.5 / len(shares)]


def _rare(data: Data, engine: Engine, module: nn.Module) -> RareClass | None:
    """Of the rare classes that which is predicted worst on the validation split."""
    shares = train_shares(data) if data.task.kind == "classification" else []
    rare = rare_classes(shares)
    if not rare:
        return None
    outputs = outputs_of(ModuleStack(module, engine.stack.bf16), Rows.of([data], "val"))[0]
    right = engine.loss.predict(outputs) == data.val.y
    counts = torch.bincount(data.val.y, minlength=len(shares)).tolist()
    recalls = (torch.bincount(data.val.y[right], minlength=len(shares)).cpu() / torch.tensor(counts)).tolist()
    there = [c for c in rare if counts[c]]
    if not there:
        return None
    worst = min(there, key=recalls.__getitem__)
    weight = data.val.weight
    accuracy = float(right.float().mean() if weight is None else (weight * right).sum() / weight.sum())
    return RareClass(data.task.classes[worst], shares[worst], counts[worst], recalls[worst], accuracy)


def case(
    member: Member,
    engine: Engine,
    module: nn.Module,
    history: dict[str, list[float]],
    stack_size: int,
    figures: float,
) -> Case:
    """The case of a member that has ended: `module` are its best weights, in a plain network.

    `stack_size` is how many members the stack had when it began, `figures` the seconds that those of the stack took.
    """
    config, data = member.config, member.data
    of_train, of_val = majority(data)
    return Case(
        config=config,
        history=history,
        score=data.task.score,
        n_train=len(data.train),
        n_val=len(data.val),
        val_is_train=data.val is data.train,
        majority=of_train,
        val_majority=of_val,
        rare=_rare(data, engine, module),
        constant_loss=constant_loss(data, config.loss.resolve(data.task), config.smoothing),
        steps_per_epoch=len(engine.batches.sizes),
        layers=layers_of(module),
        failure=member.failure,
        diverged=member.diverged,
        time=Time({**engine.stopwatch.seconds, "figures": figures}, stack_size),
        multiplications=stack_size * max(engine.batches.sizes) * engine.n_parameters,
        idle_gpu=idle_gpu(engine.device),
    )


def idle_gpu(device: torch.device) -> str | None:
    """The GPU that this machine has, where the run was on the CPU."""
    fastest = available()[0]
    return fastest if device.type == "cpu" and fastest != "cpu" else None
