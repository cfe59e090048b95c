"""Initialisations against torch.nn.init under the same generator, and against their formulas."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mlpexp.components.init import Init, inits
from mlpexp.config.compose import compose
from mlpexp.engine.member import build_module

N_IN, N_OUT = 500, 300
SEED = 20_261_124
# What the activation in use says; only the Kaiming initialisations may look at it.
GAIN = math.sqrt(2 / (1 + 0.3**2))

Fill = Callable[..., Any]

# The same weights by torch.nn.init: its own functions, under their own names for the same things.
TORCH: dict[str, Fill] = {
    "default": lambda w, g: nn.init.kaiming_uniform_(w, a=math.sqrt(5), generator=g),
    "xavier_uniform": lambda w, g, gain=1.0: nn.init.xavier_uniform_(w, gain, generator=g),
    "xavier_normal": lambda w, g, gain=1.0: nn.init.xavier_normal_(w, gain, generator=g),
    "kaiming_uniform": lambda w, g: nn.init.kaiming_uniform_(w, a=0.3, nonlinearity="leaky_relu", generator=g),
    "kaiming_normal": lambda w, g: nn.init.kaiming_normal_(w, a=0.3, nonlinearity="leaky_relu", generator=g),
    "lecun_normal": lambda w, g: nn.init.kaiming_normal_(w, nonlinearity="linear", generator=g),
    "orthogonal": lambda w, g, gain=1.0: nn.init.orthogonal_(w, gain, generator=g),
    "normal": lambda w, g, mean=0.0, std=0.01: nn.init.normal_(w, mean, std, generator=g),
    "zeros": lambda w, g: nn.init.zeros_(w),
}
# Mean, standard deviation and largest size (infinite for a normal distribution) by the papers' formulas.
MOMENTS: dict[str, Callable[..., tuple[float, float, float]]] = {
    "default": lambda: (0.0, 1 / math.sqrt(3 * N_IN), 1 / math.sqrt(N_IN)),
    "xavier_uniform": lambda gain=1.0: (
        0.0,
        gain * math.sqrt(2 / (N_IN + N_OUT)),
        gain * math.sqrt(6 / (N_IN + N_OUT)),
    ),
    "xavier_normal": lambda gain=1.0: (0.0, gain * math.sqrt(2 / (N_IN + N_OUT)), math.inf),
    "kaiming_uniform": lambda: (0.0, GAIN / math.sqrt(N_IN), GAIN * math.sqrt(3 / N_IN)),
    "kaiming_normal": lambda: (0.0, GAIN / math.sqrt(N_IN), math.inf),
    "lecun_normal": lambda: (0.0, 1 / math.sqrt(N_IN), math.inf),
    # Rows of unit length among n_in directions: E[w²] = 1/n_in.
    "orthogonal": lambda gain=1.0: (0.0, gain / math.sqrt(N_IN), math.inf),
    "normal": lambda mean=0.0, std=0.01: (mean, std, math.inf),
    "zeros": lambda: (0.0, 0.0, 0.0),
}
VARIED: dict[str, dict[str, Any]] = {
    "xavier_uniform": {"gain": 5 / 3},
    "xavier_normal": {"gain": 0.5},
    "orthogonal": {"gain": 2.0},
    "normal": {"mean": 0.2, "std": 0.5},
}
NAMES = list(inits)
CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in NAMES] + list(VARIED.items())


def generator(seed: int = SEED) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def filled(init: Init, seed: int = SEED, gain: float = GAIN) -> nn.Linear:
    linear = nn.Linear(N_IN, N_OUT)
    init.fill(linear, gain, generator(seed))
    return linear


def small(init: Init, seed: int = SEED, gain: float = GAIN, bias: bool = True) -> nn.Linear:
    """A layer for the checks that are not about sizes."""
    linear = nn.Linear(50, 30, bias=bias)
    init.fill(linear, gain, generator(seed))
    return linear


@pytest.mark.parametrize("name", NAMES)
def test_every_init_has_a_reference(name: str) -> None:
    assert name in TORCH, f"say what torch.nn.init has for '{name}'"
    assert name in MOMENTS, f"write down the moments of '{name}'"
    assert set(VARIED.get(name, {})) == {field.name for field in dataclasses.fields(inits[name])}


def test_every_reference_is_registered() -> None:
    assert set(TORCH) | set(MOMENTS) | set(VARIED) <= set(inits)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_weights_are_those_of_torch(name: str, parameters: dict[str, Any]) -> None:
    expected = torch.empty(N_OUT, N_IN)
    TORCH[name](expected, generator(), **parameters)
    weight = filled(inits[name](**parameters)).weight.detach()
    # The Kaiming bounds are worked out in another order, which can move the last bit.
    torch.testing.assert_close(weight, expected, rtol=1e-6 if name.startswith("kaiming") else 0, atol=0)


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_weights_have_the_moments_of_the_formula(name: str, parameters: dict[str, Any]) -> None:
    mean, std, bound = MOMENTS[name](**parameters)
    weight = filled(inits[name](**parameters)).weight.detach().double()
    n = weight.numel()
    # Five standard errors of a mean of n draws; the standard deviation's own is 0.2 %.
    assert weight.mean().item() == pytest.approx(mean, abs=5 * std / math.sqrt(n) + 1e-12)
    assert weight.std().item() == pytest.approx(std, rel=0.01)
    largest = weight.abs().max().item()
    if math.isfinite(bound):
        assert 0.999 * bound <= largest <= bound * (1 + 1e-6)
    else:
        assert largest > abs(mean) + 3 * std


@pytest.mark.parametrize("name", NAMES)
def test_biases_are_zero_except_under_default(name: str) -> None:
    bias = filled(inits[name]()).bias.detach()
    if name == "default":
        bound = 1 / math.sqrt(N_IN)
        assert 0.9 * bound < bias.abs().max().item() <= bound
    else:
        assert not bias.any()


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_default_is_torchs_linear_bit_for_bit(seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        theirs = nn.Linear(N_IN, N_OUT)
    ours = filled(inits["default"](), seed)
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_alone_decides(name: str) -> None:
    init = inits[name]()
    linear = nn.Linear(50, 30)
    before = torch.get_rng_state()
    init.fill(linear, GAIN, generator(1))
    assert torch.equal(torch.get_rng_state(), before), "drew from the global generator"
    again, other = small(init, 1), small(init, 2)
    assert torch.equal(linear.weight, again.weight)
    assert torch.equal(linear.bias, again.bias)
    assert torch.equal(linear.weight, other.weight) == (name == "zeros")


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_without_biases_has_the_same_weights(name: str) -> None:
    assert torch.equal(small(inits[name](), bias=False).weight, small(inits[name]()).weight)


@pytest.mark.parametrize("name", NAMES)
def test_only_kaiming_looks_at_the_activation(name: str) -> None:
    one, two = (small(inits[name](), gain=gain).weight.detach() for gain in (1.0, 2.0))
    torch.testing.assert_close(two, 2 * one if name.startswith("kaiming") else one, rtol=1e-6, atol=0)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (40, 40)])
def test_orthogonal_is_orthogonal(shape: tuple[int, int]) -> None:
    n_out, n_in = shape
    linear = nn.Linear(n_in, n_out)
    inits["orthogonal"](gain=2.0).fill(linear, GAIN, generator())  # type: ignore[call-arg]
    weight = linear.weight.detach().double()
    gram: Tensor = weight @ weight.T if n_out <= n_in else weight.T @ weight
    torch.testing.assert_close(gram, 4 * torch.eye(min(shape), dtype=torch.float64), rtol=0, atol=1e-5)


@pytest.mark.parametrize("init", ["kaiming_uniform", "kaiming_normal"])
@pytest.mark.parametrize(
    ("overrides", "second_moment"),
    [
        (["activation=relu"], 1 / 2),
        (["activation=leaky_relu", "activation.negative_slope=0.3"], (1 + 0.3**2) / 2),
        (["activation=identity"], 1.0),
    ],
)
def test_kaiming_follows_the_activation_of_the_config(init: str, overrides: list[str], second_moment: float) -> None:
    config = compose(["dataset=xor", "model.hidden=[400,400]", f"init={init}", *overrides])
    data = config.dataset.load(Path())
    module = build_module(config, data, config.loss.resolve(data.task))
    weight = module.get_submodule("hidden2").get_parameter("weight")
    assert weight.std().item() == pytest.approx(1 / math.sqrt(second_moment * 400), rel=0.01)


@dataclass(frozen=True)
class InPlace(Init):
    """As people write it: no generator, no `torch.no_grad`."""

    def fill_weight(self, weight: Tensor, gain: float, generator: torch.Generator) -> None:
        weight.normal_(0, 0.5)
        weight[0] *= 2


def test_an_init_can_change_weights_in_place() -> None:
    """As those of torch.nn.init do; what it draws is of the run's seed, and no one else's numbers change."""
    config = dataclasses.replace(compose(["dataset=xor"]), init=InPlace())
    data = config.dataset.load(Path())
    before = torch.get_rng_state()
    loss = config.loss.resolve(data.task)
    one, same = (build_module(config, data, loss) for _ in range(2))
    other = build_module(dataclasses.replace(config, seed=1), data, loss)
    assert torch.equal(torch.get_rng_state(), before)
    for name, weight in one.named_parameters():
        assert weight.requires_grad
        assert weight.is_leaf
        assert torch.equal(weight, same.get_parameter(name))
        assert weight.ndim == 1 or not torch.equal(weight, other.get_parameter(name))
