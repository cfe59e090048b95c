"""Members that share an optimizer and a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

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

    def __init__(self, stack: Stack, members: slice, config: Config, steps_per_epoch: int, recorded: bool) -> None:
        """`recorded`: whether the steps are to be replayed, with whatever rate there is at the time."""
        self.members = members
        self._stack = stack
        self.optimizer = config.optimizer.build(stack.parameters_of(members))
        self.full_batch = config.optimizer.full_batch
        self.step = plain_step(self.optimizer)
        self.schedule = Schedule(config.scheduler, config.optimizer.lr, config.epochs, steps_per_epoch)
        self._recorded = recorded
        self.lr = config.optimizer.lr  # of the latest step
        self._place_rate()

    def _place_rate(self) -> None:
        """For steps that are recorded, the rate lies on the device, and so does the count of steps ("capturable")."""
        for group in self.optimizer.param_groups:
            group["lr"] = torch.tensor(self.lr, device=group["params"][0].device) if self._recorded else self.lr
            if "capturable" in group:
                group["capturable"] = self._recorded

    def apply_lr(self, step: int) -> None:
        """Sets the rate of a step of the run, as the schedule has it; the first step is 0."""
        self.set_lr(self.schedule.rate(step))

    def set_lr(self, lr: float) -> None:
        """Sets the rate of the next step, whatever the schedule has."""
        if self._recorded and lr == self.lr:
            return
        self.lr = lr
        for group in self.optimizer.param_groups:
            if self._recorded:
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr

    def state_dict(self, k: int) -> dict[str, Any]:
        """The states of optimizer and schedule as member `k` has them when it runs alone."""
        state = self._stack.optimizer_state(self.optimizer.state_dict(), self.members, k)
        return {"optimizer": _with_groups(state, lr=self.lr, capturable=False), "schedule": self.schedule.state_dict()}

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        """Goes on from the states of all members."""
        whole = self._stack.joined_optimizer_state([state["optimizer"] for state in states])
        self.optimizer.load_state_dict(_with_groups(whole, capturable=self._recorded))
        self.lr = float(self.optimizer.param_groups[0]["lr"])
        self._place_rate()
        self.schedule.load_state_dict(states[0]["schedule"])


def _with_groups(state: dict[str, Any], **numbers: Any) -> dict[str, Any]:
    """The state of an optimizer with other `numbers` in its parameter groups, where these have such."""
    if "param_groups" not in state:
        return state
    changed = [
        {**group, **{name: value for name, value in numbers.items() if name in group}}
        for group in state["param_groups"]
    ]
    return {**state, "param_groups": changed}


def groups(stack: Stack, configs: Sequence[Config], steps_per_epoch: int, recorded: bool = False) -> list[Group]:
    """The groups of a stack: neighbours with the same optimizer and schedule."""
    settings = [
        # A schedule that needs the validation loss soon gives each member a rate of its own.
        (config.optimizer, config.scheduler, k if config.scheduler.needs_metric else None)
        for k, config in enumerate(configs)
    ]
    return [Group(stack, members, configs[members.start], steps_per_epoch, recorded) for members, _ in spans(settings)]
