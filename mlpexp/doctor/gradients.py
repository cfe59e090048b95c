"""Gradients that vanish or explode on their way through the layers."""

from __future__ import annotations

import math

import numpy as np

from mlpexp.doctor import remedies
from mlpexp.doctor.case import Case, Layer
from mlpexp.doctor.sign import Sign, number

# Root mean square of a hidden layer's gradient ÷ that of the output layer's, early in the run: 0.005 (circles with
# sigmoid) to 9 in healthy networks of two hidden layers, 0.05 and more in eight of ReLU or tanh. Four layers of sigmoid
# gave 0.0008 and an accuracy on digits of 0.83, eight at most 0.00013 and 0.2, sixteen 10⁻¹⁰ and chance.
_VANISHED = 1e-3
_GROWN = 100.0
# Norm over all parameters, mean over an epoch's steps: at most 21 in healthy runs (rmsprop on the sine). Six layers of
# ReLU gave 280 with weights from N(0, 0.5²) on digits, where the validation accuracy was 0.6, and 10⁴ from N(0, 1).
_EXPLODED = 100.0


def early(case: Case) -> dict[str, float]:
    """By linear layer the root mean square of its gradient, the median over the first tenth of the epochs.

    Empty where there are no hidden layers, or a norm is not finite.
    """
    n = max(1, round(0.1 * case.epochs))
    found = {}
    for layer in _linear(case):
        norms = case.column(f"grad_norm/{layer.name}")[:n]
        if not len(norms) or not np.isfinite(norms).all():
            return {}
        found[layer.name] = float(np.median(norms)) / math.sqrt(layer.n_parameters)
    return found


def _linear(case: Case) -> list[Layer]:
    """The hidden linear layers and the last layer."""
    hidden = [layer for layer in case.layers if layer.hidden]
    return [*hidden, case.layers[-1]] if hidden else []


def vanishing_gradients(case: Case) -> Sign | None:
    """Early in the run, a hidden layer gets hardly any of the gradient that the last one gets."""
    sizes = early(case)
    if len(sizes) < 3:
        return None
    *_, last = sizes.values()
    least = min(list(sizes.values())[:-1])
    config = case.config
    if last == 0 or least > _VANISHED * last:
        return None
    if least == 0 and remedies.too_fast(config):
        # Units that large steps have killed pass no gradient at all: that is nothing of the layers' doing.
        return None
    return Sign(
        f"root mean square of the gradient early in the run, by layer: {_listed(sizes)}; the least is "
        f"{number(least / last)} of the last",
        [
            remedies.activation(config, "relu"),
            remedies.with_regularizer(config, "batchnorm"),
            remedies.suited_init(config),
            remedies.fewer_layers(config),
        ],
    )


def exploding_gradients(case: Case) -> Sign | None:
    """Gradients of a size at which steps undo one another."""
    norms = case.measured("grad_norm")
    sizes = early(case)
    if not len(norms):
        return None
    config = case.config
    slower, clipped = remedies.lower_rate(config), remedies.clip(config)
    tries = [
        remedies.init_that_fits(config),
        *([slower, clipped] if remedies.too_fast(config) else [clipped, slower]),
        remedies.with_regularizer(config, "batchnorm"),
    ]
    by_layer = f"; root mean square early in the run, by layer: {_listed(sizes)}" if sizes else ""
    if norms.max() > _EXPLODED:
        at = int(norms.argmax())
        return Sign(f"the gradient's norm was {number(norms[at])} in epoch {at + 1}{by_layer}", tries)
    first, *_, last = [*sizes.values()] or [0.0, 0.0]
    if first > _GROWN * last > 0:
        return Sign(f"the first layer's gradient is {number(first / last)} times the last one's{by_layer}", tries)
    return None


def _listed(sizes: dict[str, float]) -> str:
    return ", ".join(f"{name} {number(size)}" for name, size in sizes.items())
