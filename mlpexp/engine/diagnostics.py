"""What is measured of a network while it trains: gradient norms before clipping, dead and saturated units.

K members, B samples, P parameters, L layers, H units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mlpexp.config.schema import Config
from mlpexp.engine.rows import Rows
from mlpexp.engine.stack import Stack, layers


class GradientNorms:
    """Means of the L2 norms of the gradients over the steps at which `measure` is called.

    Norms cost a few per cent of a small network's step, so the loop measures at most `STEPS` steps of an
    epoch, evenly spread; runs with fewer steps an epoch measure every one.
    """

    STEPS = 32

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        owned = layers(stack.member(0))
        self.layer_names = list(owned)
        device = next(stack.parameters()).device
        self._layer_of = torch.tensor([i for i, own in enumerate(owned.values()) for _ in own], device=device)
        self._total = torch.zeros(len(stack), device=device)
        self._by_layer = torch.zeros(len(stack), len(self.layer_names), device=device)
        # On the device, as a recorded step counts too.
        self._count = torch.zeros((), device=device)

    @torch.no_grad()
    def measure(self) -> None:
        """Adds the norms of the gradients as they are now."""
        squares = self._stack.gradient_norms().square()
        self._total += squares.sum(1).sqrt()
        self._by_layer += torch.zeros_like(self._by_layer).index_add_(1, self._layer_of, squares).sqrt()
        self._count += 1

    def read(self) -> Tensor:
        """[K, 1 + L]: mean norms over all parameters and by layer since the last reading; the sums are then reset."""
        means = torch.cat([self._total[:, None], self._by_layer], 1) / self._count.clamp(min=1)
        self._total.zero_()
        self._by_layer.zero_()
        self._count.zero_()
        return means


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

    def __init__(self, configs: Sequence[Config], rows: Rows) -> None:
        """`configs` are those of the members, which have `log.diagnostics` in common; `rows` are the training rows."""
        first = configs[0]
        self._activations = [config.activation for config in configs]
        self._x = rows.sample(_PROBE_ROWS)
        self._n, self._total_epochs = first.log.diagnostics, first.epochs

    @torch.no_grad()
    def measure(self, stack: Stack, epoch: int) -> dict[str, Tensor]:
        """`dead_units/<activation>` and `saturated/<activation>` [K]; empty at epochs without diagnostics.

        Members without limits have nan for `saturated`; where all are without there is none.
        """
        if not due(epoch, self._n, self._total_epochs):
            return {}
        found: dict[str, Tensor] = {}
        hooks = []

        def note(name: str, members: slice, module: nn.Module, _inputs: object, output: Tensor) -> None:
            values, n = output.float(), members.stop - members.start
            span = (values.amax(-2) - values.amin(-2)).view(n, -1)
            shares = {"dead_units": span <= _MOVES}
            activation = self._activations[members.start]
            # Modules of another type, in a network of the user's own, are taken for unbounded.
            if activation.limits is not None and type(module) is type(activation.build()):
                shares["saturated"] = _near(values, *activation.limits).view(n, -1)
            for kind, share in shares.items():
                column = found.setdefault(f"{kind}/{name}", torch.full((len(stack),), math.nan, device=values.device))
                column[members] = share.float().mean(1)

        for name, members, layer in stack.activations():
            hooks.append(layer.register_forward_hook(partial(note, name, members)))
        stack.eval()
        try:
            # Not by calling the stack: a compiled one skips its hooks.
            stack.forward(self._x.expand(len(stack), *self._x.shape[1:]))
        finally:
            for hook in hooks:
                hook.remove()
        return dict(sorted(found.items()))


def _near(values: Tensor, low: float, high: float) -> Tensor:
    """Whether a value is near to one of the limits."""
    half = (high - low) / 2
    # Both limits in one comparison: the distance from the middle of the range.
    return (values - (low + half)).abs() >= half * (1 - 2 * SATURATED)


def due(epoch: int, n: int, epochs: int) -> bool:
    """Whether `epoch` is among about `n` epochs, evenly spread, with the first and the last."""
    return n > 0 and (epoch in (1, epochs) or epoch % math.ceil(epochs / n) == 0)
