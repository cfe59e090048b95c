"""One optimizer for members with different learning rates and weight decays.

N members. θ [N, …] are the parameters, g [N, …] their gradients, η [N] the learning rates, λ [N] the weight decays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from mlpexp.components.optimizer import Optimizer
from mlpexp.components.optimizer_step import plain_step
from mlpexp.config.user_code import is_ours


def but_for_rates(optimizer: Optimizer) -> Optimizer | None:
    """The optimizer without its rate and weight decay: members in which this is equal can share an `OwnRates`.

    None where a step is not of the form η·u (see `OwnRates`), or the optimizer is a user's.
    """
    if optimizer.decay is None or not is_ours(optimizer):
        return None
    # The optimizer classes differ in their fields, but all of them have these two.
    return replace(optimizer, lr=1.0, weight_decay=0.0)  # type: ignore[call-arg]


class OwnRates:
    """Steps of one of torch's optimizers, where each member has its own η and λ.

    A step is η·u plus weight decay, and u depends on the gradients alone. So torch's optimizer steps with rate 1 and
    without weight decay on a second set of parameters that are zero before the step: they hold u after it. Then
    θ ← θ + η·u. Weight decay is applied first: coupled as g ← g + λ·θ, or decoupled as θ ← (1 − η·λ)·θ.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], optimizers: Sequence[Optimizer]) -> None:
        """`optimizers` [N] differ only in their rates and weight decays."""
        shared = but_for_rates(optimizers[0])
        assert shared is not None, "a step of this optimizer is more than a rate times a direction"
        self._parameters = parameters
        self._directions = [nn.Parameter(torch.zeros_like(parameter)) for parameter in parameters]
        self.optimizer = shared.build_stacked(self._directions)
        self._step = plain_step(self.optimizer)
        self._decoupled = optimizers[0].decay == "decoupled"
        self.weight_decays = [float(getattr(optimizer, "weight_decay", 0.0)) for optimizer in optimizers]
        self._decays = self._on_device(self.weight_decays) if any(self.weight_decays) else None
        self._factors = torch.ones_like(self._on_device(self.weight_decays))
        self._rates = torch.zeros_like(self._factors)
        self.set_rates([optimizer.lr for optimizer in optimizers])

    def _on_device(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=self._parameters[0].dtype).to(self._parameters[0].device)

    def set_rates(self, rates: Sequence[float]) -> None:
        """Sets η [N] for the next steps, in place: a recorded CUDA graph reads them from the same memory."""
        self._rates.copy_(self._on_device(rates))
        if self._decoupled and self._decays is not None:
            decays = zip(rates, self.weight_decays, strict=True)
            self._factors.copy_(self._on_device([1 - rate * decay for rate, decay in decays]))

    @torch.no_grad()
    def step(self) -> None:
        """Makes one step with the current gradients of the parameters."""
        for parameter, direction in zip(self._parameters, self._directions, strict=True):
            direction.grad = parameter.grad
            if parameter.grad is not None and self._decays is not None:
                if self._decoupled:
                    parameter.mul_(_by_member(self._factors, parameter))
                else:
                    parameter.grad.addcmul_(parameter, _by_member(self._decays, parameter))
        self._step()
        for parameter, direction in zip(self._parameters, self._directions, strict=True):
            if parameter.grad is not None:
                parameter.addcmul_(direction, _by_member(self._rates, parameter))
                direction.zero_()


def _by_member(numbers: Tensor, parameter: Tensor) -> Tensor:
    """`numbers` [N] as [N, 1, …], with as many dimensions as the parameter."""
    return numbers.view(-1, *[1] * (parameter.ndim - 1))
