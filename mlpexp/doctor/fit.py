"""How well a run fits what it has seen and what it has not."""

from __future__ import annotations

import math

import numpy as np

from mlpexp.doctor import remedies
from mlpexp.doctor.case import Case, Evidence, change, number
from mlpexp.doctor.learning import is_linear

# Validation loss has risen where the last tenth of the run is above its least, both smoothed, by this share of it and
# by as much as a mean of so many squared errors may be off by chance, √(2/n) of it. With 360 validation rows (digits)
# that is 47 %, where all activations, and all optimizers but lbfgs, stay below 41 %; with the 7 of the sine 93 %, where
# the default's ten seeds rise by 90 % at most, and three layers of 128 units by 130 to 310 %. What lbfgs does on digits
# within thirty epochs, +200 % and more at an unchanged accuracy, is overfitting.
_RISE = 0.4
# And by so many standard deviations of a mean over five epochs, from its scatter around that mean.
_NOISE = 3.0
# Scores of training and validation that differ by more than this, and by more than half of what the training score
# lacks of 1, are not alike: that is not underfitting.
_GAP = 0.05
# A validation score may be no better than a constant answer's by chance: by so many standard errors of a share.
_ERRORS = 3.0
# A loss that has fallen by more over the last fifth of the run has not converged.
_FALLING = 0.05
_LEAST_EPOCHS = 3


def smoothed(values: np.ndarray) -> np.ndarray:
    """Means over five epochs; fewer at the ends. Wider windows blur a least value that soon passes."""
    window = np.ones(5)
    sums, counts = np.convolve(values, window), np.convolve(np.ones(len(values)), window)
    return np.asarray((sums / counts)[2:-2])


def overfitting(case: Case) -> Evidence | None:
    """Validation loss has risen since an earlier epoch, while training loss has fallen; or nothing generalises."""
    train, val = case.train_loss, case.val_loss
    if case.val_is_train or case.epochs < _LEAST_EPOCHS or not np.isfinite(val).all():
        return None
    curve = smoothed(val)
    least, end = int(curve.argmin()), float(case.tail(val, 0.1).mean())
    wobble = float(np.std(val - curve)) / math.sqrt(5)
    if end < (1 + _RISE + math.sqrt(2 / case.n_val)) * curve[least] or end - curve[least] < _NOISE * wobble:
        return _memorised(case)
    before, after = float(smoothed(train)[least]), float(case.tail(train, 0.1).mean())
    if after >= before:
        return None
    scores = smoothed(case.val_score)
    went = f"; validation {case.score_name} went from {number(scores[least])} to {number(scores[-1])}"
    return Evidence(
        f"validation loss (means over five epochs) rose from {number(curve[least])} at epoch {least + 1} to "
        f"{number(end)} at epoch {case.epochs} ({change(curve[least], end)}) while training loss fell from "
        f"{number(before)} to {number(after)}{went if np.isfinite(scores).all() else ''}",
        _less_of_it(case),
    )


def _memorised(case: Case) -> Evidence | None:
    """What was learned from the training rows does not generalise."""
    if not case.memorised:
        return None
    train, val = float(case.tail(case.train_score).mean()), float(case.tail(case.val_score).mean())
    share = case.val_majority
    if train - val < max(_GAP, _ERRORS * math.sqrt(share * (1 - share) / case.n_val)):
        return None
    return Evidence(
        f"{case.score_name}, as means over {case.late_epochs}, is {number(train)} on the training batches and "
        f"{number(val)} on the validation split, where {case.constant_answer} has {number(share)}",
        _less_of_it(case),
    )


def _less_of_it(case: Case) -> list[str | None]:
    return [remedies.with_regularizer(case.config, name) for name in ("early_stopping", "dropout", "l2")]


def underfitting(case: Case) -> Evidence | None:
    """Neither split is predicted well, and there is no gap between them."""
    if case.epochs < _LEAST_EPOCHS or not case.low_score:
        return None
    config = case.config
    train, val = float(case.tail(case.train_score).mean()), float(case.tail(case.val_score).mean())
    if not case.constant and train - val > max(_GAP, 0.5 * (1 - train)):
        return None
    scores = _scores(case)
    loss = case.train_loss
    late = case.tail(loss, 0.2) if case.epochs >= 10 else loss[-2:]
    bigger, longer = remedies.bigger(config), remedies.more_epochs(config)
    if late[-1] < (1 - _FALLING) * late[0]:
        return Evidence(
            f"{scores}. Training loss is still falling, from {number(late[0])} to {number(late[-1])} "
            f"({change(late[0], late[-1])}) over the last {len(late)} epochs",
            [bigger, longer] if is_linear(case) else [longer, bigger],
        )
    return Evidence(
        f"{scores}. Training loss no longer falls: {number(late[0])} and {number(late[-1])} at the first and last "
        f"of the last {len(late)} epochs",
        [remedies.weaker_penalty(config), remedies.less_dropout(config), bigger],
    )


def _scores(case: Case) -> str:
    """How well both splits are predicted in the end, and a constant answer beside a network that is no better."""
    parts = []
    for split, scores, share in (
        ("training batches", case.train_score, case.majority),
        ("validation split", case.val_score, case.val_majority),
    ):
        mean = float(case.tail(scores).mean())
        if math.isfinite(mean):
            beside = f" ({case.constant_answer}: {number(share)})" if case.constant else ""
            parts.append(f"{number(mean)} on the {split}{beside}")
    return f"{case.score_name}, as means over {case.late_epochs}, is {' and '.join(parts)}"
