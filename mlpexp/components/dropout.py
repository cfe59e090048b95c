"""Dropout that is the same alone and in a stack, and whose random numbers cost a third of torch's on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlpexp.data.batch import Generator

_LANES = 4  # 16-bit numbers in each 64-bit one that is drawn
_STEPS = 2**16
_ALPHA = -1.7580993408473766


def by_torch(device: torch.device) -> bool:
    """Whether masks are drawn as torch does: in compiled code, and on MPS, which had no full range of integers."""
    return device.type == "mps" or torch.compiler.is_compiling()


def in_steps(p: float) -> int:
    """p in steps of 2⁻¹⁶, below 1."""
    return min(round(p * _STEPS), _STEPS - 1)


def n_int64(n: int) -> int:
    """How many 64-bit numbers decide n elements."""
    return -(-n // _LANES)


def fill(draws: Tensor, generator: Generator) -> None:
    """Fills a tensor of 64-bit integers with random bits.

    torch draws a double for every element, more than a tenth of the time of a step on MNIST. Here one draw decides
    four elements.
    """
    draws.random_(-(2**63), None, generator=generator)


def keep_mask(draws: Tensor, n: int, dropped: int | Tensor) -> Tensor:
    """1 where one of n elements [..., n] is kept by the bits [..., n_int64(n)], 0 where not: in `dropped` of 2¹⁶ cases.

    float32, which 16 bits fit into: comparing to booleans, and those as factors, takes a CPU five times as long.
    """
    # Of the 2¹⁶ values from −2¹⁵ on, the first `dropped` are zeros.
    return draws.view(torch.int16)[..., :n].float().ge_(dropped - _STEPS // 2)


def scaled(x: Tensor, mask: Tensor, p: float | Tensor) -> Tensor:
    """x/(1 − p) where `mask` is 1, 0 where it is 0: means are kept."""
    return x * mask.to(x.dtype).mul_(1 / (1 - p))


def alpha_scaled(x: Tensor, mask: Tensor, p: float | Tensor) -> Tensor:
    """a·x + b where `mask` is 1, a·α' + b where it is 0: mean 0 and variance 1 are kept.

    α' = −λα of SELU, a = ((1 − p)(1 + p·α'²))^−½, b = −a·α'·p (Klambauer et al. 2017, arXiv 1706.02515).
    """
    a = ((1 - p) * (1 + p * _ALPHA**2)) ** -0.5
    # What stands for x where it is dropped, and b, in the type of the mask: bfloat16 would not keep the mean.
    rest = ((1 - mask) - p) * (a * _ALPHA)
    return x * (mask * a).to(x.dtype) + rest.to(x.dtype)


def _mask(x: Tensor, p: float) -> tuple[Tensor, float]:
    """1 where an element of x is kept, else 0, and the p in force."""
    if by_torch(x.device):
        return (torch.rand_like(x) >= p).to(x.dtype), p
    draws = torch.empty(n_int64(x.numel()), dtype=torch.int64, device=x.device)
    fill(draws, None)
    return keep_mask(draws, x.numel(), in_steps(p)).view(x.shape), in_steps(p) / _STEPS


class Dropout(nn.Dropout):
    """nn.Dropout for inputs of any shape, with p in steps of 2⁻¹⁶ while it trains.

    The scale is that of the p in force, so that means are kept exactly. Compiled code has torch's own: a compiler
    makes one kernel of that.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return F.dropout(x, self.p) if by_torch(x.device) else scaled(x, *_mask(x, self.p))


class AlphaDropout(nn.AlphaDropout):
    """nn.AlphaDropout for inputs of any shape, with p in steps of 2⁻¹⁶ while it trains."""

    def forward(self, x: Tensor) -> Tensor:
        return alpha_scaled(x, *_mask(x, self.p)) if self.training and self.p else x
