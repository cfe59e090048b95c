"""Learning rates over a run: closed formulas written out by hand, and torch's own schedulers stepped directly."""

from __future__ import annotations

import dataclasses
import inspect
import io
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from mlpexp.components.scheduler import Scheduler, Span, schedulers
from mlpexp.config.compose import compose
from mlpexp.config.schema import Config
from mlpexp.engine.group import Schedule
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import build

LR = 0.1
EPOCHS, PER_EPOCH = 10, 7
STEPS = EPOCHS * PER_EPOCH
# Falls, stands still for four epochs, falls once more, and rises.
VAL_LOSSES = [1.0, 0.8, 0.8, 0.8, 0.8, 0.8, 0.5, 0.6, 0.6, 0.6]

Rate = Callable[..., float]


def rates(
    scheduler: Scheduler,
    epochs: int = EPOCHS,
    per_epoch: int = PER_EPOCH,
    val: Sequence[float] = VAL_LOSSES,
    lr: float = LR,
) -> list[float]:
    """The rate of each step of a run, as the loop drives a schedule."""
    return go_on(Schedule(scheduler, lr, epochs, per_epoch), 0, epochs, per_epoch, val)


def go_on(
    schedule: Schedule, done: int, epochs: int, per_epoch: int = PER_EPOCH, val: Sequence[float] = VAL_LOSSES
) -> list[float]:
    """The rates of the epochs after the first `done` ones."""
    found = []
    for epoch in range(done, epochs):
        found += [schedule.rate(step) for step in range(epoch * per_epoch, (epoch + 1) * per_epoch)]
        schedule.after_epoch(epoch + 1, val[epoch % len(val)])
    return found


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


def _whole(epochs: float, share: float) -> int:
    """A share of a run in whole epochs."""
    return max(1, round(epochs * share))


# torch's own for each field above; the schedule has `epochs` epochs after its warm-up, of n steps each.
TORCH: dict[str, Callable[..., Any]] = {
    "none": lambda o, epochs, n: lr_scheduler.LambdaLR(o, lambda step: 1.0),
    "step": lambda o, epochs, n, step_size=None, gamma=0.1: lr_scheduler.StepLR(
        o, step_size or _whole(epochs, 1 / 3), gamma
    ),
    "multistep": lambda o, epochs, n, milestones=None, gamma=0.1: lr_scheduler.MultiStepLR(
        o, milestones or [_whole(epochs, 0.5), _whole(epochs, 0.75)], gamma
    ),
    # Null: a hundredth of the rate at the end of what the warm-up leaves.
    "exponential": lambda o, epochs, n, gamma=None: lr_scheduler.ExponentialLR(o, gamma or 0.01 ** (1 / epochs)),
    "polynomial": lambda o, epochs, n, power=1.0: lr_scheduler.PolynomialLR(o, round(epochs * n), power),
    "cosine": lambda o, epochs, n, min_lr=0.0: lr_scheduler.CosineAnnealingLR(o, round(epochs * n), min_lr),
    "cosine_restarts": lambda o, epochs, n, period=None, factor=2, min_lr=0.0: lr_scheduler.CosineAnnealingWarmRestarts(
        o, period * n if period else -(-round(epochs * n) // 7), factor, min_lr
    ),
    "onecycle": lambda o, epochs, n, **fields: lr_scheduler.OneCycleLR(
        o, LR, round(epochs * n), cycle_momentum=False, **fields
    ),
    "plateau": lambda o, epochs, n, patience=None, **fields: lr_scheduler.ReduceLROnPlateau(
        o, patience=patience or _whole(epochs, 0.1), **fields
    ),
}
BY_STEP = ["polynomial", "cosine", "cosine_restarts", "onecycle"]
NAMES = list(schedulers)
CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in NAMES] + list(VARIED.items())
WARMUPS: list[dict[str, Any]] = [
    {},
    {"warmup": 2.0},
    {"warmup": 2.0, "warmup_start": 0.3},
    {"warmup": 0.5, "warmup_start": 0.3},
]


def make(name: str, fields: dict[str, Any]) -> Scheduler:
    return schedulers[name](**fields)


def by_torch(
    name: str,
    fields: dict[str, Any],
    epochs: int = EPOCHS,
    n: int = PER_EPOCH,
    warmup: float = 0.0,
    warmup_start: float = 0.0,
) -> list[float]:
    """The rates of torch's LinearLR up to the first rate of torch's scheduler, and then those of that one."""
    up, steps = round(warmup * n), epochs * n
    optimizer = _sgd()
    scheduler = TORCH[name](optimizer, (steps - up) / n, n, **fields)
    found = []
    if up:
        warming = _sgd(optimizer.param_groups[0]["lr"])
        # LinearLR cannot begin at zero either: the first of equal steps that lead from zero to the rate is 1/(W + 1).
        line = lr_scheduler.LinearLR(warming, max(warmup_start, 1 / (up + 1)), total_iters=up)
        for _ in range(up):
            found.append(warming.param_groups[0]["lr"])
            warming.step()
            line.step()
    for step in range(steps - up):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if name == "plateau":
            if (up + step + 1) % n == 0:
                scheduler.step(VAL_LOSSES[(up + step) // n % len(VAL_LOSSES)])
        elif (name in BY_STEP and step < steps - up - 1) or (name not in BY_STEP and (step + 1) % n == 0):
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
    assert rates(make(name, fields)) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("warmup", WARMUPS)
@pytest.mark.parametrize(("epochs", "per_epoch"), [(10, 7), (9, 4), (5, 1)])
@pytest.mark.parametrize(("name", "fields"), CASES)
def test_rates_are_torchs(
    name: str, fields: dict[str, Any], epochs: int, per_epoch: int, warmup: dict[str, float]
) -> None:
    """Exactly, up to the rounding of schedulers that torch moves by products and differences."""
    found = rates(make(name, {**fields, **warmup}), epochs, per_epoch)
    assert found == pytest.approx(by_torch(name, fields, epochs, per_epoch, **warmup), rel=1e-12, abs=1e-17)


def test_defaults_by_hand() -> None:
    """Where a run of ten epochs stands under the parameters that null stands for."""

    def by_epoch(name: str) -> list[float]:
        return [rate / LR for rate in rates(make(name, {}))[::PER_EPOCH]]

    assert by_epoch("step") == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001])
    assert by_epoch("multistep") == pytest.approx([1] * 5 + [0.1] * 3 + [0.01] * 2)
    assert by_epoch("plateau") == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001])
    assert by_epoch("exponential")[-1] == pytest.approx(0.01**0.9), "a hundredth after one epoch more"
    restarts = rates(make("cosine_restarts", {}))
    assert [step for step, rate in enumerate(restarts) if rate == LR] == [0, 10, 30], "1 + 2 + 4 sevenths of 70 steps"


@pytest.mark.parametrize(
    ("epochs", "warmup", "falls"),
    [
        # Half and three quarters of what the warm-up leaves: 6 epochs, so 3 and 4 (4.5 to the even number) after it.
        (9, 3.0, [6, 7]),
        (12, 4.0, [8, 10]),
        # In two epochs and in one there is no room for whole ones.
        (2, 0.0, [1, 1.5]),
        (1, 0.0, [0.5, 0.75]),
        (3, 2.0, [2.5, 2.75]),
    ],
)
def test_both_default_milestones_come_before_the_end(epochs: int, warmup: float, falls: list[float]) -> None:
    found = rates(make("multistep", {"warmup": warmup}), epochs, 8)
    assert [step / 8 for step in range(1, epochs * 8) if found[step] < 0.5 * found[step - 1]] == falls


@pytest.mark.parametrize("name", ["step", "multistep"])
@pytest.mark.parametrize("warmup", [0.0, 0.4, 1.0, 2.5])
def test_a_schedule_that_falls_has_fallen_before_the_end(name: str, warmup: float) -> None:
    for epochs in range(math.floor(warmup) + 1, 40):
        found = rates(make(name, {"warmup": warmup}), epochs, 5)
        assert found[-1] < 0.11 * max(found), epochs


def test_smooth_schedules_end_where_they_say() -> None:
    ends = {name: rates(make(name, {}))[-1] for name in BY_STEP}
    assert ends["polynomial"] == pytest.approx(LR / STEPS)
    assert ends["cosine"] == pytest.approx(LR * (1 - math.cos(math.pi / STEPS)) / 2)
    assert ends["onecycle"] == pytest.approx(LR / (25 * 1e4))


@pytest.mark.parametrize("per_epoch", range(1, 16))
def test_the_last_steps_are_not_a_new_restart(per_epoch: int) -> None:
    found = rates(make("cosine_restarts", {}), 11, per_epoch)
    assert sum(rate == LR for rate in found) == 3
    assert found[-1] < LR


def test_plateau_waits_out_its_cooldown() -> None:
    fields = {"factor": 0.5, "patience": 1, "threshold": 0.0}
    flat = [1.0] * EPOCHS
    # Epoch 0 sets the mark; of the bad epochs 1, 2, … each second one halves the rate of the next.
    found = rates(make("plateau", fields), val=flat)[::PER_EPOCH]
    assert found == pytest.approx([LR * 0.5**n for n in [0, 0, 0, 1, 1, 2, 2, 3, 3, 4]])
    # After each halving one epoch more is not counted.
    found = rates(make("plateau", {**fields, "cooldown": 1}), val=flat)[::PER_EPOCH]
    assert found == pytest.approx([LR * 0.5**n for n in [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]])


def test_plateau_takes_its_threshold_as_relative() -> None:
    fields = {"factor": 0.5, "patience": 1, "threshold": 0.1}
    # Each epoch is 5 % better than the last, and two of them less than 10 %: of three epochs one counts as better.
    for size in (1.0, 0.01):
        val = [size * 0.95**n for n in range(EPOCHS)]
        found = rates(make("plateau", fields), val=val)[::PER_EPOCH]
        assert found == pytest.approx([LR * 0.5**n for n in [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]])
    steep = rates(make("plateau", fields), val=[0.8**n for n in range(EPOCHS)])
    assert set(steep) == {LR}


def test_plateau_lowers_the_smallest_rates_too() -> None:
    """torch's leaves a rate below 1e-8 as it is."""
    found = rates(make("plateau", {"factor": 0.5, "patience": 1}), val=[1.0] * EPOCHS, lr=1e-9)
    assert found[-1] == pytest.approx(1e-9 / 16)


def test_plateau_does_not_count_the_epochs_of_its_warmup() -> None:
    fields = {"factor": 0.5, "patience": 1, "warmup": 3.0}
    found = rates(make("plateau", fields), val=[1.0] * EPOCHS)[::PER_EPOCH]
    assert found[3:] == pytest.approx([LR * 0.5**n for n in [0, 0, 0, 1, 1, 2, 2]])


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
    found = rates(make("cosine", {"warmup": 2.0, "warmup_start": 0.1}))
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_warmup_rises_in_equal_steps_to_the_first_rate(name: str) -> None:
    """To η, or to η/div_factor, where one-cycle's own rise begins; its first step is as high as each other one."""
    warm = rates(make(name, {"warmup": 3.0}))
    top = LR / 25 if name == "onecycle" else LR
    n = 3 * PER_EPOCH
    assert warm[: n + 1] == pytest.approx([top * (step + 1) / (n + 1) for step in range(n + 1)])


def test_a_warmup_begins_where_it_is_told_to() -> None:
    assert rates(make("none", {"warmup": 3.0, "warmup_start": 0.2}))[0] == pytest.approx(0.2 * LR)
    assert set(rates(make("none", {"warmup": 3.0, "warmup_start": 1.0}))) == {LR}


def test_epochs_are_counted_from_the_end_of_the_warmup() -> None:
    for warmup in (3.0, 2.5):
        warm = rates(make("step", {"step_size": 2, "gamma": 0.5, "warmup": warmup}), EPOCHS, 8)
        falls = [step / 8 for step in range(1, EPOCHS * 8) if warm[step] < warm[step - 1]]
        assert falls == [warmup + 2, warmup + 4, warmup + 6]


def test_a_warmup_need_not_be_whole_epochs() -> None:
    warm = rates(make("none", {"warmup": 0.5}))
    # Half of seven steps, to the even number: 4.
    assert warm[:6] == pytest.approx([LR / 5, LR * 2 / 5, LR * 3 / 5, LR * 4 / 5, LR, LR])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("epochs", "per_epoch"), [(1, 1), (1, 2), (1, 7), (2, 1), (10, 1)])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 0.99, 1.0, 1.9])
def test_the_shortest_runs_reach_the_rate_and_never_zero(name: str, epochs: int, per_epoch: int, warmup: float) -> None:
    if warmup >= epochs:
        return
    found = rates(make(name, {"warmup": warmup}), epochs, per_epoch)
    assert all(0 < rate <= LR for rate in found)
    if name != "onecycle":
        assert max(found) == LR


@pytest.mark.parametrize(("steps", "pct_start"), [(10, 0.1), (2, 0.5), (5, 0.2), (4, 0.25)])
def test_onecycle_whose_rise_has_no_step_begins_at_the_peak(steps: int, pct_start: float) -> None:
    """torch's OneCycleLR divides by zero there: the rise ends at step pct_start·steps − 1 = 0."""
    found = rates(make("onecycle", {"pct_start": pct_start}), steps, 1)
    assert found == pytest.approx([_cosine(s / (steps - 1), LR / 25e4, LR) for s in range(steps)], rel=1e-12)


# --- what does not go together ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def config() -> Config:
    return compose(["optimizer.lr=0.1", "epochs=3"])


@pytest.mark.parametrize("name", NAMES)
def test_a_warmup_that_never_ends_is_refused(name: str, config: Config) -> None:
    dataclasses.replace(config, scheduler=make(name, {"warmup": 2.9}))
    for warmup in (3.0, 4.5):
        with pytest.raises(ConfigError) as caught:
            dataclasses.replace(config, scheduler=make(name, {"warmup": warmup}))
        shown = f"scheduler.warmup={warmup}: must be less than epochs=3, or the rate is never reached."
        assert caught.value.lines == (shown,)


FALLING = [name for name in NAMES if "min_lr" in {field.name for field in dataclasses.fields(schedulers[name])}]


@pytest.mark.parametrize("name", FALLING)
def test_a_least_rate_above_the_rate_is_refused(name: str, config: Config) -> None:
    dataclasses.replace(config, scheduler=make(name, {"min_lr": 0.1}))
    with pytest.raises(ConfigError) as caught:
        dataclasses.replace(config, scheduler=make(name, {"min_lr": 0.2}))
    shown = "scheduler.min_lr=0.2: must be at most optimizer.lr=0.1, from which the rate falls."
    assert caught.value.lines == (shown,)


@pytest.mark.parametrize("field", ["div_factor", "final_div_factor"])
def test_onecycle_does_not_divide_by_less_than_one(field: str) -> None:
    build(schedulers["onecycle"], {field: 1}, "scheduler")
    with pytest.raises(ConfigError, match=rf"^scheduler.{field}=0.9: must be at least 1\.$"):
        build(schedulers["onecycle"], {field: 0.9}, "scheduler")


# --- what the engine does with it -----------------------------------------------------------------------------


def copy_through_a_file(schedule: Schedule) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(schedule.state_dict(), file)
    file.seek(0)
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


@pytest.mark.parametrize("name", NAMES)
def test_only_plateau_has_a_state(name: str) -> None:
    assert schedulers[name]().needs_metric == (name == "plateau")
    assert bool(Schedule(schedulers[name](), LR, EPOCHS, PER_EPOCH).state_dict()) == (name == "plateau")


@pytest.mark.parametrize("warmup", [0.0, 1.5])
@pytest.mark.parametrize(("name", "fields"), CASES)
def test_resuming_after_any_epoch_goes_on_exactly(name: str, fields: dict[str, Any], warmup: float) -> None:
    scheduler = make(name, {**fields, "warmup": warmup})
    whole = rates(scheduler)
    running = Schedule(scheduler, LR, EPOCHS, PER_EPOCH)
    for done in range(EPOCHS):
        resumed = Schedule(scheduler, LR, EPOCHS, PER_EPOCH)
        resumed.load_state_dict(copy_through_a_file(running))
        assert go_on(resumed, done, EPOCHS) == whole[done * PER_EPOCH :]
        go_on(running, done, done + 1)


@pytest.mark.parametrize("done", [1, 4])
@pytest.mark.parametrize("warmup", [0.0, 1.5])
@pytest.mark.parametrize(("name", "fields"), CASES)
def test_a_run_that_goes_on_longer_has_the_rates_of_a_longer_run(
    name: str, fields: dict[str, Any], warmup: float, done: int
) -> None:
    scheduler = make(name, {**fields, "warmup": warmup})
    # The validation loss falls up to where the shorter run ends: a plateau has not lowered the rate there.
    val = [1.0, 0.9, 0.8, 0.7, *[0.7] * 8]
    short = Schedule(scheduler, LR, 4, PER_EPOCH)
    go_on(short, 0, done, val=val)
    longer = Schedule(scheduler, LR, 12, PER_EPOCH)
    longer.load_state_dict(copy_through_a_file(short))
    assert go_on(longer, done, 12, val=val) == rates(scheduler, 12, val=val)[done * PER_EPOCH :]


def test_a_plateau_has_the_patience_of_the_longer_run() -> None:
    scheduler, flat = make("plateau", {}), [1.0] * 60
    short = Schedule(scheduler, LR, 10, 1)
    go_on(short, 0, 2, 1, flat)
    longer = Schedule(scheduler, LR, 60, 1)
    longer.load_state_dict(copy_through_a_file(short))
    # Six epochs are borne now, not one, after the first.
    assert go_on(longer, 2, 60, 1, flat)[:7] == pytest.approx([*[LR] * 6, LR / 10])


def test_the_example_of_the_docstring_is_a_schedule() -> None:
    code = textwrap.dedent(inspect.cleandoc(Scheduler.__doc__ or "").split("`rate`:")[1].split("A warm-up")[0])
    names: dict[str, Any] = dict(vars(inspect.getmodule(Scheduler)))
    try:
        exec(code, names)
        found = rates(schedulers["halving"](every=3, warmup=1.0))[::PER_EPOCH]  # type: ignore[call-arg]
    finally:
        schedulers._components.pop("halving", None)
    assert found == pytest.approx([LR / 8, *[LR] * 3, *[LR / 2] * 3, *[LR / 4] * 3])


def test_a_span_is_of_steps() -> None:
    span = Span(steps=60, per_epoch=7)
    assert (span.of(2), span.of(0.5), span.part(0.5), Span(7, 7).part(0.5)) == (14, 4, 28, 4)
