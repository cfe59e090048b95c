"""Several torch optimizers that step as one, each over parameters of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from mlpexp.components.optimizer_step import plain_step


class PairedOptimizer(Optimizer):
    """Steps `parts` one after the other and shows their parameter groups as one list.

    The groups are the parts' own, so that setting a group's `lr` reaches the part that owns it.
    """

    def __init__(self, parts: list[Optimizer]) -> None:
        self.parts = parts
        super().__init__([parameter for group in self._groups() for parameter in group["params"]], {})
        self.param_groups = self._groups()
        self._steps = [plain_step(part) for part in parts]

    def _groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for step in self._steps:
            step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        # Loading replaces a part's groups by new dictionaries.
        self.param_groups = self._groups()
