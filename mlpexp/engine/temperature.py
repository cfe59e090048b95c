"""Temperature scaling: class probabilities of outputs z/T, with one T > 0 for all rows.

N rows, C outputs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mlpexp.components.loss import Loss

LEAST, MOST = 0.01, 100.0
# Of softmax and sigmoid the likelihood is convex in 1/T. Of other losses the least of these, evenly spaced in log T,
# says near which T the minimum lies.
_N_TRIED = 47


def fit_temperature(loss: Loss, outputs: Tensor, y: Tensor, weight: Tensor | None = None) -> float:
    """The T with which outputs [N, C] have the least negative log-likelihood of the classes y [N]: float64.

    −Σ w·log p(y | z/T) / Σ w, with p the `probabilities` of the loss (Guo et al. 2017, arXiv 1706.04599), and w the
    `weight` [N] of each row. T is at most MOST: where the outputs say nothing, ∞ would be best. Where all rows are
    predicted right, no T is best, since 0 would be: it is 1 then, which changes nothing.
    """
    from scipy.optimize import minimize_scalar

    outputs, y = outputs.double().cpu(), y.cpu()
    if bool((loss.predict(outputs) == y).all()):
        return 1.0
    rows = torch.arange(len(y))
    weights = torch.ones(len(y), dtype=torch.float64) if weight is None else weight.double().cpu()
    shares = weights / weights.sum()
    tiny = torch.finfo(torch.float64).tiny

    def likelihood(log_t: float) -> float:
        of_true = loss.probabilities(outputs / float(np.exp(log_t)))[rows, y]
        return -(shares * of_true.clamp(min=tiny).log()).sum().item()

    tried = np.linspace(np.log(LEAST), np.log(MOST), _N_TRIED)
    values = [likelihood(log_t) for log_t in tried]
    at = int(np.argmin(values))
    bounds = tried[max(at - 1, 0)], tried[min(at + 1, _N_TRIED - 1)]
    found = minimize_scalar(likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return float(np.exp(found.x if found.fun < values[at] else tried[at]))
