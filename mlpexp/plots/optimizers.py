"""Optimizers on a surface of two parameters, where each step can be seen: L(x, y) = x² + 10y².

Ten times as steep in y as in x: a rate that is stable for y is slow for x, which is what momentum and the division by
gradient sizes are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mlpexp.components.optimizer import Optimizer, optimizers
from mlpexp.components.optimizer_step import plain_step, skip_dynamo_import
from mlpexp.figures.optimizer_paths import Path, optimizer_paths
from mlpexp.plots.choices import choose, described

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 100
START = (-4.5, 2.0)
# The surface is a data set that recommends rates, so that optimizers of a user's own get theirs as for any other.
# η < 2/20 is where plain gradient descent converges. Rates below are of optimizers whose steps are not about η long:
# RAdam's first are those of momentum, RMSprop's first 10η; Adagrad's shrink, Muon's are 0.28η.
_RATES = {"lr": 0.2, "lr_momentum": 0.02, "lr_sgd": 0.08}
_RATE_OF = {"radam": 0.08, "rmsprop": 0.05, "adagrad": 1.0, "muon": 0.3}


def suits(option: str) -> list[str]:
    """Overrides that set the rate that suits an optimizer on this surface."""
    rates = _RATES | ({"lr": _RATE_OF[option]} if option in _RATE_OF else {})
    return [f"dataset.recommended.{key}={rate}" for key, rate in rates.items()]


def draw(overrides: Sequence[str], config_dir: str | None) -> tuple[Figure, list[str]]:
    """The figure of the optimizers that `overrides` choose, and notes on it."""
    choice = choose("optimizer", overrides, config_dir, suits=suits)
    found = {described(optimizers, job.config.optimizer, always="lr"): job.config.optimizer for job in choice.jobs}
    paths = {name: path(optimizer) for name, optimizer in found.items()}
    return optimizer_paths(paths, lambda points: surface(torch.from_numpy(points)).numpy(), "x² + 10y²"), choice.notes


def surface(points: Tensor) -> Tensor:
    """L = x² + 10y² of points [..., 2]."""
    return points[..., 0] ** 2 + 10 * points[..., 1] ** 2


def path(optimizer: Optimizer, start: tuple[float, float] = START, steps: int = STEPS) -> Path:
    """Where `optimizer` goes from `start`, in at most `steps` steps; fewer where the loss is no longer finite.

    θ = (x, y) is one weight matrix [1, 2], as Muon moves matrices; to all others its shape makes no difference.
    """
    weight = nn.Parameter(torch.tensor([start], dtype=torch.float64))
    skip_dynamo_import()
    step = plain_step(optimizer.build([weight]))
    evaluations = 0

    def closure() -> Tensor:
        nonlocal evaluations
        evaluations += 1
        weight.grad = None
        loss = surface(weight).sum()
        loss.backward()
        return loss

    points, most = [weight.detach().clone()], 0
    for _ in range(steps):
        before = evaluations
        step(closure)
        most = max(most, evaluations - before)
        points.append(weight.detach().clone())
        if not bool(surface(weight).isfinite()):
            break
    visited = torch.cat(points)
    return Path(np.asarray(visited), np.asarray(surface(visited)), steps, most)
