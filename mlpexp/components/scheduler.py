"""Learning-rate schedules: pure functions of the step.

η is the optimizer's `lr`, s the step, counted from 0, S the number of steps, e = ⌊s / steps an epoch⌋ the epoch. Users
speak of epochs and of shares of the run, the engine of steps; `Span` converts. Before any schedule a warm-up of
`warmup` epochs can go; the schedule then covers the remaining steps: s, e and S are counted from its end.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from mlpexp.fields.convert import show
from mlpexp.fields.ranges import Count, Fraction, Index, NonNegative, OpenFraction, Positive, Probability, Range
from mlpexp.fields.registry import Registry

AtLeastOne = Annotated[float, Range(low=1, open_high=True)]


@dataclass(frozen=True)
class Span:
    """How long a schedule has: S steps, after the warm-up, and how many of them make an epoch."""

    steps: int
    per_epoch: int

    def of(self, epochs: float) -> int:
        """The steps of so many epochs."""
        return round(epochs * self.per_epoch)

    def part(self, share: float) -> int:
        """The steps of a share of the span, 0 < share < 1: whole epochs, unless these would last to its end."""
        whole = self.per_epoch * max(1, round(share * self.steps / self.per_epoch))
        return whole if whole < self.steps else max(1, round(share * self.steps))


@dataclass(frozen=True)
class Progress:
    """What a schedule that needs the metric knows of the epochs so far."""

    lr: float  # η after all reductions so far
    best: float = math.inf  # the least validation loss
    waited: int = 0  # epochs without a better one
    cooldown: int = 0  # epochs to come that do not count


@dataclass(frozen=True)
class Scheduler(ABC):
    """Base of all schedules. One of your own is a dataclass with one pure function, `rate`:

        @schedulers.register("halving")
        @dataclass(frozen=True)
        class Halving(Scheduler):
            \"\"\"η/2^⌊epoch / every⌋.\"\"\"

            every: Count = 10

            def rate(self, step: int, span: Span, lr: float) -> float:
                return lr / 2 ** (step // span.of(self.every))

    A warm-up has no step of rate zero.
    """

    warmup: NonNegative = 0.0
    """Epochs before the schedule, in which the rate rises in a straight line to the schedule's first; 0: none."""
    warmup_start: Probability = 0.0
    """Rate of the first warm-up step, as a share of the rate at the end of the warm-up; 1/(its steps + 1) at least."""

    @abstractmethod
    def rate(self, step: int, span: Span, lr: float) -> float:
        """The learning rate of `step`, 0 ≤ step < span.steps, where η is `lr`."""

    def observe(self, progress: Progress, val_loss: float, span: Span) -> Progress:
        """What is known after one more epoch, pure as well; `progress.lr` is the η that `rate` has from then on."""
        return progress

    @property
    def needs_metric(self) -> bool:
        """Whether the rate depends on the member's validation loss."""
        return type(self).observe is not Scheduler.observe

    def conflicts(self, lr: float, epochs: int) -> Iterator[str]:
        """A line for each field that a run of `epochs` epochs at the rate `lr` cannot have."""
        if self.warmup >= epochs:
            yield f"warmup={show(self.warmup)}: must be less than epochs={epochs}, or the rate is never reached."


schedulers: Registry[Scheduler] = Registry(
    "scheduler",
    {
        "reduce_on_plateau": "plateau",
        "reduce_lr_on_plateau": "plateau",
        "reducelronplateau": "plateau",
        "cosine_annealing": "cosine",
        "cosineannealinglr": "cosine",
        "one_cycle": "onecycle",
        "onecyclelr": "onecycle",
        "steplr": "step",
        "linear": "polynomial",
        "sgdr": "cosine_restarts",
        "constant": "none",
    },
)


@schedulers.register("none")
@dataclass(frozen=True)
class Constant(Scheduler):
    """The rate is η, the optimizer's `lr`, in all epochs."""

    def rate(self, step: int, span: Span, lr: float) -> float:
        return lr


@schedulers.register("step")
@dataclass(frozen=True)
class Step(Scheduler):
    """η·gamma^⌊e / step_size⌋ in epoch e, counted from 0; η is the optimizer's `lr`."""

    step_size: Count | None = None
    """Epochs from one fall of the rate to the next; null: a third of the run."""
    gamma: OpenFraction = 0.1
    """Factor by which the rate is multiplied at each fall."""

    def rate(self, step: int, span: Span, lr: float) -> float:
        size = span.part(1 / 3) if self.step_size is None else span.of(self.step_size)
        return lr * self.gamma ** (step // size)


@schedulers.register("multistep")
@dataclass(frozen=True)
class MultiStep(Scheduler):
    """η·gamma^(how many `milestones` have passed); η is the optimizer's `lr`."""

    milestones: tuple[Count, ...] | None = None
    """Epochs after which the rate falls; null: half and three quarters of the run."""
    gamma: OpenFraction = 0.1
    """Factor by which the rate is multiplied at each fall."""

    def rate(self, step: int, span: Span, lr: float) -> float:
        if self.milestones is None:
            milestones = [span.part(0.5), span.part(0.75)]
        else:
            milestones = [span.of(epoch) for epoch in self.milestones]
        return lr * self.gamma ** sum(step >= milestone for milestone in milestones)


@schedulers.register("exponential")
@dataclass(frozen=True)
class Exponential(Scheduler):
    """η·gamma^e in epoch e, counted from 0; η is the optimizer's `lr`."""

    gamma: OpenFraction | None = None
    """Factor by which the rate is multiplied after each epoch; null: so that the run ends at η/100."""

    def rate(self, step: int, span: Span, lr: float) -> float:
        gamma: float = 0.01 ** (span.per_epoch / span.steps) if self.gamma is None else self.gamma
        return lr * gamma ** (step // span.per_epoch)


@schedulers.register("polynomial")
@dataclass(frozen=True)
class Polynomial(Scheduler):
    """η·(1 − s/S)^power at step s of S; η is the optimizer's `lr`."""

    power: Positive = 1.0
    """The exponent; 1: a straight line to zero."""

    def rate(self, step: int, span: Span, lr: float) -> float:
        return float(lr * (1 - step / span.steps) ** self.power)


def _half_cosine(share: float, start: float, end: float) -> float:
    """From `start` to `end` along half a cosine, of which a share from 0 to 1 has passed."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class _Falling(Scheduler):
    """Base of the schedules that fall to a minimum rate."""

    min_lr: NonNegative = 0.0
    """The lowest learning rate of the schedule."""

    def conflicts(self, lr: float, epochs: int) -> Iterator[str]:
        yield from super().conflicts(lr, epochs)
        if self.min_lr > lr:
            yield f"min_lr={show(self.min_lr)}: must be at most optimizer.lr={show(lr)}, from which the rate falls."


@schedulers.register("cosine")
@dataclass(frozen=True)
class Cosine(_Falling):
    """min_lr + (η − min_lr)·(1 + cos(π·s/S))/2 at step s of S; η is the optimizer's `lr`.

    Loshchilov & Hutter 2017, arXiv 1608.03983.
    """

    def rate(self, step: int, span: Span, lr: float) -> float:
        return _half_cosine(step / span.steps, lr, self.min_lr)


@schedulers.register("cosine_restarts")
@dataclass(frozen=True)
class CosineRestarts(_Falling):
    """Cosines that start again at η, the optimizer's `lr`, each longer than the last (SGDR, arXiv 1608.03983)."""

    period: Count | None = None
    """Epochs of the first cosine; null: a seventh of the run, so that with factor 2 three fill it."""
    factor: Count = 2
    """Each cosine is this many times as long as the one before it."""

    def rate(self, step: int, span: Span, lr: float) -> float:
        # Rounded up: steps that are left over would begin a fourth one, at the full rate.
        length = -(-span.steps // 7) if self.period is None else span.of(self.period)
        if self.factor == 1:
            step %= length
        while step >= length:
            step, length = step - length, length * self.factor
        return _half_cosine(step / length, lr, self.min_lr)


@schedulers.register("onecycle")
@dataclass(frozen=True)
class OneCycle(Scheduler):
    """Up from η/div_factor to η, then down to η/(div_factor·final_div_factor), each along half a cosine.

    Smith & Topin 2019, arXiv 1708.07120. η, the peak, is the optimizer's `lr`; momentum is left alone. A warm-up
    rises to η/div_factor. Where the rise has less than a step, it is left out.
    """

    pct_start: OpenFraction = 0.3
    """Share of the run in which the rate rises."""
    div_factor: AtLeastOne = 25.0
    """The peak over the first rate."""
    final_div_factor: AtLeastOne = 1e4
    """The first rate over the last."""

    def rate(self, step: int, span: Span, lr: float) -> float:
        first, peak, last = lr / self.div_factor, self.pct_start * span.steps - 1, span.steps - 1
        if peak > 0 and step <= peak:
            return _half_cosine(step / peak, first, lr)
        return _half_cosine((step - peak) / (last - peak), lr, first / self.final_div_factor)


@schedulers.register("plateau")
@dataclass(frozen=True)
class Plateau(_Falling):
    """η·factor once the validation loss has not improved for more than `patience` epochs; η is the optimizer's `lr`."""

    factor: OpenFraction = 0.1
    """Factor by which the rate is multiplied at each fall."""
    patience: Count | None = None
    """Epochs without improvement, more than which lower the rate; null: a tenth of the run."""
    threshold: Fraction = 1e-4
    """Relative improvement that counts: the loss must be below (1 − threshold)·(the least so far)."""
    cooldown: Index = 0
    """Epochs after a fall of the rate that do not count towards `patience`."""

    def rate(self, step: int, span: Span, lr: float) -> float:
        return lr

    def observe(self, progress: Progress, val_loss: float, span: Span) -> Progress:
        patience = max(1, round(0.1 * span.steps / span.per_epoch)) if self.patience is None else self.patience
        if val_loss < progress.best * (1 - self.threshold):
            progress = replace(progress, best=val_loss, waited=0)
        else:
            progress = replace(progress, waited=progress.waited + 1)
        if progress.cooldown:
            return replace(progress, waited=0, cooldown=progress.cooldown - 1)
        if progress.waited > patience:
            lower = max(progress.lr * self.factor, self.min_lr)
            return replace(progress, lr=lower, waited=0, cooldown=self.cooldown)
        return progress
