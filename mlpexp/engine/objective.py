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
from mlpexp.engine.rows import Rows, weighted
from mlpexp.engine.stack import Stack, spans


def train_shares(data: Data) -> list[float]:
    """The share of each class among the training rows, by their weights."""
    y, weight = data.train.y.cpu(), data.train.weight
    counts = torch.bincount(y, None if weight is None else weight.cpu().double(), data.task.n_classes).double()
    shares: list[float] = (counts / (len(y) if weight is None else counts.sum())).tolist()
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

    def total(self, y: Tensor, weight: Tensor | None = None) -> Tensor | int:
        """What a sum over rows of y [K, B] is divided by for their mean: the sum [K] of their weights, or B.

        `weight` [K, B] are those of the rows themselves.
        """
        weights = self.row_weights(y)
        if weights is None:
            return y.shape[1] if weight is None else weight.sum(1)
        return weighted(weights, weight).sum(1)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean training losses [K] of outputs [K, B, C]: Σ w·l / B of rows' weights w, with those c of classes
        Σ w·c·l / Σ w·c, as torch's losses have it.

        The weights of all training rows, and not those of each batch, have mean 1: a batch counts by those of its rows.
        """
        losses = self._smoothed(outputs, batch.y, batch.weight)
        if batch.y_mixed is None or batch.lam is None:
            return losses
        others = self._smoothed(outputs, batch.y_mixed, batch.weight_mixed)
        return batch.lam * losses + (1 - batch.lam) * others

    def summed(self, outputs: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """Losses, by their weights, summed over samples [K], without smoothing: what validation and test report."""
        losses = weighted(self._per_sample(outputs, y, 0.0), weight)
        return weighted(losses, self.row_weights(y)).sum(1)

    def score_sums(self, outputs: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """[K]: how many classes are predicted right; for regression the sum of squared errors; both by weight."""
        if self.task.kind == "regression":
            errors = (outputs - y).square()
            return errors.sum((1, 2)) if weight is None else (weight * errors.sum(2)).sum(1)
        return weighted(self.loss.predict(outputs) == y, weight).sum(1)

    def training_score_sums(self, outputs: Tensor, batch: Batch) -> Tensor:
        """`score_sums` on a training batch; a sample that mixup made counts for each target by its share."""
        score_sums = self.score_sums(outputs, batch.y, batch.weight)
        if batch.y_mixed is None or batch.lam is None:
            return score_sums
        others = self.score_sums(outputs, batch.y_mixed, batch.weight_mixed)
        return batch.lam * score_sums + (1 - batch.lam) * others

    def score(self, score_sums: Tensor, rows: Rows) -> Tensor:
        """[K]: accuracy, or R², from `score_sums` summed over all `rows`."""
        if self.task.kind == "classification":
            return score_sums / (len(rows) if rows.weight is None else rows.weight.sum(1))
        return self.r2(score_sums, rows.spread, rows.varies)

    def r2(self, errors: Tensor, spread: Tensor, varies: Tensor) -> Tensor:
        """[K]: R² = 1 − Σ w(y − ŷ)² / Σ w(y − ȳ)², from both sums; `varies` says whether targets do.

        R² compares the errors with the targets' variance: where these do not vary, it is nan.
        """
        found = 1 - errors / spread
        known = varies & (spread >= torch.finfo(spread.dtype).tiny)
        return torch.where(known, found.clamp(min=torch.finfo(found.dtype).min), torch.nan)

    def _smoothed(self, outputs: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Mean losses [K] for smoothed targets."""
        parts, of_classes = spans(self.smoothing), self.row_weights(y)
        if len(parts) == 1:
            losses = self._per_sample(outputs, y, self.smoothing[0])
        else:
            losses = torch.cat([self._per_sample(outputs[of], y[of], epsilon) for of, epsilon in parts])
        if of_classes is None:
            return weighted(losses, weight).mean(1)
        both = weighted(of_classes, weight)
        return (both * losses).sum(1) / both.sum(1)

    def _per_sample(self, outputs: Tensor, y: Tensor, smoothing: float) -> Tensor:
        k, b = outputs.shape[:2]
        return self.loss.per_sample(outputs.flatten(0, 1), y.flatten(0, 1), smoothing).view(k, b)


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
    done = 0
    for outputs, y in _parts(stack, rows):
        weight = None if rows.weight is None else rows.weight[:, done : done + y.shape[1]]
        done += y.shape[1]
        loss += objective.summed(outputs, y, weight)
        score_sums += objective.score_sums(outputs, y, weight)
        if keep:
            kept.append(outputs)
    total = objective.total(rows.y.expand(len(stack), *rows.y.shape[1:]), rows.weight)
    return Evaluation(loss / total, objective.score(score_sums, rows), torch.cat(kept, 1) if keep else None)


@torch.no_grad()
def outputs_of(stack: Stack, rows: Rows) -> Tensor:
    """Outputs [K, N, C] of every member for all of its rows, in evaluation mode."""
    stack.eval()
    return torch.cat([outputs for outputs, _ in _parts(stack, rows)], 1)
