"""Learning rates over a run: closed formulas written out by hand, and torch's own schedulers stepped directly."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from mlpexp.components.scheduler import Scheduler, schedulers
from mlpexp.engine.schedule import Schedule

LR = 0.1
EPOCHS, PER_EPOCH = 10, 7
STEPS = EPOCHS * PER_EPOCH
# Falls, stands still for four epochs, falls once more, and rises.
VAL_LOSSES = [1.0, 0.8, 0.8, 0.8, 0.8, 0.8, 0.5, 0.6, 0.6, 0.6]

Rate = Callable[..., float]


def rates(
    schedule: Schedule, n_steps: int = STEPS, per_epoch: int = PER_EPOCH, val: Sequence[float] = VAL_LOSSES
) -> list[float]:
    """The rate of each step from where `schedule` stands, as the loop drives it."""
    found = []
    for step in range(schedule.step, n_steps):
        found.append(schedule.lr)
        schedule.after_step()
        if (step + 1) % per_epoch == 0:
            schedule.after_epoch(val[step // per_epoch % len(val)])
    return found


def schedule_of(scheduler: Scheduler, epochs: int = EPOCHS, per_epoch: int = PER_EPOCH) -> Schedule:
    return Schedule(scheduler, LR, epochs, per_epoch)


# --- closed formulas: the rate of step s of S in epoch e of E, without a warm-up ---------------------------


def _cosine(share: float, low: float, high: float) -> float:
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2


def _cosine_restarts(s: int, e: int, period: int | None = None, factor: int = 2, min_lr: float = 0.0) -> float:
    length = STEPS // 7 if period is None else period * PER_EPOCH
    while s >= length:
        s, length = s - length, length * factor
    return _cosine(s / length, min_lr, LR)


def _onecycle(s: int, e: int, pct_start: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4) -> float:
    peak, start = pct_start * STEPS - 1, LR / div_factor
    if s <= peak:
        return _cosine(s / peak, LR, start)
    return _cosine((s - peak) / (STEPS - 1 - peak), start / final_div_factor, LR)


def _plateau(s: int, e: int, **fields: Any) -> float:
    """Read off VAL_LOSSES: how often the rate has fallen before epoch e."""
    if not fields:
        # Patience of a tenth of ten epochs: one bad epoch is borne, the second costs a factor of ten.
        return LR * 0.1 ** [0, 0, 0, 0, 1, 1, 2, 2, 2, 3][e]
    # Patience 2, so that the third bad epoch (indices 4) halves it; min_lr 0.04 stops the next halving there.
    return max(LR * 0.5 ** [0, 0, 0, 0, 0, 1, 1, 1, 1, 1][e], 0.04)


FORMULAS: dict[str, Rate] = {
    "none": lambda s, e: LR,
    # A third of ten epochs, to the nearest: 3.
    "step": lambda s, e, step_size=3, gamma=0.1: LR * gamma ** (e // step_size),
    # Half of ten epochs, and three quarters: 5 and 8 (7.5 to the even number).
    "multistep": lambda s, e, milestones=(5, 8), gamma=0.1: LR * gamma ** sum(e >= m for m in milestones),
    "exponential": lambda s, e, gamma=0.01 ** (1 / EPOCHS): LR * gamma**e,
    "polynomial": lambda s, e, power=1.0: LR * (1 - s / STEPS) ** power,
    "cosine": lambda s, e, min_lr=0.0: _cosine(s / STEPS, min_lr, LR),
    "cosine_restarts": _cosine_restarts,
    "onecycle": _onecycle,
    "plateau": _plateau,
}
# Values of every field besides the warm-up's, none of them the default.
VARIED: dict[str, dict[str, Any]] = {
    "step": {"step_size": 2, "gamma": 0.5},
    "multistep": {"milestones": [1, 4, 9], "gamma": 0.3},
    "exponential": {"gamma": 0.8},
    "polynomial": {"power": 2.0},
    "cosine": {"min_lr": 0.02},
    "cosine_restarts": {"period": 2, "factor": 1, "min_lr": 0.02},
    "onecycle": {"pct_start": 0.5, "div_factor": 10.0, "final_div_factor": 100.0},
    "plateau": {"factor": 0.5, "patience": 2, "threshold": 0.01, "cooldown": 1, "min_lr": 0.04},
}


def _sgd(lr: float = LR) -> torch.optim.SGD:
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.ones(1)
    return torch.optim.SGD([parameter], lr=lr)


# torch's own for each field above; `steps` is how many steps the schedule has after its warm-up.
TORCH: dict[str, Callable[..., Any]] = {
    "none": lambda o, steps: lr_scheduler.LambdaLR(o, lambda step: 1.0),
    "step": lambda o, steps, step_size=3, gamma=0.1: lr_scheduler.StepLR(o, step_size, gamma),
    "multistep": lambda o, steps, milestones=(5, 8), gamma=0.1: lr_scheduler.MultiStepLR(o, milestones, gamma),
    # Null: a hundredth of the rate at the end of what the warm-up leaves.
    "exponential": lambda o, steps, gamma=None: lr_scheduler.ExponentialLR(o, gamma or 0.01 ** (PER_EPOCH / steps)),
    "polynomial": lambda o, steps, power=1.0: lr_scheduler.PolynomialLR(o, steps, power),
    "cosine": lambda o, steps, min_lr=0.0: lr_scheduler.CosineAnnealingLR(o, steps, min_lr),
    "cosine_restarts": lambda o, steps, period=None, factor=2, min_lr=0.0: lr_scheduler.CosineAnnealingWarmRestarts(
        o, period * PER_EPOCH if period else -(-steps // 7), factor, min_lr
    ),
    "onecycle": lambda o, steps, **fields: lr_scheduler.OneCycleLR(o, LR, steps, cycle_momentum=False, **fields),
    "plateau": lambda o, steps, patience=1, **fields: lr_scheduler.ReduceLROnPlateau(o, patience=patience, **fields),
}
BY_STEP = ["polynomial", "cosine", "cosine_restarts", "onecycle"]
NAMES = list(schedulers)
CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in NAMES] + list(VARIED.items())
WARMUP: dict[str, Any] = {"warmup": 2.0, "warmup_start": 0.1}


def make(name: str, fields: dict[str, Any]) -> Scheduler:
    return schedulers[name](**fields)


def by_torch(name: str, fields: dict[str, Any], warmup_epochs: int = 0) -> list[float]:
    """The rates of torch's scheduler after a warm-up: its first one drawn out is the rate the warm-up ends at."""
    warmup = warmup_epochs * PER_EPOCH
    optimizer = _sgd()
    scheduler = TORCH[name](optimizer, STEPS - warmup, **fields)
    start, end = WARMUP["warmup_start"], optimizer.param_groups[0]["lr"]
    found = [end * (start + (1 - start) * step / warmup) for step in range(warmup)]
    for step in range(warmup, STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if name == "plateau":
            if (step + 1) % PER_EPOCH == 0:
                scheduler.step(VAL_LOSSES[step // PER_EPOCH])
        elif (name in BY_STEP and step < STEPS - 1) or (name not in BY_STEP and (step + 1) % PER_EPOCH == 0):
            scheduler.step()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_scheduler_has_a_reference(name: str) -> None:
    assert name in FORMULAS, f"write down the formula of '{name}'"
    assert name in TORCH, f"say what torch has for '{name}'"
    own = {field.name for field in dataclasses.fields(schedulers[name])} - {"warmup", "warmup_start"}
    assert set(VARIED.get(name, {})) == own
    assert all(value != getattr(schedulers[name](), key) for key, value in VARIED.get(name, {}).items())


def test_every_reference_is_registered() -> None:
    assert set(FORMULAS) | set(TORCH) | set(VARIED) <= set(schedulers)


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_rates_follow_the_formula(name: str, fields: dict[str, Any]) -> None:
    expected = [FORMULAS[name](step, step // PER_EPOCH, **fields) for step in range(STEPS)]
    assert rates(schedule_of(make(name, fields))) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_rates_are_torchs(name: str, fields: dict[str, Any]) -> None:
    assert rates(schedule_of(make(name, fields))) == pytest.approx(by_torch(name, fields), rel=1e-12, abs=1e-17)


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_rates_after_a_warmup_are_torchs(name: str, fields: dict[str, Any]) -> None:
    found = rates(schedule_of(make(name, {**fields, **WARMUP})))
    assert found == pytest.approx(by_torch(name, fields, warmup_epochs=2), rel=1e-12, abs=1e-17)


def test_defaults_by_hand() -> None:
    """Where a run of ten epochs stands under the parameters that null stands for."""

    def by_epoch(name: str) -> list[float]:
        return [rate / LR for rate in rates(schedule_of(make(name, {})))[::PER_EPOCH]]

    assert by_epoch("step") == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001])
    assert by_epoch("multistep") == pytest.approx([1] * 5 + [0.1] * 3 + [0.01] * 2)
    assert by_epoch("plateau") == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001])
    exponential = schedule_of(make("exponential", {}))
    rates(exponential)
    assert exponential.lr == pytest.approx(LR / 100), "after the last epoch the rate is a hundredth"
    restarts = rates(schedule_of(make("cosine_restarts", {})))
    assert [step for step, rate in enumerate(restarts) if rate == LR] == [0, 10, 30], "1 + 2 + 4 sevenths of 70 steps"


def test_smooth_schedules_end_where_they_say() -> None:
    ends = {name: rates(schedule_of(make(name, {})))[-1] for name in BY_STEP}
    assert ends["polynomial"] == pytest.approx(LR / STEPS)
    assert ends["cosine"] == pytest.approx(LR * (1 - math.cos(math.pi / STEPS)) / 2)
    assert ends["onecycle"] == pytest.approx(LR / (25 * 1e4))


@pytest.mark.parametrize("per_epoch", range(1, 16))
def test_the_last_steps_are_not_a_new_restart(per_epoch: int) -> None:
    found = rates(schedule_of(make("cosine_restarts", {}), 11, per_epoch), 11 * per_epoch, per_epoch)
    assert sum(rate == LR for rate in found) == 3
    assert found[-1] < LR


def test_plateau_waits_out_its_cooldown() -> None:
    fields = {"factor": 0.5, "patience": 1, "threshold": 0.0}
    flat = [1.0] * EPOCHS
    # Epoch 0 sets the mark; of the bad epochs 1, 2, … each second one halves the rate of the next.
    found = rates(schedule_of(make("plateau", fields)), val=flat)[::PER_EPOCH]
    assert found == pytest.approx([LR * 0.5**n for n in [0, 0, 0, 1, 1, 2, 2, 3, 3, 4]])
    # After each halving one epoch more is not counted.
    found = rates(schedule_of(make("plateau", {**fields, "cooldown": 1})), val=flat)[::PER_EPOCH]
    assert found == pytest.approx([LR * 0.5**n for n in [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]])


def test_plateau_takes_its_threshold_as_relative() -> None:
    fields = {"factor": 0.5, "patience": 1, "threshold": 0.1}
    # Each epoch is 5 % better than the last, and two of them less than 10 %: of three epochs one counts as better.
    for size in (1.0, 0.01):
        val = [size * 0.95**n for n in range(EPOCHS)]
        found = rates(schedule_of(make("plateau", fields)), val=val)[::PER_EPOCH]
        assert found == pytest.approx([LR * 0.5**n for n in [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]])
    steep = rates(schedule_of(make("plateau", fields)), val=[0.8**n for n in range(EPOCHS)])
    assert set(steep) == {LR}


# --- warm-up ------------------------------------------------------------------------------------------------


def test_warmup_into_a_cosine_is_torchs_sequence_of_two() -> None:
    optimizer = _sgd()
    warmup = 2 * PER_EPOCH
    sequence = lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=warmup),
            lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS - warmup),
        ],
        milestones=[warmup],
    )
    expected = []
    for _ in range(STEPS):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        sequence.step()
    assert rates(schedule_of(make("cosine", WARMUP))) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_warmup_rises_in_a_straight_line_to_the_first_rate(name: str) -> None:
    """warmup_start·η to η, or to η/div_factor, where one-cycle's own rise begins."""
    warm = rates(schedule_of(make(name, {"warmup": 3.0})))
    top = LR / 25 if name == "onecycle" else LR
    n = 3 * PER_EPOCH
    assert warm[: n + 1] == pytest.approx([top * step / n for step in range(n + 1)])


def test_epochs_are_counted_from_the_end_of_the_warmup() -> None:
    warm = rates(schedule_of(make("step", {"step_size": 2, "gamma": 0.5, "warmup": 3.0})))
    assert [warm[epoch * PER_EPOCH] for epoch in range(3, 10)] == pytest.approx(
        [LR * 0.5**n for n in [0, 0, 1, 1, 2, 2, 3]]
    )


def test_a_warmup_need_not_be_whole_epochs() -> None:
    warm = rates(schedule_of(make("none", {"warmup": 0.5})))
    # Half of seven steps, to the even number: 4.
    assert warm[:6] == pytest.approx([0, LR / 4, LR / 2, LR * 3 / 4, LR, LR])


@pytest.mark.parametrize("name", NAMES)
def test_a_warmup_as_long_as_the_run_or_longer(name: str) -> None:
    for warmup in (EPOCHS, 2 * EPOCHS):
        found = rates(schedule_of(make(name, {"warmup": float(warmup)})))
        assert found == sorted(found)
        assert found[-1] < LR


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("epochs", "per_epoch"), [(1, 1), (1, 7), (2, 1), (10, 1)])
def test_the_shortest_runs(name: str, epochs: int, per_epoch: int) -> None:
    for fields in ({}, {"warmup": 1.0}):
        found = rates(schedule_of(make(name, fields), epochs, per_epoch), epochs * per_epoch, per_epoch)
        assert all(0 <= rate <= LR for rate in found)


@pytest.mark.parametrize("name", BY_STEP)
def test_a_schedule_driven_past_its_end_does_not_fail(name: str) -> None:
    schedule = schedule_of(make(name, {}))
    rates(schedule)
    assert all(0 <= rate <= LR for rate in rates(schedule, 2 * STEPS))


@pytest.mark.parametrize(("steps", "pct_start"), [(10, 0.1), (2, 0.5), (5, 0.2), (4, 0.25)])
def test_onecycle_whose_rise_has_no_step_begins_at_the_peak(steps: int, pct_start: float) -> None:
    """torch's OneCycleLR divides by zero there: the rise ends at step pct_start·steps − 1 = 0."""
    found = rates(schedule_of(make("onecycle", {"pct_start": pct_start}), steps, 1), steps, 1)
    assert found == pytest.approx([_cosine(s / (steps - 1), LR / 25e4, LR) for s in range(steps)], rel=1e-5)


# --- what the engine does with it -----------------------------------------------------------------------------


def test_the_rate_of_a_step_is_that_of_the_schedule() -> None:
    schedule = schedule_of(make("cosine", {}))
    for _ in range(STEPS // 2):
        schedule.after_step()
    assert schedule.begin_step() == schedule.applied_lr == pytest.approx(LR / 2)
    schedule.after_step()
    assert schedule.applied_lr == pytest.approx(LR / 2)


def copy_through_a_file(schedule: Schedule) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(schedule.state_dict(), file)
    file.seek(0)
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


RESUMED = [(name, {**fields, **warmup}) for name, fields in CASES for warmup in ({}, {"warmup": 1.5})]


@pytest.mark.parametrize(("name", "fields"), RESUMED)
def test_resuming_at_any_step_goes_on_exactly(name: str, fields: dict[str, Any]) -> None:
    epochs, per_epoch = 6, 4
    n = epochs * per_epoch
    whole = rates(schedule_of(make(name, fields), epochs, per_epoch), n, per_epoch)
    running = schedule_of(make(name, fields), epochs, per_epoch)
    for step in range(n):
        resumed = schedule_of(make(name, fields), epochs, per_epoch)
        resumed.load_state_dict(copy_through_a_file(running))
        assert rates(resumed, n, per_epoch) == whole[step:]
        rates(running, step + 1, per_epoch)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_does_not_change_with_its_schedule(name: str) -> None:
    schedule = schedule_of(make(name, {}))
    rates(schedule, 3 * PER_EPOCH)
    state = schedule.state_dict()
    expected = rates(schedule)
    resumed = schedule_of(make(name, {}))
    resumed.load_state_dict(state)
    assert rates(resumed) == expected


@pytest.mark.parametrize("stop", [0, 3 * PER_EPOCH, STEPS])
@pytest.mark.parametrize("name", BY_STEP)
@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_smooth_schedules_are_drawn_out_to_a_later_end(name: str, warmup: float, stop: int) -> None:
    fields = {"warmup": warmup}
    short = schedule_of(make(name, fields))
    rates(short, stop)
    longer = schedule_of(make(name, fields), 2 * EPOCHS)
    longer.load_state_dict(copy_through_a_file(short))
    assert longer.step == stop
    assert rates(longer, 2 * STEPS) == rates(schedule_of(make(name, fields), 2 * EPOCHS), 2 * STEPS)[stop:]


@pytest.mark.parametrize(
    ("name", "fields"), [(name, VARIED.get(name, {})) for name in NAMES if not schedulers[name].by_step]
)
def test_schedules_by_epoch_go_on_past_the_old_end(name: str, fields: dict[str, Any]) -> None:
    short = schedule_of(make(name, fields))
    rates(short)
    longer = schedule_of(make(name, fields), 2 * EPOCHS)
    longer.load_state_dict(copy_through_a_file(short))
    assert rates(longer, 2 * STEPS) == rates(schedule_of(make(name, fields), 2 * EPOCHS), 2 * STEPS)[STEPS:]


@pytest.mark.parametrize("name", NAMES)
def test_by_step_is_said_of_the_smooth_ones(name: str) -> None:
    assert schedulers[name].by_step == (name in BY_STEP)
