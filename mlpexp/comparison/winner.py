"""What the mean of the best of many settings is worth: it was chosen because it is high."""

from __future__ import annotations

import numpy as np


def cross_chosen_mean(scores: np.ndarray) -> float | None:
    """The mean of the best of k settings, free of having been chosen by the same seeds.

    `scores` [k, n], the higher the better, a column a seed: for each seed the setting is chosen by the mean of all
    others, and scored on this one; of these n scores it is the mean (cross-validatory choice, Stone 1974). The mean of
    the best is too high, for equal settings by the expected largest of k means; this is unbiased for independent
    seeds, as the mean of a setting chosen by n − 1 of them. None for less than two settings or three seeds.
    """
    k, n = scores.shape
    if k < 2 or n < 3:
        return None
    of_others = scores.sum(1, keepdims=True) - scores
    best = of_others >= of_others.max(0) - 1e-12 * np.abs(of_others).max()
    return float((np.where(best, scores, 0.0).sum(0) / best.sum(0)).mean())
