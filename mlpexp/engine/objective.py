"""From outputs and targets to what is minimised and what is counted, for all members at once.

K members, B samples, C outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlpexp.components.loss import Loss
from mlpexp.data.batch import Batch
from mlpexp.data.task import Task
from mlpexp.engine.spans import spans


def varies(y: Tensor) -> Tensor:
    """Whether targets differ. The mean of equal numbers may be rounded, which would leave them a spread."""
    return (y != y[0]).any()


@dataclass(frozen=True)
class Objective:
    """The loss of a task, over members; `smoothing` [K] is that of each, for training only."""

    task: Task
    loss: Loss
    smoothing: tuple[float, ...] = (0.0,)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean training losses [K] of outputs [K, B, C]."""
        losses = self._smoothed(outputs, batch.y)
        if batch.partner is None or batch.share is None:
            return losses
        others = self._smoothed(outputs, batch.partner)
        return batch.share * losses + (1 - batch.share) * others

    def summed(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Losses summed over samples [K], without smoothing: what validation and test report."""
        return self._per_sample(outputs, y, 0.0).sum(1)

    def hits(self, outputs: Tensor, y: Tensor) -> Tensor:
        """[K]: how many classes are predicted right; for regression the sum of squared errors."""
        if self.task.kind == "regression":
            return (outputs - y).square().sum((1, 2))
        return (self.loss.predict(outputs) == y).sum(1)

    def training_hits(self, outputs: Tensor, batch: Batch) -> Tensor:
        """`hits` on a training batch; a sample that mixup made counts for each target by its share."""
        hits = self.hits(outputs, batch.y)
        if batch.partner is None or batch.share is None:
            return hits
        return batch.share * hits + (1 - batch.share) * self.hits(outputs, batch.partner)

    def score(self, hits: Tensor, n: int, y: Tensor) -> Tensor:
        """[K]: accuracy, or R², from `hits` summed over `n` samples with targets y."""
        if self.task.kind == "classification":
            return hits / n
        return self.r2(hits, self.spread(y, y.mean()), varies(y))

    def spread(self, y: Tensor, mean: Tensor) -> Tensor:
        """Σ(y − mean)² of values [N, 1], or [K] of values [K, B, 1]."""
        return (y - mean).square().sum((-2, -1))

    def r2(self, errors: Tensor, spread: Tensor, varies: Tensor) -> Tensor:
        """[K]: R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², from both sums.

        R² compares the errors with the targets' variance: where these do not vary, it is nan.
        """
        found = 1 - errors / spread
        known = varies & (spread >= torch.finfo(spread.dtype).tiny)
        return torch.where(known, found.clamp(min=torch.finfo(found.dtype).min), torch.nan)

    def _smoothed(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Mean losses [K] for smoothed targets."""
        parts = spans(self.smoothing)
        if len(parts) == 1:
            return self._per_sample(outputs, y, self.smoothing[0]).mean(1)
        return torch.cat([self._per_sample(outputs[of], y[of], epsilon).mean(1) for of, epsilon in parts])

    def _per_sample(self, outputs: Tensor, y: Tensor, smoothing: float) -> Tensor:
        k, b = outputs.shape[:2]
        return self.loss.per_sample(outputs.flatten(0, 1), y.flatten(0, 1), smoothing).view(k, b)
