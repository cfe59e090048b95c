"""Holding a component to the contract of its kind."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

from mlpexp.config.schema import LIST_GROUPS, REGISTRIES
from mlpexp.config.user_code import SHOW_ALL, in_one_line
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import hints_of
from mlpexp.testing.declaration import Place, faults_of_fields, faults_of_file, faults_of_record
from mlpexp.testing.training import small_config, tried


def check(component: type, config_dir: str | Path | None = None, overrides: Sequence[str] = ()) -> str | None:
    """Holds a registered component to the contract of its kind; AssertionError with a sentence for each fault.

    Its YAML file agrees with the dataclass and begins with the line that `mlpexp list` shows; each field refuses
    values that make no sense; its methods return what their kind must; it trains, on every device of this
    machine and in bfloat16; the same seed gives the same numbers, and so does resuming from a checkpoint.

    Returns why runs with it do not share a stack with others, or None where they do: in a small stack it then gives the
    numbers that it gives alone.

    `config_dir` holds `<group>/<name>.yaml`; without it that is looked for beside the component's module and in the
    directories there. `overrides` are as those of `mlpexp train`, for fields without a default, or other values than
    the file's: `check(Table, overrides=["dataset.path=iris.csv"])`. Faults of the class or its file are
    reported first, then those of its methods, then those in training.
    """
    __tracebackhide__ = True
    group, name = _registered_as(component)
    try:
        hints_of(component)
    except Exception as error:
        raise AssertionError(
            f"{group}={name}: its annotations cannot be evaluated, {in_one_line(error)}; what they name must be "
            "imported outside of TYPE_CHECKING."
        ) from error
    place = Place(component, group, name, None if config_dir is None else Path(config_dir))
    faults = [*faults_of_fields(place), *faults_of_file(place)]
    cause: BaseException | None = None
    alone: str | None = None
    if place.file is not None:
        try:
            config = small_config(place, overrides)
            parts = getattr(config, group) if group in LIST_GROUPS else (getattr(config, group),)
            # Under another name the file chooses another component.
            for part in (part for part in parts if type(part) is component):
                faults += faults_of_record(place, config)
                alone = tried(place, part, config)
        except ConfigError as error:
            faults += [line.removesuffix(f" {SHOW_ALL}") for line in error.lines]
            cause = error.__cause__
    if faults:
        raise AssertionError("\n".join(dict.fromkeys(faults))) from cause
    return alone


def _registered_as(component: type) -> tuple[str, str]:
    """The group and the name of a component."""
    if not inspect.isclass(component):
        raise TypeError(f"check takes the class of a component, and this is a value of type {type(component).__name__}")
    for group, registry in REGISTRIES.items():
        for name, known in registry.items():
            if known is component:
                return group, name
    raise AssertionError(
        f"{component.__name__}: is not registered; put the decorator of its registry above it, such as "
        '@activations.register("NAME").'
    )
