"""What a component must return, kind by kind: checked for users' components before a run begins.

N rows, F features, C outputs, H units.
"""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mlpexp.components.activation import Activation
from mlpexp.components.init import Init
from mlpexp.components.loss import Loss
from mlpexp.components.model import Model
from mlpexp.components.optimizer import Optimizer
from mlpexp.components.regularizer import Regularizer
from mlpexp.components.scheduler import Progress, Scheduler, Span
from mlpexp.config.schema import Config
from mlpexp.config.user_code import blamed_on, defined_at
from mlpexp.data.batch import Batch
from mlpexp.data.dataset import Data, Split
from mlpexp.errors import ConfigError

# Mistakes: the method that makes one, and what it returns and must return. Components come as Any: users'
# components may differ from the types of their base.
_Mistakes = Iterator[tuple[str, str]]

_UNITS = 5


def check_component(choice: str, component: Any, config: Config, data: Data) -> None:
    """ConfigError where a component of a config does not return what its kind must: a line for each mistake.

    `choice` is what chose it, such as `loss=focal`; `data` are a few rows of those that it will see.
    """
    lines: list[str] = []
    cause: BaseException | None = None
    try:
        with blamed_on(choice, component), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for kind, find in _FINDERS.items():
                if isinstance(component, kind):
                    for method, mistake in find(component, config, data):
                        lines.append(f"{choice}: {method} {mistake} ({_place(component, method)}).")
    except ConfigError as error:
        lines += error.lines
        cause = error.__cause__
    if lines:
        raise ConfigError(*lines) from cause


def check_data(choice: str, dataset: Any, data: Any) -> None:
    """ConfigError where what a dataset has loaded is not what networks can be trained on."""
    if (mistake := _mistake_in(data)) is not None:
        raise ConfigError(f"{choice}: load {mistake} ({_place(dataset, 'load')}).")


def _place(component: Any, method: str) -> str:
    """Where a component has written the method, or where itself, if it has inherited that."""
    own = vars(type(component)).get(method)
    return defined_at(own if inspect.isfunction(own) else type(component))


def _mistake_in(data: Any) -> str | None:
    if not isinstance(data, Data):
        return f"returns {_kind(data)}; must return mlpexp.data.Data"
    if data.task.kind == "classification" and data.task.n_classes < 2:
        return f"returns a task of {data.task.n_classes} classes; must be at least 2"
    parts: list[tuple[str, str, Any]] = [
        (name, which, getattr(split, which)) for name, split in data.splits().items() for which in ("x", "y")
    ]
    for name, which, values in parts:
        if not isinstance(values, Tensor):
            return f"returns {_kind(values)} as {which} of the {name} split; must be a torch.Tensor"
    for name, split in data.splits().items():
        if (mistake := _mistake_in_split(split, data)) is not None:
            return f"returns a {name} split with {mistake}"
    return None


def _mistake_in_split(split: Split, data: Data) -> str | None:
    x, y, classes = split.x, split.y, data.task.kind == "classification"
    n = x.shape[0] if x.ndim else 0
    if x.ndim != 2 or x.dtype not in (torch.float32, torch.uint8):
        return f"x {_form(x)}; must be [rows, features] of torch.float32 or torch.uint8"
    if n == 0:
        return "no rows; must be at least one"
    if data.train.x.ndim == 2 and x.shape[1] != data.n_features:
        return f"{x.shape[1]} features; must be as many as in the train split, {data.n_features}"
    wanted = ([n], torch.int64) if classes else ([n, 1], torch.float32)
    if (list(y.shape), y.dtype) != wanted:
        return f"y {_form(y)}; for {data.task.kind} of {n} rows must be {wanted[0]} of {wanted[1]}"
    if classes and not 0 <= int(y.min()) <= int(y.max()) < data.task.n_classes:
        return f"y from {int(y.min())} to {int(y.max())}; must be classes from 0 to {data.task.n_classes - 1}"
    return None


def _of_activation(activation: Any, config: Config, data: Data) -> _Mistakes:
    mistake = _mistake_in_activation(activation.build(), len(data.train))
    if mistake is not None:
        yield "build", f"returns {mistake}"
    # The base computes the gain from the module.
    if mistake is None or type(activation).gain is not Activation.gain:
        gain = activation.gain()
        if not (isinstance(gain, numbers.Real) and 0 < float(gain) < math.inf):
            yield "gain", f"returns {gain!r}; must be a number greater than 0"


def _mistake_in_activation(module: Any, n: int) -> str | None:
    if not isinstance(module, nn.Module):
        return f"{_kind(module)}; must return a torch.nn.Module"
    x = torch.randn(n, _UNITS, requires_grad=True)
    # A copy: modules may change what they are given.
    y = module(x.clone())
    if (mistake := _differs(y, x.shape, torch.float32)) is not None:
        return f"a module that turns {_form(x)} into {mistake}"
    if not y.requires_grad or torch.autograd.grad(y.sum(), x, allow_unused=True)[0] is None:
        return "a module that no gradient passes through; must compute with torch, without detach"
    return None


def _of_init(init: Any, config: Config, data: Data) -> _Mistakes:
    linear, generator = nn.Linear(_UNITS, 3), torch.Generator().manual_seed(0)
    before = linear.weight.detach().clone()
    with torch.no_grad():
        init.fill(linear, 1.0, generator)
        # One that leaves the weights as they are may mean to.
        if torch.equal(linear.weight, before) and init.fill_weight(linear.weight, 1.0, generator) is not None:
            yield "fill_weight", "returns other weights; must change the weight that it is given in place"


def _of_loss(loss: Any, config: Config, data: Data) -> _Mistakes:
    loss, y, n = loss.resolve(data.task), data.train.y, len(data.train)
    n_outputs = loss.n_outputs(data.task)
    if not isinstance(n_outputs, numbers.Integral) or n_outputs < 1:
        yield "n_outputs", f"returns {n_outputs!r}; must be a whole number of at least 1"
        return
    width = int(n_outputs)
    outputs = torch.randn(n, width)
    if (mistake := _differs(loss.per_sample(outputs, y, config.smoothing), torch.Size([n]))) is not None:
        yield "per_sample", f"returns {mistake}, a loss for each row"
    if data.task.kind == "classification":
        predicted = loss.predict(torch.randn(2, n, width))
        if not isinstance(predicted, Tensor) or predicted.shape != (2, n) or predicted.is_floating_point():
            yield "predict", f"returns {_form(predicted)} for outputs [2, {n}, {width}]; must be classes [2, {n}]"
        wanted = torch.Size([n, data.task.n_classes])
        if (mistake := _differs(loss.probabilities(outputs), wanted)) is not None:
            yield "probabilities", f"returns {mistake}"


def _of_regularizer(regularizer: Any, config: Config, data: Data) -> _Mistakes:
    for method, layer in (
        ("before_activation", regularizer.before_activation(_UNITS)),
        ("after_activation", regularizer.after_activation()),
    ):
        if layer is not None and not isinstance(layer, nn.Module):
            yield method, f"returns {_kind(layer)}; must return a torch.nn.Module or None"
    weights = [torch.randn(1, 3, _UNITS), torch.randn(1, 2, 3)]
    penalty = regularizer.penalty(weights)
    if type(regularizer).penalty is not Regularizer.penalty and not isinstance(penalty, Tensor):
        yield "penalty", f"returns {_kind(penalty)}; must return a torch.Tensor that was computed from the weights"
    x, y = data.inputs(data.train.x)[None], data.train.y[None]
    batch = regularizer.augment(Batch(x, y))
    if not isinstance(batch, Batch):
        yield "augment", f"returns {_kind(batch)}; must return the batch to learn from"
    elif (batch.x.shape, batch.x.dtype, batch.y.shape, batch.y.dtype) != (x.shape, x.dtype, y.shape, y.dtype):
        yield "augment", f"returns x {_form(batch.x)} and y {_form(batch.y)}; must be as before, {_form(x)}, {_form(y)}"


def _of_optimizer(optimizer: Any, config: Config, data: Data) -> _Mistakes:
    built = optimizer.build([nn.Parameter(torch.randn(3, _UNITS)), nn.Parameter(torch.randn(3))])
    if not isinstance(built, torch.optim.Optimizer):
        yield "build", f"returns {_kind(built)}; must return a torch.optim.Optimizer"


def _of_scheduler(scheduler: Any, config: Config, data: Data) -> _Mistakes:
    span, lr = Span(6, 2), config.optimizer.lr
    for step in range(span.steps):
        rate = scheduler.rate(step, span, lr)
        if not (isinstance(rate, numbers.Real) and 0 <= float(rate) < math.inf):
            given = _kind(rate) if rate is None or isinstance(rate, Tensor) else repr(rate)
            yield "rate", f"returns {given} for step {step} of {span.steps}; must be a number of at least 0"
            break
    progress = scheduler.observe(Progress(lr), 1.0, span)
    if not isinstance(progress, Progress):
        yield "observe", f"returns {_kind(progress)}; must return mlpexp.components.Progress"


def _of_model(model: Any, config: Config, data: Data) -> _Mistakes:
    n_outputs = config.loss.resolve(data.task).n_outputs(data.task)
    n_parameters = model.n_parameters(data.n_features, n_outputs)
    if not isinstance(n_parameters, numbers.Integral) or n_parameters < 1:
        yield "n_parameters", f"returns {n_parameters!r}; must be a whole number of at least 1"
    module = model.build(data.n_features, n_outputs, config.activation, config.regularizer)
    if not isinstance(module, nn.Module):
        yield "build", f"returns {_kind(module)}; must return a torch.nn.Module"
        return
    x = data.inputs(data.train.x)
    if (mistake := _differs(module.eval()(x), torch.Size([len(x), n_outputs]))) is not None:
        yield "build", f"returns a module that turns {_form(x)} into {mistake}"


_FINDERS: dict[type, Callable[[Any, Config, Data], _Mistakes]] = {
    Activation: _of_activation,
    Init: _of_init,
    Loss: _of_loss,
    Regularizer: _of_regularizer,
    Optimizer: _of_optimizer,
    Scheduler: _of_scheduler,
    Model: _of_model,
}


def _differs(value: Any, shape: torch.Size, dtype: torch.dtype | None = None) -> str | None:
    """What a value is and what it must be, where it is not a floating-point tensor of a shape (and of a dtype)."""
    right = isinstance(value, Tensor) and value.shape == shape and value.is_floating_point()
    if right and dtype in (None, value.dtype):
        return None
    return f"{_form(value)}; must be {list(shape)} of {dtype or torch.float32}"


def _form(value: Any) -> str:
    return f"{list(value.shape)} of {value.dtype}" if isinstance(value, Tensor) else _kind(value)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
