"""Activations as functions of one number, with the derivative that autograd gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpexp.components.activation import Activation, activations
from mlpexp.figures.activation_functions import Curve, activation_functions
from mlpexp.plots.choices import choose, described

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Where most pre-activations of a network lie; with steps of 0.01 zero is one of the points.
_FROM, _TO, _POINTS = -4.0, 4.0, 801


def draw(overrides: Sequence[str], config_dir: str | None) -> tuple[Figure, list[str]]:
    """The figure of the activations that `overrides` choose, and notes on it."""
    choice = choose("activation", overrides, config_dir)
    found = {described(activations, job.config.activation): job.config.activation for job in choice.jobs}
    return activation_functions({name: curve(activation) for name, activation in found.items()}), choice.notes


def curve(activation: Activation) -> Curve:
    """f(x) and f′(x) over −4 ≤ x ≤ 4; the derivative is that of torch's autograd, at kinks too."""
    x = torch.linspace(_FROM, _TO, _POINTS, dtype=torch.float64).requires_grad_()
    # In evaluation mode: a module with noise of its own is drawn without it.
    value = activation.build().double().eval()(x)
    derivative = torch.zeros_like(x)
    # The output of a step function does not depend on x for autograd.
    if value.requires_grad:
        (derivative,) = torch.autograd.grad(value.sum(), x)
    return Curve(*(np.asarray(part.detach()) for part in (x, value, derivative)))
