"""A loss that an optimizer evaluates several times within a step, as quasi-Newton methods do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from mlpexp.engine.member_rng import MemberRng
from mlpexp.engine.stack import Stack

# Losses [K] and outputs [K, B, C] of one evaluation, and what is minimised.
Look = tuple[Tensor, Tensor, Tensor]


class Looks:
    """The closure of a step: every evaluation is of the same function of the weights.

    A line search compares losses at several weights. So all evaluations of a step have the same noise (dropout
    masks) and begin with the same buffers (running statistics). After the step, buffers and noise are as the first
    evaluation left them, which is at the weights before the step.
    """

    def __init__(self, stack: Stack, noise: Sequence[MemberRng], look: Callable[[bool], Look]) -> None:
        """`look(first)` computes losses and gradients; `first` says whether it is the first evaluation of the step."""
        self._buffers, self._noise, self._look = list(stack.buffers()), noise, look
        self._before = self._state()
        self._first: tuple[Look, tuple[list[Tensor], list[dict[str, Tensor]]]] | None = None

    def __call__(self) -> Tensor:
        if self._first is None:
            found = self._look(True)
            self._first = found, self._state()
            return found[2]
        self._restore(self._before)
        return self._look(False)[2]

    def end(self) -> Look:
        """The first evaluation, once the optimizer has made its step."""
        assert self._first is not None, "an optimizer must call its closure"
        found, after = self._first
        self._restore(after)
        return found

    def _state(self) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        return [buffer.clone() for buffer in self._buffers], [source.position() for source in self._noise]

    def _restore(self, state: tuple[list[Tensor], list[dict[str, Tensor]]]) -> None:
        buffers, positions = state
        for buffer, value in zip(self._buffers, buffers, strict=True):
            buffer.copy_(value)
        for source, position in zip(self._noise, positions, strict=True):
            source.go_to(position)
