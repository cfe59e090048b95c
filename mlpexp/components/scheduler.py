"""Learning-rate schedules: torch's own, built from a config.

Users speak of epochs; `build` is given how many steps an epoch and the whole run have. η is the optimizer's
`lr`. A warm-up of `warmup` epochs can go before any schedule: the rate rises in a straight line from
`warmup_start`·η to η, and the schedule itself begins when it has ended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mlpexp.config.ranges import Count, Fraction, Index, NonNegative, OpenFraction, Positive, Probability
from mlpexp.registry import Registry

if TYPE_CHECKING:
    from torch.optim import Optimizer as TorchOptimizer
    from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True)
class Span:
    """How long a schedule has: in steps (batches) and in epochs."""

    epochs: int
    steps_per_epoch: int
    warmup_steps: int = 0

    @property
    def steps(self) -> int:
        """The steps after the warm-up; at least one."""
        return max(1, self.epochs * self.steps_per_epoch - self.warmup_steps)

    def part(self, share: float) -> int:
        """A share of the run in whole epochs; at least one."""
        return max(1, round(self.epochs * share))


@dataclass(frozen=True)
class Scheduler(ABC):
    """Base of all schedules."""

    # Whether the schedule moves after each step (smooth curves) or after each epoch.
    by_step: ClassVar[bool] = False

    warmup: NonNegative = 0.0
    warmup_start: Probability = 0.0

    @abstractmethod
    def build(self, optimizer: TorchOptimizer, span: Span) -> LRScheduler | None:
        """A torch scheduler over `optimizer`, or None for a constant rate."""


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
    """η all along."""

    def build(self, optimizer: TorchOptimizer, span: Span) -> LRScheduler | None:
        return None


@schedulers.register("step")
@dataclass(frozen=True)
class Step(Scheduler):
    """η·gamma^⌊epoch / step_size⌋; step_size null means a third of the run."""

    step_size: Count | None = None
    gamma: OpenFraction = 0.1

    def build(self, optimizer: TorchOptimizer, span: Span) -> LRScheduler:
        from torch.optim.lr_scheduler import StepLR

        return StepLR(optimizer, step_size=self.step_size or span.part(1 / 3), gamma=self.gamma)


@schedulers.register("multistep")
@dataclass(frozen=True)
class MultiStep(Scheduler):
    """η·gamma^(how many `milestones` have passed), in epochs; null means half and three quarters of the run."""

    milestones: list[Count] | None = None
    gamma: OpenFraction = 0.1

    def build(self, optimizer: TorchOptimizer, span: Span) -> LRScheduler:
        from torch.optim.lr_scheduler import MultiStepLR

        milestones = [span.part(0.5), span.part(0.75)] if self.milestones is None else self.milestones
        return MultiStepLR(optimizer, milestones=milestones, gamma=self.gamma)


@schedulers.register("exponential")
@dataclass(frozen=True)
class Exponential(Scheduler):
    """η·gamma^epoch; gamma null means that the rate ends at a hundredth of η."""

    gamma: OpenFraction | None = None

    def build(self, optimizer: TorchOptimizer, span: Span) -> LRScheduler:
        from torch.optim.lr_scheduler import ExponentialLR

        return ExponentialLR(optimizer, gamma=self.gamma or 0.01 ** (span.steps_per_epoch / span.steps))


@schedulers.register("polynomial")
@dataclass(frozen=True)
class Polynomial(Scheduler):
    """η·(1 − step/steps)^power: a straight line to zero for power 1."""

    by_step: ClassVar[bool] = True

    power: Positive = 1.0

    def build(self, optimizer: TorchOptimizer, span: Span) -> LRScheduler:
        from torch.optim.lr_scheduler import PolynomialLR

        return PolynomialLR(optimizer, total_iters=span.steps, power=self.power)


@schedulers.register("cosine")
@dataclass(frozen=True)
class Cosine(Scheduler):
    """min_lr + (η − min_lr)·(1 + cos(π·step/steps))/2 (Loshchilov & Hutter 2017, arXiv 1608.03983)."""

    by_step: ClassVar[bool] = True

    min_lr: NonNegative = 0.0

    def build(self, optimizer: TorchOptimizer, span: Span) -> LRScheduler:
        from torch.optim.lr_scheduler import CosineAnnealingLR

        return CosineAnnealingLR(optimizer, T_max=span.steps, eta_min=self.min_lr)


@schedulers.register("cosine_restarts")
@dataclass(frozen=True)
class CosineRestarts(Scheduler):
    """Cosines that start again at η, each `factor` times as long as the last (SGDR, arXiv 1608.03983).

    The first takes `period` epochs; null means a seventh of the run, so that with factor 2 three fill it.
    """

    by_step: ClassVar[bool] = True

    period: Count | None = None
    factor: Count = 2
    min_lr: NonNegative = 0.0

    def build(self, optimizer: TorchOptimizer, span: Span) -> LRScheduler:
        from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

        # Rounded up: steps that are left over would begin a fourth one, at the full rate.
        first = self.period * span.steps_per_epoch if self.period else -(-span.steps // 7)
        return CosineAnnealingWarmRestarts(optimizer, T_0=first, T_mult=self.factor, eta_min=self.min_lr)


@schedulers.register("onecycle")
@dataclass(frozen=True)
class OneCycle(Scheduler):
    """Up from η/div_factor to η for a share `pct_start` of the run, then down to η/(div_factor·final_div_factor).

    Smith & Topin 2019, arXiv 1708.07120. The optimizer's `lr` is the peak, and momentum is left alone. A warm-up
    rises to η/div_factor.
    """

    by_step: ClassVar[bool] = True

    pct_start: OpenFraction = 0.3
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4

    def build(self, optimizer: TorchOptimizer, span: Span) -> LRScheduler:
        from torch.optim.lr_scheduler import OneCycleLR

        pct_start = self.pct_start
        if pct_start * span.steps == 1:
            # The rise ends at step pct_start·steps − 1 = 0, and torch divides by its length: begin at the peak.
            pct_start *= 1 - 1e-9
        return OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=span.steps,
            pct_start=pct_start,
            div_factor=self.div_factor,
            final_div_factor=self.final_div_factor,
            cycle_momentum=False,
        )


@schedulers.register("plateau")
@dataclass(frozen=True)
class Plateau(Scheduler):
    """η·factor once the validation loss has not improved by `threshold` (relative) for more than `patience` epochs.

    patience null means a tenth of the run.
    """

    factor: OpenFraction = 0.1
    patience: Count | None = None
    threshold: Fraction = 1e-4
    cooldown: Index = 0
    min_lr: NonNegative = 0.0

    def build(self, optimizer: TorchOptimizer, span: Span) -> LRScheduler:
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        return ReduceLROnPlateau(
            optimizer,
            factor=self.factor,
            patience=self.patience or span.part(0.1),
            threshold=self.threshold,
            cooldown=self.cooldown,
            min_lr=self.min_lr,
        )
