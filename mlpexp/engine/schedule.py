"""A member's learning rate over time: torch's scheduler, a warm-up before it, and where they stand."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from mlpexp.components.scheduler import Scheduler, Span


class _StandIn(Optimizer):
    """An optimizer that has a learning rate and nothing to learn."""

    def __init__(self, lr: float) -> None:
        super().__init__([torch.zeros(1)], {"lr": lr})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Does nothing."""


class Schedule:
    """Says which learning rate a member's next step has.

    The torch scheduler moves the rate of a stand-in optimizer. So a schedule knows nothing of the optimizer
    that trains, and members that share one optimizer can have schedules of their own.
    """

    def __init__(self, scheduler: Scheduler, lr: float, epochs: int, steps_per_epoch: int) -> None:
        self.scheduler = scheduler
        self.step = 0
        self.applied_lr = lr  # of the latest step
        warmup_steps = round(scheduler.warmup * steps_per_epoch)
        self.span = Span(epochs, steps_per_epoch, warmup_steps)
        self._stand_in = _StandIn(lr)
        self._torch = scheduler.build(self._stand_in, self.span)
        # torch warns of a scheduler that moves before its optimizer has.
        self._stand_in.step()

    @staticmethod
    def looks_at_loss(scheduler: Scheduler) -> bool:
        """Whether the rate depends on how the member fares."""
        return isinstance(scheduler.build(_StandIn(1.0), Span(1, 1)), ReduceLROnPlateau)

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        lr: float = self._stand_in.param_groups[0]["lr"]
        if self.step < self.span.warmup_steps:
            start = self.scheduler.warmup_start
            lr *= start + (1 - start) * self.step / self.span.warmup_steps
        return lr

    def begin_step(self) -> float:
        """The rate of the step that is made now."""
        self.applied_lr = self.lr
        return self.applied_lr

    def after_step(self) -> None:
        self.step += 1
        done = self.step - self.span.warmup_steps
        # torch's one-cycle schedule refuses to move past its last step.
        if self._torch is not None and self.scheduler.by_step and 0 < done < self.span.steps:
            self._torch.step()

    def after_epoch(self, val_loss: float) -> None:
        if self._torch is None or self.scheduler.by_step or self.step <= self.span.warmup_steps:
            return
        if isinstance(self._torch, ReduceLROnPlateau):
            self._torch.step(val_loss)
        else:
            self._torch.step()

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers and lists only, loadable with weights_only=True."""
        state: dict[str, Any] = {"step": self.step, "epochs": self.span.epochs, "torch": None}
        if self._torch is not None:
            state["torch"] = _plain(self._torch.state_dict())
            state["lr"] = self._stand_in.param_groups[0]["lr"]
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state`. Where the run now has other `epochs`, smooth schedules are drawn out to the new end."""
        if self._torch is not None and self.scheduler.by_step and state["epochs"] != self.span.epochs:
            for _ in range(state["step"]):
                self.after_step()
            return
        self.step = state["step"]
        if self._torch is not None:
            self._torch.load_state_dict(state["torch"])
            self._stand_in.param_groups[0]["lr"] = state["lr"]


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """A scheduler's state without what cannot be saved as plain data: functions and Counters."""
    return {
        key: dict(value) if isinstance(value, dict) else value for key, value in state.items() if not callable(value)
    }
