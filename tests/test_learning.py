"""What README and docs/ say of whole runs, at full size."""

from __future__ import annotations

import pytest
import torch

from mlpexp.config.compose import compose
from mlpexp.engine.loop import Engine
from mlpexp.run.results import Results
from mlpexp.training.prepare import prepare

NOTEBOOK = [
    "dataset=mnist",
    "model.hidden=[256,256]",
    "regularizer=[batchnorm,dropout]",
    "regularizer.dropout.p=0.2",
    "optimizer=adam",
    "epochs=10",
    "batch_size=64",
]


def accuracy(overrides: list[str]) -> float:
    prepared = prepare(compose(overrides))
    engine = Engine([prepared.config], prepared.data, prepared.device)
    for _ in engine.epochs():
        pass
    return Results.of(engine.best_network(0), engine.members[0].data, engine.objective).metrics()["test"]["accuracy"]


def test_the_default_run_learns_the_digits() -> None:
    assert accuracy([]) >= 0.95


def test_xor_is_learned_by_almost_every_seed() -> None:
    configs = [compose(["dataset=xor"])]
    base = configs[0].to_dict()
    from mlpexp.config.schema import parse

    configs = [parse({**base, "seed": seed}) for seed in range(100)]
    engine = Engine(configs, prepare(configs[0]).data, torch.device("cpu"))
    for _ in engine.epochs():
        pass
    x, y = engine.members[0].data.test.x, engine.members[0].data.test.y
    with torch.no_grad():
        right = sum(bool(((engine.best_network(k).eval()(x)[:, 0] > 0) == y).all()) for k in range(100))
    assert right >= 95


@pytest.mark.long
@pytest.mark.mnist
@pytest.mark.parametrize(
    ("overrides", "least"), [(NOTEBOOK, 0.980), (["dataset=mnist", "activation=gelu", "optimizer=adamw"], 0.975)]
)
def test_mnist_reaches_what_the_readme_says(overrides: list[str], least: float) -> None:
    assert accuracy(overrides) >= least
