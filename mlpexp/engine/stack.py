"""Stacks: K networks of one architecture that see their batches side by side.

K members, B samples, F features, C outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ModuleStack(nn.Module):
    """A stack of any plain modules, a user's own too. A single run is a stack of one."""

    def __init__(self, members: Sequence[nn.Module], bf16: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.bf16 = bf16

    def __len__(self) -> int:
        return len(self.members)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [K, B, C] (float32) for inputs [K, B, F]."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            outputs = torch.stack([member(x[k]) for k, member in enumerate(self.members)])
        return outputs.float()

    def member(self, k: int) -> nn.Module:
        """The plain module of member `k`; checkpoints hold its state_dict."""
        return self.members[k]

    def weights(self, k: int) -> list[Tensor]:
        """The weights [n_out, n_in] of member `k`'s linear layers: what penalties and max_norm are about."""
        return [layer.weight for layer in self.members[k].modules() if isinstance(layer, nn.Linear)]

    def layers(self, k: int) -> dict[str, list[nn.Parameter]]:
        """The parameters of member `k` by the layer that owns them, in the order of the layers."""
        owned = {name: list(layer.parameters(recurse=False)) for name, layer in self.members[k].named_modules()}
        return {name or "model": parameters for name, parameters in owned.items() if parameters}

    def activations(self, k: int) -> dict[str, nn.Module]:
        """The modules of member `k` that compute hidden activations, by name."""
        return {
            name: layer
            for name, layer in self.members[k].named_modules()
            if name.startswith("activation") or type(layer).__module__ == "torch.nn.modules.activation"
        }
