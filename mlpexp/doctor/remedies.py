"""Remedies: overrides that change the config of a run, or None where they would change nothing in it."""

from __future__ import annotations

from mlpexp.components.activation import Identity, activations
from mlpexp.components.init import Normal, Zeros, inits
from mlpexp.components.loss import ClassWeighted
from mlpexp.components.model import Perceptron
from mlpexp.components.regularizer import L1, L2, Dropout, regularizers
from mlpexp.components.scheduler import Constant
from mlpexp.config.schema import Config
from mlpexp.fields.convert import show


def recommended_rate(config: Config) -> float:
    """The rate that the dataset recommends for the optimizer in use."""
    optimizer, suited = config.optimizer, config.dataset.recommended
    if optimizer.full_batch:
        return type(optimizer)(lr=1.0).lr
    if optimizer.gradient_scale_invariant:
        return suited.lr
    return suited.lr_momentum if getattr(optimizer, "momentum", 0.0) else suited.lr_sgd


def too_fast(config: Config) -> bool:
    """Whether the rate is far above the one that the dataset recommends."""
    return config.optimizer.lr >= 3 * recommended_rate(config)


def lower_rate(config: Config, divisor: float = 10) -> str:
    """The dataset's rate where the run's is far above it, else a fraction of the run's."""
    rate, suited = config.optimizer.lr, recommended_rate(config)
    return _rate(suited if too_fast(config) else rate / divisor)


def higher_rate(config: Config) -> str:
    """The dataset's rate where the run's is far below it, else ten times the run's."""
    rate, suited = config.optimizer.lr, recommended_rate(config)
    return _rate(suited if suited / rate >= 3 else 10 * rate)


def _rate(lr: float) -> str:
    return f"optimizer.lr={lr:.2g}"


def clip(config: Config, norm: float = 1) -> str | None:
    if config.optimizer.full_batch or (config.clip.norm is not None and config.clip.norm <= norm):
        return None
    return f"clip.norm={norm:g}"


def with_regularizer(config: Config, *names: str) -> str | None:
    """All regularizers in use, and those of `names` that are not and that the model has a place for."""
    in_use = [regularizers.name_of(part) for part in config.regularizer]
    new = [name for name in names if name not in in_use and _has_place(config, name)]
    return f"regularizer={show([*in_use, *new])}" if new else None


def _has_place(config: Config, name: str) -> bool:
    return config.model.activates or not regularizers[name]().only_adds_layers


def weaker_penalty(config: Config) -> str | None:
    """A hundredth of a penalty on the weights that is far stronger than usual."""
    for part in config.regularizer:
        strength = getattr(part, "strength", 0.0)
        if isinstance(part, L1 | L2) and strength >= 10 * type(part)().strength:
            return f"regularizer.{regularizers.name_of(part)}.strength={strength / 100:.2g}"
    decay = getattr(config.optimizer, "weight_decay", 0.0)
    return f"optimizer.weight_decay={decay / 100:.2g}" if decay >= 0.1 else None


def less_dropout(config: Config) -> str | None:
    """Half of each hidden unit's probability to be dropped."""
    p = next((part.p for part in config.regularizer if isinstance(part, Dropout)), 0.0)
    return f"regularizer.dropout.p={p / 2:.2g}" if p else None


def balanced(config: Config) -> str | None:
    """Classes that count alike in the loss, however many rows they have."""
    loss = config.loss
    return "loss.class_weight=balanced" if isinstance(loss, ClassWeighted) and loss.class_weight is None else None


def picked_by(config: Config, metric: str) -> str | None:
    """Another metric that picks the best epoch."""
    return f"metric={metric}" if config.metric is None else None


def more_epochs(config: Config) -> str:
    return f"epochs={2 * config.epochs}"


def bigger(config: Config) -> str:
    """Hidden layers where there are none, an activation where the network is linear, else twice the units."""
    if isinstance(config.model, Perceptron):
        return "model=mlp"
    hidden = getattr(config.model, "hidden", None)
    if hidden == ():
        return f"model.hidden={show(config.dataset.recommended.hidden)}"
    if isinstance(config.activation, Identity):
        return "activation=relu"
    return f"model.hidden={show([2 * width for width in hidden])}" if hidden else "model=mlp"


def fewer_layers(config: Config, most: int = 3) -> str | None:
    hidden = getattr(config.model, "hidden", ())
    return f"model.hidden={show(hidden[:most])}" if len(hidden) > most else None


def activation(config: Config, name: str) -> str | None:
    in_use = activations.name_of(config.activation) == name
    return f"activation={name}" if config.model.activates and not in_use else None


def suited_init(config: Config) -> str | None:
    """Xavier's for activations that are bounded, Kaiming's for others; None where one such is in use."""
    bounded = config.activation.limits is not None
    name = "xavier_uniform" if bounded else "kaiming_uniform"
    in_use = inits.name_of(config.init)
    return None if in_use.startswith(name.split("_")[0]) else f"init={name}"


def init_that_fits(config: Config) -> str | None:
    """Another init where the one in use takes no account of the layers' sizes."""
    return suited_init(config) if isinstance(config.init, Normal | Zeros) else None


def schedule(config: Config) -> str | None:
    """A rate that falls, where it is constant."""
    return "scheduler=cosine" if isinstance(config.scheduler, Constant) else None
