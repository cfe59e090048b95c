"""The learning-rate range test (Smith 2017, arXiv 1506.01186): a rate that rises step by step, over several seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from mlpexp.components.optimizer import optimizers
from mlpexp.components.scheduler import Constant
from mlpexp.config.schema import Config
from mlpexp.engine.loop import Engine
from mlpexp.engine.process import runtime_context
from mlpexp.errors import ConfigError, RunError
from mlpexp.lr_finder.curve import Curve, beta_for, follow
from mlpexp.lr_finder.rules import RULES, Rule, descent
from mlpexp.sweep.jobs import Job
from mlpexp.sweep.plan import PlannedStack, plan
from mlpexp.training.prepare import Preparations, Prepared

HIGHEST, STEPS, SEEDS = 10.0, 300, 4
_LEAST_STEPS, _MOST_STEPS, _MOST_SEEDS = 20, 10_000, 256
_MOST_RATE = 1e30  # float32 holds up to 3e38


@dataclass(frozen=True)
class Suggestion:
    """The rate that a rule found; None where the curve has none for it."""

    rule: Rule
    lr: float | None


@dataclass(frozen=True)
class Finding:
    """What a range test found."""

    config: Config
    seeds: list[int]
    device: str
    n_stacks: int
    curve: Curve
    suggestions: list[Suggestion]
    remarks: list[str]  # what a reader must know, in sentences

    @property
    def lr(self) -> float | None:
        """The rate to begin with: that of the first rule that found one."""
        return next((suggestion.lr for suggestion in self.suggestions if suggestion.lr is not None), None)


@dataclass(frozen=True)
class RangeTest:
    """A range test that is ready to run: everything that can be wrong with it has been checked."""

    config: Config
    configs: list[Config]  # of the seeds
    prepared: Prepared
    stacks: list[PlannedStack]
    rates: np.ndarray

    def run(self) -> Finding:
        """Trains, and reads the rates off the curve. RunError where the device has too little memory."""
        try:
            curve = self._curve()
        except torch.OutOfMemoryError as error:
            raise RunError(f"{self.prepared.device} has too little memory: try fewer --seeds. {error}") from error
        suggestions, remarks = _read(curve, self.rates)
        seeds = [config.seed for config in self.configs]
        left = [
            f"Seed {seeds[k]} is left out from lr {rate:.2g} on: its loss was not finite."
            for k, rate in curve.left.items()
        ]
        remarks += left if len(left) < len(seeds) else []
        return Finding(self.config, seeds, str(self.prepared.device), len(self.stacks), curve, suggestions, remarks)

    def _curve(self) -> Curve:
        beta = beta_for(len(self.rates))
        if len(self.stacks) == 1:
            with self._engine(self.configs) as engine, closing(losses(engine, self.rates)) as rows:
                return follow(rows, self.rates, len(self.configs), beta)
        # The mean over seeds is known once the last has been trained: each goes on until its own loss is not finite.
        table = np.full((len(self.rates), len(self.configs)), np.nan)
        for stack in self.stacks:
            with self._engine([job.config for job in stack.jobs]) as engine:
                for step, row in enumerate(losses(engine, self.rates)):
                    table[step, stack.numbers] = row
        return follow(table, self.rates, len(self.configs), beta)

    @contextmanager
    def _engine(self, configs: Sequence[Config]) -> Iterator[Engine]:
        multiplications = len(configs) * configs[0].batch_size * self.prepared.n_linear_parameters
        with runtime_context(configs[0], multiplications, len(configs)) as device:
            yield Engine(configs, self.prepared.data, device)


def find_lr(
    config: Config,
    *,
    lowest: float | None = None,
    highest: float = HIGHEST,
    steps: int = STEPS,
    seeds: int = SEEDS,
) -> Finding:
    """Trains a few steps at rates that rise from `lowest` to `highest`, and suggests a learning rate.

    >>> find_lr(compose(["dataset=digits", "optimizer=sgd"])).lr

    The network, optimizer, regularizers, clipping, precision and device are the config's own, under `seeds` seeds from
    its own on; only its rate and its scheduler are not used. Nothing is written, and the config and torch's random
    state stay as they are. ConfigError says what is wrong.
    """
    return prepared_test(config, lowest=lowest, highest=highest, steps=steps, seeds=seeds).run()


def prepared_test(
    config: Config, *, lowest: float | None, highest: float = HIGHEST, steps: int = STEPS, seeds: int = SEEDS
) -> RangeTest:
    """A range test that has been checked and not begun; arguments are those of `find_lr`."""
    lowest = lowest_rate(config) if lowest is None else lowest
    for name, value, low, high in (("steps", steps, _LEAST_STEPS, _MOST_STEPS), ("seeds", seeds, 1, _MOST_SEEDS)):
        if not low <= value <= high:
            raise ConfigError(f"--{name}={value}: must be from {low} to {high:,}.")
    for name, rate in (("from", lowest), ("to", highest)):
        if not 0 < rate <= _MOST_RATE:
            raise ConfigError(f"--{name}={rate:g}: must be a learning rate: greater than 0, at most {_MOST_RATE:g}.")
    if not lowest < highest:
        raise ConfigError(f"--to={highest:g}: must be greater than --from, {lowest:g}.")
    if config.optimizer.full_batch:
        name = optimizers.name_of(config.optimizer)
        raise ConfigError(
            f"optimizer={name}: takes the whole training set in each step and searches its own step length; "
            "the learning-rate finder is for optimizers that learn from batches."
        )
    constant = dataclasses.replace(config, scheduler=Constant())
    configs = [dataclasses.replace(constant, seed=config.seed + k) for k in range(seeds)]
    preparations = Preparations()
    stacks = plan([Job(k, [], each) for k, each in enumerate(configs)], preparations)
    return RangeTest(config, configs, preparations.of(configs[0]), stacks, np.geomspace(lowest, highest, steps))


def lowest_rate(config: Config) -> float:
    """The first rate: so low that nothing is learned, and no lower, since the descent would have fewer steps."""
    return 1e-6 if config.optimizer.gradient_scale_invariant else 1e-5


def losses(engine: Engine, rates: np.ndarray) -> Generator[np.ndarray]:
    """Trains an engine's K members a step at each of `rates`, and gives the losses [K] before each step.

    It takes as many passes over the training rows as that needs, and ends when no member has a finite loss. While it
    is suspended, torch's random state may be a member's: close it to have that restored.
    """
    steps = iter(rates)
    rate = next(steps, None)
    while rate is not None:
        with engine.training_batches() as batches:
            for batch in batches:
                for group in engine.groups:
                    group.set_lr(float(rate))
                row = engine.step(batch)[0].cpu().double().numpy()
                yield row
                rate = next(steps, None) if np.isfinite(row).any() else None
                if rate is None:
                    break


def _read(curve: Curve, rates: np.ndarray) -> tuple[list[Suggestion], list[str]]:
    """What each rule suggests, and what a reader must know of it."""
    n, tenth = len(curve.rates), len(rates) // 10
    found = descent(curve.mean, curve.smoothed, curve.beta, tenth, failed=bool(curve.ending))
    ended = f"Stopped after {n} of {len(rates)} steps: {curve.ending}." if curve.ending else ""
    if found is None:
        return [Suggestion(rule, None) for rule in RULES], [*[ended] * bool(ended), _nothing(curve, rates)]
    reach = max(1, len(rates) // 20)
    suggestions = [Suggestion(rule, rule.find(curve.rates, curve.smoothed, found, reach)) for rule in RULES]
    open_end = (
        f"The loss is least at the last rate, {rates[-1]:.2g}: try a greater --to, or fewer --steps if the training "
        "set has been learned by then."
    )
    return suggestions, [*[ended] * bool(ended), *[open_end] * (not found.complete)]


def _nothing(curve: Curve, rates: np.ndarray) -> str:
    """Why there is no rate to suggest."""
    if curve.ending:
        return f"The loss did not fall before that: no rate to suggest. Begin lower than --from={rates[0]:.2g}."
    return (
        f"The loss never fell, from {curve.mean[0]:.3g} on, by more than noise at rates from {rates[0]:.2g} to "
        f"{rates[-1]:.2g}: no rate to suggest. Does the init let the network learn at all?"
    )
