"""Temperature scaling: class probabilities are those of the outputs z/T, with one T > 0 for all rows.

N rows, C outputs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mlpexp.components.loss import Loss

LEAST, MOST = 0.01, 100.0
# For softmax and sigmoid the negative log-likelihood is convex in 1/T. For other losses it may have several minima:
# the best of so many values, evenly spaced in log T, is where the search begins.
_N_TRIED = 47


def fit_temperature(loss: Loss, outputs: Tensor, y: Tensor, weight: Tensor | None = None) -> float:
    """The T that minimises the negative log-likelihood of the classes y [N], given the outputs [N, C].

    Minimised is −Σ w·log p(y | z/T) / Σ w in float64, with p the `probabilities` of the loss (Guo et al. 2017, arXiv
    1706.04599) and w the `weight` [N] of each row. T lies between LEAST and MOST: where the outputs carry no
    information, the likelihood would grow up to T = ∞. Where all rows are predicted correctly it would grow down to
    T = 0, so T stays 1.
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
