"""Devices: which is found, what is set while it is in use, and what stays afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch

from mlpexp.components.device import CUDA, available, devices
from mlpexp.errors import ConfigError

NAMES = list(devices)
TESTED = {"auto", "cpu", "cuda", "mps"}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A machine with as many cards and graphics processors as the test says."""
    has = {"cuda": 0, "mps": 0}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has["cuda"] > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: has["cuda"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has["mps"] > 0)
    return has


@pytest.fixture
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def precision() -> Iterator[str]:
    before = torch.get_float32_matmul_precision()
    yield before
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("name", NAMES)
def test_every_device_is_tested(name: str) -> None:
    assert name in TESTED, f"test '{name}'"


@pytest.mark.parametrize(
    ("cuda", "mps", "order"),
    [(0, 0, ["cpu"]), (1, 0, ["cuda", "cpu"]), (0, 1, ["mps", "cpu"]), (2, 1, ["cuda", "mps", "cpu"])],
)
def test_auto_takes_the_fastest(machine: dict[str, int], cuda: int, mps: int, order: list[str]) -> None:
    machine.update(cuda=cuda, mps=mps)
    assert available() == order
    assert devices["auto"]().find() == torch.device(order[0])


@pytest.mark.parametrize("name", ["cuda", "mps"])
@pytest.mark.parametrize("others", [[], ["cuda", "mps"]])
def test_a_missing_device_is_one_line(machine: dict[str, int], name: str, others: list[str]) -> None:
    has = [other for other in others if other != name]
    machine.update(dict.fromkeys(has, 1))
    with pytest.raises(ConfigError) as caught:
        devices[name]().find()
    allowed = ", ".join(["auto", *has, "cpu"])
    assert str(caught.value) == f"device={name}: this machine has no such device. Choose from: {allowed}."
    with pytest.raises(ConfigError), devices[name]().in_use():
        pass


def test_a_card_by_its_index(machine: dict[str, int]) -> None:
    machine["cuda"] = 2
    assert CUDA(index=1).find() == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match=r"^device\.index=2: this machine has 2 CUDA device\(s\), from 0 on\.$"):
        CUDA(index=2).find()


def test_cpu_is_always_there(machine: dict[str, int]) -> None:
    assert devices["cpu"]().find() == torch.device("cpu")


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("threads", [None, 1, 2, 3])
def test_threads_are_set_and_restored(before: int, threads: int | None) -> None:
    torch.set_num_threads(before)
    cpu = devices["cpu"](threads=threads)  # type: ignore[call-arg]
    with cpu.in_use() as device:
        assert device == torch.device("cpu")
        assert torch.get_num_threads() == (before if threads is None else threads)
    assert torch.get_num_threads() == before


@pytest.mark.usefixtures("_threads")
def test_threads_are_restored_after_an_error() -> None:
    torch.set_num_threads(1)
    with pytest.raises(ZeroDivisionError), devices["cpu"](threads=2).in_use():  # type: ignore[call-arg]
        raise ZeroDivisionError
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(("tf32", "inside"), [(False, "highest"), (True, "high")])
@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_tf32_is_set_and_restored(
    machine: dict[str, int], precision: str, before: str, tf32: bool, inside: str
) -> None:
    machine["cuda"] = 1
    torch.set_float32_matmul_precision(before)
    with CUDA(tf32=tf32).in_use() as device:
        assert device == torch.device("cuda", 0)
        assert torch.get_float32_matmul_precision() == inside
    assert torch.get_float32_matmul_precision() == before


def test_tf32_is_restored_where_there_is_no_card(machine: dict[str, int], precision: str) -> None:
    torch.set_float32_matmul_precision("medium")
    with pytest.raises(ConfigError), CUDA(tf32=True).in_use():
        pass
    assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.parametrize("name", NAMES)
def test_making_a_device_looks_for_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A config that names a card is read on a machine without one: `mlpexp compare` of runs made elsewhere."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("looked for a card"))
    assert dataclasses.is_dataclass(devices[name]())


@pytest.mark.cuda
@pytest.mark.parametrize("tf32", [False, True])
def test_products_on_a_card(precision: str, tf32: bool) -> None:
    """float32 products are exact to 24 bits of mantissa, or to about 10 under tf32."""
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(256, 256, generator=draw), torch.randn(256, 256, generator=draw)
    with CUDA(tf32=tf32).in_use() as device:
        product = (a.to(device) @ b.to(device)).cpu().double()
    error = (product - a.double() @ b.double()).abs().max().item()
    assert (1e-3 < error < 1) if tf32 else error < 1e-3


@pytest.mark.cuda
def test_auto_finds_the_card() -> None:
    assert devices["auto"]().find().type == "cuda"
