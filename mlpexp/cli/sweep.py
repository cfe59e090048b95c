"""What is wrong with the jobs of a sweep, found before the first of them starts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType, ValueType
from omegaconf import DictConfig, OmegaConf

from mlpexp.config.compose import checked, compose_raw
from mlpexp.config.locate import groups
from mlpexp.config.overrides import parse_override
from mlpexp.errors import ConfigError
from mlpexp.prepare import prepare

# Of a longer range only so many values are looked at.
_MOST_VALUES = 1000


def check_jobs(overrides: Sequence[str], config_dir: str | None, config_name: str, sweeper: str) -> None:
    """ConfigError for the first wrong value of a swept key, with all other swept keys at the first of theirs.

    So n keys of m values each take n·m checks, not mⁿ. `sweeper` is the class of the plugin that makes the jobs.
    """
    for given, override in zip(overrides, map(parse_override, overrides), strict=True):
        if override.is_sweep_override() and not override.is_discrete_sweep() and sweeper.endswith(".BasicSweeper"):
            raise ConfigError(f"{given}: must list its values, such as choice(1,2); or choose another hydra/sweeper.")
    prepared: list[tuple[Any, ...]] = []
    for raw in _jobs(overrides, config_dir, config_name):
        config = checked(raw)
        needs = (config.dataset, config.model, config.loss, config.device, config.regularizer, config.data_dir)
        if needs not in prepared:
            prepare(config)
            prepared.append(needs)


def _jobs(overrides: Sequence[str], config_dir: str | None, config_name: str) -> Iterator[DictConfig]:
    """The composed config of the first job, then one for each further value of each swept key."""
    first: list[str] = []
    swept: list[tuple[int, Override, list[str]]] = []
    for given, override in zip(overrides, map(parse_override, overrides), strict=True):
        if not override.is_sweep_override():
            first.append(given)
        elif override.is_discrete_sweep() and override.value_type != ValueType.GLOB_CHOICE_SWEEP:
            values = list(islice(override.sweep_string_iterator(), _MOST_VALUES))
            swept.append((len(first), override, values))
            first.append(f"{override.get_key_element()}={values[0]}")
        # The values of interval(0,1) are the sweeper's to choose, those of glob(*) exist.
    base = compose_raw(first, config_dir, config_name)
    yield base
    known = groups(*([Path(config_dir)] if config_dir else []))
    for index, override, values in swept:
        key = override.key_or_group
        for value in values[1:]:
            changed = f"{override.get_key_element()}={value}"
            if key in known or override.type != OverrideType.CHANGE:
                yield compose_raw([*first[:index], changed, *first[index + 1 :]], config_dir, config_name)
            else:
                # Composing takes a twentieth of a second; a sweep over many seeds need not.
                job = copy.deepcopy(base)
                OmegaConf.update(job, key, parse_override(changed).value())
                yield job
