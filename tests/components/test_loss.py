"""Losses against values worked out by hand and torch's own functions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor

from mlpexp.components.loss import Loss, losses
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError

BINARY = Task("classification", ("no", "yes"))
FOUR = Task("classification", ("a", "b", "c", "d"))
REGRESSION = Task("regression")


@dataclasses.dataclass(frozen=True)
class Case:
    """Outputs and targets of a few samples, and the losses that a reader can check with a pocket calculator."""

    outputs: list[list[float]]
    targets: Any
    expected: list[float]
    smoothing: float = 0.0
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)


LN2, LN3 = math.log(2), math.log(3)

# Logits are logarithms of small numbers, so that the probabilities are fractions.
BY_HAND: dict[str, list[Case]] = {
    "cross_entropy": [
        # softmax(ln 1, ln 2, ln 1) = 1/4, 1/2, 1/4.
        Case([[0.0, LN2, 0.0]] * 2, [1, 0], [LN2, 2 * LN2]),
        # q = (1 − ε)·one-hot + ε/3 with ε = 0.3: 0.8 on the true class, 0.1 on each other.
        Case([[0.0, LN2, 0.0]], [1], [0.8 * LN2 + 0.1 * 2 * LN2 + 0.1 * 2 * LN2], smoothing=0.3),
        Case([[0.0, LN2, 0.0]], [0], [0.8 * 2 * LN2 + 0.1 * LN2 + 0.1 * 2 * LN2], smoothing=0.3),
    ],
    "bce": [
        # σ(ln 3) = 3/4.
        Case([[LN3], [LN3], [0.0]], [1, 0, 1], [math.log(4 / 3), math.log(4), LN2]),
        # Two classes, ε = 0.2: the target 1 becomes 0.9, the target 0 becomes 0.1.
        Case(
            [[LN3], [LN3]],
            [1, 0],
            [0.9 * math.log(4 / 3) + 0.1 * math.log(4), 0.1 * math.log(4 / 3) + 0.9 * math.log(4)],
            smoothing=0.2,
        ),
        # Three classes, one against the rest: −ln σ(ln 3) − ln(1 − σ(0)) − ln(1 − σ(−ln 3)).
        Case([[LN3, 0.0, -LN3]], [0], [math.log(4 / 3) + LN2 + math.log(4 / 3)]),
        # ε = 0.3: targets 0.8, 0.1, 0.1.
        Case([[LN3, 0.0, 0.0]], [0], [0.8 * math.log(4 / 3) + 0.2 * math.log(4) + 2 * LN2], smoothing=0.3),
    ],
    "mse": [Case([[1.0], [-2.0], [0.5]], [[3.0], [-2.0], [0.0]], [4.0, 0.0, 0.25])],
    "mae": [Case([[1.0], [-2.0], [0.5]], [[3.0], [-2.0], [0.0]], [2.0, 0.0, 0.5])],
    "huber": [
        # ½e² within δ, δ(|e| − ½δ) beyond it.
        Case([[0.5], [3.0], [-1.0]], [[0.0], [0.0], [1.0]], [0.125, 2.5, 1.5]),
        Case([[0.5], [3.0], [-1.0]], [[0.0], [0.0], [1.0]], [0.125, 4.0, 2.0], parameters={"delta": 2.0}),
    ],
}


def _bce(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Binary cross-entropy of a single logit as a cross-entropy between two classes with logits 0 and z."""
    return F.cross_entropy(torch.cat([torch.zeros_like(outputs), outputs], 1), targets, label_smoothing=smoothing)


# The mean over a batch by torch.nn.functional.
TORCH: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "cross_entropy": lambda z, t, s: F.cross_entropy(z, t, label_smoothing=s),
    "bce": _bce,
    "mse": lambda z, t, s: F.mse_loss(z, t),
    "mae": lambda z, t, s: F.l1_loss(z, t),
    "huber": lambda z, t, s: F.huber_loss(z, t),
}
# auto stands for one of the others.
NAMES = [name for name in losses if name != "auto"]


def tensors(outputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
    whole = isinstance(targets[0], int)
    return torch.tensor(outputs, dtype=torch.float64), torch.tensor(targets, dtype=torch.int64 if whole else None)


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_has_a_reference(name: str) -> None:
    assert name in BY_HAND, f"work out values of '{name}'"
    assert name in TORCH, f"say what torch.nn.functional has for '{name}'"
    varied = {key for case in BY_HAND[name] for key in case.parameters}
    # Weights of classes are the mean's, see test_class_weight.py.
    assert varied == {field.name for field in dataclasses.fields(losses[name])} - {"class_weight"}


def test_every_reference_is_registered() -> None:
    assert set(BY_HAND) | set(TORCH) <= set(losses)


@pytest.mark.parametrize(("name", "case"), [(name, case) for name in NAMES for case in BY_HAND.get(name, [])])
def test_values_by_hand(name: str, case: Case) -> None:
    outputs, targets = tensors(case.outputs, case.targets)
    per_sample = losses[name](**case.parameters).per_sample(outputs, targets, case.smoothing)
    assert per_sample.tolist() == pytest.approx(case.expected, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", NAMES)
def test_mean_and_gradient_are_torchs(name: str, smoothing: float) -> None:
    draw = torch.Generator().manual_seed(0)
    loss = losses[name]()
    task = REGRESSION if loss.kind == "regression" else FOUR if name == "cross_entropy" else BINARY
    outputs = 3 * torch.randn(40, loss.n_outputs(task), generator=draw, dtype=torch.float64)
    if task.kind == "regression":
        targets = torch.randn(40, 1, generator=draw, dtype=torch.float64)
    else:
        targets = torch.randint(task.n_classes, (40,), generator=draw)
    ours, theirs = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    per_sample = loss.per_sample(ours, targets, smoothing)
    expected = TORCH[name](theirs, targets, smoothing)
    assert per_sample.shape == (40,)
    torch.testing.assert_close(per_sample.mean(), expected)
    torch.testing.assert_close(
        torch.autograd.grad(per_sample.mean(), ours), torch.autograd.grad(expected, theirs), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("name", [name for name in NAMES if losses[name].kind == "classification"])
def test_far_logits_give_finite_losses(name: str) -> None:
    outputs = torch.tensor([[1e4, -1e4, -1e4], [-1e4, 1e4, -1e4]])
    per_sample = losses[name]().per_sample(outputs, torch.tensor([0, 0]))
    assert torch.isfinite(per_sample).all()
    assert per_sample[0] == 0
    assert per_sample[1] >= 1e4


@pytest.mark.parametrize(
    ("name", "task", "n_outputs"),
    [
        ("cross_entropy", BINARY, 2),
        ("cross_entropy", FOUR, 4),
        ("bce", BINARY, 1),
        ("bce", FOUR, 4),
        ("mse", REGRESSION, 1),
        ("mae", REGRESSION, 1),
        ("huber", REGRESSION, 1),
    ],
)
def test_a_loss_says_how_many_outputs_it_needs(name: str, task: Task, n_outputs: int) -> None:
    loss = losses[name]()
    assert loss.resolve(task) is loss
    assert loss.n_outputs(task) == n_outputs


@pytest.mark.parametrize(("task", "name"), [(BINARY, "bce"), (FOUR, "cross_entropy"), (REGRESSION, "mse")])
def test_auto_stands_for_the_loss_of_the_task(task: Task, name: str) -> None:
    assert losses["auto"]().resolve(task) == losses[name]()


def test_auto_itself_has_no_values() -> None:
    with pytest.raises(TypeError, match="resolve"):
        losses["auto"]().per_sample(torch.zeros(1, 1), torch.zeros(1))


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_for_the_other_kind_of_task_is_refused(name: str) -> None:
    loss = losses[name]()
    task = BINARY if loss.kind == "regression" else REGRESSION
    with pytest.raises(ConfigError) as caught:
        loss.resolve(task)
    message = str(caught.value)
    assert message.startswith(f"loss={name}: is for {loss.kind}, and the dataset is a {task.kind} task.")
    allowed = ["auto", *(other for other in NAMES if losses[other].kind == task.kind)]
    # A plugin that some other test registers may stand behind these.
    assert f"Choose from: {', '.join(allowed)}" in message


def classifier(name: str) -> Loss:
    return losses[name]()


@pytest.mark.parametrize("name", ["cross_entropy", "bce"])
def test_the_largest_output_is_the_class(name: str) -> None:
    outputs = torch.tensor([[[0.1, 0.3, 0.2], [5.0, -1.0, 4.0]], [[-3.0, -2.0, -1.0], [0.0, 0.0, 1.0]]])
    assert classifier(name).predict(outputs).tolist() == [[1, 0], [2, 2]]


def test_a_single_logit_predicts_by_its_sign() -> None:
    predicted = classifier("bce").predict(torch.tensor([[-0.1], [0.1], [7.0], [0.0]]))
    assert predicted.tolist() == [0, 1, 1, 0]
    assert predicted.dtype == torch.int64


def test_probabilities_of_cross_entropy_are_the_softmax() -> None:
    probabilities = classifier("cross_entropy").probabilities(torch.tensor([[0.0, LN2, 0.0]]))
    torch.testing.assert_close(probabilities, torch.tensor([[0.25, 0.5, 0.25]]))


def test_probabilities_of_bce() -> None:
    one_logit = classifier("bce").probabilities(torch.tensor([[LN3], [0.0]]))
    torch.testing.assert_close(one_logit, torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    # One against the rest: σ = 3/4, 1/2, 1/4, brought to a sum of one.
    several = classifier("bce").probabilities(torch.tensor([[LN3, 0.0, -LN3]]))
    torch.testing.assert_close(several, torch.tensor([[1 / 2, 1 / 3, 1 / 6]]))


@pytest.mark.parametrize(("name", "n_outputs"), [("cross_entropy", 2), ("cross_entropy", 7), ("bce", 1), ("bce", 7)])
def test_probabilities_sum_to_one_and_agree_with_the_prediction(name: str, n_outputs: int) -> None:
    outputs = 4 * torch.randn(50, n_outputs, generator=torch.Generator().manual_seed(1))
    loss = classifier(name)
    probabilities = loss.probabilities(outputs)
    assert probabilities.shape == (50, max(2, n_outputs))
    assert (probabilities >= 0).all()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(50))
    assert torch.equal(probabilities.argmax(1), loss.predict(outputs))


TARGETS = {
    "regression": (REGRESSION, torch.tensor([0.0, 1.0, 1.0, 2.0, 9.0, 30.0]).unsqueeze(1)),
    "binary": (BINARY, torch.tensor([0] * 19 + [1])),
    "one class": (BINARY, torch.tensor([1] * 5)),
    "classes": (FOUR, torch.tensor([0] * 5 + [1] * 3 + [3] * 2)),  # one of them in no row
}


@pytest.mark.parametrize("own", [True, False], ids=["own", "numerically"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    ("name", "targets"),
    [
        (name, targets)
        for name, cls in losses.items()
        for targets, (task, _) in TARGETS.items()
        if getattr(cls, "kind", "") == task.kind
    ],
)
def test_the_best_constant_is_the_one_that_scipy_finds(name: str, targets: str, smoothing: float, own: bool) -> None:
    task, y = TARGETS[targets]
    loss = losses[name]()

    def mean_loss(outputs: np.ndarray) -> float:
        constant = torch.from_numpy(outputs).expand(len(y), -1)
        return loss.per_sample(constant, y if task.n_classes else y.double(), smoothing).mean().item()

    n = loss.n_outputs(task)
    # Nelder and Mead's method needs no slope.
    starts = [np.full(n, start) for start in (0.0, float(y.float().mean()))]
    least = min(
        minimize(mean_loss, x, method="Nelder-Mead", options={"fatol": 1e-9, "xatol": 1e-7}).fun for x in starts
    )
    found = loss.constant(y, task, smoothing) if own else Loss.constant(loss, y, task, smoothing)
    assert found.shape == (n,)
    assert mean_loss(found.double().numpy()) == pytest.approx(least, rel=1e-4, abs=1e-5)
