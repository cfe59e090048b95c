"""Units that have stopped to carry information. K members, B samples, H units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlpexp.engine.stack import ModuleStack

# A unit whose output moves by no more than this over all samples is dead. For ReLU it is 0 on all of them; a
# saturated sigmoid or tanh moves by less than float32 resolves.
_MOVES = 1e-6


@torch.no_grad()
def dead_units(stack: ModuleStack, x: Tensor) -> dict[str, Tensor]:
    """For each hidden activation the share [K] of units whose output is the same for all inputs x [K, B, F]."""
    spans: dict[str, list[Tensor]] = {}
    hooks = []
    for k in range(len(stack)):
        for name, layer in stack.activations(k).items():
            spans.setdefault(name, [])

            def note(_module: nn.Module, _inputs: object, output: Tensor, name: str = name) -> None:
                spans[name].append(output.float().amax(0) - output.float().amin(0))

            hooks.append(layer.register_forward_hook(note))
    stack.eval()
    try:
        # Not by calling the stack: a compiled one passes its hooks by.
        stack.forward(x)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        name: torch.stack([(span <= _MOVES).float().mean() for span in by_member]) for name, by_member in spans.items()
    }
