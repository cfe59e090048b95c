"""What a stack makes of a split: its outputs, loss and score. Nothing is learned here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mlpexp.data.dataset import Data, Split
from mlpexp.engine.objective import Objective
from mlpexp.engine.stack import Stack

# Rows are evaluated in parts whose inputs hold about this many numbers, so that memory stays bounded. On a card the
# number of parts is what costs.
_PART_ELEMENTS = {"cpu": 2**21, "cuda": 2**22}


@dataclass(frozen=True)
class Evaluation:
    """Mean `loss` [K] and `score` [K] (accuracy, or R², nan without variance) of each member on one split."""

    loss: Tensor
    score: Tensor


def _parts(stack: Stack, data: Data, split: Split) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs [K, b, C] and targets [K, b] or [K, b, 1] of consecutive rows of a split."""
    k = len(stack)
    elements = _PART_ELEMENTS.get(split.x.device.type, _PART_ELEMENTS["cpu"])
    rows = max(1, elements // (k * split.x.shape[1]))
    for x, y in zip(split.x.split(rows), split.y.split(rows), strict=True):
        inputs = data.inputs(x).expand(k, *x.shape)
        yield stack(inputs), y.expand(k, *y.shape)


@torch.no_grad()
def evaluate(stack: Stack, data: Data, split: Split, objective: Objective) -> Evaluation:
    """Loss and score of every member on a split, in evaluation mode."""
    stack.eval()
    loss = torch.zeros(len(stack), device=split.x.device)
    hits = torch.zeros(len(stack), device=split.x.device)
    for outputs, y in _parts(stack, data, split):
        loss += objective.summed(outputs, y)
        hits += objective.hits(outputs, y)
    n = len(split)
    return Evaluation(loss / n, objective.score(hits, n, split.y))


@torch.no_grad()
def outputs_of(stack: Stack, data: Data, split: Split) -> Tensor:
    """Outputs [K, N, C] of every member for all rows of a split, in evaluation mode."""
    stack.eval()
    return torch.cat([outputs for outputs, _ in _parts(stack, data, split)], 1)
