"""What is wrong in the layers: gradients that vanish or explode, hidden units that do nothing or all the same."""

from __future__ import annotations

import math

import numpy as np

from mlpexp.components.activation import ReLU
from mlpexp.doctor import remedies
from mlpexp.doctor.case import Case, Evidence, Layer, number, percent

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


def vanishing_gradients(case: Case) -> Evidence | None:
    """Early in the run, the gradient of a hidden layer is tiny compared with that of the last one."""
    sizes = early(case)
    if len(sizes) < 3:
        return None
    *_, last = sizes.values()
    least = min(list(sizes.values())[:-1])
    config = case.config
    if last == 0 or least > _VANISHED * last:
        return None
    if least == 0 and remedies.too_fast(config):
        # Dead units pass no gradient at all: large steps are the cause then, and not the layers.
        return None
    return Evidence(
        f"root mean square of the gradient early in the run, by layer: {_listed(sizes)}; the least is "
        f"{number(least / last)} of the last",
        [
            remedies.activation(config, "relu"),
            remedies.with_regularizer(config, "batchnorm"),
            remedies.suited_init(config),
            remedies.fewer_layers(config),
        ],
    )


def exploding_gradients(case: Case) -> Evidence | None:
    """Gradients so large that steps undo one another."""
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
        return Evidence(f"the gradient's norm was {number(norms[at])} in epoch {at + 1}{by_layer}", tries)
    first, *_, last = [*sizes.values()] or [0.0, 0.0]
    if first > _GROWN * last > 0:
        return Evidence(f"the first layer's gradient is {number(first / last)} times the last one's{by_layer}", tries)
    return None


def _listed(sizes: dict[str, float]) -> str:
    return ", ".join(f"{name} {number(size)}" for name, size in sizes.items())


# Of a layer's units so many are dead in the end. Healthy networks of ReLU reach 0.7 (momentum on the sine, whose 30
# points need few units), and learn nevertheless: half of a layer counts only where the score is poor.
_DEAD, _DEAD_AND_POOR = 0.9, 0.5
# Of a layer's outputs so many are saturated from the first epoch to the last: on digits, weights from N(0, 1) gave
# 0.66 (sigmoid) and 0.81 (tanh), and a validation accuracy that is lower by 0.05 and 0.26. Inits that know the layers'
# sizes gave at most 0.32 in the first epoch.
_SATURATED = 0.5
# Or so many in the end, with a poor score: networks that do well reach 0.76 (spirals with sigmoid), and those with
# too large steps 0.8 to 1.
_SATURATED_AND_POOR = 0.8


def dead_units(case: Case) -> Evidence | None:
    """Much of a layer gives the same output for all inputs, and cannot learn any more."""
    shares = _shares(case, "dead_units")
    worst = max(shares.values(), key=lambda column: column[-1], default=None)
    if worst is None or worst[-1] < (_DEAD_AND_POOR if case.low_score else _DEAD):
        return None
    listed = ", ".join(f"{name} {percent(column[-1])}" for name, column in shares.items())
    config = case.config
    other = remedies.activation(config, "leaky_relu" if isinstance(config.activation, ReLU) else "relu")
    slower = remedies.lower_rate(config, 3)
    return Evidence(
        f"units whose output is the same for all inputs, by layer: {listed} ({percent(worst[0])} of the worst after "
        f"the first epoch)",
        [slower, other] if remedies.too_fast(config) else [remedies.weaker_penalty(config), other, slower],
    )


def saturated_units(case: Case) -> Evidence | None:
    """Much of a layer's output lies at the limits of its activation, where gradients are small."""
    shares = _shares(case, "saturated")
    if not shares:
        return None
    config = case.config
    listed = ", ".join(f"{name} {percent(column[-1])}" for name, column in shares.items())
    outputs = f"outputs within 2.5 % of the range from a limit of the activation, by layer: {listed}"
    begun = max(min(column[0], column[-1]) for column in shares.values())
    if begun >= _SATURATED:
        first = ", ".join(percent(column[0]) for column in shares.values())
        return Evidence(
            f"{outputs}; after the first epoch {first}",
            [
                remedies.init_that_fits(config),
                remedies.with_regularizer(config, "batchnorm"),
                remedies.activation(config, "relu"),
                remedies.lower_rate(config),
            ],
        )
    if case.low_score and max(column[-1] for column in shares.values()) >= _SATURATED_AND_POOR:
        return Evidence(
            outputs,
            [
                remedies.lower_rate(config, 3),
                remedies.with_regularizer(config, "batchnorm"),
                remedies.activation(config, "relu"),
            ],
        )
    return None


def _shares(case: Case, what: str) -> dict[str, np.ndarray]:
    """By activation, in the order of the layers, the shares at the epochs that measured them."""
    found = {tag.removeprefix(f"{what}/"): case.measured(tag) for tag in case.history if tag.startswith(f"{what}/")}
    return {name: values for name, values in found.items() if len(values)}


def symmetric_units(case: Case) -> Evidence | None:
    """All units of a hidden layer have the same weights: they count as one."""
    same = [f"all {layer.n_units} of {layer.name}" for layer in case.layers if layer.symmetric]
    if not same:
        return None
    config = case.config
    better = remedies.init_that_fits(config) or remedies.weaker_penalty(config) or remedies.suited_init(config)
    return Evidence(f"units of one layer have the same incoming weights and act as one: {', '.join(same)}", [better])
