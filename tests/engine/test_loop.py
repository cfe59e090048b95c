"""The loop against loops written out by hand, and against itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mlpexp.components.regularizer import Mixup, regularizers
from mlpexp.config.schema import Config
from mlpexp.data.dataset import Data
from mlpexp.engine.loop import Engine, Row
from mlpexp.engine.member import derive_seeds
from mlpexp.training.prepare import prepare

Small = Callable[..., Config]


def engine_of(*configs: Config) -> Engine:
    prepared = prepare(configs[0])
    return Engine(configs, prepared.data, torch.device("cpu"))


def trained(*configs: Config) -> tuple[Engine, list[list[Row]]]:
    engine = engine_of(*configs)
    return engine, list(engine.epochs())


def weights(engine: Engine, k: int = 0) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in engine.stack.member(k).state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def by_hand(config: Config, data: Data) -> tuple[nn.Module, list[dict[str, float]]]:
    """What the engine does, as a course would write it: plain modules, a list of batches, no stack."""
    seeds = derive_seeds(config.seed)
    generator = torch.Generator().manual_seed(seeds["init"])
    widths = [data.n_features, *config.model.hidden, data.task.n_classes]  # type: ignore[attr-defined]
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        linear = nn.Linear(n_in, n_out)
        bound = 1 / np.sqrt(n_in)
        with torch.no_grad():
            linear.weight.uniform_(-bound, bound, generator=generator)
            linear.bias.uniform_(-bound, bound, generator=generator)
        layers += [linear, nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(net.parameters(), lr=config.optimizer.lr)
    order = torch.Generator().manual_seed(seeds["order"])
    x = (data.train.x.float() - data.shift) * data.scale
    x_val = (data.val.x.float() - data.shift) * data.scale
    history = []
    for _ in range(config.epochs):
        rows = torch.randperm(len(x), generator=order)
        loss_sum, right = 0.0, 0
        for batch in rows.split(config.batch_size):
            optimizer.zero_grad()
            outputs = net(x[batch])
            loss = F.cross_entropy(outputs, data.train.y[batch])
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(batch)
            right += int((outputs.argmax(1) == data.train.y[batch]).sum())
        with torch.no_grad():
            outputs = net(x_val)
        history.append(
            {
                "loss/train": loss_sum / len(x),
                "accuracy/train": right / len(x),
                "loss/val": F.cross_entropy(outputs, data.val.y).item(),
                "accuracy/val": (outputs.argmax(1) == data.val.y).float().mean().item(),
            }
        )
    return net, history


def test_a_run_is_that_of_a_loop_written_by_hand(small: Small) -> None:
    config = small("dataset=digits", "epochs=2")
    engine, rows = trained(config)
    net, history = by_hand(config, prepare(config).data)
    for mine, theirs in zip(engine.stack.member(0).parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    for (row,), expected in zip(rows, history, strict=True):
        for tag, value in expected.items():
            assert row[tag] == pytest.approx(value, rel=1e-4), tag


def test_regression_scores_are_those_of_scikit_learn(small: Small) -> None:
    from sklearn.metrics import mean_squared_error, r2_score

    engine, rows = trained(small("dataset=sine"))
    val = engine.members[0].data.val
    with torch.no_grad():
        predicted = engine.stack.member(0).eval()(val.x)
    assert rows[-1][0]["r2/val"] == pytest.approx(r2_score(val.y, predicted), rel=1e-4)
    assert rows[-1][0]["loss/val"] == pytest.approx(mean_squared_error(val.y, predicted), rel=1e-4)


NOISY = "regularizer=[dropout,input_noise,mixup,batchnorm]"


@pytest.mark.parametrize("overrides", [[], [NOISY], ["optimizer=lbfgs"], ["precision=bf16"]])
def test_the_same_seed_gives_the_same_bits(small: Small, overrides: list[str]) -> None:
    config = small("dataset=moons", *overrides)
    first, _ = trained(config)
    torch.manual_seed(99)  # what else a program draws is no matter
    second, _ = trained(config)
    assert_same(weights(first), weights(second))


def test_another_seed_gives_other_weights_and_batches(small: Small) -> None:
    one, other = engine_of(small("dataset=moons", "seed=1")), engine_of(small("dataset=moons", "seed=2"))
    first, second = weights(one)["hidden1.weight"], weights(other)["hidden1.weight"]
    assert not torch.isclose(first, second).any()
    batches = [next(engine.batches.epoch([engine.members[0].order])).x for engine in (one, other)]
    assert not torch.equal(*batches)


def test_training_leaves_the_global_random_state_alone(small: Small) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trained(small("dataset=moons", NOISY))
    assert torch.equal(before, torch.get_rng_state())


def test_a_diverged_run_stops_at_the_end_of_that_epoch(small: Small) -> None:
    engine, rows = trained(small("dataset=moons", "optimizer=sgd", "optimizer.lr=1e30", "epochs=10"))
    assert len(rows) == 1
    assert engine.members[0].failure is not None


@pytest.mark.parametrize(
    "overrides",
    [
        ["dataset=moons", NOISY, "scheduler=plateau", "scheduler.patience=1"],
        ["dataset=moons", "scheduler=onecycle", "scheduler.warmup=1.5", "optimizer=muon"],
        ["dataset=moons", "optimizer=lbfgs"],
        ["dataset=sine", "regularizer=[early_stopping,mixup]", "scheduler=cosine_restarts"],
    ],
)
def test_going_on_from_a_checkpoint_is_as_never_having_stopped(small: Small, overrides: list[str]) -> None:
    config = small(*overrides, "epochs=5")
    whole, rows = trained(config)
    first = engine_of(config)
    epochs = first.epochs()
    for _ in range(2):
        next(epochs)
    state = first.state_dict(0)
    next(epochs, None)  # must not change the state
    second = engine_of(config)
    second.load_state_dicts([state])
    rest = list(second.epochs())
    assert_same(weights(whole), weights(second))
    assert [row for (row,) in rest] == [row for (row,) in rows[2:]]
    assert second.members[0].best.epoch == whole.members[0].best.epoch
    assert_same(second.best(0)["weights"], whole.best(0)["weights"])


def test_a_checkpoint_is_plain_data(small: Small, tmp_path: Any) -> None:
    engine, _ = trained(small("dataset=moons", "scheduler=multistep", NOISY))
    torch.save(engine.state_dict(0), tmp_path / "state.pt")
    torch.load(tmp_path / "state.pt", weights_only=True)


def test_the_best_weights_are_those_of_the_greatest_validation_accuracy_then_the_least_loss(small: Small) -> None:
    config = small("dataset=moons", "optimizer=sgd", "optimizer.lr=30", "epochs=8")
    engine = engine_of(config)
    seen = []
    for (row,) in engine.epochs():
        seen.append((row["accuracy/val"], -row["loss/val"], weights(engine)))
    best = max(range(len(seen)), key=lambda index: seen[index][:2])
    assert best < len(seen) - 1, "the last epoch is the best: the test shows nothing"
    assert engine.members[0].best.epoch == best + 1
    assert_same(dict(engine.best_network(0).state_dict()), seen[best][2])


def test_a_users_own_module_trains(small: Small) -> None:
    """Anything from [B, F] to [B, C] can be a member: here one with a skip connection and a buffer."""

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.out = nn.Linear(2, 2), nn.Linear(2, 1)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(x + torch.tanh(self.inner(x)))

    config = small("dataset=moons")
    engine = Engine([config], prepare(config).data, torch.device("cpu"), [Skip()])
    before = weights(engine)
    (row,) = next(engine.epochs())
    assert {"grad_norm/inner", "grad_norm/out"} <= row.keys()
    assert not torch.equal(before["inner.weight"], weights(engine)["inner.weight"])


@pytest.mark.cuda
def test_cuda_follows_the_cpu(small: Small) -> None:
    config = small("dataset=digits", "regularizer=[batchnorm]")
    prepared = prepare(config)
    runs = [Engine([config], prepared.data, torch.device(name)) for name in ("cpu", "cuda")]
    rows = [[row for (row,) in engine.epochs()] for engine in runs]
    for on_cpu, on_cuda in zip(*rows, strict=True):
        assert on_cuda["loss/train"] == pytest.approx(on_cpu["loss/train"], rel=1e-2)


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype feature")
@pytest.mark.parametrize("members", [1, 3])
def test_nothing_waits_for_the_card_inside_an_epoch(small: Small, members: int) -> None:
    configs = [small("dataset=digits", NOISY, f"seed={seed}") for seed in range(members)]
    engine = Engine(configs, prepare(configs[0]).data, torch.device("cuda"))
    next(engine.epochs())
    try:
        torch.cuda.set_sync_debug_mode("error")
        engine._train_epoch()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_the_rate_is_set_in_every_group_of_an_optimizer(small: Small, optimizer: str) -> None:
    engine = engine_of(small("dataset=moons", f"optimizer={optimizer}"))
    (group,) = engine.groups
    group.set_lr(0.25)
    assert [part["lr"] for part in group.optimizer.param_groups] == [0.25] * (2 if optimizer == "muon" else 1)


@pytest.mark.parametrize("name", [*regularizers, "none"])
def test_a_single_last_row_is_learned_from_where_the_network_allows_it(small: Small, name: str) -> None:
    """33 training rows in batches of 32: only batch normalisation, which needs a variance, cannot take the last one."""
    chosen = "[]" if name == "none" else f"[{name}]"
    engine = engine_of(small("dataset=moons", "dataset.n_samples=55", f"regularizer={chosen}"))
    normalised = name == "batchnorm"
    with engine.training_batches() as batches:
        losses = [engine.step(batch)[0].item() for batch in batches]
    assert len(losses) == (1 if normalised else 2)
    assert np.isfinite(losses).all()
    assert engine.batches.n_left_out == normalised


def test_every_row_is_learned_from_in_each_epoch(small: Small) -> None:
    engine = engine_of(small("dataset=moons", "dataset.n_samples=55"))
    with engine.training_batches() as batches:
        rows = torch.cat([batch.x[0] for batch in batches])
    assert torch.equal(rows.sort(0).values, engine.members[0].data.train.x.sort(0).values)


def test_r2_of_an_epoch_that_leaves_a_row_out(small: Small) -> None:
    """Nine training rows in batches of eight: the errors of eight rows stand against the spread of eight."""
    config = small("dataset=sine", "dataset.n_samples=15", "batch_size=8", "optimizer.lr=1e-9", "epochs=40")
    engine = engine_of(config)
    engine.batches = dataclasses.replace(engine.batches, least=2)
    rows = list(engine.epochs())
    assert engine.batches.sizes == [8]
    module, train = engine.stack.member(0).eval(), engine.members[0].data.train
    with torch.no_grad():
        errors = (module(train.x) - train.y).square()
    true = 1 - errors.sum() / (train.y - train.y.mean()).square().sum()
    # Over forty epochs each row is left out about as often as any other.
    assert np.mean([row["r2/train"] for (row,) in rows]) == pytest.approx(float(true), abs=0.02)


@pytest.mark.parametrize("regularizer", ["[]", "[mixup]"])
def test_the_mean_has_an_r2_of_zero(small: Small, regularizer: str) -> None:
    """With mixup too, whose targets lie closer together than those of the data."""
    one = small("dataset=sine", "model=perceptron", "optimizer.lr=1e-12", f"regularizer={regularizer}", "epochs=1")
    if regularizer == "[mixup]":
        one = dataclasses.replace(one, regularizer=(Mixup(alpha=10.0),))
    engine = engine_of(one)
    output = engine.stack.member(0).get_submodule("output")
    assert isinstance(output, nn.Linear)
    with torch.no_grad():
        output.weight.zero_()
        output.bias.fill_(engine.members[0].data.train.y.mean())
    ((row,),) = engine.epochs()
    assert row["r2/train"] == pytest.approx(0.0, abs=1e-5)


# --- optimizers that look at the loss several times a step --------------------------------------------------

CHANGING = ["batchnorm", "dropout", "alpha_dropout", "input_noise", "mixup"]


def looked(engine: Engine, looks: int) -> list[float]:
    """The losses that an optimizer finds which looks so often in the one step of an epoch, at the same weights."""
    found: list[float] = []
    engine.groups[0].step = lambda closure: found.extend(closure().item() for _ in range(looks))
    engine.epoch = 1
    engine._train_epoch()
    return found


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", CHANGING)
def test_every_look_of_a_step_is_at_the_same_loss(small: Small, name: str, own: bool) -> None:
    """With a user's own network too, whose dropout draws from torch's global generator."""
    config = small("dataset=moons", "optimizer=lbfgs", f"regularizer=[{name}]")
    engines = []
    for looks in (1, 4):
        engine = engine_of(config)
        if own:
            torch.manual_seed(0)
            layers = (nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
            engine = Engine([config], engine.members[0].data, torch.device("cpu"), [nn.Sequential(*layers)])
        losses = looked(engine, looks)
        assert len(losses) == looks
        assert len(set(losses)) == 1
        engines.append(engine)
    once, often = engines
    # What is left of a step does not depend on how often it looked: running statistics, the place in the noise.
    assert_same(weights(once), weights(often))
    assert_same(once.members[0].noise.state_dict(), often.members[0].noise.state_dict())
    assert torch.equal(once.gradient_norms.read(), often.gradient_norms.read())


def test_lbfgs_moves_running_statistics_once_a_step(small: Small) -> None:
    config = small("dataset=moons", "optimizer=lbfgs", "regularizer=[batchnorm]", "epochs=1")
    engine, _ = trained(config)
    before = engine_of(config).stack.member(0).train()
    before(engine.members[0].data.train.x)
    for name, buffer in engine.stack.member(0).named_buffers():
        # Up to the order of the rows.
        torch.testing.assert_close(buffer, before.get_buffer(name))


def test_the_gradient_norm_of_lbfgs_is_that_before_the_step(small: Small) -> None:
    config = small("dataset=moons", "optimizer=lbfgs", "epochs=1")
    _, (rows,) = trained(config)
    engine = engine_of(config)
    module, train = engine.stack.member(0), engine.members[0].data.train
    F.binary_cross_entropy_with_logits(module(train.x)[:, 0], train.y.float()).backward()
    gradients = [parameter.grad.flatten() for parameter in module.parameters() if parameter.grad is not None]
    assert rows[0]["grad_norm"] == pytest.approx(torch.cat(gradients).norm().item(), rel=1e-4)
