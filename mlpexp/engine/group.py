"""Members that share an optimizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mlpexp.components.optimizer_step import plain_step
from mlpexp.components.scheduler import Progress, Scheduler, Span
from mlpexp.config.schema import Config
from mlpexp.engine.own_rates import OwnRates, but_for_rates
from mlpexp.engine.stack import Stack, spans


class Schedule:
    """The learning rate of each step of a member's run.

    The rate depends on the step alone, unless the schedule needs the metric: its `Progress` is then the only state. So
    a run that is resumed with other `epochs` has the rates of a run of that length.
    """

    def __init__(self, scheduler: Scheduler, lr: float, epochs: int, steps_per_epoch: int) -> None:
        self._scheduler = scheduler
        total = epochs * steps_per_epoch
        # Rounding could make it the whole run.
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


Build = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


@dataclasses.dataclass
class Part:
    """Consecutive members of a group with the same optimizer and schedule; `members` counts from the group's first."""

    members: slice
    schedule: Schedule
    lr: float  # of the latest step


class Group:
    """The optimizer of consecutive members of a stack, and their schedules. A single run is a group of one.

    Optimizers that stack update each element of a parameter independently, or at least each member's part of it. So
    one optimizer serves all members with the same settings, over parameters that are slices of the stack's; and also
    members whose settings differ in nothing but rates, weight decays and schedules.
    """

    def __init__(
        self, stack: Stack, members: slice, configs: Sequence[Config], steps_per_epoch: int, recorded: bool
    ) -> None:
        """`configs` are those of the stack; `recorded`: whether steps are replayed, each at the rate of its time."""
        self.members = members
        self._stack = stack
        own = configs[members]
        config = own[0]
        self.parts = [
            Part(
                part,
                Schedule(first.scheduler, first.optimizer.lr, first.epochs, steps_per_epoch),
                first.optimizer.lr,
            )
            for part, _ in spans(_settings(own))
            for first in [own[part.start]]
        ]
        parameters = stack.parameters_of(members)
        self._own_rates = OwnRates(parameters, [each.optimizer for each in own]) if len(self.parts) > 1 else None
        self._build = config.optimizer.build_stacked if stack.has_member_axis else config.optimizer.build
        self.optimizer = self._build(parameters) if self._own_rates is None else self._own_rates.optimizer
        self.full_batch = config.optimizer.full_batch
        self.step: Callable[..., Any] = plain_step(self.optimizer) if self._own_rates is None else self._own_rates.step
        # Parameter groups can have rates of their own; a schedule keeps their ratios to the optimizer's.
        lr = config.optimizer.lr
        self._rates = [float(group.get("lr", lr)) for group in self.optimizer.param_groups]
        self._ratios = [rate / lr for rate in self._rates]
        self._recorded = recorded
        if recorded:
            self._make_lr_capturable()

    def _make_lr_capturable(self) -> None:
        """For steps that are recorded, the rate lies on the device, and so does the count of steps ("capturable")."""
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = torch.tensor(rate, device=group["params"][0].device)
            if "capturable" in group:
                group["capturable"] = True

    def apply_lr(self, step: int) -> None:
        """Sets the rates of a step of the run, as the schedules have them; the first step is 0."""
        self._set([part.schedule.rate(step) for part in self.parts])

    def set_lr(self, lr: float) -> None:
        """Sets the learning rate of the next step, in place of the schedules'."""
        self._set([lr] * len(self.parts))

    def after_epoch(self, epoch: int, val_losses: Sequence[float]) -> None:
        """Lets the schedules take note of the members' validation losses."""
        for part in self.parts:
            part.schedule.after_epoch(epoch, val_losses[part.members.start])

    @property
    def lrs(self) -> list[float]:
        """The members' learning rates in the latest step."""
        return [part.lr for part in self.parts for _ in range(part.members.start, part.members.stop)]

    def _set(self, lrs: Sequence[float]) -> None:
        """Sets the rate of each part."""
        before = [part.lr for part in self.parts]
        for part, lr in zip(self.parts, lrs, strict=True):
            part.lr = lr
        if self._own_rates is not None:
            if lrs != before:
                self._own_rates.set_rates(self.lrs)
            return
        rates = [lrs[0] * ratio for ratio in self._ratios]
        if self._recorded and rates == self._rates:
            return
        self._rates = rates
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            if isinstance(group.get("lr"), Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def state_dict(self, k: int) -> dict[str, Any]:
        """The states of optimizer and schedule as member `k` has them when it runs alone."""
        state = self._stack.optimizer_state(self.optimizer.state_dict(), self._shapes(), self.members, k)
        own = k - self.members.start
        (part,) = [part for part in self.parts if part.members.start <= own < part.members.stop]
        if self._recorded:
            state = _with_groups(state, [{"lr": rate, "capturable": False} for rate in self._rates])
        if self._own_rates is not None:
            numbers = {"lr": part.lr, "weight_decay": self._own_rates.weight_decays[own]}
            state = _with_groups(state, [numbers] * len(state["param_groups"]))
        return {"optimizer": state, "schedule": part.schedule.state_dict()}

    def load_state_dicts(self, states: Sequence[dict[str, Any]]) -> None:
        """Goes on from the states of all members."""
        whole = self._stack.joined_optimizer_state([state["optimizer"] for state in states], self._shapes())
        if not self.full_batch:
            # Full-batch optimizers keep more from step to step, and all of it with the first parameter.
            _check(whole, self.optimizer, self._build)
        if self._recorded:
            whole = _with_groups(whole, [{"capturable": True}] * len(self._rates))
        if self._own_rates is not None:
            self._set([float(states[part.members.start]["optimizer"]["param_groups"][0]["lr"]) for part in self.parts])
            whole = _with_groups(whole, [{"lr": 1.0, "weight_decay": 0.0}] * len(whole["param_groups"]))
        self.optimizer.load_state_dict(whole)
        self._rates = [
            float(group.get("lr", rate)) for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True)
        ]
        if self._recorded:
            self._make_lr_capturable()
        for part in self.parts:
            part.schedule.load_state_dict(states[part.members.start]["schedule"])

    def _shapes(self) -> list[torch.Size]:
        """The shapes of the parameters in the order in which the optimizer's state numbers them."""
        return [parameter.shape for group in self.optimizer.param_groups for parameter in group["params"]]


def _with_groups(state: dict[str, Any], numbers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The state of an optimizer with other `numbers` in each of its parameter groups, where these have such."""
    changed = [
        {**group, **{name: value for name, value in own.items() if name in group}}
        for group, own in zip(state["param_groups"], numbers, strict=True)
    ]
    return {**state, "param_groups": changed}


def _check(state: dict[str, Any], optimizer: torch.optim.Optimizer, build: Build) -> None:
    """ValueError where `state` is not one of `optimizer`, torch's or ours, or not one over its parameters.

    torch compares only the number of parameters, and fails in the middle of a step where their shapes or states do not
    fit.
    """
    own = optimizer.state_dict()
    if not type(optimizer).__module__.startswith(("torch.optim.", "mlpexp.components.")):
        return
    if [group.keys() for group in state["param_groups"]] != [group.keys() for group in own["param_groups"]]:
        raise ValueError("its optimizer is of another kind")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    usual = {n: _kept(build, n) for n in {parameter.ndim for parameter in parameters}}
    for index, kept in state["state"].items():
        parameter = parameters[index]
        expected = usual[parameter.ndim]
        if kept.keys() != expected.keys():
            raise ValueError("its optimizer is of another kind")
        for name, like_parameter in expected.items():
            if like_parameter and kept[name].shape != parameter.shape:
                raise ValueError("its optimizer is that of another network")


def _kept(build: Build, n: int) -> dict[str, bool]:
    """What an optimizer keeps of a parameter of `n` dimensions once it has made a step; whether it is of its shape."""
    parameter = nn.Parameter(torch.zeros([2] * n))
    parameter.grad = torch.zeros_like(parameter)
    optimizer = build([parameter])
    optimizer.step()
    return {
        name: isinstance(value, torch.Tensor) and value.shape == parameter.shape
        for name, value in optimizer.state_dict()["state"].get(0, {}).items()
    }


def _settings(configs: Sequence[Config]) -> list[Hashable]:
    """What is equal for members with the same rate at each step."""
    return [
        # A schedule that needs the validation loss soon gives each member a rate of its own.
        (config.optimizer, config.scheduler, k if config.scheduler.needs_metric else None)
        for k, config in enumerate(configs)
    ]


# Members with rates of their own share an optimizer where there are at most so many weights for each rate. A step of
# an optimizer costs 30 to 50 µs beside its arithmetic; that of a shared one reads and writes the weights twice more.
# Adam, an optimizer for each rate ÷ a shared one, on one core: 20 at 350 weights, 4.1 at 9,000, 1.6 at 36,000, 1.06
# at 143,000, 0.79 at 270,000.
_WEIGHTS_FOR_A_RATE = 2**17


def groups(stack: Stack, configs: Sequence[Config], steps_per_epoch: int, recorded: bool = False) -> list[Group]:
    """The groups of a stack: neighbours with the same optimizer and schedule, or with rates of their own."""
    weights = sum(parameter.numel() for parameter in stack.parameters()) // len(stack)
    found: list[slice] = []
    for alike, shared in spans([but_for_rates(config.optimizer) for config in configs]):
        parts = [
            slice(alike.start + part.start, alike.start + part.stop) for part, _ in spans(_settings(configs[alike]))
        ]
        few = weights * (alike.stop - alike.start) <= _WEIGHTS_FOR_A_RATE * len(parts)
        found += [alike] if shared is not None and few else parts
    return [Group(stack, members, configs, steps_per_epoch, recorded) for members in found]
