"""Steps that are replayed are the steps that were recorded. Parametrised over the registries; needs a CUDA card."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mlpexp.components.loss import losses
from mlpexp.components.optimizer import optimizers
from mlpexp.components.regularizer import regularizers
from mlpexp.components.scheduler import schedulers
from mlpexp.config.schema import Config
from mlpexp.engine.loop import Engine, Row
from mlpexp.training.prepare import prepare

Small = Callable[..., Config]
CUDA = "cuda"
# 6 batches an epoch, the last of them smaller: all kinds of steps have been recorded after four epochs.
SHAPE = ["dataset.n_samples=157", "batch_size=20", "epochs=8", "model.hidden=[8,8]", "device=cuda"]

NOISY = "optimizer=momentum regularizer=[batchnorm,dropout,mixup]"

pytestmark = pytest.mark.cuda


def trained(small: Small, graphs: bool, members: int, *overrides: str) -> tuple[Engine, list[list[Row]]]:
    words = [*SHAPE, f"device.graphs={str(graphs).lower()}", *overrides]
    if not any(word.startswith("dataset=") for word in words):
        words.insert(0, "dataset=moons")
    configs = [small(*words, f"seed={seed}") for seed in range(members)]
    engine = Engine(configs, prepare(configs[0]).data, torch.device(CUDA))
    return engine, list(engine.epochs())


CHOICES = [
    *(f"optimizer={name}" for name in optimizers),
    *(f"scheduler={name}" for name in schedulers),
    *(f"regularizer=[{name}]" for name in regularizers),
    *(f"loss={name}" for name in losses),
    "batch_size=2",  # 55 steps an epoch, of which every other is measured
    "clip.norm=0.1",
    "clip.value=0.01",
    "precision=bf16",
    "deterministic=true",
    "scheduler=cosine scheduler.warmup=2.5",
    "optimizer=momentum regularizer=[batchnorm,dropout,mixup,input_noise,max_norm,label_smoothing]",
]


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("choice", CHOICES)
def test_replayed_steps_are_those_made_one_by_one(small: Small, choice: str, members: int) -> None:
    dataset = ["dataset=sine"] if choice in ("loss=mse", "loss=mae", "loss=huber") else []
    (replayed, rows), (launched, expected) = (
        trained(small, graphs, members, *dataset, *choice.split()) for graphs in (True, False)
    )
    recorded = replayed._replay is not None and bool(replayed._replay._graphs)
    assert recorded == replayed.members[0].config.optimizer.cuda_graph_safe
    for mine, theirs in zip(rows, expected, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert one == pytest.approx(other, rel=1e-3, abs=1e-5)
    for k in range(members):
        for name, value in launched.stack.state(k).items():
            torch.testing.assert_close(replayed.stack.state(k)[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("overrides", ["", NOISY, "optimizer=rmsprop"])
def test_a_checkpoint_is_the_same_on_every_device(small: Small, members: int, overrides: str) -> None:
    """A run that was recorded goes on without recordings, and on the CPU; and the other way round."""
    engine, rows = trained(small, True, members, "scheduler=cosine", *overrides.split())
    configs = [member.config for member in engine.members]
    data = prepare(configs[0]).data
    half = Engine(configs, data, torch.device(CUDA))
    for _ in half.epochs():
        if half.epoch == 5:
            break
    states = [half.state_dict(k) for k in range(members)]
    (group,) = states[0]["optimizer"]["param_groups"]
    assert isinstance(group["lr"], float)
    assert not group.get("capturable")
    rest = Engine(configs, data, torch.device(CUDA))
    rest.load_state_dicts(states)
    assert [[row["loss/train"] for row in each] for each in rest.epochs()] == [
        [pytest.approx(row["loss/train"], rel=1e-4) for row in each] for each in rows[5:]
    ]
    on_cpu = Engine(configs, data, torch.device("cpu"))
    on_cpu.load_state_dicts(states)
    assert len(list(on_cpu.epochs())) == 3
    back = Engine(configs, data, torch.device(CUDA))
    back.load_state_dicts([on_cpu.state_dict(k) for k in range(members)])
    assert not list(back.epochs())


def test_members_that_leave_are_recorded_anew(small: Small) -> None:
    stopping = ["regularizer=[early_stopping,dropout]", "regularizer.early_stopping.patience=2", "epochs=40"]
    configs = [
        small("dataset=moons", *SHAPE[:2], SHAPE[-1], *stopping, f"seed={seed}", f"optimizer.lr={lr}")
        for seed, lr in enumerate((0.3, 0.1, 0.001, 0.03))
    ]
    engine = Engine(configs, prepare(configs[0]).data, torch.device(CUDA))
    sizes = [len(rows) for rows in engine.epochs()]
    assert len(set(sizes)) > 1, "all stop at once: the test shows nothing"
    assert engine._replay is not None
    assert engine._replay._graphs
