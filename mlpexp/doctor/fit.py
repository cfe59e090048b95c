"""How well a run fits what it has seen and what it has not."""

from __future__ import annotations

import math

import numpy as np

from mlpexp.doctor import remedies
from mlpexp.doctor.case import Case
from mlpexp.doctor.learning import is_linear
from mlpexp.doctor.sign import Sign, change, number

# Validation loss has risen where the last tenth of the run is above its least, both smoothed, by this share of it and
# by as much as a mean of so many squared errors may be off by chance, √(2/n) of it. With 360 validation rows (digits)
# that is 47 %, where all activations, and all optimizers but lbfgs, stay below 41 %; with the 7 of the sine 93 %, where
# the default's ten seeds rise by 90 % at most, and three layers of 128 units by 130 to 310 %. What lbfgs does on digits
# within thirty epochs, +200 % and more at an unchanged accuracy, is overfitting.
_RISE = 0.4
# And by so many standard deviations of a mean over five epochs, from its wobble around that mean.
_NOISE = 3.0
# Scores of training and validation that differ by more than this, and by more than half of what the training score
# lacks of 1, are not alike: that is no underfitting.
_GAP = 0.05
# A loss that has fallen by more over the last fifth of the run has not arrived.
_FALLING = 0.05
_LEAST_EPOCHS = 3


def smoothed(values: np.ndarray) -> np.ndarray:
    """Means over five epochs; fewer at the ends. Wider windows blur a least value that soon passes."""
    window = np.ones(5)
    sums, counts = np.convolve(values, window), np.convolve(np.ones(len(values)), window)
    return np.asarray((sums / counts)[2:-2])


def overfitting(case: Case) -> Sign | None:
    """Validation loss has risen since an earlier epoch, while training loss has fallen."""
    train, val, config = case.train_loss, case.val_loss, case.config
    if case.val_is_train or case.epochs < _LEAST_EPOCHS or not np.isfinite(val).all():
        return None
    curve = smoothed(val)
    least, end = int(curve.argmin()), float(case.late(val, 0.1).mean())
    wobble = float(np.std(val - curve)) / math.sqrt(5)
    if end < (1 + _RISE + math.sqrt(2 / case.n_val)) * curve[least] or end - curve[least] < _NOISE * wobble:
        return None
    before, after = float(smoothed(train)[least]), float(case.late(train, 0.1).mean())
    if after >= before:
        return None
    score, scores = "accuracy" if case.score == "accuracy" else "R²", smoothed(case.val_score)
    return Sign(
        f"validation loss rose from {number(curve[least])} at epoch {least + 1} to {number(end)} at epoch "
        f"{case.epochs} ({change(curve[least], end)}) while training loss fell from {number(before)} to "
        f"{number(after)}; validation {score} went from {number(scores[least])} to {number(scores[-1])}",
        [
            remedies.with_regularizer(config, "early_stopping"),
            remedies.with_regularizer(config, "dropout"),
            remedies.with_regularizer(config, "l2"),
        ],
    )


def underfitting(case: Case) -> Sign | None:
    """Neither split is predicted well, and there is no gap between them."""
    if case.epochs < _LEAST_EPOCHS or not case.poor:
        return None
    config = case.config
    train, val = float(case.late(case.train_score).mean()), float(case.late(case.val_score).mean())
    if train - val > max(_GAP, 0.5 * (1 - train)):
        return None
    name = "accuracy" if case.score == "accuracy" else "R²"
    scores = f"{name} is {number(train)} on the training data and {number(val)} on the validation data"
    loss = case.train_loss
    late = case.late(loss, 0.2) if case.epochs >= 10 else loss[-2:]
    bigger, longer = remedies.bigger(config), remedies.more_epochs(config)
    if late[-1] < (1 - _FALLING) * late[0]:
        return Sign(
            f"{scores}, and training loss is still falling, from {number(late[0])} to {number(late[-1])} "
            f"({change(late[0], late[-1])}) over the last {len(late)} epochs",
            [bigger, longer] if is_linear(case) else [longer, bigger],
        )
    return Sign(
        f"{scores}, and training loss no longer falls: {number(late[0])} and {number(late[-1])} at the first and last "
        f"of the last {len(late)} epochs",
        [remedies.weaker_penalty(config), remedies.less_dropout(config), bigger],
    )
