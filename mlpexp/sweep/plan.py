"""Which jobs of a sweep train together: the stacks, and why some are stacks of one."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import torch

from mlpexp.components.device import free_memory
from mlpexp.components.optimizer import optimizers
from mlpexp.config.schema import Config
from mlpexp.config.user_code import users_components
from mlpexp.data.dataset import Form
from mlpexp.engine.batched_stack import unstackable
from mlpexp.engine.own_rates import but_for_rates
from mlpexp.engine.stack_key import stack_key
from mlpexp.engine.trial import why_alone
from mlpexp.errors import pluralize
from mlpexp.sweep.jobs import Job
from mlpexp.sweep.processes import beside_others, n_processes, seconds
from mlpexp.training.prepare import Preparations, Prepared, memory_needed

# The share of a device's free memory that a stack may take; the data and the program itself need some too.
_SHARE = 0.6


@dataclass(frozen=True)
class PlannedStack:
    """Jobs that train as one model, in the order of their members."""

    jobs: tuple[Job, ...]
    n_bytes: int  # memory for training, approximately
    alone: str | None = None  # why its one job cannot share a stack
    apart: str | None = None  # why its jobs cannot join a stack with the same settings: their data differ in form
    split: str | None = None  # why it is one part of a larger stack

    @property
    def numbers(self) -> list[int]:
        return [job.number for job in self.jobs]


def plan(jobs: Sequence[Job], preparations: Preparations) -> list[PlannedStack]:
    """Stacks of the jobs, each as large as `stack.max_members` and the device's free memory allow.

    Where several processes can train at the same time, and pay, they all have a part.
    """
    # By the settings that members of a stack share; then by the form of the data.
    together: dict[Hashable, dict[Form, list[Job]]] = {}
    stacks: list[PlannedStack] = []
    reasons: dict[Hashable, str | None] = {}
    trials = _Trials()
    for job in jobs:
        key, form = stack_key(job.config), preparations.form(job.config)
        network = key, job.config.activation, form
        if network not in reasons:
            reasons[network] = _layer_alone(job.config, form)
        reason = alone_by_config(job.config) or reasons[network] or trials.alone(job.config, form)
        if reason is None:
            together.setdefault((key, job.config.stack), {}).setdefault(form, []).append(job)
        else:
            stacks.append(PlannedStack((job,), _needed(job, preparations.of(job.config)), reason))
    groups = [
        (alike, _apart(form, list(by_form)) if len(by_form) > 1 else None)
        for by_form in together.values()
        for form, alike in by_form.items()
    ]
    parts = _parts([*(alike for alike, _ in groups), *(stack.jobs for stack in stacks)], preparations)
    for (alike, apart), (n_parts, at_once) in zip(groups, parts, strict=False):
        stacks += _split(alike, preparations.of(alike[0].config), apart, n_parts, at_once)
    return sorted(stacks, key=lambda stack: min(stack.numbers))


def _parts(groups: Sequence[Sequence[Job]], preparations: Preparations) -> list[tuple[int, int]]:
    """Into how many stacks each group of jobs is split, so that every process that pays has something to train.

    And how many stacks train at the same time as one of them.
    """
    configs = [[job.config for job in group] for group in groups]
    costs = [sum(seconds(config, preparations) for config in own) for own in configs]
    n = n_processes([config for own in configs for config in own], preparations)
    parts = [min(len(own), max(1, round(n * cost / sum(costs)))) for own, cost in zip(configs, costs, strict=True)]
    return [
        (n_parts, n) if beside_others(own[: -(-len(own) // n_parts)], preparations) else (1, 1)
        for own, n_parts in zip(configs, parts, strict=True)
    ]


def alone_by_config(config: Config) -> str | None:
    """Why a config cannot share a stack with others, judged by the config alone; None if nothing speaks against it."""
    if not config.optimizer.stacks:
        return f"optimizer={optimizers.name_of(config.optimizer)} does not update elements of a weight independently"
    return "compile=true compiles a plain network" if config.compile else None


def _layer_alone(config: Config, form: Form) -> str | None:
    """Why a config's network cannot be stacked; None if it can."""
    sizes = form.n_features, config.loss.resolve(form.task).n_outputs(form.task)
    try:
        with torch.random.fork_rng(devices=[]):
            module = config.model.build(*sizes, config.activation, config.regularizer)
            layer = unstackable(module, type(config.activation.build()))
    except Exception as error:
        # The run fails with the same error, and reports it.
        return f"the network cannot be built: {error}"
    return None if layer is None else f"{layer} is a layer that cannot be stacked"


class _Trials:
    """Tries users' components in a small stack, each once."""

    def __init__(self) -> None:
        self._known: dict[Hashable, str | None] = {}

    def alone(self, config: Config, form: Form) -> str | None:
        """Why a config cannot share a stack: the reason of the first user's component that cannot; None if all can."""
        where = form.task, form.n_features
        for choice, component in users_components(config).items():
            key = (component, *where)
            if key not in self._known:
                self._known[key] = why_alone(component, *where)
            if (reason := self._known[key]) is not None:
                return f"{choice}: {reason}"
        return None


def _needed(job: Job, prepared: Prepared) -> int:
    return memory_needed(job.config, prepared.n_linear_parameters, prepared.data.n_features)


def _apart(form: Form, forms: Sequence[Form]) -> str:
    """How the data of some jobs differ in form from those of other jobs with the same settings."""
    if len({each.n_features for each in forms}) > 1:
        return f"its data have {pluralize(form.n_features, 'input')}, others' another number"
    if len({each.n_rows for each in forms}) > 1:
        return f"its splits have {' / '.join(f'{n:,}' for n in form.n_rows)} rows, others' other numbers"
    return "its data have another task than others'"


def _split(jobs: Sequence[Job], prepared: Prepared, apart: str | None, parts: int, at_once: int) -> list[PlannedStack]:
    """At least so many stacks, of nearly equal size, of jobs that could share one; `at_once` share the memory.

    Jobs with the same settings are neighbours.
    """
    each = max(_needed(job, prepared) for job in jobs)
    if len({job.config.dataset for job in jobs}) > 1:
        # Each member has its own rows.
        each += prepared.data.n_bytes
    free = free_memory(prepared.device)
    most = len(jobs) if free is None else max(1, int(_SHARE * free / at_once / each))
    most = min(most, jobs[0].config.stack.max_members or most)
    n_stacks = max(parts, -(-len(jobs) // most))
    ordered = _neighbours(jobs)
    bounds = [round(len(jobs) * i / n_stacks) for i in range(n_stacks + 1)]
    chosen = jobs[0].config.stack.max_members
    if parts == n_stacks:
        why = f"for {parts} processes"
    else:
        why = f"by stack.max_members={most}" if most == chosen else "by free memory"
    return [
        PlannedStack(
            tuple(ordered[start:stop]), each * (stop - start), apart=apart, split=why if n_stacks > 1 else None
        )
        for start, stop in pairwise(bounds)
    ]


def why_apart(stacks: Sequence[PlannedStack], index: int) -> str:
    """Why the jobs of a stack are not in an earlier stack; empty for the first stack."""
    own = stacks[index]
    if reason := own.alone or own.apart:
        return reason
    found = [
        (_differing(own.jobs[0].config, other.jobs[0].config), number)
        for number, other in enumerate(stacks[:index], 1)
        if other.alone is None
    ]
    if not found:
        return ""
    keys, number = min(found, key=lambda each: len(each[0]))
    return f"{', '.join(keys)}: other than in stack {number}" if keys else f"split {own.split}"


def _differing(one: Config, other: Config) -> list[str]:
    """The keys in which members of a stack must agree, and these two configs differ."""

    def together(config: Config) -> Hashable:
        return stack_key(config), config.stack

    def with_other(name: str) -> Config:
        # Unlike `replace`, this skips the checks of the config, which the mixture may not pass.
        mixed = copy.copy(one)
        object.__setattr__(mixed, name, getattr(other, name))
        return mixed

    names = [entry.name for entry in fields(Config)]
    return [name for name in names if together(with_other(name)) != together(one)]


def _neighbours(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, sorted such that those with the same optimizer, activation, schedule or regularizers are neighbours.

    Neighbours share computations: one optimizer (their rates may differ), and one call of the activation, the schedule
    and the regularizers. The order is stable.
    """
    first: dict[Hashable, int] = {}
    keys = {}
    for position, job in enumerate(jobs):
        config = job.config
        settings = [
            but_for_rates(config.optimizer) or config.optimizer,
            config.activation,
            (config.optimizer, config.scheduler),
            config.regularizer,
        ]
        keys[job.number] = [first.setdefault(setting, position) for setting in settings]
    return sorted(jobs, key=lambda job: keys[job.number])
