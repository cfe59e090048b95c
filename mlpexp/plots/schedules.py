"""Learning-rate schedules step by step, by the code that training uses, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.components.scheduler import Scheduler, schedulers
from mlpexp.config.schema import Config
from mlpexp.engine.batches import Batches
from mlpexp.engine.group import Schedule
from mlpexp.engine.member import build_module
from mlpexp.engine.rows import Rows
from mlpexp.errors import ConfigError
from mlpexp.figures.schedules import Rates, schedules
from mlpexp.plots.choices import choose, described, differing
from mlpexp.training.prepare import Preparations, Prepared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Each takes microseconds; more than this would take longer than a picture should.
_MOST_STEPS = 5_000_000


def draw(overrides: Sequence[str], config_dir: str | None) -> tuple[Figure, list[str]]:
    """The figure of the schedules that `overrides` choose, and notes on it.

    Epochs, steps an epoch and learning rate are those of the run that `mlpexp train` would make of `overrides`.
    """
    preparations = Preparations()
    choice = choose("scheduler", overrides, config_dir, preparations=preparations)
    configs = [job.config for job in choice.jobs]
    steps = [_steps_per_epoch(config, preparations.of(config)) for config in configs]
    if (total := sum(config.epochs * n for config, n in zip(configs, steps, strict=True))) > _MOST_STEPS:
        raise ConfigError(f"plot: {total:,} steps of all schedules are too many to draw; choose fewer epochs.")
    others = differing(
        [
            {"epochs": config.epochs, "optimizer.lr": config.optimizer.lr, "steps an epoch": n}
            for config, n in zip(configs, steps, strict=True)
        ]
    )
    found: dict[str, Rates] = {}
    for config, n, other in zip(configs, steps, others, strict=True):
        name = described(schedulers, config.scheduler) + other
        if name not in found:
            found[name] = simulate(config.scheduler, config.optimizer.lr, config.epochs, n)
    name = preparations.of(configs[0]).data.name
    return schedules(found, title=f"Learning-rate schedules, simulated for {name}"), choice.notes


def _steps_per_epoch(config: Config, prepared: Prepared) -> int:
    """Batches an epoch."""
    module = build_module(config, prepared.data, prepared.loss)
    return len(Batches.of(config, Rows.of([prepared.data], "train"), module).sizes)


def simulate(scheduler: Scheduler, lr: float, epochs: int, steps_per_epoch: int) -> Rates:
    """The learning rate of each step of a run.

    A schedule that needs the validation loss sees one that falls for the first third of the run, and no further.
    """
    schedule = Schedule(scheduler, lr, epochs, steps_per_epoch)
    falls_until = max(1, epochs // 3)
    rates = np.empty((epochs, steps_per_epoch))
    for epoch in range(epochs):
        rates[epoch] = [schedule.rate(epoch * steps_per_epoch + step) for step in range(steps_per_epoch)]
        schedule.after_epoch(epoch + 1, val_loss=1 / min(epoch + 1, falls_until))
    return Rates(rates.ravel(), steps_per_epoch, falls_until if scheduler.needs_metric else None)
