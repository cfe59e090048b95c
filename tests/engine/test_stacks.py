"""Each member of a stack is its run alone: parametrised over the registries, in float64, after fifty steps or more.

Dropout, noise and mixup too: a member draws them from its own seed, in a stack as alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from mlpexp.components.activation import ReLU, activations
from mlpexp.components.init import inits
from mlpexp.components.loss import losses
from mlpexp.components.model import models
from mlpexp.components.optimizer import Muon, optimizers
from mlpexp.components.regularizer import regularizers
from mlpexp.components.scheduler import schedulers
from mlpexp.config.schema import Config, parse
from mlpexp.data.dataset import Data, Split
from mlpexp.engine.batched_stack import BatchedStack, unstackable
from mlpexp.engine.cuda_graphs import cuda_graph_safe
from mlpexp.engine.loop import Engine, Row
from mlpexp.engine.member import build_module
from mlpexp.engine.stack import spans
from mlpexp.training.prepare import prepare

Small = Callable[..., Config]
# Moons with 100 training rows in batches of 20: 13 epochs are 65 steps.
SHAPE = ["dataset.n_samples=143", "batch_size=20", "epochs=13", "model.hidden=[8,8]"]
ALONE = {"lbfgs"}


def in_double(data: Data) -> Data:
    def converted(split: Split) -> Split:
        return Split(split.x.double(), split.y.double() if split.y.is_floating_point() else split.y)

    return dataclasses.replace(data, train=converted(data.train), val=converted(data.val), test=converted(data.test))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


def trained(configs: Sequence[Config], device: torch.device) -> tuple[Engine, list[list[Row]]]:
    """An engine that has trained `configs` together, and every member's rows."""
    by_dataset = {config.dataset: in_double(prepare(config).data) for config in configs}
    data = [by_dataset[config.dataset] for config in configs]
    loss = configs[0].loss.resolve(data[0].task)
    modules = [build_module(config, own, loss).double() for config, own in zip(configs, data, strict=True)]
    engine = Engine(configs, data, device, modules)
    members = list(engine.members)
    histories: list[list[Row]] = [[] for _ in configs]
    for rows in engine.epochs():
        for member, row in zip(engine.members, rows, strict=True):
            histories[members.index(member)].append(row)
    return engine, histories


def rounding(config: Config) -> tuple[float, float]:
    """By how much a member may differ from its run alone, relative and absolute.

    Muon orthogonalises in bfloat16: a sum in another order is sometimes rounded to another of its numbers, which are
    2⁻⁸ apart.
    """
    return (1e-2, 1e-3) if isinstance(config.optimizer, Muon) else (1e-4, 1e-8)


def assert_alike(configs: Sequence[Config], device: torch.device) -> Engine:
    """Every number of every epoch, the weights and the best weights are those of the runs alone."""
    stack, together = trained(configs, device)
    for config, history in zip(configs, together, strict=True):
        alone, (rows,) = trained([config], device)
        rel, atol = rounding(config)
        assert [row.keys() for row in history] == [row.keys() for row in rows]
        # What comes after the last finite loss is that of no particular sum.
        finite = [n for n, row in enumerate(rows, 1) if math.isfinite(row["loss/train"] + row["loss/val"])]
        for mine, theirs in zip(history[: len(finite)], rows, strict=False):
            assert mine == pytest.approx(theirs, rel=rel, abs=max(atol, 1e-6))
        for k in [k for k, member in enumerate(stack.members) if member.config is config]:
            assert_close(stack.stack.member(k), alone.stack.member(0), rel, atol)
            assert stack.members[k].best.epoch == alone.members[0].best.epoch
            assert_close(stack.best_network(k), alone.best_network(0), rel, atol)
    return stack


def assert_close(mine: torch.nn.Module, theirs: torch.nn.Module, rel: float, atol: float) -> None:
    assert mine.state_dict().keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(mine.state_dict()[name], value, rtol=rel, atol=atol)


def four(small: Small, *overrides: str, dataset: str = "moons") -> list[Config]:
    """Four members with different seeds and learning rates, and two splits."""
    shape = [part for part in SHAPE if "perceptron" not in " ".join(overrides) or "hidden" not in part]
    one = small(f"dataset={dataset}", *shape, *overrides).to_dict()
    optimizer = one["optimizer"]
    changes = [
        {
            "seed": n,
            "dataset": {**one["dataset"], "seed": n % 2},
            "optimizer": {**optimizer, "lr": optimizer["lr"] * (1 + n / 2)},
        }
        for n in range(4)
    ]
    return [parse({**one, **changed}) for changed in changes]


CHOICES = [
    "activation=prelu",
    *(f"init={name}" for name in inits),
    *(f"model={name}" for name in models),
    *(f"optimizer={name}" for name in optimizers if name not in ALONE),
    *(f"scheduler={name}" for name in schedulers),
    *(f"regularizer=[{name}]" for name in regularizers),
    *(f"loss={name}" for name in losses),
    "loss=mae regularizer=[mixup]",
    "clip.norm=0.1",
    "clip.value=0.01",
    "scheduler=cosine scheduler.warmup=2.5",
    "optimizer=momentum optimizer.weight_decay=0.01",
    "regularizer=[batchnorm,layernorm,dropout,alpha_dropout,l1,l2,max_norm,label_smoothing,input_noise,mixup]",
]


@pytest.mark.parametrize("choice", CHOICES)
def test_four_members_are_their_runs_alone(small: Small, device: torch.device, choice: str) -> None:
    regression = choice.split()[0] in ("loss=mse", "loss=mae", "loss=huber")
    dataset = "sine" if regression else "moons"
    assert_alike(four(small, *choice.split(), dataset=dataset), device)


DIFFERENT = {
    "optimizers": [["optimizer=sgd"], ["optimizer=adam"], ["optimizer=adam"], ["optimizer=nadam"]],
    "numbers of one optimizer": [
        [],
        ["optimizer.betas=[0.8,0.9]"],
        ["optimizer.weight_decay=0.1"],
        ["optimizer.eps=0.01"],
    ],
    "schedules": [["scheduler=cosine"], ["scheduler=step"], ["scheduler=onecycle"], []],
    "plateaus": [
        ["scheduler=plateau", f"scheduler.patience={patience}", "scheduler.threshold=0.2"] for patience in (1, 1, 2, 3)
    ],
    "clipping": [["clip.norm=0.1"], [], ["clip.value=0.01"], ["clip.norm=0.2", "clip.value=0.02"]],
    "inits": [[f"init={name}"] for name in ("default", "xavier_normal", "kaiming_uniform", "orthogonal")],
    "penalties": [
        ["regularizer=[l1]"],
        ["regularizer=[l2]"],
        ["regularizer=[l2]", "regularizer.l2.strength=0.1"],
        [],
    ],
    "limits": [["regularizer=[max_norm]", f"regularizer.max_norm.limit={limit}"] for limit in (0.3, 0.6, 0.6, 5)],
    "smoothings": [
        ["regularizer=[label_smoothing]", f"regularizer.label_smoothing.epsilon={epsilon}"]
        for epsilon in (0, 0.2, 0.2, 0.5)
    ],
    "dropouts": [["regularizer=[dropout]", f"regularizer.dropout.p={p}"] for p in (0, 0.2, 0.5, 0.9)],
    "noises": [
        ["regularizer=[input_noise,mixup]", f"regularizer.input_noise.std={std}", f"regularizer.mixup.alpha={alpha}"]
        for std, alpha in ((0, 1), (0.1, 1), (0.1, 0.2), (1, 5))
    ],
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_members_may_differ(small: Small, device: torch.device, what: str) -> None:
    configs = [small("dataset=moons", *SHAPE, f"seed={seed}", *part) for seed, part in enumerate(DIFFERENT[what])]
    assert_alike(configs, device)


FUNCTIONS = [name for name in activations if name != "prelu"]


def test_all_members_differ_in_all_that_they_may(small: Small, device: torch.device) -> None:
    """A member for each activation, every other setting another one too; one diverges and one stops early."""
    penalties = ("l1", "l2", "max_norm", "label_smoothing")
    kinds = (
        [f"init={name}" for name in inits],
        [f"optimizer={name}" for name in optimizers if name not in ALONE],
        [f"scheduler={name}" for name in schedulers],
        [f"regularizer=[dropout,{name}]" for name in penalties],
        ["clip.norm=0.5", "clip.norm=null", "clip.value=0.1"],
    )
    configs = []
    for k, activation in enumerate(FUNCTIONS):
        parts = [f"activation={activation}", *(choices[k % len(choices)] for choices in kinds)]
        parts += [f"optimizer.lr={0.01 * 1.2**k}", f"regularizer.dropout.p={0.04 * k}", f"seed={k}"]
        if k == 2:
            parts += ["optimizer=sgd", "optimizer.lr=1e38", "scheduler=none", "clip.value=null"]
        if k == 4:
            parts += ["optimizer.lr=1e-9", "regularizer=[dropout,early_stopping]"]
            parts += ["regularizer.early_stopping.patience=2", "regularizer.early_stopping.min_delta=0.01"]
        configs.append(small("dataset=moons", *SHAPE, *parts))
    stack = assert_alike(configs, device)
    assert [member.config.seed for member in stack.members] == [k for k in range(len(configs)) if k not in (2, 4)]


def test_an_activation_may_change_its_inputs_in_place() -> None:
    def network(function: torch.nn.Module) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(2, 3), function, torch.nn.Linear(3, 1)).double()

    # GELU keeps its inputs for the backward pass.
    functions = [torch.nn.GELU(), torch.nn.ReLU(inplace=True), torch.nn.ReLU(inplace=True), torch.nn.GELU()]
    plain = [network(function) for function in functions]
    stack, x = BatchedStack(plain, activations=[0, 1, 1, 0]), torch.randn(4, 5, 2, dtype=torch.float64)
    stack(x).sum().backward()
    for k, module in enumerate(plain):
        module(x[k]).sum().backward()
        torch.testing.assert_close(stack(x)[k], module(x[k]))
        for mine, theirs in zip(stack.parameters(), module.parameters(), strict=True):
            assert mine.grad is not None
            torch.testing.assert_close(mine.grad[k], theirs.grad)


HUGE = [1e20, 1e38, math.inf, math.nan]


@pytest.mark.parametrize("gradient", HUGE)
@pytest.mark.parametrize("norm", [None, 1.0])
@pytest.mark.parametrize("value", [None, 1.0])
def test_clipping_leaves_neighbours_alone(norm: float | None, value: float | None, gradient: float) -> None:
    """Each member of a stack is clipped as torch clips it alone, whatever gradients and limits the others have."""
    gradients = [torch.full((2, 3), gradient), torch.full((2, 3), 0.5), torch.full((2, 3), 5.0)]
    norms, values = (norm, 1.0, None), (value, None, 1.0)
    plain = [torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False)) for _ in gradients]
    stack = BatchedStack(plain)
    (stacked,) = stack.net.parameters()
    stacked.grad = torch.stack(gradients)
    stack.clip(norms, values)
    for k, (module, most, limit) in enumerate(zip(plain, norms, values, strict=True)):
        (alone,) = module.parameters()
        alone.grad = gradients[k].clone()
        if most is not None:
            torch.nn.utils.clip_grad_norm_([alone], most)
        if limit is not None:
            torch.nn.utils.clip_grad_value_([alone], limit)
        torch.testing.assert_close(stacked.grad[k], alone.grad, equal_nan=True)


def test_members_that_stop_early_leave_the_stack(small: Small, device: torch.device) -> None:
    stopping = ["regularizer=[early_stopping,dropout]", "regularizer.early_stopping.patience=2", "optimizer.lr=0.1"]
    configs = [
        small("dataset=moons", *SHAPE[:2], "epochs=40", *stopping, f"seed={seed}", f"optimizer.lr={lr}")
        for seed, lr in enumerate((0.3, 0.1, 0.001, 0.03))
    ]
    _, histories = trained(configs, device)
    lengths = [len(history) for history in histories]
    assert len(set(lengths)) > 2, "all stop at once: the test shows nothing"
    assert_alike(configs, device)


def test_one_diverges_beside_three_that_do_not(small: Small, device: torch.device) -> None:
    configs = [
        small("dataset=moons", *SHAPE, "optimizer=sgd", f"seed={seed}", f"optimizer.lr={lr}", "regularizer=[l2]")
        for seed, lr in enumerate((0.1, 1e38, 0.2, 0.1))
    ]
    engine, histories = trained(configs, device)
    assert [len(history) for history in histories] == [13, len(histories[1]), 13, 13]
    assert len(histories[1]) < 13
    assert len(engine.members) == 3
    assert all(member.failure is None for member in engine.members)
    assert not math.isfinite(histories[1][-1]["loss/train"])
    assert_alike([config for k, config in enumerate(configs) if k != 1], device)


# Two optimizers in one, and a rate for each member.
MUON = ["optimizer=muon", "scheduler=plateau", "scheduler.patience=1", "scheduler.threshold=0.5"]
# Under Adam the biases before a batch normalisation follow the rounding of gradients that are zero.
NOISY = ["regularizer=[batchnorm,dropout,mixup]", "optimizer=momentum"]


@pytest.mark.parametrize("extra", [[], NOISY, ["scheduler=plateau"], MUON])
def test_a_stack_goes_on_from_checkpoints_as_if_it_had_never_stopped(
    small: Small, device: torch.device, extra: list[str]
) -> None:
    """Bit for bit beside the same members; beside fewer of them up to rounding."""
    configs = [small("dataset=moons", *SHAPE[:2], "epochs=6", *extra, f"seed={seed}") for seed in range(4)]
    data = prepare(configs[0]).data
    whole = Engine(configs, data, device)
    states = []
    for _ in whole.epochs():
        if whole.epoch == 3:
            states = [whole.state_dict(k) for k in range(4)]
    for left in ([0, 1, 2, 3], [1, 3], [2]):
        rest = Engine([configs[k] for k in left], data, device)
        rest.load_state_dicts([states[k] for k in left])
        for _ in rest.epochs():
            pass
        for mine, k in enumerate(left):
            rtol, atol = (0.0, 0.0) if len(left) == 4 else np.maximum(rounding(configs[k]), 1e-6)
            for name, value in whole.stack.state(k).items():
                torch.testing.assert_close(rest.stack.state(mine)[name], value, rtol=rtol, atol=atol)


def test_what_does_not_stack_is_named(small: Small) -> None:
    config = small("dataset=moons", "regularizer=[batchnorm]")
    data = prepare(config).data
    module = build_module(config, data, config.loss.resolve(data.task))
    assert unstackable(module, torch.nn.ReLU) is None
    assert unstackable(module, torch.nn.Tanh) == "ReLU"
    assert (
        unstackable(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Bilinear(1, 1, 1)), torch.nn.ReLU) == "Bilinear"
    )
    assert unstackable(torch.nn.Linear(2, 2), torch.nn.ReLU) == "Linear"


def test_a_member_that_leaves_takes_its_own_dropout_along(small: Small, device: torch.device) -> None:
    parts = ["regularizer=[dropout,early_stopping]", "regularizer.early_stopping.patience=2"]
    configs = [
        small(
            "dataset=moons",
            *SHAPE[:2],
            "epochs=25",
            *parts,
            f"seed={k}",
            f"optimizer.lr={lr}",
            f"regularizer.dropout.p={p}",
        )
        for k, (lr, p) in enumerate(((0.3, 0.1), (0.0001, 0.5), (0.0001, 0.8)))
    ]
    assert_alike(configs, device)


def test_a_stack_takes_only_its_own_weights(small: Small) -> None:
    stack = BatchedStack([torch.nn.Sequential(torch.nn.Linear(2, 3)) for _ in range(2)])
    before = stack.state(1)["0.weight"].clone()
    with pytest.raises(RuntimeError, match="size mismatch"):
        stack.load_state(1, torch.nn.Sequential(torch.nn.Linear(3, 3)).state_dict())
    assert torch.equal(stack.state(1)["0.weight"], before)


def test_spans() -> None:
    assert spans([]) == []
    assert spans([1, 1, 2, 1]) == [(slice(0, 2), 1), (slice(2, 3), 2), (slice(3, 4), 1)]


CARD = torch.device("cuda")


@pytest.mark.parametrize(
    ("overrides", "recorded"),
    [
        ([[], ["optimizer=sgd"]], True),
        ([["optimizer=adam"], ["optimizer=adagrad"]], False),
        ([["optimizer=muon"]], False),
        ([["compile=true"]], False),
        ([["device=cuda"]], True),
        ([["device=cuda", "device.graphs=false"]], False),
    ],
)
def test_which_stacks_are_recorded_on_a_card(small: Small, overrides: list[list[str]], recorded: bool) -> None:
    configs = [small("dataset=moons", *each) for each in overrides]
    assert cuda_graph_safe(configs, CARD) is recorded
    assert not cuda_graph_safe(configs, torch.device("cpu"))


def test_what_a_users_own_component_does_in_python_is_not_replayed(small: Small) -> None:
    class Own(ReLU):
        pass

    config = small("dataset=moons")
    assert cuda_graph_safe([config], CARD)
    Own.__module__ = "plugin"
    assert not cuda_graph_safe([config, dataclasses.replace(config, activation=Own())], CARD)
