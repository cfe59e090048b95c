"""Members that share an optimizer and a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpexp.config.schema import Config
from mlpexp.engine.eager import plain_step
from mlpexp.engine.schedule import Schedule
from mlpexp.engine.spans import spans
from mlpexp.engine.stack import Stack


class Group:
    """The optimizer and the schedule of consecutive members of a stack. A single run is a group of one.

    In the optimizers that stack, elements of a parameter do not know of one another. So one optimizer serves all
    members with the same settings, over parameters that are slices of the stack's.
    """

    def __init__(self, stack: Stack, members: slice, config: Config, steps_per_epoch: int) -> None:
        self.members = members
        self._stack = stack
        self.optimizer = config.optimizer.build(stack.parameters_of(members))
        self.full_batch = config.optimizer.full_batch
        self.step = plain_step(self.optimizer)
        self.schedule = Schedule(config.scheduler, config.optimizer.lr, config.epochs, steps_per_epoch)

    def apply_lr(self) -> None:
        """Sets the rate of the next step, as the schedule has it."""
        self.schedule.apply(self.optimizer)

    def set_lr(self, lr: float) -> None:
        """Sets the rate of the next step, whatever the schedule has."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def state_dict(self, k: int) -> dict[str, Any]:
        """The states of optimizer and schedule as member `k` has them when it runs alone."""
        state = self._stack.optimizer_state(self.optimizer.state_dict(), self.members, k)
        return {"optimizer": state, "schedule": self.schedule.state_dict()}

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        """Goes on from the states of all members."""
        whole = self._stack.joined_optimizer_state([state["optimizer"] for state in states])
        self.optimizer.load_state_dict(whole)
        self.schedule.load_state_dict(states[0]["schedule"])


def groups(stack: Stack, configs: Sequence[Config], steps_per_epoch: int) -> list[Group]:
    """The groups of a stack: neighbours with the same optimizer and schedule."""
    settings = [
        # A schedule that looks at the validation loss soon gives each member a rate of its own.
        (config.optimizer, config.scheduler, k if Schedule.looks_at_loss(config.scheduler) else None)
        for k, config in enumerate(configs)
    ]
    return [Group(stack, members, configs[members.start], steps_per_epoch) for members, _ in spans(settings)]
