"""Units that carry little or no information: dead and saturated ones. K members, B samples, H units."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mlpexp.config.schema import Config
from mlpexp.data.dataset import Data
from mlpexp.engine.stack import Stack

# Units are measured on so many training rows, taken from all over the split.
_PROBE_ROWS = 512

# A unit whose output moves by no more than this over all samples is dead. For ReLU it is 0 on all of them; a
# saturated sigmoid or tanh moves by less than float32 resolves.
_MOVES = 1e-6
# An output is saturated within this share of the activation's range from either limit. For sigmoid and tanh alike the
# slope is there less than a tenth of its greatest: σ' = σ(1 − σ) = 0.024 of 0.25 at σ = 0.975.
SATURATED = 0.025


class UnitDiagnostics:
    """For each hidden activation of a stack the share [K] of dead units and, where bounded, of saturated outputs.

    A unit is dead whose output is the same for all inputs. An output (of one unit for one input) is saturated that lies
    so near to a limit of the activation that hardly any gradient passes.
    """

    def __init__(self, config: Config, data: Data) -> None:
        """`config` is that of any member: all have their activation and `log.diagnostics` in common."""
        activation = config.activation
        self._limits = activation.limits
        # Modules of another type, in a network of the user's own, are taken for unbounded.
        self._type = type(activation.build()) if activation.limits else None
        self._x = data.inputs(data.train.sample(_PROBE_ROWS).x)
        self._n, self._total_epochs = config.log.diagnostics, config.epochs

    @torch.no_grad()
    def measure(self, stack: Stack, epoch: int) -> dict[str, Tensor]:
        """`dead_units/<activation>` and `saturated/<activation>` [K]; empty at epochs without diagnostics."""
        if not due(epoch, self._n, self._total_epochs):
            return {}
        found: dict[str, Tensor] = {}
        hooks = []
        for name, layer in stack.activations().items():

            def note(module: nn.Module, _inputs: object, output: Tensor, name: str = name) -> None:
                values = output.float()
                span = (values.amax(-2) - values.amin(-2)).view(len(stack), -1)
                found[f"dead_units/{name}"] = (span <= _MOVES).float().mean(1)
                if self._limits is not None and type(module) is self._type:
                    found[f"saturated/{name}"] = _near(values, *self._limits).view(len(stack), -1).mean(1)

            hooks.append(layer.register_forward_hook(note))
        stack.eval()
        try:
            # Not by calling the stack: a compiled one passes its hooks by.
            stack.forward(self._x.expand(len(stack), *self._x.shape))
        finally:
            for hook in hooks:
                hook.remove()
        return dict(sorted(found.items()))


def _near(values: Tensor, low: float, high: float) -> Tensor:
    """1 where a value is near to one of the limits, else 0."""
    half = (high - low) / 2
    # Both limits in one comparison: the distance from the middle of the range.
    return ((values - (low + half)).abs() >= half * (1 - 2 * SATURATED)).float()


def due(epoch: int, n: int, epochs: int) -> bool:
    """Whether `epoch` is among about `n` epochs, evenly spread, with the first and the last."""
    return n > 0 and (epoch in (1, epochs) or epoch % math.ceil(epochs / n) == 0)
