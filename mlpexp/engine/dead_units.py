"""Units that have stopped to carry information. K members, B samples, H units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlpexp.engine.stack import Stack

# A unit whose output moves by no more than this over all samples is dead. For ReLU it is 0 on all of them; a
# saturated sigmoid or tanh moves by less than float32 resolves.
_MOVES = 1e-6


@torch.no_grad()
def dead_units(stack: Stack, x: Tensor) -> dict[str, Tensor]:
    """For each hidden activation the share [K] of units whose output is the same for all inputs x [K, B, F]."""
    moved: dict[str, Tensor] = {}
    hooks = []
    for name, layer in stack.activations().items():

        def note(_module: nn.Module, _inputs: object, output: Tensor, name: str = name) -> None:
            moved[name] = (output.float().amax(-2) - output.float().amin(-2)).view(len(stack), -1)

        hooks.append(layer.register_forward_hook(note))
    stack.eval()
    try:
        # Not by calling the stack: a compiled one passes its hooks by.
        stack.forward(x)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: (span <= _MOVES).float().mean(1) for name, span in moved.items()}
