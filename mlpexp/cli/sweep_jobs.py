"""The jobs that the command line of a sweep lists, before torch is imported to check them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from hydra.core.override_parser.types import ValueType
from omegaconf import DictConfig, OmegaConf

from mlpexp.config import hydra_adapter
from mlpexp.config.compose import Composer
from mlpexp.config.overrides import count, parse_override, values
from mlpexp.config.schema import Sweep
from mlpexp.errors import ConfigError
from mlpexp.sweep.jobs import expand

# At most this many values of a key are checked for sweepers that choose the jobs.
_MOST_VALUES = 1000


@dataclass(frozen=True)
class ListedSweep:
    """A sweep's config with Hydra's node, and the overrides of `all` its jobs, or of some if a sweeper chooses."""

    raw: DictConfig
    jobs: list[list[str]]
    all: bool

    @property
    def n_processes(self) -> int | None:
        """`stack.processes`, where all jobs have one that may be valid."""
        asked = OmegaConf.select(self.raw, "stack.processes")
        return asked if isinstance(asked, int) and 0 < asked <= len(self.jobs) else None


def listed_sweep(composer: Composer, overrides: Sequence[str]) -> ListedSweep:
    """The sweep of a command line. ConfigError where its plugins of Hydra, or the lists of its values, are wrong.

    For sweepers that choose the values, each listed value of a key is in a job with the first of all others.
    """
    raw = composer.of_sweep(overrides)
    for name in ("launcher", "sweeper"):
        if OmegaConf.is_missing(raw.hydra, name) or not raw.hydra[name] or "_target_" not in raw.hydra[name]:
            raise ConfigError(f"hydra/{name}: a sweep needs one {name}.")
        target = str(raw.hydra[name]._target_)
        if not target.startswith(hydra_adapter.PLUGINS):
            raise ConfigError(
                f"hydra.{name}._target_={target}: is no plugin of Hydra's; choose one by hydra/{name}=NAME."
            )
    sweeper = raw.hydra.sweeper
    # All combinations of the values; other sweepers choose their own.
    grid = str(sweeper.get("_target_")).endswith(".BasicSweeper")
    layout = composer.sweep(overrides)
    if grid:
        params = {str(key): str(value) for key, value in (sweeper.params or {}).items()}
        return ListedSweep(raw, expand(overrides, params, composer.config_dir, layout), True)
    if layout != Sweep():
        raise ConfigError(
            "sweep.zip and sweep.settings: are for a sweep over given values; this sweeper chooses its own."
        )
    return ListedSweep(raw, _one_key_at_a_time(overrides), False)


def is_stacked(raw: DictConfig) -> bool:
    """Whether the launcher of a sweep trains its jobs in stacks."""
    return str(raw.hydra.launcher._target_).endswith(".StackedLauncher")


def _one_key_at_a_time(overrides: Sequence[str]) -> list[list[str]]:
    """The job of the first values, then one for each further value: n keys of m values make about n·m jobs, not mⁿ."""
    first: list[str] = []
    further: list[tuple[int, str]] = []
    for given in overrides:
        override = parse_override(given)
        if not override.is_sweep_override():
            first.append(given)
        elif override.is_discrete_sweep() and override.value_type != ValueType.GLOB_CHOICE_SWEEP:
            count(override)
            listed = list(islice(values(override), _MOST_VALUES))
            further += [(len(first), other) for other in listed[1:]]
            first += listed[:1]
        # The sweeper chooses the values of interval(0,1); those of glob(*) are known.
    return [first, *([*first[:at], other, *first[at + 1 :]] for at, other in further)]
