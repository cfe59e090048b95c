"""Stacks: K networks of one architecture that see their batches side by side.

K members, P parameters of a network, B samples, F features, C outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from mlpexp.engine.member_rng import MemberRng

State = dict[str, Tensor]


class Stack(nn.Module, ABC):
    """What the loop needs of K networks. States and weights go in and out in the form of the plain network."""

    # Whether parameters are those of all members, [K, …].
    has_member_axis: ClassVar[bool] = True

    def __init__(self, bf16: bool) -> None:
        super().__init__()
        self.bf16 = bf16

    @abstractmethod
    def __len__(self) -> int:
        """K."""

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [K, B, C] (at least float32) for inputs [K, B, F]."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            outputs = self.outputs(x)
        return outputs.float() if self.bf16 else outputs

    @abstractmethod
    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [K, B, C] for inputs [K, B, F]."""

    @abstractmethod
    def drawing_from(self, noise: Sequence[MemberRng]) -> AbstractContextManager[Sequence[torch.Generator]]:
        """Lets the members' layers draw from their `noise`, and gives what their batches are to draw from."""

    @abstractmethod
    def member(self, k: int) -> nn.Module:
        """Member `k` as a plain network; its weights may be a copy."""

    @abstractmethod
    def named_parameters_of(self, k: int) -> State:
        """The parameters of member `k`'s plain network by name; they may go on changing with the stack."""

    @abstractmethod
    def state(self, k: int) -> State:
        """The state_dict of member `k`'s plain network; values may go on changing with the stack."""

    @abstractmethod
    def load_state(self, k: int, state: Mapping[str, Tensor]) -> None:
        """Puts a plain network's state_dict in place of member `k`'s."""

    @abstractmethod
    def keep(self, members: Sequence[int]) -> None:
        """Keeps a copy of the weights of some members."""

    @abstractmethod
    def best_weights(self, k: int) -> State:
        """What was last kept of member `k`."""

    @abstractmethod
    def load_kept(self, k: int, state: Mapping[str, Tensor]) -> None:
        """Puts `state` in place of what was kept of member `k`."""

    @abstractmethod
    def parameters_of(self, members: slice) -> list[nn.Parameter]:
        """P parameters that share the memory of some members' own, for an optimizer of these members."""

    @abstractmethod
    def share_gradients_with_views(self) -> None:
        """Gives the gradients of the latest backward pass to what `parameters_of` has handed out."""

    @abstractmethod
    def optimizer_state(
        self, state: dict[str, Any], shapes: Sequence[torch.Size], members: slice, k: int
    ) -> dict[str, Any]:
        """From the state of an optimizer over `parameters_of(members)`, that of one over member `k`'s plain network.

        `shapes` are those of the optimizer's parameters, in the order in which its state numbers them.
        """

    @abstractmethod
    def joined_optimizer_state(self, states: Sequence[dict[str, Any]], shapes: Sequence[torch.Size]) -> dict[str, Any]:
        """The inverse, from the states of all members."""

    @abstractmethod
    def weights(self, members: slice) -> list[Tensor]:
        """The weights [members, n_out, n_in] of the linear layers, as views: penalties and max_norm are about these."""

    @abstractmethod
    def gradient_norms(self) -> Tensor:
        """L2 norms [K, P] of the gradients of each parameter."""

    @abstractmethod
    def clip(self, norms: Sequence[float | None], values: Sequence[float | None]) -> None:
        """Scales each member's gradients down to an overall norm, then cuts each element to [−value, value]."""

    @abstractmethod
    def activations(self) -> list[tuple[str, slice, nn.Module]]:
        """The modules that compute hidden activations: the name in a member, for which members, and the module.

        It computes those of n members as [n, B, H], or of one as [B, H].
        """


def layers(module: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The parameters of a plain network by the layer that owns them, in the order of the layers."""
    owned = {name: list(layer.parameters(recurse=False)) for name, layer in module.named_modules()}
    return {name or "model": parameters for name, parameters in owned.items() if parameters}


def is_function(layer: nn.Module) -> bool:
    """Whether a layer has neither parameters nor buffers nor layers of its own."""
    return not layer.state_dict() and not list(layer.children())


def activations(module: nn.Module) -> dict[str, nn.Module]:
    """The modules of a network that compute hidden activations, by name."""
    return {
        name: layer
        for name, layer in module.named_modules()
        if name.startswith("activation") or type(layer).__module__ == "torch.nn.modules.activation"
    }


class ModuleStack(Stack):
    """A stack of one: any plain module, a user's own too."""

    has_member_axis: ClassVar[bool] = False

    def __init__(self, module: nn.Module, bf16: bool = False) -> None:
        super().__init__(bf16)
        self.module = module
        self._kept: State = {}

    def __len__(self) -> int:
        return 1

    def outputs(self, x: Tensor) -> Tensor:
        found: Tensor = self.module(x[0])
        return found[None]

    def drawing_from(self, noise: Sequence[MemberRng]) -> AbstractContextManager[Sequence[torch.Generator]]:
        return noise[0].in_use()

    def member(self, k: int) -> nn.Module:
        return self.module

    def named_parameters_of(self, k: int) -> State:
        return dict(self.module.named_parameters())

    def state(self, k: int) -> State:
        return dict(self.module.state_dict())

    def load_state(self, k: int, state: Mapping[str, Tensor]) -> None:
        self.module.load_state_dict(state)

    def keep(self, members: Sequence[int]) -> None:
        if members:
            # Clones, on the device: a state_dict alone would go on changing with the network.
            self._kept = {name: value.detach().clone() for name, value in self.module.state_dict().items()}

    def best_weights(self, k: int) -> State:
        return self._kept

    def load_kept(self, k: int, state: Mapping[str, Tensor]) -> None:
        self._kept = dict(state)

    def parameters_of(self, members: slice) -> list[nn.Parameter]:
        return list(self.module.parameters())

    def share_gradients_with_views(self) -> None:
        """The optimizer has the module's own parameters."""

    def optimizer_state(
        self, state: dict[str, Any], shapes: Sequence[torch.Size], members: slice, k: int
    ) -> dict[str, Any]:
        return state

    def joined_optimizer_state(self, states: Sequence[dict[str, Any]], shapes: Sequence[torch.Size]) -> dict[str, Any]:
        return states[0]

    def weights(self, members: slice) -> list[Tensor]:
        return [layer.weight[None] for layer in self.module.modules() if isinstance(layer, nn.Linear)]

    def gradient_norms(self) -> Tensor:
        return torch.stack([_norm(parameter) for layer in layers(self.module).values() for parameter in layer])[None]

    def clip(self, norms: Sequence[float | None], values: Sequence[float | None]) -> None:
        if norms[0] is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), norms[0])
        if values[0] is not None:
            nn.utils.clip_grad_value_(self.module.parameters(), values[0])

    def activations(self) -> list[tuple[str, slice, nn.Module]]:
        return [(name, slice(0, 1), layer) for name, layer in activations(self.module).items()]


def _norm(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        return torch.zeros((), device=parameter.device)
    return torch.linalg.vector_norm(parameter.grad).float()


T = TypeVar("T")


def spans(settings: Sequence[T]) -> list[tuple[slice, T]]:
    """Which consecutive members have equal settings, and that setting.

    >>> spans(["a", "a", "b", "a"])
    [(slice(0, 2, None), 'a'), (slice(2, 3, None), 'b'), (slice(3, 4, None), 'a')]
    """
    found: list[tuple[slice, T]] = []
    start = 0
    for setting, same in groupby(settings):
        stop = start + len(list(same))
        found.append((slice(start, stop), setting))
        start = stop
    return found
