"""Range tests on real data: the curve against a loop written by hand, seeds together and alone, every optimizer."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import mlpexp
from mlpexp.components.optimizer import optimizers
from mlpexp.config.schema import Config
from mlpexp.data.dataset import Split
from mlpexp.engine.loop import Engine
from mlpexp.engine.member import build_module
from mlpexp.errors import ConfigError, RunError
from mlpexp.lr_finder.find import Finding, RangeTest, find_lr, losses
from mlpexp.training.prepare import Preparations, prepare

Small = Callable[..., Config]
NOISY = "regularizer=[dropout,input_noise,mixup,batchnorm,l2,max_norm]"


def test_a_seeds_curve_is_that_of_a_loop_written_by_hand(small: Small) -> None:
    config = small("dataset=digits", "optimizer=momentum", "seed=3")
    data = prepare(config).data
    train = Split(data.train.x.double(), data.train.y)
    data = dataclasses.replace(data, train=train)
    module = build_module(config, data, config.loss.resolve(data.task)).double()
    engine = Engine([config], data, torch.device("cpu"), [copy.deepcopy(module)])
    rates = np.geomspace(1e-4, 1, 50)
    order = torch.Generator()
    order.set_state(engine.members[0].order.get_state())
    found = np.concatenate(list(losses(engine, rates)))

    optimizer = torch.optim.SGD(module.parameters(), lr=1.0, momentum=0.9)
    steps = iter(rates)
    expected: list[float] = []
    while len(expected) < len(rates):  # two passes over 1,079 rows
        for batch in torch.randperm(len(train), generator=order).split(config.batch_size)[: 50 - len(expected)]:
            optimizer.param_groups[0]["lr"] = next(steps)
            loss = F.cross_entropy(module(train.x[batch]), train.y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert len(engine.batches.sizes) < len(rates)


@pytest.mark.parametrize("overrides", [[], [NOISY, "clip.norm=1"]])
def test_a_stack_of_seeds_is_the_seeds_alone(small: Small, overrides: list[str]) -> None:
    config = small("dataset=moons", "optimizer=momentum", *overrides)
    together = find_lr(config, seeds=3, steps=60)
    one_by_one = find_lr(
        dataclasses.replace(config, stack=dataclasses.replace(config.stack, max_members=1)), seeds=3, steps=60
    )
    assert (together.n_stacks, one_by_one.n_stacks) == (1, 3)
    n = np.argmin(together.curve.smoothed)  # where training blows up, rounding errors do too
    for mine, theirs in (
        (together.curve.losses, one_by_one.curve.losses),
        (together.curve.mean, one_by_one.curve.mean),
    ):
        np.testing.assert_allclose(mine[:n], theirs[:n], rtol=1e-3, atol=1e-4)
    alone = find_lr(dataclasses.replace(config, seed=1), seeds=1, steps=60)
    np.testing.assert_allclose(alone.curve.losses[:n, 0], together.curve.losses[:n, 1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("seeds", [1, 3])
def test_nothing_else_is_touched(small: Small, seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small("dataset=moons", NOISY, "device=cpu", "deterministic=true")
    before = config.to_dict()
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    preparations = Preparations()
    data = preparations.of(config).data
    copies = {name: (split.x.clone(), split.y.clone()) for name, split in data.splits().items()}
    monkeypatch.setattr("mlpexp.lr_finder.find.Preparations", lambda: preparations)
    first = find_lr(config, seeds=seeds, steps=30)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert config.to_dict() == before
    for name, split in data.splits().items():
        assert torch.equal(split.x, copies[name][0])
        assert torch.equal(split.y, copies[name][1])
    torch.manual_seed(6)
    again = find_lr(config, seeds=seeds, steps=30)
    np.testing.assert_array_equal(first.curve.losses, again.curve.losses)


@pytest.mark.parametrize("name", [name for name in optimizers if name != "lbfgs"])
def test_every_optimizer(small: Small, name: str) -> None:
    finding = find_lr(small("dataset=moons", f"optimizer={name}"), steps=100, seeds=2)
    assert finding.n_stacks == 1
    assert finding.lr is not None
    own = finding.config.optimizer.lr
    assert own / 50 < finding.lr < own * 50
    assert finding.curve.rates[0] == pytest.approx(1e-6 if finding.config.optimizer.gradient_scale_invariant else 1e-5)


def test_a_full_batch_optimizer_is_refused(small: Small) -> None:
    with pytest.raises(ConfigError, match=r"^optimizer=lbfgs: takes the whole training set"):
        find_lr(small("dataset=moons", "optimizer=lbfgs"))


def score(finding: Finding, lr: float | None) -> float:
    """The best validation accuracy, or R², of a short run at a rate."""
    assert lr is not None
    config = dataclasses.replace(
        finding.config, epochs=20, optimizer=dataclasses.replace(finding.config.optimizer, lr=lr)
    )
    prepared = prepare(config)
    engine = Engine([config], prepared.data, prepared.device)
    name = prepared.data.task.score
    return max(row[f"{name}/val"] for (row,) in engine.epochs())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_all_suggestions_train_digits_well(small: Small, optimizer: str) -> None:
    finding = find_lr(small("dataset=digits", f"optimizer={optimizer}"))
    first, *others = [score(finding, suggestion.lr) for suggestion in finding.suggestions]
    assert finding.lr == finding.suggestions[0].lr
    assert first > 0.95
    assert min(others) > 0.93


def test_regression(small: Small) -> None:
    finding = find_lr(small("dataset=sine"))
    assert score(finding, finding.lr) > 0.5


def test_its_own_rate_and_scheduler_do_not_matter(small: Small) -> None:
    plain = find_lr(small("dataset=moons"), seeds=1, steps=30)
    other = find_lr(small("dataset=moons", "optimizer.lr=3", "scheduler=onecycle"), seeds=1, steps=30)
    np.testing.assert_array_equal(plain.curve.losses, other.curve.losses)
    assert other.config.optimizer.lr == 3


@pytest.mark.parametrize(
    ("overrides", "lowest", "highest", "said"),
    [
        (["init=zeros"], None, 10.0, "The loss never fell, from 0.693 on"),
        (["optimizer=sgd"], 1e3, 1e6, "The loss did not fall before that: no rate to suggest. Begin lower than"),
        (["optimizer=sgd"], 1e-9, 1e-8, "The loss never fell"),
    ],
)
def test_where_there_is_no_rate_it_says_so(
    small: Small, overrides: list[str], lowest: float | None, highest: float, said: str
) -> None:
    finding = find_lr(small("dataset=moons", *overrides), lowest=lowest, highest=highest)
    assert finding.lr is None
    assert all(suggestion.lr is None for suggestion in finding.suggestions)
    assert finding.remarks[-1].startswith(said)


def test_a_loss_that_is_not_finite_ends_it(small: Small) -> None:
    finding = find_lr(small("dataset=sine", "optimizer=sgd"), lowest=1e10, highest=1e29, seeds=2)
    assert len(finding.curve.rates) < 300
    assert finding.remarks[0].startswith(f"Stopped after {len(finding.curve.rates)} of 300 steps: the ")


def test_a_falling_end_is_named(small: Small) -> None:
    finding = find_lr(small("dataset=moons"), highest=0.01)
    assert finding.suggestions[0].lr is None
    assert finding.lr is not None
    (remark,) = finding.remarks
    assert remark.startswith("The loss is least at the last rate, 0.01: try a greater --to")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 19}, "--steps=19: must be from 20 to 10,000."),
        ({"seeds": 0}, "--seeds=0: must be from 1 to 256."),
        ({"lowest": 0.0}, "--from=0: must be a learning rate"),
        ({"highest": float("nan")}, "--to=nan: must be a learning rate"),
        ({"lowest": 20.0}, "--to=10: must be greater than --from, 20."),
    ],
)
def test_wrong_arguments(small: Small, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        find_lr(small("dataset=moons"), **arguments)  # type: ignore[arg-type]


def test_too_little_memory_is_one_line(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: RangeTest) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(RangeTest, "_curve", fail)
    with pytest.raises(RunError, match="cpu has too little memory: try fewer --seeds"):
        find_lr(small("dataset=moons", "device=cpu"))


def test_from_the_package() -> None:
    assert mlpexp.find_lr is find_lr
