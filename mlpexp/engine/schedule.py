"""A member's learning rate over its run: a schedule, and the warm-up before it."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlpexp.components.scheduler import Progress, Scheduler, Span


class Schedule:
    """Says which learning rate each step of a member's run has.

    Nothing but the step decides, unless the schedule needs the metric: what it has made of that is all the state there
    is. So a run that goes on with other `epochs` has the rates of a run of that length.
    """

    def __init__(self, scheduler: Scheduler, lr: float, epochs: int, steps_per_epoch: int) -> None:
        self._scheduler = scheduler
        total = epochs * steps_per_epoch
        # Rounded, it could be the whole run.
        self._warmup = min(round(scheduler.warmup * steps_per_epoch), total - 1)
        self._span = Span(total - self._warmup, steps_per_epoch)
        self._progress = Progress(lr)

    def rate(self, step: int) -> float:
        """The learning rate of a step; the first one of the run is 0."""
        rate = self._scheduler.rate(max(0, step - self._warmup), self._span, self._progress.lr)
        if step < self._warmup:
            start = max(self._scheduler.warmup_start, 1 / (self._warmup + 1))
            rate *= start + (1 - start) * step / self._warmup
        return rate

    def after_epoch(self, epoch: int, val_loss: float) -> None:
        """Takes note of the validation loss after an epoch, the first one being 1, if a step was after the warm-up."""
        if epoch * self._span.per_epoch > self._warmup:
            self._progress = self._scheduler.observe(self._progress, val_loss, self._span)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, loadable with weights_only=True."""
        return dataclasses.asdict(self._progress) if self._scheduler.needs_metric else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._scheduler.needs_metric:
            self._progress = Progress(**state)
