"""The layers of K networks as one layer each: parameters and inputs have a leading axis of members.

K members, B samples, H units; n_in inputs and n_out outputs of a layer. Parameters and buffers have the names of
the plain layer's and stand in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlpexp.components.dropout import (
    AlphaDropout,
    Dropout,
    Generator,
    alpha_scaled,
    by_torch,
    fill,
    in_steps,
    keep_mask,
    n_int64,
    scaled,
)


class StackedLayer(nn.Module):
    """Base of all stacked layers."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        """Stacks the parameters and buffers of K plain layers."""
        super().__init__()
        for name, first in layers[0].named_parameters():
            values = torch.stack([layer.get_parameter(name).detach() for layer in layers])
            self.register_parameter(name, nn.Parameter(values, requires_grad=first.requires_grad))
        for name, _ in layers[0].named_buffers():
            self.register_buffer(name, torch.stack([layer.get_buffer(name) for layer in layers]))


class _Product(torch.autograd.Function):
    """x·Wᵀ + b for every member, with the gradient of W computed as it is stored, [K, n_out, n_in].

    torch's own formula gives the transpose of that, which is then copied over.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        of_x = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return of_x, torch.bmm(gradient.mT, x), gradient.sum(1)


class StackedLinear(StackedLayer):
    """x·Wᵀ + b."""

    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if "bias" not in self._parameters:
            return torch.bmm(x, self.weight.mT)
        if torch.is_autocast_enabled(x.device.type):
            return torch.baddbmm(self.bias[:, None], x, self.weight.mT)
        product: Tensor = _Product.apply(x, self.weight, self.bias)
        return product


class _Exchange(torch.autograd.Function):
    """The first two axes exchanged, copied to contiguous memory, values and gradients.

    As views they would reach the next products with rows that lie K·H apart, a power of two as a rule: the products
    of the backward pass then take several times as long.
    """

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.transpose(0, 1).contiguous()

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.transpose(0, 1).contiguous()


class StackedBatchNorm(StackedLayer):
    """torch's own batch normalisation, over the K·H units of all members as if they were those of one layer."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, layers: Sequence[nn.BatchNorm1d]) -> None:
        super().__init__(layers)
        self.eps, self.momentum = layers[0].eps, layers[0].momentum

    def forward(self, x: Tensor) -> Tensor:
        k, b, h = x.shape
        if self.training:
            self.num_batches_tracked.add_(1)
        units = F.batch_norm(
            _Exchange.apply(x).view(b, k * h),
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.view(-1),
            self.bias.view(-1),
            self.training,
            self.momentum or 0.0,
            self.eps,
        )
        exchanged: Tensor = _Exchange.apply(units.view(b, k, h))
        return exchanged


class StackedLayerNorm(StackedLayer):
    """torch's own layer normalisation, then each member's scale and shift."""

    weight: Tensor
    bias: Tensor

    def __init__(self, layers: Sequence[nn.LayerNorm]) -> None:
        super().__init__(layers)
        self.shape, self.eps = layers[0].normalized_shape, layers[0].eps

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias[:, None], F.layer_norm(x, self.shape, eps=self.eps), self.weight[:, None])


class StackedPReLU(StackedLayer):
    """x for x ≥ 0, else a·x with each member's own a."""

    weight: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x >= 0, x, self.weight[:, None] * x)


class StackedDropout(StackedLayer):
    """Each member's dropout with its own p, from its own generator: the same masks as when it trains alone."""

    _dropped: Tensor

    def __init__(self, layers: Sequence[nn.Dropout]) -> None:
        super().__init__(layers)
        self.p = [layer.p for layer in layers]
        self.generators: Sequence[Generator] = [None] * len(layers)
        self.register_buffer("_dropped", torch.tensor([in_steps(p) for p in self.p])[:, None], persistent=False)

    def _masks(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """1 where an element of x [K, B, H] is kept, else 0, and the p in force, [K, 1, 1]."""
        n = x[0].numel()
        # A member without dropout draws nothing, as when it trains alone.
        drawing = [(k, generator) for k, (p, generator) in enumerate(zip(self.p, self.generators, strict=True)) if p]
        if by_torch(x.device):
            draws = torch.ones(len(x), n, device=x.device)
            for k, generator in drawing:
                draws[k].uniform_(generator=generator)
            # Without a wait for the device.
            p = torch.tensor(self.p).to(x.device, non_blocking=True)[:, None]
            return (draws >= p).to(x.dtype).view(x.shape), p[..., None]
        bits = torch.empty(len(x), n_int64(n), dtype=torch.int64, device=x.device)
        for k, generator in drawing:
            fill(bits[k], generator)
        return keep_mask(bits, n, self._dropped).view(x.shape), (self._dropped / 2**16)[..., None].to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return scaled(x, *self._masks(x)) if self.training else x


class StackedAlphaDropout(StackedDropout):
    """Each member's alpha dropout with its own p, from its own generator."""

    def forward(self, x: Tensor) -> Tensor:
        return alpha_scaled(x, *self._masks(x)) if self.training else x


class StackedFunctions(nn.Module):
    """Functions of single elements, each for the members that have it."""

    def __init__(self, parts: Sequence[tuple[slice, nn.Module]]) -> None:
        """`parts` are consecutive members, all K in order, and their function."""
        super().__init__()
        self.members = [members for members, _ in parts]
        self.functions = nn.ModuleList(function for _, function in parts)
        self._sizes = [members.stop - members.start for members in self.members]

    def of(self, k: int) -> nn.Module:
        """The function of member `k`."""
        parts = zip(self.members, self.functions, strict=True)
        return next(function for members, function in parts if k < members.stop)

    def forward(self, x: Tensor) -> Tensor:
        # Not as views of x: a function may change in place what it is given.
        inputs = x.unsafe_split_with_sizes(self._sizes)
        return torch.cat([function(part) for function, part in zip(self.functions, inputs, strict=True)])


# The stacked forms of layers that have parameters or buffers, or are not element-wise.
STACKED: dict[type[nn.Module], Callable[[Sequence[Any]], StackedLayer]] = {
    nn.Linear: StackedLinear,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.LayerNorm: StackedLayerNorm,
    nn.PReLU: StackedPReLU,
    Dropout: StackedDropout,
    AlphaDropout: StackedAlphaDropout,
}
