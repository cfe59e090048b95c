"""The truth tables say what Python's own operators say."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mlpexp.data import truth_tables  # noqa: F401  (registers them)
from mlpexp.data.dataset import datasets


@pytest.mark.parametrize(("name", "gate"), [("and", operator.and_), ("or", operator.or_), ("xor", operator.xor)])
def test_outputs_are_those_of_the_operator(name: str, gate: Callable[[int, int], int]) -> None:
    data = datasets[name]().load(Path())
    bits = data.train.x.int().tolist()
    assert sorted(bits) == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert data.train.y.tolist() == [gate(a, b) for a, b in bits]
    assert data.task.classes == ("0", "1")


def test_moving_holds_the_table_once() -> None:
    data = datasets["xor"]().load(Path()).to(torch.device("cpu"))
    assert data.train is data.val is data.test
