"""Applies the regularizers of all members: those of neighbours with equal ones at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlpexp.components.regularizer import Regularizer
from mlpexp.config.schema import Config
from mlpexp.data.batch import Batch
from mlpexp.engine.stack import Stack, spans


class Regularization:
    """What regularizers do in addition to their layers: to batches, to the loss, to the weights."""

    def __init__(self, configs: Sequence[Config]) -> None:
        self._augments = _by_span(configs, "augment")
        self._penalties = _by_span(configs, "penalty")
        self._constraints = _by_span(configs, "constrain")

    def augment(self, batch: Batch) -> Batch:
        """The training batch that the members learn from instead of `batch`."""
        if not self._augments:
            return batch
        parts = []
        for members, regularizers in self._augments:
            part = batch.of(members)
            for regularizer in regularizers:
                part = regularizer.augment(part)
            parts.append(part)
        return Batch.joined(parts)

    def penalty(self, stack: Stack) -> Tensor | float:
        """What is added to the sum of the members' losses."""
        total: Tensor | float = 0.0
        for members, regularizers in self._penalties:
            for regularizer in regularizers:
                penalty = regularizer.penalty(stack.weights(members))
                assert penalty is not None
                total = total + penalty.sum()
        return total

    @torch.no_grad()
    def constrain(self, stack: Stack) -> None:
        """Changes the weights in place after a step."""
        for members, regularizers in self._constraints:
            for regularizer in regularizers:
                regularizer.constrain(stack.weights(members))


def _by_span(configs: Sequence[Config], method: str) -> list[tuple[slice, list[Regularizer]]]:
    """For neighbours with equal ones, the regularizers that have a `method` of their own; empty where none has."""
    having = [[part for part in config.regularizer if overrides(part, method)] for config in configs]
    return spans(having) if any(having) else []


def overrides(regularizer: Regularizer, method: str) -> bool:
    """Whether a regularizer has a `method` of its own."""
    return getattr(type(regularizer), method) is not getattr(Regularizer, method)
