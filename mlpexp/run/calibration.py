"""Calibration: whether a network that says 90 % is right nine times in ten.

N samples, C classes, M bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

N_BINS = 15  # as in Guo et al.


@dataclass(frozen=True)
class Calibration:
    """Samples binned by confidence, the probability of the predicted class: what a reliability diagram shows.

    `counts` [M] samples a bin; their mean `confidence` [M] and `accuracy` [M], 0 in empty bins.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error Σₘ nₘ/N · |accuracyₘ − confidenceₘ| (Guo et al. 2017, arXiv 1706.04599).

        nan without samples.
        """
        total = self.counts.sum()
        return float((self.counts * np.abs(self.accuracy - self.confidence)).sum() / total) if total else math.nan


def calibration(probabilities: np.ndarray, true: np.ndarray, n_bins: int = N_BINS) -> Calibration:
    """Bins of equal width for class probabilities [N, C] and true classes [N]; bin m holds (m − 1)/M < p ≤ m/M.

    Samples whose probabilities are no numbers are left out.
    """
    known = np.isfinite(probabilities).all(1)
    probabilities, true = probabilities[known], true[known]
    confidence = probabilities.max(1).astype(float)
    right = probabilities.argmax(1) == true
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    at_least_one = np.maximum(counts, 1)
    return Calibration(
        counts,
        np.bincount(bins, confidence, n_bins) / at_least_one,
        np.bincount(bins, right, n_bins) / at_least_one,
    )
