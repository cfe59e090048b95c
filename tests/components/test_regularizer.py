"""Regularizers against their formulas: numpy, values worked out by hand, and the statistics of what is random."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from mlpexp.components.loss import losses
from mlpexp.components.regularizer import Regularizer, regularizers
from mlpexp.config.compose import compose
from mlpexp.data.batch import Batch
from mlpexp.data.task import Task
from mlpexp.engine.member import Member
from mlpexp.engine.objective import Objective

# What each regularizer does; the tests below are written kind by kind, and hold for all of its members.
KINDS: dict[str, set[str]] = {
    "before_activation": {"batchnorm", "layernorm"},
    "after_activation": {"dropout", "alpha_dropout"},
    "penalty": {"l1", "l2"},
    "constrain": {"max_norm"},
    "augment": {"input_noise", "mixup"},
    "smoothing": {"label_smoothing"},
    "none of them": {"early_stopping"},
}
NAMES = list(regularizers)
N = 200_000


def make(name: str, **fields: Any) -> Regularizer:
    return regularizers[name](**fields)


def layer(name: str, **fields: Any) -> nn.Module:
    made = make(name, **fields).after_activation()
    assert made is not None
    return made


def penalty(name: str, weights: list[Tensor], **fields: Any) -> Tensor:
    found = make(name, **fields).penalty(weights)
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", NAMES)
def test_every_regularizer_does_one_thing(name: str) -> None:
    kinds = [kind for kind, members in KINDS.items() if name in members]
    assert len(kinds) == 1, f"say what '{name}' does, and test it"
    one = make(name)
    batch = Batch(torch.randn(1, 4, 2), torch.zeros(1, 4, dtype=torch.int64))
    weights = [torch.randn(3, 2)]
    before = [weight.clone() for weight in weights]
    one.constrain([10 * weight for weight in weights] if "constrain" in kinds else weights)
    does = {
        "before_activation": one.before_activation(3) is not None,
        "after_activation": one.after_activation() is not None,
        "penalty": one.penalty(weights) is not None,
        "augment": one.augment(batch) is not batch,
        "smoothing": one.smoothing != 0.0,
    }
    assert [kind for kind, done in does.items() if done] == [kind for kind in kinds if kind in does]
    assert torch.equal(weights[0], before[0])


def test_every_name_is_registered() -> None:
    assert set.union(*KINDS.values()) <= set(regularizers)


# --- dropout ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5])
def test_dropout_keeps_the_mean(p: float) -> None:
    y = layer("dropout", p=p)(torch.ones(N))
    # p is in force in steps of 2⁻¹⁶, and so is the scale.
    assert y[y != 0].unique().tolist() == pytest.approx([1 / (1 - p)], rel=2**-16 / (1 - p))
    five_errors = 5 * math.sqrt(p * (1 - p) / N)
    assert (y == 0).double().mean().item() == pytest.approx(p, abs=five_errors)
    assert y.double().mean().item() == pytest.approx(1.0, abs=five_errors / (1 - p) + 1e-9)
    # A scaled Bernoulli variable: variance p/(1 − p).
    assert y.double().var().item() == pytest.approx(p / (1 - p), abs=0.02)


@pytest.mark.parametrize("p", [0.1, 0.3])
def test_alpha_dropout_keeps_mean_and_variance(p: float) -> None:
    x = torch.randn(N)
    y = layer("alpha_dropout", p=p)(x).double()
    assert y.mean().item() == pytest.approx(0.0, abs=0.012)
    assert y.var().item() == pytest.approx(1.0, abs=0.02)
    # A dropped unit is a·α' + b with α' = −λα ≈ −1.7581; a and b as in the paper, eq. 14.
    alpha = -1.7580993408473766
    a = ((1 - p) * (1 + p * alpha**2)) ** -0.5
    b = -a * p * alpha
    dropped = torch.isclose(y, torch.tensor(a * alpha + b, dtype=torch.float64), atol=1e-5)
    assert dropped.double().mean().item() == pytest.approx(p, abs=0.006)
    torch.testing.assert_close(y[~dropped], a * x.double()[~dropped] + b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(KINDS["after_activation"]))
def test_evaluation_knows_no_dropout(name: str) -> None:
    dropout = layer(name)
    x = torch.randn(50, 7)
    assert not torch.equal(dropout(x), x)
    assert torch.equal(dropout.eval()(x), x)


# --- normalisation ------------------------------------------------------------------------------------------


def normalisation(name: str, width: int, **fields: Any) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """A layer whose γ and β are not those it starts with, and these."""
    made = make(name, **fields).before_activation(width)
    assert made is not None
    gamma, beta = made.get_parameter("weight"), made.get_parameter("bias")
    assert gamma.tolist() == [1.0] * width
    assert beta.tolist() == [0.0] * width
    with torch.no_grad():
        gamma.copy_(torch.linspace(0.5, 2, width))
        beta.copy_(torch.linspace(-1, 1, width))
    return made.double(), gamma.detach().double().numpy(), beta.detach().double().numpy()


@pytest.mark.parametrize("fields", [{}, {"momentum": 0.3, "eps": 0.1}])
def test_batchnorm(fields: dict[str, float]) -> None:
    made, gamma, beta = normalisation("batchnorm", 5, **fields)
    momentum, eps = fields.get("momentum", 0.1), fields.get("eps", 1e-5)
    running_mean, running_var = np.zeros(5), np.ones(5)
    draw = np.random.default_rng(0)
    for _ in range(3):
        x = draw.normal(2.0, 3.0, (16, 5))
        expected = gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta
        np.testing.assert_allclose(made(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-7)
        running_mean = (1 - momentum) * running_mean + momentum * x.mean(0)
        running_var = (1 - momentum) * running_var + momentum * x.var(0, ddof=1)
    x = draw.normal(2.0, 3.0, (1, 5))
    expected = gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
    np.testing.assert_allclose(made.eval()(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("fields", [{}, {"eps": 0.1}])
def test_layernorm(fields: dict[str, float]) -> None:
    made, gamma, beta = normalisation("layernorm", 5, **fields)
    x = np.random.default_rng(0).normal(2.0, 3.0, (16, 5))
    mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    expected = gamma * (x - mean) / np.sqrt(variance + fields.get("eps", 1e-5)) + beta
    np.testing.assert_allclose(made(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-7)
    assert torch.equal(made.eval()(torch.from_numpy(x)), made.train()(torch.from_numpy(x)))


# --- penalties ----------------------------------------------------------------------------------------------

FIRST = [[1.0, -2.0], [0.0, 3.0]]
SECOND = [[-0.5, 4.0]]


@pytest.mark.parametrize(
    ("name", "expected", "gradient"),
    [
        # 0.1·(1 + 2 + 0 + 3 + 0.5 + 4), and 0.1·sign(w).
        ("l1", 1.05, lambda w: 0.1 * w.sign()),
        # 0.1·(1 + 4 + 0 + 9 + 0.25 + 16), and 0.2·w.
        ("l2", 3.025, lambda w: 0.2 * w),
    ],
)
def test_penalties_by_hand(name: str, expected: float, gradient: Callable[[Tensor], Tensor]) -> None:
    weights = [torch.tensor(FIRST, requires_grad=True), torch.tensor(SECOND, requires_grad=True)]
    term = penalty(name, list(weights), strength=0.1)
    assert term.shape == ()
    assert term.item() == pytest.approx(expected)
    term.backward()
    for weight in weights:
        torch.testing.assert_close(weight.grad, gradient(weight.detach()))


@pytest.mark.parametrize("name", sorted(KINDS["penalty"]))
def test_a_stack_of_members_gets_a_penalty_each(name: str) -> None:
    weights = [torch.randn(3, 4, 2), torch.randn(3, 1, 4)]
    together = penalty(name, weights, strength=0.1)
    alone = torch.stack([penalty(name, [weight[k] for weight in weights], strength=0.1) for k in range(3)])
    assert together.shape == (3,)
    torch.testing.assert_close(together, alone)


def test_l2_is_weight_decay_of_twice_its_strength_under_sgd() -> None:
    start = torch.tensor(FIRST)
    one, other = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    penalty("l2", [one], strength=0.05).backward()
    other.grad = torch.zeros_like(other)
    torch.optim.SGD([one], lr=0.1).step()
    torch.optim.SGD([other], lr=0.1, weight_decay=0.1).step()
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", sorted(KINDS["penalty"]))
def test_no_strength_no_penalty(name: str) -> None:
    assert penalty(name, [torch.ones(2, 2)], strength=0.0).item() == 0.0


def test_max_norm_caps_the_rows_that_exceed_it_and_no_others() -> None:
    # Norms 5, 3 (at the limit), √2 and 0.
    weight = torch.tensor([[3.0, -4.0], [0.0, 3.0], [1.0, 1.0], [0.0, 0.0]])
    before = weight.clone()
    make("max_norm", limit=3.0).constrain([weight])
    torch.testing.assert_close(weight[0], torch.tensor([1.8, -2.4]))
    assert torch.equal(weight[1:], before[1:])


def test_max_norm_of_a_stack_is_that_of_its_members() -> None:
    weights = [2 * torch.randn(3, 4, 2), 2 * torch.randn(3, 1, 4)]
    alone = [weight.clone() for weight in weights]
    max_norm = make("max_norm", limit=1.5)
    max_norm.constrain(weights)
    for k in range(3):
        max_norm.constrain([weight[k] for weight in alone])
    for weight, expected in zip(weights, alone, strict=True):
        assert torch.equal(weight, expected)
        assert (weight.norm(dim=-1) <= 1.5 + 1e-6).all()


# --- targets and inputs -------------------------------------------------------------------------------------


def test_label_smoothing() -> None:
    smoothing = make("label_smoothing", epsilon=0.3).smoothing
    assert smoothing == 0.3
    task = Task("classification", ("a", "b", "c"))
    objective = Objective(task, losses["cross_entropy"](), (smoothing,))
    # softmax(ln 1, ln 2, ln 1) = 1/4, 1/2, 1/4; targets 0.8 on the true class, 0.1 on the others.
    outputs = torch.tensor([[[0.0, math.log(2), 0.0]]])
    batch = Batch(torch.zeros(1, 1, 2), torch.tensor([[1]]))
    by_hand = 0.8 * math.log(2) + 0.2 * math.log(4)
    assert objective.losses(outputs, batch).tolist() == pytest.approx([by_hand])
    # Validation and test report the loss without it.
    assert objective.summed(outputs, batch.y).tolist() == pytest.approx([math.log(2)])


def batch_of(k: int = 2, b: int = 64, f: int = 3) -> Batch:
    return Batch(torch.randn(k, b, f), torch.randint(4, (k, b)))


def test_input_noise() -> None:
    batch = Batch(torch.randn(2, 500, 200), torch.zeros(2, 500, dtype=torch.int64))
    noisy = make("input_noise", std=0.3).augment(batch)
    noise = (noisy.x - batch.x).double()
    assert noise.mean().item() == pytest.approx(0.0, abs=5 * 0.3 / math.sqrt(N))
    assert noise.std().item() == pytest.approx(0.3, rel=0.01)
    # The fourth moment of a normal distribution.
    assert noise.pow(4).mean().item() == pytest.approx(3 * 0.3**4, rel=0.05)
    assert abs(np.corrcoef(noise[0].flatten(), noise[1].flatten())[0, 1]) < 0.02, "members share their noise"
    assert noisy.y is batch.y
    assert noisy.y_mixed is None


def test_no_noise_leaves_the_inputs() -> None:
    batch = batch_of()
    assert torch.equal(make("input_noise", std=0.0).augment(batch).x, batch.x)


def test_mixup_is_a_convex_combination_with_the_partner() -> None:
    batch = batch_of()
    # Targets that say which row they belong to.
    batch = Batch(batch.x, torch.arange(64).repeat(2, 1))
    mixed = make("mixup", alpha=0.7).augment(batch)
    assert mixed.y_mixed is not None
    assert mixed.lam is not None
    assert mixed.y is batch.y
    assert mixed.lam.shape == (2,)
    assert mixed.lam[0] != mixed.lam[1]
    for k in range(2):
        y_mixed, share = mixed.y_mixed[k], mixed.lam[k].item()
        assert sorted(y_mixed.tolist()) == list(range(64)), "the partners are a permutation of the batch"
        expected = share * batch.x[k] + (1 - share) * batch.x[k][y_mixed]
        torch.testing.assert_close(mixed.x[k], expected)
    assert not torch.equal(mixed.y_mixed[0], mixed.y_mixed[1])


@pytest.mark.parametrize("alpha", [0.001, 0.2, 1.0, 4.0])
def test_shares_of_mixup_follow_their_beta_distribution(alpha: float) -> None:
    n = 5_000
    mixed = make("mixup", alpha=alpha).augment(Batch(torch.zeros(n, 1, 1), torch.zeros(n, 1, dtype=torch.int64)))
    assert mixed.lam is not None
    share = mixed.lam.double()
    assert ((share >= 0) & (share <= 1)).all()
    # Beta(α, α): mean ½, variance 1/(4(2α + 1)).
    variance = 1 / (4 * (2 * alpha + 1))
    assert share.mean().item() == pytest.approx(0.5, abs=5 * math.sqrt(variance / n))
    assert share.var().item() == pytest.approx(variance, rel=0.1)
    low, high = stats.beta(alpha, alpha).cdf([0.4, 0.6])
    expected = high - low
    middle = ((share > 0.4) & (share < 0.6)).double().mean().item()
    assert middle == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / n))


@pytest.mark.parametrize("name", [name for name in losses if getattr(losses[name], "kind", "") == "regression"])
def test_mixup_teaches_the_mixture_of_two_values(name: str) -> None:
    """λ·1 + (1 − λ)·(−1), for which the loss is least, whatever loss it is."""
    x = torch.tensor([[[1.0], [-1.0]]]).repeat(50, 1, 1)
    mixed = make("mixup", alpha=1.0).augment(Batch(x, x))
    torch.testing.assert_close(mixed.y, mixed.x)
    assert ((mixed.y > -1) & (mixed.y < 1)).any()
    objective = Objective(Task("regression"), losses[name]())
    at_mixture, beside = objective.losses(mixed.y, mixed), objective.losses(mixed.y + 0.1, mixed)
    torch.testing.assert_close(at_mixture, torch.zeros(50))
    assert (beside > 0).all()
    torch.testing.assert_close(objective.training_score_sums(mixed.y + 0.1, mixed), torch.full((50,), 2 * 0.1**2))


def test_the_loss_of_a_mixture_is_that_of_soft_targets() -> None:
    task = Task("classification", ("a", "b", "c", "d"))
    mixed = make("mixup", alpha=0.7).augment(batch_of())
    assert mixed.y_mixed is not None
    assert mixed.lam is not None
    outputs = torch.randn(2, 64, 4)
    found = Objective(task, losses["cross_entropy"]()).losses(outputs, mixed)
    for k in range(2):
        one_hot, other = nn.functional.one_hot(mixed.y[k], 4), nn.functional.one_hot(mixed.y_mixed[k], 4)
        soft = mixed.lam[k] * one_hot + (1 - mixed.lam[k]) * other
        torch.testing.assert_close(found[k], nn.functional.cross_entropy(outputs[k], soft))


# --- early stopping -----------------------------------------------------------------------------------------


def member(*overrides: str) -> Member:
    config = compose(["dataset=xor", "regularizer=[early_stopping]", *overrides])
    return Member(config, config.dataset.load(Path()), torch.device("cpu"))


def watched(one: Member, val_losses: list[float]) -> int:
    """After how many epochs `one` stopped; all of them where it never did."""
    for epoch, loss in enumerate(val_losses, 1):
        one.observe(epoch, 1.0, loss)
        if not one.active:
            return epoch
    return len(val_losses)


@pytest.mark.parametrize(
    ("patience", "min_delta", "val_losses", "stops_after"),
    [
        # Three epochs without a fall.
        (3, 0.0, [1.0, 0.9, 0.9, 0.9, 0.9, 0.1], 5),
        # A fall starts the count anew.
        (3, 0.0, [1.0, 1.1, 1.1, 0.9, 1.0, 1.0, 1.0, 0.1], 7),
        # A rise is no fall, and an equal loss is none either.
        (1, 0.0, [1.0, 1.0, 0.5], 2),
        (1, 0.0, [1.0, 0.999, 0.998, 0.997], 4),
        # Falls by no more than min_delta do not count…
        (2, 0.25, [1.0, 0.875, 0.75, 0.1], 3),
        # …but they add up against the last loss that did.
        (2, 0.25, [1.0, 0.875, 0.625, 0.5, 0.25, 0.125, 0.125], 7),
    ],
)
def test_early_stopping(patience: int, min_delta: float, val_losses: list[float], stops_after: int) -> None:
    one = member(f"regularizer.early_stopping.patience={patience}", f"regularizer.early_stopping.min_delta={min_delta}")
    assert watched(one, val_losses) == stops_after
    assert one.stopped_early == (stops_after < len(val_losses) or stops_after == 7)
    assert one.failure is None


def test_the_default_patience_is_ten_epochs() -> None:
    assert watched(member(), [1.0] * 20) == 11


def test_without_early_stopping_a_member_goes_on() -> None:
    one = member("regularizer=[]")
    assert watched(one, [1.0] * 50) == 50
    assert one.active


def test_the_best_epoch_is_that_of_the_least_loss() -> None:
    """However little less it is: min_delta is about stopping only."""
    one = member("regularizer.early_stopping.patience=3", "regularizer.early_stopping.min_delta=0.5")
    assert [one.observe(epoch, 1.0, loss) for epoch, loss in enumerate([1.0, 0.7, 0.9], 1)] == [True, True, False]
    assert (one.best.epoch, one.best.loss) == (2, 0.7)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("which", ["training", "validation"])
def test_a_loss_that_is_no_number_ends_the_member(bad: float, which: str) -> None:
    one = member()
    one.observe(1, 1.0, 0.5)
    one.observe(2, *((bad, 0.1) if which == "training" else (0.1, bad)))
    assert not one.active
    assert not one.stopped_early
    assert one.failure == f"diverged: the {which} loss was {bad} at the end of epoch 2"
    assert one.diverged
    assert one.best.epoch == 1


def test_a_resumed_member_goes_on_counting() -> None:
    val_losses = [1.0, 0.9, 1.0, 0.95, 1.0, 1.0, 1.0]
    one = member("regularizer.early_stopping.patience=4")
    for stop in range(6):
        before, after = (Member(one.config, one.data, torch.device("cpu")) for _ in range(2))
        watched(before, val_losses[:stop])
        after.load_state_dict(before.state_dict())
        assert watched(after, val_losses[stop:]) == 6 - stop
        assert after.best.epoch == (2 if stop >= 2 else 2 - stop)
