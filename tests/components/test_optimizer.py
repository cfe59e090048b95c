"""Optimizers against update rules written out in numpy, and against torch's own constructed directly."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlpexp.components.optimizer import Optimizer, optimizers
from mlpexp.components.paired_optimizer import PairedOptimizer
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import build as parse

Array = NDArray[np.float64]
Update = Callable[[Array, Array, int], Array]

STEPS = 25

# The problem: y = x·Wᵀ + b with noise, least squares, from a fixed start; in double precision.
_draw = np.random.default_rng(0)
X = _draw.normal(size=(20, 4))
Y = X @ _draw.normal(size=(4, 3)) + 0.5 + 0.1 * _draw.normal(size=(20, 3))
W0 = 0.3 * _draw.normal(size=(3, 4))
B0 = np.array([0.1, -0.2, 0.3])


def sgd(lr: float, weight_decay: float = 0.0) -> Update:
    def update(theta: Array, g: Array, t: int) -> Array:
        return theta - lr * (g + weight_decay * theta)

    return update


def momentum(lr: float, momentum: float = 0.9, weight_decay: float = 0.0, ahead: bool = False) -> Update:
    v = np.zeros(())

    def update(theta: Array, g: Array, t: int) -> Array:
        nonlocal v
        g = g + weight_decay * theta
        v = momentum * v + g
        return theta - lr * (g + momentum * v if ahead else v)

    return update


def nesterov(lr: float, momentum: float = 0.9, weight_decay: float = 0.0) -> Update:
    return _momentum(lr, momentum, weight_decay, ahead=True)


_momentum = momentum


def adam(
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    decoupled: bool = False,
) -> Update:
    m = v = v_max = np.zeros(())

    def update(theta: Array, g: Array, t: int) -> Array:
        nonlocal m, v, v_max
        if decoupled:
            theta = theta - lr * weight_decay * theta
        else:
            g = g + weight_decay * theta
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        v_max = np.maximum(v_max, v) if amsgrad else v
        m_hat = m / (1 - betas[0] ** t)
        v_hat = v_max / (1 - betas[1] ** t)
        return theta - lr * m_hat / (np.sqrt(v_hat) + eps)

    return update


def adamw(
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    amsgrad: bool = False,
) -> Update:
    return adam(lr, betas, eps, weight_decay, amsgrad, decoupled=True)


def rmsprop(
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> Update:
    v = mean = buffer = np.zeros(())

    def update(theta: Array, g: Array, t: int) -> Array:
        nonlocal v, mean, buffer
        g = g + weight_decay * theta
        v = alpha * v + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        scaled = g / (np.sqrt(v - mean**2 if centered else v) + eps)
        buffer = momentum * buffer + scaled
        return theta - lr * buffer

    return update


def adagrad(lr: float, lr_decay: float = 0.0, weight_decay: float = 0.0, eps: float = 1e-10) -> Update:
    v = np.zeros(())

    def update(theta: Array, g: Array, t: int) -> Array:
        nonlocal v
        g = g + weight_decay * theta
        v = v + g**2
        return theta - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(v) + eps)

    return update


# The rules by hand, each called once a parameter with the fields of the config as keywords.
BY_HAND: dict[str, Callable[..., Update]] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
}


def _lbfgs(params: list[nn.Parameter], line_search: str | None = "strong_wolfe", **fields: Any) -> torch.optim.LBFGS:
    return torch.optim.LBFGS(params, line_search_fn=line_search, **{"history_size": 10, **fields})


def _muon(params: list[nn.Parameter], lr: float, betas: Any = (0.9, 0.999), **fields: Any) -> list[Any]:
    weight_decay = fields.pop("weight_decay", 0.01)
    weight, bias = params
    return [
        torch.optim.Muon([weight], lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw", **fields),
        torch.optim.AdamW([bias], lr=lr, betas=tuple(betas), weight_decay=weight_decay),
    ]


# torch's own optimizer, or several that step in turn, over [W, b].
TORCH: dict[str, Callable[..., Any]] = {
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "lbfgs": _lbfgs,
    "muon": _muon,
}
# Values of every field, none of them the default.
VARIED: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.05, "weight_decay": 0.1},
    "momentum": {"lr": 0.02, "momentum": 0.7, "weight_decay": 0.1},
    "nesterov": {"lr": 0.02, "momentum": 0.7, "weight_decay": 0.1},
    "adam": {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True},
    "adamw": {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.3, "amsgrad": True},
    "nadam": {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.1, "momentum_decay": 0.02},
    "radam": {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.1},
    "rmsprop": {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.5, "centered": True},
    "adagrad": {"lr": 0.2, "lr_decay": 0.05, "weight_decay": 0.1, "eps": 1e-3},
    "muon": {
        "lr": 0.05,
        "weight_decay": 0.2,
        "momentum": 0.8,
        "nesterov": False,
        "ns_steps": 3,
        "betas": [0.8, 0.95],
    },
    "lbfgs": {"lr": 0.5, "max_iter": 3, "history_size": 2, "line_search": None},
}
NAMES = list(optimizers)
CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {"lr": 1.0 if name == "lbfgs" else 0.05}) for name in NAMES),
    *VARIED.items(),
]


def start(dtype: torch.dtype = torch.float64) -> list[nn.Parameter]:
    return [nn.Parameter(torch.tensor(W0, dtype=dtype)), nn.Parameter(torch.tensor(B0, dtype=dtype))]


def loss_of(params: list[nn.Parameter]) -> Tensor:
    weight, bias = params
    x, y = (torch.tensor(array, dtype=weight.dtype) for array in (X, Y))
    return (x @ weight.T + bias - y).square().mean()


def trajectory(optimizer: torch.optim.Optimizer, params: list[nn.Parameter], steps: int = STEPS) -> Iterator[Array]:
    """The parameters, flat, after each step."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(params)
        loss.backward()
        return loss

    for _ in range(steps):
        if isinstance(optimizer, torch.optim.LBFGS):
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
        yield values_of(params)


def values_of(params: list[nn.Parameter]) -> Array:
    return flat([p.detach().double().numpy() for p in params])


def flat(arrays: list[Array]) -> Array:
    return np.concatenate([array.ravel() for array in arrays])


def by_numpy(name: str, fields: dict[str, Any]) -> Iterator[Array]:
    weight, bias = W0.copy(), B0.copy()
    update_weight, update_bias = BY_HAND[name](**fields), BY_HAND[name](**fields)
    for t in range(1, STEPS + 1):
        error = 2 * (X @ weight.T + bias - Y) / Y.size
        weight, bias = update_weight(weight, error.T @ X, t), update_bias(bias, error.sum(0), t)
        yield flat([weight, bias])


def by_torch(name: str, fields: dict[str, Any]) -> Iterator[Array]:
    params = start()
    made = TORCH[name](params, **fields)
    if not isinstance(made, list):
        yield from trajectory(made, params)
        return
    for _ in range(STEPS):
        for param in params:
            param.grad = None
        loss_of(params).backward()
        for part in made:
            part.step()
        yield values_of(params)


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_has_a_reference(name: str) -> None:
    assert (name in BY_HAND) != (name in TORCH), f"write down the rule of '{name}', or say what torch has"
    cls = optimizers[name]
    assert set(VARIED[name]) == {field.name for field in dataclasses.fields(cls)}
    default = cls(lr=VARIED[name]["lr"])
    for field in dataclasses.fields(cls):
        if field.name != "lr":
            assert VARIED[name][field.name] != getattr(default, field.name)


def test_every_reference_is_registered() -> None:
    assert set(BY_HAND) | set(TORCH) | set(VARIED) <= set(optimizers)


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_steps_follow_the_reference(name: str, fields: dict[str, Any]) -> None:
    params = start()
    ours = list(trajectory(optimizers[name](**fields).build(params), params))
    theirs = list((by_numpy if name in BY_HAND else by_torch)(name, fields))
    assert len(ours) == STEPS
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    assert np.abs(ours[-1] - flat([W0, B0])).max() > 0.05, "the optimizer hardly moved: the comparison shows nothing"


@pytest.mark.parametrize("name", NAMES)
def test_the_fields_reach_torch(name: str) -> None:
    """Every field lies in a group of the torch optimizer, under torch's own name for it."""
    made = optimizers[name](**VARIED[name]).build(start())
    expected = {key: tuple(value) if key == "betas" else value for key, value in VARIED[name].items()}
    if name == "lbfgs":
        expected["line_search_fn"] = expected.pop("line_search")
    groups = made.param_groups
    for key, value in expected.items():
        assert any(group.get(key, "") == value for group in groups), key
    for group in groups:
        assert group["lr"] == VARIED[name]["lr"]
        if "weight_decay" in expected:
            assert group["weight_decay"] == expected["weight_decay"]
    assert all(group["nesterov"] == (name == "nesterov") for group in groups if name in ("momentum", "nesterov"))


def test_lbfgs_finds_the_least_squares_solution() -> None:
    params = start()
    *_, last = trajectory(optimizers["lbfgs"](lr=1.0).build(params), params)
    solution: Any = np.linalg.lstsq(np.hstack([X, np.ones((len(X), 1))]), Y, rcond=None)[0]
    assert last == pytest.approx(flat([solution[:4].T, solution[4]]), abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_only_lbfgs_wants_the_whole_set_as_one_batch(name: str) -> None:
    assert optimizers[name].full_batch == (name == "lbfgs")


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_can_hold_what_torch_says_it_can(name: str) -> None:
    """Those of torch's that have "capturable", but two that compute otherwise then; and SGD, which counts no steps."""
    built = optimizers[name](lr=0.1).build(start())
    can = "capturable" in built.defaults or isinstance(built, torch.optim.SGD)
    assert optimizers[name].cuda_graph_safe == (can and name not in ("nadam", "radam"))


@pytest.mark.parametrize("name", NAMES)
def test_any_iterable_of_parameters_will_do(name: str) -> None:
    made = optimizers[name](lr=0.05).build(iter(start()))
    assert sum(len(group["params"]) for group in made.param_groups) == 2


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam", "radam", "muon"])
@pytest.mark.parametrize(("betas", "shown"), [([], "[]"), ([0.9], "[0.9]"), ([0.9, 0.99, 0.999], "[0.9,0.99,0.999]")])
def test_betas_are_two(name: str, betas: list[float], shown: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(optimizers[name], {"lr": 0.1, "betas": betas}, "optimizer")
    assert str(caught.value) == f"optimizer.betas={shown}: must be a list of two numbers, such as [0.9,0.999]."
    with pytest.raises(ConfigError, match="betas="):
        optimizers[name](lr=0.1, betas=betas)  # type: ignore[call-arg]


# --- PairedOptimizer ---------------------------------------------------------------------------------------


def paired() -> tuple[list[nn.Parameter], PairedOptimizer, Optimizer]:
    params = start()
    config = optimizers["muon"](lr=0.05)
    made = config.build(params)
    assert isinstance(made, PairedOptimizer)
    return params, made, config


def test_muon_takes_the_matrices_and_adamw_the_rest() -> None:
    params, made, _ = paired()
    muon, adamw_part = made.parts
    assert isinstance(muon, torch.optim.Muon)
    assert isinstance(adamw_part, torch.optim.AdamW)
    assert [group["params"] for group in made.param_groups] == [[params[0]], [params[1]]]


@pytest.mark.parametrize(("kept", "part"), [(0, torch.optim.Muon), (1, torch.optim.AdamW)])
def test_muon_with_matrices_only_or_none(kept: int, part: type) -> None:
    param = start()[kept]
    made = optimizers["muon"](lr=0.05).build([param])
    assert isinstance(made, PairedOptimizer)
    assert [type(each) for each in made.parts] == [part]
    param.square().sum().backward()
    before = param.detach().clone()
    made.step()
    assert not torch.equal(param.detach(), before)


def test_a_step_of_muon_has_the_size_of_adamws() -> None:
    """Orthogonalised updates times 0.2·√max(n_out, n_in): their root mean square is about 0.2 (arXiv 2502.16982)."""
    param = nn.Parameter(torch.zeros(40, 60))
    made = optimizers["muon"](lr=1.0).build([param])
    param.grad = torch.randn(40, 60, generator=torch.Generator().manual_seed(0))
    made.step()
    assert param.detach().square().mean().sqrt().item() == pytest.approx(0.2, rel=0.2)
    singular = torch.linalg.svdvals(param.detach()) / (0.2 * math.sqrt(60))
    # Newton-Schulz takes them near one: "US'Vᵀ with S' about Uniform(0.5, 1.5)".
    assert ((singular > 0.5) & (singular < 1.5)).all()


def test_a_groups_learning_rate_reaches_its_part() -> None:
    params, made, _ = paired()
    list(trajectory(made, params, steps=2))
    for group in made.param_groups:
        group["lr"] = 0.0
    assert all(group["lr"] == 0.0 for part in made.parts for group in part.param_groups)
    before = [p.detach().clone() for p in params]
    list(trajectory(made, params, steps=1))
    assert all(torch.equal(p.detach(), old) for p, old in zip(params, before, strict=True))


def test_zero_grad_and_closure() -> None:
    params, made, _ = paired()

    def closure() -> Tensor:
        made.zero_grad()
        loss = loss_of(params)
        loss.backward()
        return loss

    before = loss_of(params).item()
    assert made.step(closure).item() == before
    assert loss_of(params).item() < before
    made.zero_grad()
    assert all(p.grad is None for p in params)


@pytest.mark.parametrize("name", NAMES)
def test_state_round_trip_goes_on_identically(name: str) -> None:
    config = optimizers[name](**VARIED[name])
    # As the engine has them. In double precision torch's NAdam rounds differently after loading.
    params = start(torch.float32)
    made = config.build(params)
    list(trajectory(made, params, steps=7))
    file = io.BytesIO()
    torch.save({"optimizer": made.state_dict(), "params": [p.detach() for p in params]}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    expected = list(trajectory(made, params, steps=6))

    fresh = [nn.Parameter(p.clone()) for p in saved["params"]]
    resumed = config.build(fresh)
    resumed.load_state_dict(saved["optimizer"])
    np.testing.assert_array_equal(list(trajectory(resumed, fresh, steps=6)), expected)


def test_a_groups_learning_rate_reaches_its_part_after_loading() -> None:
    params, made, config = paired()
    list(trajectory(made, params, steps=2))
    resumed = config.build(params)
    assert isinstance(resumed, PairedOptimizer)
    resumed.load_state_dict(made.state_dict())
    for group in resumed.param_groups:
        group["lr"] = 0.123
    assert [group["lr"] for part in resumed.parts for group in part.param_groups] == [0.123, 0.123]
