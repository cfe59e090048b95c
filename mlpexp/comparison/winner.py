"""The mean of the best of many settings, corrected for the bias that it was chosen because its mean is high."""

from __future__ import annotations

import numpy as np


def cross_chosen_mean(scores: np.ndarray) -> float | None:
    """The mean of the best of k settings, without the bias of choosing and measuring it by the same seeds.

    `scores` [k, n] are higher for better settings; each column is a seed. For each seed the setting is chosen by its
    mean over the other seeds, and scored on this one; the result is the mean of these n scores (cross-validatory
    choice, Stone 1974). The plain mean of the best is too high: for equal settings, by the expected maximum of k means.
    For independent seeds the result is an unbiased estimate of the mean of a setting chosen by n − 1 seeds. None for
    fewer than two settings or three seeds.
    """
    k, n = scores.shape
    if k < 2 or n < 3:
        return None
    of_others = scores.sum(1, keepdims=True) - scores
    best = of_others >= of_others.max(0) - 1e-12 * np.abs(of_others).max()
    return float((np.where(best, scores, 0.0).sum(0) / best.sum(0)).mean())
