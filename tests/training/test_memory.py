"""The estimate of what a run takes, and of what there is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mlpexp.components import device
from mlpexp.components.device import free_memory, total_memory
from mlpexp.config.schema import Config
from mlpexp.engine.loop import Engine
from mlpexp.training.prepare import memory_needed, prepare

CPU = torch.device("cpu")


def test_a_run_takes_memory_for_weights_and_for_outputs(small: Callable[..., Config]) -> None:
    config = small("dataset=moons", "model.hidden=[10,20]", "batch_size=5")
    # Eight tensors like the weights, eight like the inputs and outputs of the hidden layers, of 4 bytes a number.
    assert memory_needed(config, 1000, 2) == 4 * (8 * 1000 + 8 * 5 * (2 + 10 + 20))


@pytest.mark.parametrize("part", ["model.hidden=[64]", "model.hidden=[512,512]", "model=perceptron"])
def test_the_estimate_is_not_below_what_lives_through_a_step(part: str, small: Callable[..., Config]) -> None:
    prepared = prepare(small("dataset=digits", part, "batch_size=8"))
    engine = Engine([prepared.config], prepared.data, CPU)
    for _ in engine.epochs():
        break
    state = [value for values in engine.groups[0].optimizer.state.values() for value in values.values()]
    gradients = [parameter.grad for parameter in engine.stack.parameters() if parameter.grad is not None]
    alive = [*engine.stack.parameters(), *gradients, *state, *engine.stack.best_weights(0).values()]
    assert memory_needed(prepared.config, prepared.n_linear_parameters, prepared.data.n_features) >= sum(
        tensor.nbytes for tensor in alive
    )


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="only Linux tells by /proc/meminfo what is free")
def test_what_is_free_is_what_linux_calls_available() -> None:
    free, total = free_memory(CPU), total_memory(CPU)
    found = re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())
    assert free is not None
    assert total is not None
    assert found is not None
    # Other programs take and give some between the two looks.
    assert free == pytest.approx(int(found[1]) * 1024, rel=0.2)
    assert 0 < free < total == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_system_that_says_little_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "Path", lambda _: SimpleNamespace(exists=lambda: False))
    assert free_memory(CPU) == total_memory(CPU)
    monkeypatch.setattr(device, "Path", lambda _: SimpleNamespace(exists=lambda: True, read_text=lambda: "?"))
    assert free_memory(CPU) is None
    assert total_memory(torch.device("mps")) is None


def test_a_card_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3, 7))
    assert (free_memory(torch.device("cuda")), total_memory(torch.device("cuda"))) == (3, 7)
