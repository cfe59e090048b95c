"""Which components a picture shows: those that overrides choose, as they do for `mlpexp train`, else all of a group."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpexp.config.convert import show
from mlpexp.config.jobs import Job, check_jobs, expand
from mlpexp.config.overrides import parse_override
from mlpexp.config.schema import GROUPS
from mlpexp.errors import ConfigError, JobsError
from mlpexp.registry import Registry

if TYPE_CHECKING:
    from mlpexp.prepare import Preparations

# So many curves one figure has room for.
MOST_CURVES = 24


@dataclass(frozen=True)
class Choice:
    """The jobs whose components are drawn, and the options of the group that the overrides do not suit."""

    jobs: list[Job]
    left_out: list[str]

    @property
    def notes(self) -> list[str]:
        """What to say beside the picture, a line each."""
        return [f"left out, as the overrides do not suit them: {', '.join(self.left_out)}"] if self.left_out else []


def choose(
    group: str,
    overrides: Sequence[str],
    config_dir: str | None = None,
    *,
    suits: Callable[[str], list[str]] = lambda option: [],
    preparations: Preparations | None = None,
) -> Choice:
    """One job for each combination of the values that `overrides` list, checked as `mlpexp train -m` checks them.

    Where none of them names an option of `group`, it is all of them, in the order of the registry, less those that
    lack a parameter that is set. `suits` gives overrides that suit an option, and that those of the user win over.
    """
    given = [(parse_override(text), text) for text in overrides]
    about_hydra = [text for parsed, text in given if parsed.is_hydra_override()]
    ours = [text for parsed, text in given if not parsed.is_hydra_override()]
    chosen = any(parsed.key_or_group == group for parsed, _ in given)
    jobs = expand(ours if chosen else [f"{group}=glob(*)", *ours], config_dir=config_dir)
    if len(jobs) > MOST_CURVES:
        raise ConfigError(f"plot: {len(jobs):,} curves are more than a figure has room for, {MOST_CURVES}.")
    jobs = [[*suits(_option(group, job)), *job] for job in jobs]

    def check(some: list[list[str]]) -> list[Job]:
        return check_jobs(some, about_hydra, config_dir, numbered=False, preparations=preparations)

    if chosen:
        return Choice(check(jobs), [])
    found: list[Job] = []
    left_out: list[str] = []
    try:
        found = check(jobs)
    except JobsError as error:
        for job in jobs:
            try:
                found += check([job])
            except JobsError:
                left_out.append(_option(group, job))
        if not found:
            # Of all that is said, what is about the option whose parameter may have been meant.
            raise ConfigError(next((line for line in error.lines if "did you mean" in line), error.lines[0])) from None
    order = list(GROUPS[group])
    found.sort(key=lambda job: order.index(GROUPS[group].name_of(getattr(job.config, group))))
    return Choice(found, list(dict.fromkeys(left_out)))


def _option(group: str, job: list[str]) -> str:
    """The option of `group` that a job chooses; what is said last counts."""
    return next((text.partition("=")[2] for text in reversed(job) if text.startswith(f"{group}=")), "")


def described(registry: Registry[Any], component: Any, always: str = "") -> str:
    """A component's name, and those of its parameters that are not at their default, or are `always` to be said.

    >>> described(activations, LeakyReLU(negative_slope=0.2))
    'leaky_relu, negative_slope=0.2'
    """
    parts = [registry.name_of(component)]
    for entry in dataclasses.fields(component):
        value = getattr(component, entry.name)
        default = entry.default_factory() if callable(entry.default_factory) else entry.default
        if value != default or entry.name == always:
            parts.append(f"{entry.name}={f'{value:g}' if isinstance(value, float) else show(value)}")
    return ", ".join(parts)


def differing(settings: Sequence[Mapping[str, object]]) -> list[str]:
    """For each of several settings what tells it from the others: ", epochs=10", or "" where it differs in nothing."""
    keys = [key for key in settings[0] if len({show(one[key]) for one in settings}) > 1]
    return ["".join(f", {key}={show(one[key])}" for key in keys) for one in settings]
