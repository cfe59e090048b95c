"""A trained network from raw columns to answers, in one module: what is exported.

N rows, R raw columns, F inputs, C classes, T values.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlpexp.run.results import Results


class RawNetwork(nn.Module):
    """The preprocessing in float64, the network in float32, then class probabilities or values in their own units.

    In evaluation mode on the CPU; it takes the network of `results` as its own.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, results: Results) -> None:
        super().__init__()
        self.preprocessing = results.identity.preprocessing
        self.loss = results.objective.loss if results.task.kind == "classification" else None
        self.temperature = results.temperature
        self.network = results.module.cpu()
        mean, deviation = self.preprocessing.moments
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.eval().requires_grad_(False)

    def forward(self, raw: Tensor) -> Tensor:
        """Probabilities [N, C] or values [N, T] of raw columns [N, R], both float64.

        NaN in a row that lacks a number or a date which no row of the training table lacked.
        """
        inputs = (self.preprocessing.encoded(raw) - self.mean) / self.deviation
        outputs = self.network(inputs.float())
        if self.loss is None:
            found = self.preprocessing.values(outputs)
        else:
            found = self.loss.probabilities(outputs / self.temperature).double()
        # A layer may make a number of NaN, as torch.where(x > 0, x, 0) does.
        return torch.where(inputs.isnan().any(1, keepdim=True), torch.nan, found)
