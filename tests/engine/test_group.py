"""Optimizers in the loop: what a user wrote around a step is called, and parameter groups keep their rates' ratios."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from mlpexp.components.optimizer import Optimizer, optimizers
from mlpexp.components.optimizer_step import plain_step
from mlpexp.config.schema import Config
from mlpexp.data.dataset import Data
from mlpexp.engine.group import groups
from mlpexp.engine.loop import Engine
from mlpexp.engine.member import build_module, derive_seeds
from mlpexp.training.prepare import prepare

Small = Callable[..., Config]
CPU = torch.device("cpu")
N_STEPS = 3 * 3  # three epochs of 60 rows in batches of 25
MOONS = ["dataset=moons", "dataset.n_samples=100", "batch_size=25", "model.hidden=[4]"]


@pytest.fixture(autouse=True)
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the trial of users' components, which makes steps of its own."""
    monkeypatch.setattr("mlpexp.training.prepare._try", lambda *_: None)


def engine_of(*configs: Config) -> Engine:
    return Engine(configs, [prepare(config).data for config in configs], CPU)


def run(engine: Engine) -> Engine:
    for _ in engine.epochs():
        pass
    return engine


# --- what is called ---------------------------------------------------------------------------------------------


def counting(step: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    @functools.wraps(step)
    def counted(*arguments: Any, **keywords: Any) -> Any:
        calls.append("step")
        return step(*arguments, **keywords)

    return counted


def decorated(parameters: Iterable[nn.Parameter], lr: float, calls: list[str]) -> torch.optim.Optimizer:
    class Decorated(torch.optim.SGD):
        step = counting(torch.optim.SGD.step, calls)

    return Decorated(parameters, lr=lr)


def in_the_instance(parameters: Iterable[nn.Parameter], lr: float, calls: list[str]) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(parameters, lr=lr)
    optimizer.step = counting(optimizer.step, calls)  # type: ignore[method-assign]
    return optimizer


def by_inheritance(parameters: Iterable[nn.Parameter], lr: float, calls: list[str]) -> torch.optim.Optimizer:
    class Mine(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            calls.append("step")
            return super().step(closure)

    return Mine(parameters, lr=lr)


def hooked_before(parameters: Iterable[nn.Parameter], lr: float, calls: list[str]) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(parameters, lr=lr)
    optimizer.register_step_pre_hook(lambda *_: calls.append("step"))
    return optimizer


def hooked_after(parameters: Iterable[nn.Parameter], lr: float, calls: list[str]) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(parameters, lr=lr)
    optimizer.register_step_post_hook(lambda *_: calls.append("step"))
    return optimizer


def by_hand(parameters: Iterable[nn.Parameter], lr: float, calls: list[str]) -> torch.optim.Optimizer:
    """With a step that is called as it stands: nothing around it keeps it from being differentiated."""

    class ByHand(torch.optim.Optimizer):
        def step(self, closure: Any = None) -> Any:
            calls.append("step")
            assert torch.is_grad_enabled()
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.sub_(parameter.grad, alpha=group["lr"])

    return ByHand(parameters, {"lr": lr})


WRITTEN = [decorated, in_the_instance, by_inheritance, hooked_before, hooked_after, by_hand]


@pytest.mark.parametrize("make", WRITTEN)
def test_what_a_user_wrote_around_a_step_is_called(make: Callable[..., torch.optim.Optimizer], small: Small) -> None:
    calls: list[str] = []

    @dataclass(frozen=True)
    class Own(Optimizer):
        def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
            return make(parameters, self.lr, calls)

    config = small(*MOONS, "optimizer=sgd", "optimizer.lr=0.1")
    found = run(engine_of(replace(config, optimizer=Own(lr=0.1))))
    assert calls == ["step"] * N_STEPS
    plain = run(engine_of(config))
    for name, value in plain.stack.state(0).items():
        torch.testing.assert_close(found.stack.state(0)[name], value)


def quadratic(name: str) -> tuple[torch.optim.Optimizer, Callable[[], Any]]:
    parameter = nn.Parameter(torch.ones(2, 2))
    built = optimizers[name](lr=0.1).build([parameter])

    def closure() -> Any:
        parameter.grad = None
        loss = parameter.square().sum()
        loss.backward()
        return loss

    closure()
    return built, closure


@pytest.mark.parametrize("name", optimizers)
def test_hooks_of_every_optimizer_run_whenever_they_come(name: str) -> None:
    built, closure = quadratic(name)
    step, calls = plain_step(built), []
    step(closure)
    built.register_step_pre_hook(lambda *_: calls.append("pre"))
    built.register_step_post_hook(lambda *_: calls.append("post"))
    step(closure)
    assert calls == ["pre", "post"]


@pytest.mark.parametrize("name", optimizers)
def test_hooks_of_all_optimizers_run(name: str) -> None:
    built, closure = quadratic(name)
    step, calls = plain_step(built), set()
    handles = [
        register_optimizer_step_pre_hook(lambda *_: calls.add("pre")),
        register_optimizer_step_post_hook(lambda *_: calls.add("post")),
    ]
    try:
        step(closure)
    finally:
        for handle in handles:
            handle.remove()
    assert calls == {"pre", "post"}


@pytest.mark.parametrize("name", optimizers)
def test_a_plain_step_is_torchs(name: str) -> None:
    (ours, closure), (theirs, their_closure) = quadratic(name), quadratic(name)
    step = plain_step(ours)
    for _ in range(3):
        step(closure)
        theirs.step(their_closure)
    (mine,), (other,) = ours.param_groups[0]["params"], theirs.param_groups[0]["params"]
    assert torch.equal(mine, other)
    assert not torch.equal(mine, torch.ones(2, 2))


# --- parameter groups -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoRates(Optimizer):
    """Momentum whose biases learn at twice the rate, in a group before that of the weights."""

    elementwise: ClassVar[bool] = True

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        params = list(parameters)
        # In a stack every parameter has an axis of members before its own.
        smallest = min(parameter.ndim for parameter in params)
        split: list[dict[str, Any]] = [
            {"params": [parameter for parameter in params if parameter.ndim == smallest], "lr": 2 * self.lr},
            {"params": [parameter for parameter in params if parameter.ndim != smallest]},
        ]
        return torch.optim.SGD(split, lr=self.lr, momentum=0.9)


@pytest.fixture
def two_rates(small: Small) -> Callable[..., Config]:
    def of(*overrides: str, lr: float = 0.1) -> Config:
        return replace(small(*MOONS, *overrides), optimizer=TwoRates(lr=lr))

    return of


def written_out(config: Config, data: Data) -> nn.Module:
    """The run as a course would write it, with torch's own scheduler over both groups."""
    module = build_module(config, data, config.loss.resolve(data.task))
    optimizer = config.optimizer.build(module.parameters())
    order = torch.Generator().manual_seed(derive_seeds(config.seed)["order"])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, N_STEPS)
    x = (data.train.x.float() - data.shift) * data.scale
    for _ in range(config.epochs):
        for batch in torch.randperm(len(x), generator=order).split(config.batch_size):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(module(x[batch])[:, 0], data.train.y[batch].float()).backward()
            optimizer.step()
            scheduler.step()
    return module


def test_groups_keep_the_ratio_of_their_rates(two_rates: Callable[..., Config]) -> None:
    config = two_rates("scheduler=cosine")
    engine = run(engine_of(config))
    for name, value in written_out(config, prepare(config).data).state_dict().items():
        torch.testing.assert_close(engine.stack.state(0)[name], value)
    biases, weights = engine.groups[0].optimizer.param_groups
    assert biases["lr"] == 2 * weights["lr"] == 2 * engine.groups[0].lrs[0]


def test_groups_keep_their_ratio_in_the_search_of_a_rate(two_rates: Callable[..., Config]) -> None:
    (group,) = engine_of(two_rates()).groups
    group.set_lr(0.25)
    assert [each["lr"] for each in group.optimizer.param_groups] == [0.5, 0.25]


def test_a_stack_of_such_is_each_alone(two_rates: Callable[..., Config]) -> None:
    configs = [two_rates("scheduler=step", f"seed={seed}", lr=lr) for seed, lr in enumerate((0.1, 0.1, 0.02))]
    stacked = run(engine_of(*configs))
    for k, config in enumerate(configs):
        alone = run(engine_of(config))
        for name, value in alone.stack.state(0).items():
            torch.testing.assert_close(stacked.stack.state(k)[name], value)
        # What a member takes along is what it has alone.
        torch.testing.assert_close(stacked.state_dict(k)["optimizer"], alone.state_dict(0)["optimizer"])


@pytest.mark.parametrize("n", [1, 3])
def test_such_a_run_goes_on_bit_for_bit(n: int, two_rates: Callable[..., Config]) -> None:
    configs = [two_rates("scheduler=cosine", f"seed={seed}") for seed in range(n)]
    whole, states = engine_of(*configs), []
    for _ in whole.epochs():
        if whole.epoch == 1:
            states = [whole.state_dict(k) for k in range(n)]
    rest = engine_of(*configs)
    rest.load_state_dicts(states)
    run(rest)
    for k in range(n):
        assert [group["lr"] for group in rest.state_dict(k)["optimizer"]["param_groups"]] == [
            group["lr"] for group in whole.state_dict(k)["optimizer"]["param_groups"]
        ]
        for name, value in whole.stack.state(k).items():
            assert torch.equal(rest.stack.state(k)[name], value), name


def test_what_else_a_group_holds_stays(two_rates: Callable[..., Config]) -> None:
    """A rate in a tensor stays in it, and what is marked for graphs stays marked."""

    @dataclass(frozen=True)
    class Capturable(Optimizer):
        def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
            optimizer = torch.optim.Adam(parameters, lr=self.lr)
            optimizer.param_groups[0]["lr"] = torch.tensor(self.lr)
            optimizer.param_groups[0]["capturable"] = True
            return optimizer

    engine = engine_of(replace(two_rates(), optimizer=Capturable(lr=0.1)))
    (group,) = engine.groups[0].optimizer.param_groups
    rate = group["lr"]
    engine.groups[0].set_lr(0.25)
    assert group["capturable"] is True
    assert group["lr"] is rate
    assert rate.item() == 0.25


def test_for_recorded_steps_the_rate_is_a_tensor_and_the_state_is_plain(small: Small) -> None:
    """As on a CUDA card, where a graph reads the rate from where it lies."""
    config = small(*MOONS, "optimizer=adam", "optimizer.lr=0.1", "scheduler=cosine")
    stack = engine_of(config).stack
    (recorded,), (other,) = (groups(stack, [config], 3, recorded=True) for _ in range(2))
    (torchs,) = recorded.optimizer.param_groups
    rate = torchs["lr"]
    recorded.apply_lr(5)
    assert torchs["lr"] is rate
    assert rate.item() == pytest.approx(recorded.parts[0].schedule.rate(5))
    assert torchs["capturable"] is True
    state = recorded.state_dict(0)
    (saved,) = state["optimizer"]["param_groups"]
    assert (saved["lr"], saved["capturable"]) == (recorded.lrs[0], False)
    other.load_state_dicts([state])
    (loaded,) = other.optimizer.param_groups
    assert torch.equal(loaded["lr"], rate)
    assert loaded["capturable"] is True
    assert other.state_dict(0)["optimizer"]["param_groups"] == [saved]
