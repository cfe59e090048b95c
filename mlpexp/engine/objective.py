"""From outputs and targets to what is minimised and what is counted, for all members at once.

K members, B samples, C outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from mlpexp.components.loss import Loss
from mlpexp.data.batch import Batch
from mlpexp.data.dataset import Data
from mlpexp.data.task import Task
from mlpexp.engine.rows import Rows
from mlpexp.engine.stack import Stack, spans


def train_shares(data: Data) -> list[float]:
    """The share of each class among the training rows."""
    y = data.train.y.cpu()
    shares: list[float] = (torch.bincount(y, minlength=data.task.n_classes).double() / len(y)).tolist()
    return shares


@dataclass(frozen=True)
class Objective:
    """The loss of a task, over members; `smoothing` [K] is that of each, for training only.

    `class_weights` [K] are those of each member's classes, None where all rows count alike.
    """

    task: Task
    loss: Loss
    smoothing: tuple[float, ...] = (0.0,)
    class_weights: tuple[tuple[float, ...] | None, ...] = (None,)
    # [K, n_classes] by device.
    _on_device: dict[torch.device, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def member(self, k: int) -> Objective:
        """That of one member."""
        return self.of([k])

    def of(self, members: Sequence[int]) -> Objective:
        """That of some members."""
        smoothing, weights = self.smoothing, self.class_weights
        return replace(
            self, smoothing=tuple(smoothing[k] for k in members), class_weights=tuple(weights[k] for k in members)
        )

    def row_weights(self, y: Tensor) -> Tensor | None:
        """How much each row of y [K, B] counts, [K, B]; None where all count alike."""
        if not any(self.class_weights):
            return None
        if y.device not in self._on_device:
            alike = (1.0,) * self.task.n_classes
            rows = [weights or alike for weights in self.class_weights]
            self._on_device[y.device] = torch.tensor(rows, device=y.device)
        return self._on_device[y.device].gather(1, y)

    def total(self, y: Tensor) -> Tensor | int:
        """What a sum over rows of y [K, B] is divided by for their mean: the sum [K] of their weights, or B."""
        weights = self.row_weights(y)
        return y.shape[1] if weights is None else weights.sum(1)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean training losses [K] of outputs [K, B, C]."""
        losses = self._smoothed(outputs, batch.y)
        if batch.y_mixed is None or batch.lam is None:
            return losses
        others = self._smoothed(outputs, batch.y_mixed)
        return batch.lam * losses + (1 - batch.lam) * others

    def summed(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Losses, by their weights, summed over samples [K], without smoothing: what validation and test report."""
        losses, weights = self._per_sample(outputs, y, 0.0), self.row_weights(y)
        return losses.sum(1) if weights is None else (weights * losses).sum(1)

    def score_sums(self, outputs: Tensor, y: Tensor) -> Tensor:
        """[K]: how many classes are predicted right; for regression the sum of squared errors."""
        if self.task.kind == "regression":
            return (outputs - y).square().sum((1, 2))
        return (self.loss.predict(outputs) == y).sum(1)

    def training_score_sums(self, outputs: Tensor, batch: Batch) -> Tensor:
        """`score_sums` on a training batch; a sample that mixup made counts for each target by its share."""
        score_sums = self.score_sums(outputs, batch.y)
        if batch.y_mixed is None or batch.lam is None:
            return score_sums
        return batch.lam * score_sums + (1 - batch.lam) * self.score_sums(outputs, batch.y_mixed)

    def score(self, score_sums: Tensor, rows: Rows) -> Tensor:
        """[K]: accuracy, or R², from `score_sums` summed over all `rows`."""
        if self.task.kind == "classification":
            return score_sums / len(rows)
        return self.r2(score_sums, rows.spread, rows.varies)

    def spread(self, y: Tensor, mean: Tensor) -> Tensor:
        """[K]: Σ(y − mean)² of values [K, B, T]; `mean` [1 or K, 1, T]."""
        return (y - mean).square().sum((-2, -1))

    def r2(self, errors: Tensor, spread: Tensor, varies: Tensor) -> Tensor:
        """[K]: R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², from both sums; `varies` says whether targets do.

        R² compares the errors with the targets' variance: where these do not vary, it is nan.
        """
        found = 1 - errors / spread
        known = varies & (spread >= torch.finfo(spread.dtype).tiny)
        return torch.where(known, found.clamp(min=torch.finfo(found.dtype).min), torch.nan)

    def _smoothed(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Mean losses [K] for smoothed targets."""
        parts, weights = spans(self.smoothing), self.row_weights(y)
        if len(parts) == 1:
            return _mean(self._per_sample(outputs, y, self.smoothing[0]), weights)
        means = [
            _mean(self._per_sample(outputs[of], y[of], epsilon), None if weights is None else weights[of])
            for of, epsilon in parts
        ]
        return torch.cat(means)

    def _per_sample(self, outputs: Tensor, y: Tensor, smoothing: float) -> Tensor:
        k, b = outputs.shape[:2]
        return self.loss.per_sample(outputs.flatten(0, 1), y.flatten(0, 1), smoothing).view(k, b)


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """[K] of losses [K, B]: Σ w·l / Σ w."""
    return losses.mean(1) if weights is None else (weights * losses).sum(1) / weights.sum(1)


# Rows are evaluated in parts whose inputs hold about this many numbers, so that memory stays bounded. On a GPU the
# number of parts is what costs.
_PART_ELEMENTS = {"cpu": 2**21, "cuda": 2**22}


@dataclass(frozen=True)
class Evaluation:
    """Mean `loss` [K] and `score` [K] (accuracy, or R², nan without variance) of each member on its rows.

    `outputs` [K, N, C] for all rows, where they were asked for.
    """

    loss: Tensor
    score: Tensor
    outputs: Tensor | None = None


def _parts(stack: Stack, rows: Rows) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs [K, b, C] and targets [K, b] or [K, b, T] of consecutive rows."""
    k = len(stack)
    elements = _PART_ELEMENTS.get(rows.device.type, _PART_ELEMENTS["cpu"])
    step = max(1, elements // (k * rows.n_features))
    for start in range(0, len(rows), step):
        x, y = rows.inputs(start, start + step), rows.y[:, start : start + step]
        yield stack(x.expand(k, *x.shape[1:])), y.expand(k, *y.shape[1:])


@torch.no_grad()
def evaluate(stack: Stack, rows: Rows, objective: Objective, *, keep: bool = False) -> Evaluation:
    """Loss and score of every member on its rows, in evaluation mode; with `keep` the outputs too."""
    stack.eval()
    loss = torch.zeros(len(stack), device=rows.device)
    score_sums = torch.zeros(len(stack), device=rows.device)
    kept: list[Tensor] = []
    for outputs, y in _parts(stack, rows):
        loss += objective.summed(outputs, y)
        score_sums += objective.score_sums(outputs, y)
        if keep:
            kept.append(outputs)
    total = objective.total(rows.y.expand(len(stack), *rows.y.shape[1:]))
    return Evaluation(loss / total, objective.score(score_sums, rows), torch.cat(kept, 1) if keep else None)


@torch.no_grad()
def outputs_of(stack: Stack, rows: Rows) -> Tensor:
    """Outputs [K, N, C] of every member for all of its rows, in evaluation mode."""
    stack.eval()
    return torch.cat([outputs for outputs, _ in _parts(stack, rows)], 1)
