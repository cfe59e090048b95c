"""Which components a picture shows: those that overrides choose, as they do for `mlpexp train`, else all of a group."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpexp.config.compose import Composer
from mlpexp.config.overrides import parse_override
from mlpexp.config.schema import GROUPS
from mlpexp.config.user_code import load_plugins
from mlpexp.errors import ConfigError, unknown
from mlpexp.fields.convert import show
from mlpexp.fields.registry import Registry
from mlpexp.sweep.jobs import Job, check_jobs, expand

if TYPE_CHECKING:
    from mlpexp.training.prepare import Preparations

# So many curves one figure has room for.
MOST_CURVES = 24


@dataclass(frozen=True)
class Choice:
    """The jobs whose components are drawn, and what to say beside the picture, a line each."""

    jobs: list[Job]
    notes: list[str]


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
    lack a parameter that is set. `suits` gives overrides that suit an option; those of the user take precedence.
    """
    given = {text: parse_override(text) for text in overrides}
    about_hydra = [text for text, parsed in given.items() if parsed.is_hydra_override()]
    ours = [text for text in overrides if text not in about_hydra]
    chosen = any(parsed.key_or_group == group for parsed in given.values())
    jobs = expand(ours if chosen else [f"{group}=glob(*)", *ours], config_dir=config_dir)
    notes: list[str] = []
    if not chosen:
        for parsed in given.values():
            if parsed.key_or_group == "plugins" and not parsed.is_sweep_override():
                load_plugins(parsed.value())
        parameters = {parsed.key_or_group: text for text, parsed in given.items()}
        jobs, notes = _with_parameters(group, jobs, parameters)
    if len(jobs) > MOST_CURVES:
        raise ConfigError(f"plot: {len(jobs):,} curves are more than a figure has room for, {MOST_CURVES}.")
    jobs = [[*suits(_option(group, job)), *job] for job in jobs]
    found = check_jobs(jobs, Composer(config_dir, about_hydra=about_hydra), numbered=False, preparations=preparations)
    if not chosen:
        order = list(GROUPS[group])
        found.sort(key=lambda job: order.index(GROUPS[group].name_of(getattr(job.config, group))))
    return Choice(found, notes)


def _with_parameters(group: str, jobs: list[list[str]], given: Mapping[str, str]) -> tuple[list[list[str]], list[str]]:
    """The jobs whose option has each parameter of `group` that is `given` (keys, and overrides), and a note on the
    others. Options of a user's own, whose component is not known yet, stay."""
    registry = GROUPS[group]
    known = {name: {entry.name for entry in dataclasses.fields(component)} for name, component in registry.items()}
    wanted = {key.split(".")[1]: text for key, text in given.items() if key.startswith(f"{group}.")}
    for name, text in wanted.items():
        if name != "name" and not any(name in fields for fields in known.values()):
            raise ConfigError(unknown(f"{text}: no {group} has such a key", name, set().union(*known.values())))
    lacking = {option for option, fields in known.items() if not fields >= wanted.keys() - {"name"}}
    left_out = sorted({_option(group, job) for job in jobs} & lacking)
    note = f"left out, as they have no {', '.join(wanted)}: {', '.join(left_out)}"
    return [job for job in jobs if _option(group, job) not in lacking], [note] if left_out else []


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
