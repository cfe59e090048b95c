"""Whether a run learned at all, and where it did not, whether its learning rate is to blame."""

from __future__ import annotations

import math

import numpy as np

from mlpexp.components.activation import Identity
from mlpexp.doctor import remedies
from mlpexp.doctor.case import Case, Evidence, change, number, percent

# With fewer epochs than this, the course of a loss shows nothing.
_LEAST_EPOCHS = 3
# A rate is too small where the loss has fallen by less than a fifth, and the weights cannot have moved by more than
# this share of their size. Rates of a hundredth of the recommended ones and less gave falls of at most 16 % at relative
# path lengths of at most 0.15; with the recommended ones losses fall by 50 % and more, at 0.86 (sgd on AND) and more.
_LITTLE_FALL, _LITTLE_TRAVEL = 0.2, 0.5
# A loss this share above that of a constant answer, at the end, is that of a network with too large steps. Networks
# that learn nothing for other reasons (16 layers of sigmoid, no hidden layer) stay within 0.4 % of it; rates ten
# times too large gave 1.2 % to 10^8 %.
_ABOVE = 0.01
# The fall of a loss from one half of some epochs to the other is more than chance from so many standard errors on.
_SCATTERS = 2.0
# A loss that ends at twice its minimum and more, with a poor score, has collapsed: at ten times the rate, sgd on digits
# ended at 3.5 times, at twenty times momentum on moons at 2.4 to 4.7. Other runs with a poor score ended at 1.5 times
# at most, but for 16 layers of tanh with Kaiming's init, 1.8.
_COLLAPSE = 2.0
# Or one that ends so far above its first epoch: momentum on digits at thirty times the rate ended at 1.4 times. Runs
# that learn nothing for other reasons end within 1 %.
_ABOVE_START = 1.2
# Mean change from epoch to epoch, as a share of the loss, where it no longer falls and the score is poor. Rates that
# are too large gave 0.1 to 0.6; perceptrons and networks of too few units, flat and poor as well, 0.00 to 0.07.
_JUMPS = 0.1
# Accuracy within so much of that of the most frequent class is that of chance; or within three standard errors.
_CHANCE = 0.01
# A class is missed where less than half of its rows are predicted right, of so many at least.
_MISSED, _LEAST_ROWS = 0.5, 3
# A plateau is half of the run, and at least so many epochs.
_PLATEAU = 10


def diverged(case: Case) -> Evidence | None:
    """The loss or a weight became infinite or not a number."""
    if case.failure is None or not case.diverged:
        return None
    losses = case.train_loss
    finite = losses[np.isfinite(losses)]
    before = f", {number(finite[-1])} being the last finite training loss" if len(finite) else ""
    norms = case.measured("grad_norm")
    norm = f"; the gradient's norm was {number(norms[-1])} in the last epoch" if len(norms) else ""
    reason = case.failure.removeprefix("diverged: ")
    return Evidence(
        f"{reason}{before}{norm}; optimizer.lr is {number(case.config.optimizer.lr)}",
        [remedies.lower_rate(case.config), remedies.clip(case.config), remedies.init_that_fits(case.config)],
    )


def relative_path_length(case: Case) -> float:
    """How far the weights can have moved at most, of their own size: the sum of the steps' lengths ÷ the weights' norm.

    For optimizers that scale their steps these are η in every element; for others η·‖g‖ ÷ (1 − momentum).
    """
    optimizer, n = case.config.optimizer, sum(layer.n_parameters for layer in case.layers)
    size = math.sqrt(sum(layer.rms**2 * layer.n_parameters for layer in case.layers) / n) if n else 0.0
    if optimizer.full_batch or not 0 < size < math.inf:
        return math.inf
    rates = case.column("lr")
    if optimizer.gradient_scale_invariant:
        return float(rates.sum() * case.steps_per_epoch / size)
    norms = np.minimum(case.column("grad_norm"), case.config.clip.norm or math.inf)
    momentum = getattr(optimizer, "momentum", 0.0)
    return float((rates * norms).sum() * case.steps_per_epoch / (1 - momentum) / (size * math.sqrt(n)))


def rate_too_small(case: Case) -> Evidence | None:
    """The loss hardly changes, and the steps are tiny compared with the weights."""
    loss = case.train_loss
    if case.epochs < _LEAST_EPOCHS or not case.low_score:
        return None
    moved, end = relative_path_length(case), float(case.tail(loss).mean())
    if not moved <= _LITTLE_TRAVEL or end < (1 - _LITTLE_FALL) * loss[0]:
        return None
    return Evidence(
        f"training loss went from {loss[0]:.4g} to {end:.4g} ({change(loss[0], end)}) in {case.epochs} epochs, "
        f"and all steps together are at most {number(100 * moved)} % of the weights' size",
        [remedies.higher_rate(case.config), remedies.more_epochs(case.config)],
    )


def _on_its_way(loss: np.ndarray) -> bool:
    """Whether losses [n] still fall, however slowly, by more than they scatter from epoch to epoch.

    Where classes are imbalanced, a network begins far above the loss of a constant answer, and comes down to it.
    """
    n = len(loss) // 2
    if n < 2:
        return False
    scatter = float(np.std(np.diff(loss))) / math.sqrt(n)
    return float(loss[:n].mean() - loss[-n:].mean()) > _SCATTERS * scatter


def rate_too_large(case: Case) -> Evidence | None:
    """The loss ends above that of a constant answer, or far above its own least, or jumps without falling."""
    loss, config = case.train_loss, case.config
    if case.epochs < _LEAST_EPOCHS or not case.low_score:
        return None
    if not remedies.too_fast(config) and remedies.init_that_fits(config):
        # An init that ignores the layers' sizes is the more likely cause.
        return None
    end, half = float(case.tail(loss).mean()), case.tail(loss, 0.5)
    tries = [remedies.lower_rate(config), remedies.clip(config)]
    falling = end < 0.9 * float(half[: max(1, len(half) // 2)].mean())
    far = config.optimizer.lr >= 10 * remedies.recommended_rate(config)
    if np.median(half) > (1 + _ABOVE) * case.constant_loss and (far or not (falling or _on_its_way(half))):
        return Evidence(
            f"training loss was {number(float(np.median(half)))} in the second half of the run (median) and is "
            f"{number(end)} in the end; an answer that is the same for all inputs has {number(case.constant_loss)}",
            tries,
        )
    least = int(loss.argmin())
    if end > _COLLAPSE * loss[least] or end > _ABOVE_START * loss[0]:
        return Evidence(
            f"training loss rose from {number(loss[least])} in epoch {least + 1} to {number(end)} in the end "
            f"({change(loss[least], end)})",
            tries,
        )
    if len(half) < _LEAST_EPOCHS or falling:
        return None
    jump = float(np.abs(np.diff(half)).mean() / half.mean())
    if not jump >= _JUMPS:
        return None
    return Evidence(
        f"training loss jumps by {percent(jump)} from epoch to epoch, between {number(half.min())} and "
        f"{number(half.max())} in the second half of the run, and no longer falls",
        [remedies.lower_rate(config, 3), remedies.schedule(config)],
    )


def stuck_accuracy(case: Case) -> Evidence | None:
    """Accuracy stays at that of a constant answer, or at one other poor value."""
    if case.score != "accuracy" or case.epochs < _PLATEAU or not case.low_score or is_linear(case):
        return None
    train, val = case.tail(case.train_score, 0.5), case.tail(case.val_score, 0.5)
    error = 3 * math.sqrt(case.majority * (1 - case.majority) / case.n_train)
    worth = case.tail(case.train_loss).mean() / case.constant_loss
    shared = f"; training loss is {number(case.tail(case.train_loss).mean())}"
    config = case.config
    tries = [
        remedies.init_that_fits(config),
        remedies.weaker_penalty(config),
        remedies.bigger(config),
        remedies.schedule(config),
    ]
    if abs(val - val[0]).max() == 0 and abs(train.mean() - case.majority) <= max(_CHANCE, min(error, 0.05)):
        return Evidence(
            f"validation accuracy has been {number(val[0])}, and accuracy on the training batches about "
            f"{number(train.mean())}, for {len(val)} epochs: what always the same class gets right "
            f"({number(case.majority)}){shared}, {percent(worth)} of a constant answer's",
            tries,
        )
    if len(val) >= _PLATEAU and np.ptp(val) == 0 and np.ptp(train) == 0:
        return Evidence(f"accuracy has been {number(train[0])} for {len(val)} epochs{shared}", tries)
    return None


def missed_class(case: Case) -> Evidence | None:
    """A class of few rows is hardly ever predicted: the mean over rows has little of it."""
    rare, config = case.rare, case.config
    if rare is None or case.epochs < _LEAST_EPOCHS or rare.n_val < _LEAST_ROWS or rare.recall >= _MISSED:
        return None
    return Evidence(
        f"class {rare.name} is {number(100 * rare.share)} % of the training rows, and with the best weights "
        f"{number(100 * rare.recall)} % of its {rare.n_val} validation rows are predicted right; accuracy there is "
        f"{number(rare.accuracy)}, and {case.constant_answer} has {number(case.val_majority)}",
        [remedies.balanced(config), remedies.picked_by(config, "balanced_accuracy")],
    )


def is_linear(case: Case) -> bool:
    """Whether the network can draw only straight boundaries: then its accuracy is not stuck but all it can do."""
    return not any(layer.hidden for layer in case.layers) or isinstance(case.config.activation, Identity)
