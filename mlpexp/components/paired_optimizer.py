"""Several torch optimizers that step as one, each over parameters of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from mlpexp.components.optimizer_step import loss_of, plain_step


class PairedOptimizer(Optimizer):
    """Steps `parts` one after the other; their parameter groups and states are its own.

    So setting a group's `lr` reaches the part that owns it, and the state is saved in the form of torch's optimizers.
    """

    def __init__(self, parts: list[Optimizer]) -> None:
        self.parts = parts
        groups = [group for part in parts for group in part.param_groups]
        super().__init__([parameter for group in groups for parameter in group["params"]], {})
        self.param_groups = groups
        self._share()
        self._steps = [plain_step(part) for part in parts]

    def _share(self) -> None:
        """Gives the parts the groups and the states that this optimizer has."""
        rest = iter(self.param_groups)
        for part in self.parts:
            part.param_groups = [next(rest) for _ in part.param_groups]
            part.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = loss_of(closure)
        for step in self._steps:
            step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # It replaces the groups and the states by new dictionaries.
        super().load_state_dict(state_dict)
        self._share()
