"""Members with rates, weight decays and schedules of their own: by one optimizer as by one each, torch's own."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mlpexp.components.optimizer import SGD, Adam, Optimizer, optimizers
from mlpexp.config.schema import Config
from mlpexp.engine import group
from mlpexp.engine.batched_stack import BatchedStack
from mlpexp.engine.group import Group, Schedule
from mlpexp.engine.own_rates import but_for_rates

Small = Callable[..., Config]
N_STEPS, PER_EPOCH, EPOCHS = 50, 5, 10
RATES, DECAYS = (0.01, 0.02, 0.02, 0.005), (0.0, 0.1, 0.1, 0.3)
SCHEDULES = ("scheduler=none", "scheduler=cosine", "scheduler=step", "scheduler=onecycle")
STACKING = [name for name in optimizers if name != "lbfgs"]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def gradients(step: int, k: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1000 * k + step)
    return [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in network().parameters()]


def of(stack: BatchedStack, groups: list[Group], k: int) -> dict[str, Any]:
    (own,) = [each for each in groups if each.members.start <= k < each.members.stop]
    return own.state_dict(k)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", STACKING)
def test_fifty_steps_are_those_of_torchs_own_optimizers(
    name: str, shared: bool, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and states; halfway the members go on from these, in other places of another stack."""
    if not shared:
        monkeypatch.setattr(group, "_WEIGHTS_FOR_A_RATE", 0)
    configs = [
        small(
            f"optimizer={name}", f"optimizer.lr={lr}", f"optimizer.weight_decay={decay}", f"epochs={EPOCHS}", schedule
        )
        for lr, decay, schedule in zip(RATES, DECAYS, SCHEDULES, strict=True)
    ]
    # Muon orthogonalises in bfloat16. Where a batched product adds up in another order than a single one, a number is
    # rounded the other way: a step differs by 2⁻⁸ of the largest one, η·0.2·√4. Fifty steps go a hundred times as far.
    atol = 2**-8 * max(RATES) * 0.2 * 2 * 10 if name == "muon" else 1e-13
    torch.manual_seed(0)
    plain = [network() for _ in configs]
    alone = [config.optimizer.build(module.parameters()) for config, module in zip(configs, plain, strict=True)]
    schedules = [Schedule(each.scheduler, each.optimizer.lr, EPOCHS, PER_EPOCH) for each in configs]
    order = [0, 1, 2, 3]
    stack = BatchedStack(plain)
    groups = group.groups(stack, configs, PER_EPOCH)
    assert len(groups) == (1 if shared else 4)
    for step in range(N_STEPS):
        if step == N_STEPS // 2:
            states = [of(stack, groups, k) for k in range(4)]
            order = [3, 1, 0, 2]
            stack = BatchedStack([stack.member(k) for k in order])
            groups = group.groups(stack, [configs[k] for k in order], PER_EPOCH)
            for each in groups:
                each.load_state_dicts([states[k] for k in order][each.members])
            for optimizer in alone:
                # Loading gives what it counts in the dtype of the parameters.
                optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        for k, (module, optimizer, schedule) in enumerate(zip(plain, alone, schedules, strict=True)):
            for torchs in optimizer.param_groups:
                torchs["lr"] = schedule.rate(step)
            for parameter, gradient in zip(module.parameters(), gradients(step, k), strict=True):
                parameter.grad = gradient
            optimizer.step()
        together = zip(*[gradients(step, k) for k in order], strict=True)
        for parameter, parts in zip(stack.net.parameters(), together, strict=True):
            parameter.grad = torch.stack(parts)
        stack.share_gradients_with_views()
        for each in groups:
            each.apply_lr(step)
            each.step()
    assert [lr for each in groups for lr in each.lrs] == [alone[k].param_groups[0]["lr"] for k in order]
    for place, k in enumerate(order):
        torch.testing.assert_close(stack.state(place), dict(plain[k].state_dict()), rtol=1e-12, atol=atol)
        mine, theirs = of(stack, groups, place)["optimizer"], alone[k].state_dict()
        assert mine["param_groups"] == theirs["param_groups"]
        torch.testing.assert_close(mine["state"], theirs["state"], rtol=1e-12, atol=1e-13)


def test_who_shares_an_optimizer(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours that differ in rates, weight decays and schedules alone, while there are few weights for each rate."""
    parts = ["lr=0.1", "lr=0.2", "lr=0.2 weight_decay=0.1", "lr=0.2 betas=[0.5,0.9]", "lr=0.1 betas=[0.5,0.9]"]
    configs = [small(*[f"optimizer.{word}" for word in part.split()]) for part in [*parts, parts[-1]]]
    stack = BatchedStack([network() for _ in configs])

    def members() -> list[tuple[int, int]]:
        return [(each.members.start, each.members.stop) for each in group.groups(stack, configs, 5)]

    assert members() == [(0, 3), (3, 6)]
    # A network has 26 weights: of the first three each has its own, of the others three members have two.
    monkeypatch.setattr(group, "_WEIGHTS_FOR_A_RATE", 26)
    assert members() == [(0, 3), (3, 4), (4, 6)]
    monkeypatch.setattr(group, "_WEIGHTS_FOR_A_RATE", 25)
    assert members() == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 6)]


def test_plateaus_of_one_optimizer_wait_each_for_its_own_loss(small: Small) -> None:
    config = small("scheduler=plateau", "scheduler.patience=1", "optimizer.lr=0.1", "scheduler.threshold=0")
    stack = BatchedStack([network() for _ in range(3)])
    (one,) = group.groups(stack, [config] * 3, 1)
    for epoch in range(1, 5):
        one.after_epoch(epoch, [1 / epoch, 1.0, 2.0 - epoch])
    one.apply_lr(4)
    assert one.lrs[0] == one.lrs[2] == 0.1
    assert one.lrs[1] < 0.1
    stack = BatchedStack([network() for _ in range(2)])
    (other,) = group.groups(stack, [config] * 2, 1)
    other.load_state_dicts([one.state_dict(k) for k in (0, 1)])
    other.apply_lr(4)
    assert other.lrs == one.lrs[:2]


def test_who_may_have_rates_of_their_own() -> None:
    class Own(SGD):
        """A subclass of ours may do something else in its steps."""

    Own.__module__ = "plugin"
    assert but_for_rates(Own(lr=0.1)) is None
    assert but_for_rates(Adam(lr=0.1, weight_decay=0.2)) == Adam(lr=1.0)
    for name, kind in optimizers.items():
        assert (kind.decay is not None) == (name != "lbfgs"), name
        fields = {entry.name for entry in dataclasses.fields(kind)}
        assert kind.decay is None or "weight_decay" in fields
    assert Optimizer.decay is None
