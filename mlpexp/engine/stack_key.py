"""What the members of a stack have in common."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import replace
from functools import cache

from mlpexp.components.activation import Activation
from mlpexp.components.loss import ClassWeighted, Loss
from mlpexp.components.regularizer import Regularizer
from mlpexp.config.schema import Config
from mlpexp.config.user_code import is_ours
from mlpexp.engine.regularization import overrides
from mlpexp.engine.stack import is_function

_LAYERS = ("before_activation", "after_activation")
# Regularizers with one of these methods decide the form of the network or of its batches.
_FORMING = (*_LAYERS, "augment")


def stack_key(config: Config) -> Hashable:
    """What all members of a stack must agree on: dataset, architecture, batches, how it is computed and judged.

    Their data must have one form besides, see `Data.form`. All else may differ: seeds, splits of the dataset, inits,
    activations, optimizers and their numbers, schedules, strengths of regularizers, weights of classes, clipping.
    """
    return (
        *(config.dataset.unsplit, config.data_dir, _unweighted(config.loss), config.epochs, config.batch_size),
        *(config.model, _activation_form(config), tuple(_form(part) for part in config.regularizer if _forms(part))),
        *(config.device, config.precision, config.compile, config.deterministic, config.log.diagnostics),
        config.metric,
        config.optimizer.stacks,
    )


def _activation_form(config: Config) -> Hashable:
    """What members must have in common of their activations: nothing, where these are functions."""
    # A user's model may be another network with another activation; one of a user's that fails ends its stack.
    ours = is_ours(config.model) and is_ours(config.activation)
    return _state_of(config.activation) if ours else config.activation


@cache
def _state_of(activation: Activation) -> type | None:
    """Which module an activation is that has parameters, as PReLU has; None for a function."""
    module = activation.build()
    return None if is_function(module) else type(module)


def _unweighted(loss: Loss) -> Loss:
    """A loss without the weights of classes, in which members of a stack may differ."""
    return replace(loss, class_weight=None) if isinstance(loss, ClassWeighted) else loss


def _forms(regularizer: Regularizer) -> bool:
    return any(overrides(regularizer, method) for method in _FORMING)


def _form(regularizer: Regularizer) -> Regularizer:
    """A regularizer without the strengths in which members of a stack may differ."""
    form = copy.copy(regularizer)
    # Only the strengths of our own layers are known; a user's layer is stacked with those of the first member.
    layered = any(overrides(regularizer, method) for method in _LAYERS)
    strengths = () if layered and not is_ours(regularizer) else regularizer.strengths
    for name in strengths:
        object.__setattr__(form, name, None)
    return form
