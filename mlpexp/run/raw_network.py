"""A trained network with its preprocessing, from raw columns to predictions, in one module that can be exported.

N rows, R raw columns, F inputs, C classes, T targets.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlpexp.run.results import Results


class RawNetwork(nn.Module):
    """The preprocessing in float64, the network in float32, then class probabilities, or values in the targets' units.

    It is in evaluation mode on the CPU. The network of `results` is moved there and shared, not copied.
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
        """Probabilities [N, C] or values [N, T], float64, for raw columns [N, R], float64.

        A row has NaN if a number or date is missing in a column that had no missing values in training.
        """
        inputs = (self.preprocessing.encoded(raw) - self.mean) / self.deviation
        outputs = self.network(inputs.float())
        if self.loss is None:
            found = self.preprocessing.values(outputs)
        else:
            found = self.loss.probabilities(outputs / self.temperature).double()
        # A layer may turn NaN into a number, as torch.where(x > 0, x, 0) does.
        return torch.where(inputs.isnan().any(1, keepdim=True), torch.nan, found)
