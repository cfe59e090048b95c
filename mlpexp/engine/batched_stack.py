"""Batched stacks: K networks of one architecture as one network whose parameters have a leading axis.

K members, P parameters of a network, B samples, F features, H units, C outputs.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mlpexp.engine import stack
from mlpexp.engine.batched_layers import STACKED, StackedDropout, StackedFunctions, StackedLinear
from mlpexp.engine.member_rng import MemberRng


def unstackable(module: nn.Module, activation: type[nn.Module]) -> str | None:
    """The first layer of a network that does not stack, or None where all do.

    Those of STACKED do, and modules of the type `activation`: they are functions of single elements.
    """
    if not isinstance(module, nn.Sequential):
        return type(module).__name__
    for layer in module:
        if type(layer) not in STACKED and not (type(layer) is activation and stack.is_function(layer)):
            return type(layer).__name__
    return None


class BatchedStack(stack.Stack):
    """K plain networks in one: every product, activation and sum is computed for all members at once."""

    def __init__(
        self, members: Sequence[nn.Module], bf16: bool = False, activations: Sequence[Hashable] | None = None
    ) -> None:
        """Takes the weights of plain networks of one architecture, for which `unstackable` finds nothing.

        `activations` [K] are equal where the members' are; without them all are.
        """
        super().__init__(bf16)
        self._size = len(members)
        children = [dict(member.named_children()) for member in members]
        alike = [members for members, _ in stack.spans(activations or [None] * len(members))]
        self.net = nn.Sequential(
            OrderedDict((name, _stacked([child[name] for child in children], alike)) for name in children[0])
        )
        # In a tuple: its parameters are not those of the stack.
        self._plain = (copy.deepcopy(members[0]),)
        self._kept: dict[str, Tensor] = {}
        self._views: list[tuple[nn.Parameter, nn.Parameter, slice]] = []
        self._limits: dict[tuple[float | None, ...], Tensor] = {}

    def __len__(self) -> int:
        return self._size

    def outputs(self, x: Tensor) -> Tensor:
        found: Tensor = self.net(x)
        return found

    @contextmanager
    def drawing_from(self, noise: Sequence[MemberRng]) -> Iterator[Sequence[torch.Generator]]:
        generators = [source.generator() for source in noise]
        for layer in self.net:
            if isinstance(layer, StackedDropout):
                layer.generators = generators
        yield generators

    def member(self, k: int) -> nn.Module:
        plain = copy.deepcopy(self._plain[0])
        plain.load_state_dict(self.state(k))
        for name, layer in self.net.named_children():
            if isinstance(layer, StackedDropout):
                plain.get_submodule(name).p = layer.p[k]  # type: ignore[assignment]
            elif isinstance(layer, StackedFunctions):
                setattr(plain, name, copy.deepcopy(layer.of(k)))
        return plain.to(next(self.net.parameters()).device)

    def named_parameters_of(self, k: int) -> stack.State:
        return self._member_of(dict(self.net.named_parameters()), k)

    def state(self, k: int) -> stack.State:
        return self._member_of(self.net.state_dict(), k)

    def load_state(self, k: int, state: Mapping[str, Tensor]) -> None:
        self._load(self.net.state_dict(), k, state)

    def keep(self, members: Sequence[int]) -> None:
        current = self.net.state_dict()
        self._make_room()
        if len(members) == len(self):
            for name, value in current.items():
                self._kept[name].copy_(value)
        elif members:
            rows = torch.tensor(members, device=next(self.net.parameters()).device)
            for name, value in current.items():
                self._kept[name].index_copy_(0, rows, value.index_select(0, rows))

    def best_weights(self, k: int) -> stack.State:
        return self._member_of(self._kept, k)

    def load_kept(self, k: int, state: Mapping[str, Tensor]) -> None:
        self._make_room()
        self._load(self._kept, k, state)

    def _make_room(self) -> None:
        """Allocates the memory for the best weights of all members, once."""
        if not self._kept:
            self._kept = {name: torch.zeros_like(value) for name, value in self.net.state_dict().items()}

    def _member_of(self, whole: Mapping[str, Tensor], k: int) -> stack.State:
        return {name: value[k] for name, value in whole.items()}

    def _load(self, whole: Mapping[str, Tensor], k: int, state: Mapping[str, Tensor]) -> None:
        # The plain network checks whether the state fits.
        self._plain[0].load_state_dict(state)
        for name, value in self._member_of(whole, k).items():
            value.copy_(state[name])

    def parameters_of(self, members: slice) -> list[nn.Parameter]:
        views = [
            (storage, nn.Parameter(storage.detach()[members], storage.requires_grad), members)
            for storage in self.net.parameters()
        ]
        self._views += views
        return [view for _, view, _ in views]

    def share_gradients_with_views(self) -> None:
        for storage, view, rows in self._views:
            view.grad = None if storage.grad is None else storage.grad[rows]

    def optimizer_state(
        self, state: dict[str, Any], shapes: Sequence[torch.Size], members: slice, k: int
    ) -> dict[str, Any]:
        def of_member(index: int, value: Any) -> Any:
            # What has another shape than the parameter, such as the count of steps, is that of every member.
            whole = isinstance(value, Tensor) and value.shape == shapes[index]
            return value[k - members.start] if whole else value

        return {**state, "state": _mapped(of_member, state["state"])}

    def joined_optimizer_state(self, states: Sequence[dict[str, Any]], shapes: Sequence[torch.Size]) -> dict[str, Any]:
        def joined(index: int, *values: Any) -> Any:
            whole = isinstance(values[0], Tensor) and values[0].shape == shapes[index][1:]
            return torch.stack(values) if whole else values[0]

        return {**states[0], "state": _mapped(joined, *[state["state"] for state in states])}

    def weights(self, members: slice) -> list[Tensor]:
        return [layer.weight[members] for layer in self.net if isinstance(layer, StackedLinear)]

    def gradient_norms(self) -> Tensor:
        norms = [
            torch.zeros(len(self), device=parameter.device)
            if parameter.grad is None
            else torch.linalg.vector_norm(parameter.grad.flatten(1), dim=1).float()
            for parameter in self.net.parameters()
        ]
        return torch.stack(norms, 1)

    def clip(self, norms: Sequence[float | None], values: Sequence[float | None]) -> None:
        if any(norm is not None for norm in norms):
            # As torch.nn.utils.clip_grad_norm_ has it.
            overall = torch.linalg.vector_norm(self.gradient_norms(), dim=1)
            limits = self._limits_of(norms)
            # Without a limit the factor is 1 for every norm; ∞/∞ would be nan.
            scale = torch.where(limits.isinf(), 1.0, limits / (overall + 1e-6)).clamp(max=1.0)
            for gradient in self._gradients():
                gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))
        if any(value is not None for value in values):
            for gradient in self._gradients():
                most = self._limits_of(values).view(-1, *[1] * (gradient.ndim - 1)).to(gradient.dtype)
                gradient.clamp_(-most, most)

    def _limits_of(self, limits: Sequence[float | None]) -> Tensor:
        """Limits [K] of the members, put on the device once; those that have none have infinity."""
        key = tuple(limits)
        if key not in self._limits:
            found = torch.tensor([float("inf") if limit is None else limit for limit in limits])
            self._limits[key] = found.to(next(self.net.parameters()).device)
        return self._limits[key]

    def _gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self.net.parameters() if parameter.grad is not None]

    def activations(self) -> list[tuple[str, slice, nn.Module]]:
        found: list[tuple[str, slice, nn.Module]] = []
        for name in stack.activations(self._plain[0]):
            layer = self.net.get_submodule(name)
            if isinstance(layer, StackedFunctions):
                found += [(name, *part) for part in zip(layer.members, layer.functions, strict=True)]
            else:
                found.append((name, slice(0, len(self)), layer))
        return found


def _mapped(change: Callable[..., Any], *states: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """The `state` of an optimizer with `change(index of the parameter, value of each state)` for every value."""
    return {
        index: {name: change(index, *[state[index][name] for state in states]) for name in states[0][index]}
        for index in states[0]
    }


def _stacked(layers: Sequence[nn.Module], alike: Sequence[slice]) -> nn.Module:
    """The layers of all members as one; of those that are functions, neighbours that are `alike` share theirs."""
    kind = STACKED.get(type(layers[0]))
    if kind is not None:
        return kind(layers)
    return layers[0] if len(alike) == 1 else StackedFunctions([(members, layers[members.start]) for members in alike])
