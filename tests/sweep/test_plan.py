"""Which runs of a sweep share a stack, which train alone and why, and what a stack may take of the memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mlpexp.components.activation import Activation, activations
from mlpexp.components.optimizer import Optimizer, optimizers
from mlpexp.components.regularizer import Regularizer, regularizers
from mlpexp.config.compose import Composer
from mlpexp.config.schema import Config, parse
from mlpexp.fields.registry import Registry
from mlpexp.sweep.jobs import Job
from mlpexp.sweep.plan import PlannedStack, plan, why_apart
from mlpexp.training.prepare import Preparations

Small = Callable[..., Config]


def planned(*configs: Config) -> list[PlannedStack]:
    return plan([Job(number, [], config) for number, config in enumerate(configs)], Preparations())


def numbers(*configs: Config) -> list[list[int]]:
    return [stack.numbers for stack in planned(*configs)]


@pytest.mark.parametrize(
    "differs",
    [
        "seed=1",
        "dataset.seed=1",
        "init=orthogonal",
        "activation=tanh",
        "optimizer=sgd",
        "optimizer.lr=0.3",
        "optimizer.betas=[0.5,0.9]",
        "scheduler=cosine",
        "scheduler=plateau",
        "regularizer=[dropout,l2] regularizer.dropout.p=0.1",
        "regularizer=[dropout,l2] regularizer.l2.strength=0.1",
        "regularizer=[dropout]",
        "regularizer=[dropout,l1]",
        "regularizer=[dropout,l2,early_stopping]",
        "regularizer=[dropout,l2,max_norm]",
        "regularizer=[dropout,l2,label_smoothing]",
        "clip.norm=1",
        "clip.value=0.1",
        "log.histograms=0",
        "checkpoint.every_seconds=1",
    ],
)
def test_what_members_of_a_stack_may_differ_in(differs: str, small: Small) -> None:
    base = ["dataset=moons", "regularizer=[dropout,l2]"]
    other = base[:1] if "regularizer=" in differs else base
    (stack,) = planned(small(*base), small(*other, *differs.split()))
    assert stack.numbers == [0, 1]
    assert stack.alone is None


@pytest.mark.parametrize(
    "differs",
    [
        "activation=prelu",
        "model.hidden=[8]",
        "model=perceptron",
        "dataset=circles",
        "dataset.noise=0.1",
        "epochs=4",
        "batch_size=7",
        "precision=bf16",
        "deterministic=true",
        "log.diagnostics=1",
        "loss=cross_entropy",
        "regularizer=[batchnorm]",
        "regularizer=[layernorm]",
        "regularizer=[dropout]",
        "regularizer=[mixup]",
        "stack.max_members=7",
    ],
)
def test_what_makes_a_stack_of_its_own(differs: str, small: Small) -> None:
    one, other = small("dataset=moons"), small("dataset=moons", *differs.split())
    assert numbers(one, other, one, other) == [[0, 2], [1, 3]]
    stacks = planned(one, other)
    assert all(stack.alone is None for stack in stacks)
    key = differs.split("=")[0].split(".")[0]
    assert [why_apart(stacks, index) for index in (0, 1)] == ["", f"{key}: other than in stack 1"]


@pytest.mark.parametrize(
    ("choice", "reason"),
    {
        "optimizer=lbfgs": "optimizer=lbfgs does not update elements of a weight independently",
        "compile=true": "compile=true compiles a plain network",
    }.items(),
)
def test_what_runs_alone(choice: str, reason: str, small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlpexp.training.prepare._has_compiler", lambda: True)
    other = small("dataset=moons", choice)
    stacks = planned(small("dataset=moons"), other, small("dataset=moons"), other)
    assert [stack.numbers for stack in stacks] == [[0, 2], [1], [3]]
    assert [stack.alone for stack in stacks] == [None, reason, reason]


class Scaled(nn.Module):
    """A layer with a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x


@dataclass(frozen=True)
class WithParameter(Activation):
    """An activation of a user's own that learns."""

    def build(self) -> nn.Module:
        return Scaled()

    def gain(self) -> float:
        return 1.0


@dataclass(frozen=True)
class WithoutParameter(WithParameter):
    """One that is a function."""

    def build(self) -> nn.Module:
        return nn.Hardtanh()


@dataclass(frozen=True)
class Layered(Regularizer):
    """A layer of a user's own behind each activation."""

    def after_activation(self) -> nn.Module:
        return Scaled()


class Centred(nn.Module):
    """A function that looks at all that it is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x - x.mean())


@dataclass(frozen=True)
class OverEverything(WithParameter):
    """One that is a function of all elements at once."""

    def build(self) -> nn.Module:
        return Centred()


@dataclass(frozen=True)
class Norm(Regularizer):
    """A penalty on one norm of all weights of a layer, whosever they are."""

    def penalty(self, weights: list[torch.Tensor]) -> torch.Tensor:
        return 0.3 * torch.stack([weight.norm() for weight in weights]).sum()


@dataclass(frozen=True)
class Normalised(Regularizer):
    """A layer that stacks, with a number that members must have in common whatever `strengths` says."""

    strengths: ClassVar[tuple[str, ...]] = ("eps",)
    eps: float = 1e-5

    def before_activation(self, width: int) -> nn.Module:
        return nn.LayerNorm(width, eps=self.eps)


@dataclass(frozen=True)
class Momentum(Optimizer):
    """One that says of itself that members can share it, and tells the truth or does not."""

    elementwise: ClassVar[bool] = True
    by_norm: bool = False

    def build(self, parameters: object) -> torch.optim.Optimizer:
        return Steps(parameters, self.lr, self.by_norm)


class Steps(torch.optim.SGD):
    def __init__(self, parameters: object, lr: float, by_norm: bool) -> None:
        super().__init__(parameters, lr=lr)  # type: ignore[arg-type]
        self.by_norm = by_norm

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        for parameter in self.param_groups[0]["params"]:
            scale = parameter.norm() if self.by_norm else 1.0
            parameter -= self.param_groups[0]["lr"] * parameter.grad * scale


@dataclass(frozen=True)
class Lookahead(Optimizer):
    """An optimizer of a user's own, of which nobody knows what it does."""

    def build(self, parameters: object) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr)  # type: ignore[arg-type]


@pytest.fixture
def own() -> Iterator[Callable[..., None]]:
    """Registers components, and forgets them afterwards."""
    added: list[tuple[Registry[object], str]] = []

    def register(registry: Registry[object], component: type) -> None:
        registry.register("own")(component)
        added.append((registry, "own"))

    yield register
    for registry, name in added:
        del registry._components[name]


OTHER = "in a stack it gives other numbers than alone"


@pytest.mark.parametrize(
    ("key", "registry", "component", "reason"),
    [
        ("activation", activations, WithParameter, "Scaled is a layer that cannot be stacked"),
        ("activation", activations, WithoutParameter, None),
        ("activation", activations, OverEverything, f"activation=own: {OTHER}"),
        ("regularizer", regularizers, Norm, f"regularizer=own: {OTHER}"),
        ("regularizer", regularizers, Normalised, None),
        ("optimizer", optimizers, Momentum, None),
        ("regularizer", regularizers, Layered, "Scaled is a layer that cannot be stacked"),
        ("optimizer", optimizers, Lookahead, "optimizer=own does not update elements of a weight independently"),
    ],
)
def test_components_of_a_users_own(
    key: str, registry: Registry[object], component: type, reason: str | None, small: Small, own: Callable[..., None]
) -> None:
    own(registry, component)
    raw = small("dataset=moons").to_dict()
    named = {"name": "own", **({"lr": 0.1} if key == "optimizer" else {})}
    config = parse({**raw, key: {"own": named} if key == "regularizer" else named})
    stacks = planned(config, config)
    assert [stack.numbers for stack in stacks] == ([[0, 1]] if reason is None else [[0], [1]])
    assert {stack.alone for stack in stacks} == {reason}


def test_each_number_of_a_users_component_is_tried(small: Small, own: Callable[..., None]) -> None:
    own(optimizers, Momentum)
    raw = small("dataset=moons").to_dict()
    configs = [
        parse({**raw, "seed": seed, "optimizer": {"name": "own", "lr": 0.1, "by_norm": by_norm}})
        for seed in (0, 1)
        for by_norm in (False, True)
    ]
    stacks = planned(*configs)
    assert [stack.numbers for stack in stacks] == [[0, 2], [1], [3]]
    assert [stack.alone for stack in stacks] == [None, *[f"optimizer=own: {OTHER}"] * 2]


def test_a_component_is_tried_once(small: Small, own: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    own(activations, WithoutParameter)
    raw = small("dataset=moons").to_dict()
    tried: list[object] = []
    monkeypatch.setattr("mlpexp.sweep.plan.why_alone", lambda component, *_: tried.append(component))
    planned(*[parse({**raw, "seed": seed, "activation": {"name": "own"}}) for seed in range(9)])
    assert tried == [WithoutParameter()]
    tried.clear()
    planned(*[parse({**raw, "seed": seed}) for seed in range(9)])
    assert not tried, "ours are known"


def test_layers_of_a_users_own_have_all_numbers_in_common(small: Small, own: Callable[..., None]) -> None:
    own(regularizers, Normalised)
    raw = small("dataset=moons").to_dict()
    configs = [parse({**raw, "regularizer": {"own": {"name": "own", "eps": eps}}}) for eps in (1e-5, 1.0)]
    assert numbers(*configs) == [[0], [1]]


@pytest.mark.parametrize(
    ("n", "most", "sizes"),
    [(5, 5, [5]), (5, 2, [1, 2, 2]), (7, 4, [3, 4]), (10, 4, [3, 3, 4]), (3, 1, [1, 1, 1]), (3, 9, [3])],
)
def test_a_stack_is_split_nearly_evenly(n: int, most: int, sizes: list[int], small: Small) -> None:
    stacks = planned(*[small("dataset=moons", f"seed={seed}", f"stack.max_members={most}") for seed in range(n)])
    found = [len(stack.jobs) for stack in stacks]
    assert sorted(found) == sizes
    assert sorted(number for stack in stacks for number in stack.numbers) == list(range(n))
    said = f"split by stack.max_members={most}"
    assert [why_apart(stacks, index) for index in range(len(stacks))] == ["", *[said] * (len(stacks) - 1)]


@pytest.mark.parametrize(("room", "sizes"), [(6.1, [6]), (3.1, [3, 3]), (1.0, [1] * 6), (0.0, [1] * 6), (None, [6])])
def test_a_stack_fits_into_the_memory_that_is_free(
    room: float | None, sizes: list[int], small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`room` is for how many runs the part of the memory is that stacks may take; None: nobody can tell."""
    configs = [small("dataset=moons", f"seed={seed}") for seed in range(6)]
    (whole,) = planned(*configs)
    free = None if room is None else int(room * whole.n_bytes / 6 / 0.6) + 1
    monkeypatch.setattr("mlpexp.sweep.plan.free_memory", lambda device: free)
    stacks = planned(*configs)
    assert [len(stack.jobs) for stack in stacks] == sizes
    assert [stack.n_bytes for stack in stacks] == [len(stack.jobs) * whole.n_bytes // 6 for stack in stacks]


def test_the_smaller_of_both_limits_counts(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [small("dataset=moons", f"seed={seed}", "stack.max_members=2") for seed in range(4)]
    monkeypatch.setattr("mlpexp.sweep.plan.free_memory", lambda device: 2**40)
    assert numbers(*configs) == [[0, 1], [2, 3]]
    monkeypatch.setattr("mlpexp.sweep.plan.free_memory", lambda device: 1)
    assert numbers(*configs) == [[0], [1], [2], [3]]


def test_neighbours_have_equal_settings(small: Small) -> None:
    """So that one optimizer, and one call of a regularizer, serves them all."""
    settings = [
        (f"optimizer={name}", f"{other[0]}={other[1]}")
        for _ in range(2)
        for other in (("regularizer", "[l1]"), ("regularizer", "[l2]"), ("activation", "gelu"))
        for name in ("sgd", "adam")
    ]
    configs = [small("dataset=moons", *pair, f"seed={seed}") for seed, pair in enumerate(settings)]
    (stack,) = planned(*configs)
    assert stack.numbers == [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11]


CHOICES = {
    "optimizer": ["sgd", "adam", "lbfgs"],
    "activation": ["relu", "tanh", "prelu"],
    "regularizer": ["[]", "[l2]", "[batchnorm]"],
    "stack.max_members": ["null", "1", "2"],
}
_COMPOSER = Composer()  # composes each set of choices once
overrides = st.tuples(*[st.sampled_from([f"{key}={value}" for value in values]) for key, values in CHOICES.items()])


@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.lists(overrides, min_size=1, max_size=12))
def test_every_job_is_in_one_stack(jobs: list[tuple[str, ...]]) -> None:
    configs = [_COMPOSER.config(["dataset=xor", *job]) for job in jobs]
    stacks = planned(*configs)
    counts = Counter(number for stack in stacks for number in stack.numbers)
    assert counts == dict.fromkeys(range(len(jobs)), 1)
    assert [min(stack.numbers) for stack in stacks] == sorted(min(stack.numbers) for stack in stacks)
    for stack in stacks:
        members = [jobs[number] for number in stack.numbers]
        assert len({("prelu" in job[1], "batchnorm" in job[2]) for job in members}) == 1
        limit = configs[stack.numbers[0]].stack.max_members
        assert limit is None or len(stack.jobs) <= limit
        assert (stack.alone is not None) == (jobs[stack.numbers[0]][0] == "optimizer=lbfgs")
