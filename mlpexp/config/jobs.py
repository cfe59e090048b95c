"""The jobs of a sweep: listed as Hydra's sweeper lists them, and all checked before the first of them starts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override, RangeSweep

from mlpexp.config.compose import by_hydra, check_config_dir, checked, hydra_on
from mlpexp.config.composer import JobComposer
from mlpexp.config.effects import check_keys
from mlpexp.config.explain import explain
from mlpexp.config.overrides import check_overrides, parse_override
from mlpexp.config.schema import Config
from mlpexp.errors import ConfigError, JobsError

if TYPE_CHECKING:
    from mlpexp.prepare import Preparations

MOST_JOBS = 100_000
# So many wrong things are listed, and so many of the jobs that one of them concerns.
_MOST_LINES = 20
_MOST_NUMBERS = 5


@dataclass(frozen=True)
class Job:
    """One run of a sweep: its number, what it adds to the config, and the checked whole."""

    number: int
    overrides: list[str]
    config: Config


def expand(
    overrides: Sequence[str], params: Mapping[str, str] | None = None, config_dir: str | None = None
) -> list[list[str]]:
    """The overrides of each job that a command line makes together with the `hydra.sweeper.params` of a config.

    >>> expand(["seed=0,1", "epochs=3"], {"seed": "7", "activation": "relu,gelu"})
    [['seed=0', 'activation=relu', 'epochs=3'], ['seed=0', 'activation=gelu', 'epochs=3'],
     ['seed=1', 'activation=relu', 'epochs=3'], ['seed=1', 'activation=gelu', 'epochs=3']]

    ConfigError for values that cannot be listed, and for more than 100,000 jobs.
    """
    parsed = [
        parse_override(given) for given in [*(f"{key}={value}" for key, value in (params or {}).items()), *overrides]
    ]
    if any(override.is_sweep_override() for override in parsed):
        with hydra_on(config_dir) as hydra:
            for override in parsed:
                # For glob(*): the options that there are.
                override.config_loader = hydra.config_loader
    # As in the sweeper, what is said of a key last counts.
    counts = {override.get_key_element(): _count(override) for override in parsed}
    if (jobs := math.prod(counts.values())) > MOST_JOBS:
        raise ConfigError(f"the sweep has {jobs:,} jobs, and more than {MOST_JOBS:,} are refused; give fewer values.")
    (batch,) = BasicSweeper.split_arguments(parsed, None)
    return batch


def _count(override: Override) -> int:
    """How many values an override gives its key, found without listing them."""
    if not override.is_sweep_override():
        return 1
    given = override.input_line
    if not override.is_discrete_sweep():
        raise ConfigError(f"{given}: must list its values, such as choice(1,2); or choose another hydra/sweeper.")
    sweep: Any = override.value()
    if isinstance(sweep, RangeSweep):
        # Of a number that is none, or of endless ones, Hydra would go on making values.
        steps = (sweep.stop - sweep.start) / sweep.step if sweep.step else math.nan  # type: ignore[operator]
        if not math.isfinite(steps):
            raise ConfigError(f"{given}: must go in steps from one number to another, such as range(1,10,3).")
        count = math.ceil(steps)
    else:
        count = len(list(override.sweep_iterator()))
    if count < 1:
        raise ConfigError(f"{given}: lists no values.")
    return count


def check_jobs(
    jobs: Sequence[list[str]],
    about_hydra: Sequence[str] = (),
    config_dir: str | None = None,
    config_name: str = "config",
    *,
    numbered: bool = True,
    preparations: Preparations | None = None,
) -> list[Job]:
    """The jobs with their configs, or one error that lists whatever is wrong with any of them, each thing once.

    `about_hydra` are the overrides of Hydra itself that all jobs share. With `numbered` the error says of which jobs
    a thing is wrong, where it is not of all. `preparations` keep what had to be loaded.
    """
    from mlpexp.prepare import Preparations

    checker = _Checker(about_hydra, config_dir, config_name, preparations or Preparations())
    found: list[Job] = []
    wrong: dict[str, list[int]] = {}
    for number, overrides in enumerate(jobs):
        try:
            found.append(Job(number, overrides, checker.check(overrides)))
        except ConfigError as error:
            wrong.setdefault(str(error), []).append(number)
    if wrong:
        lines = [
            f"{message} {_concerned(numbers)}" if numbered and len(numbers) < len(jobs) else message
            for message, numbers in wrong.items()
        ]
        more = [f"and {len(lines) - _MOST_LINES} more."] if len(lines) > _MOST_LINES else []
        raise JobsError([*lines[:_MOST_LINES], *more])
    check_keys([(job.config, job.overrides) for job in found])
    return found


def _concerned(numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[:_MOST_NUMBERS]))
    if len(numbers) > _MOST_NUMBERS:
        return f"({len(numbers)} jobs: {listed}, …)"
    return f"(job {listed})" if len(numbers) == 1 else f"(jobs {listed})"


class _Checker:
    """Checks job after job, and remembers what jobs share: composing, explaining, loading data take time."""

    def __init__(
        self, about_hydra: Sequence[str], config_dir: str | None, config_name: str, preparations: Preparations
    ) -> None:
        check_config_dir(config_dir)
        self._config_dir = config_dir
        try:
            with hydra_on(config_dir) as hydra:
                self._compose = JobComposer(
                    hydra.config_loader,
                    config_name,
                    about_hydra,
                    lambda choices: by_hydra([*about_hydra, *choices], config_dir, config_name, with_hydra=False),
                )
        except Exception as error:
            raise ConfigError(explain(error, about_hydra, config_dir)) from error
        self._overrides: dict[str, ConfigError | None] = {}
        self._explained: dict[tuple[object, ...], str] = {}
        self._preparations = preparations

    def check(self, overrides: list[str]) -> Config:
        """The job's config, or ConfigError."""
        for given in overrides:
            self._check_override(given)
        try:
            raw = self._compose(overrides)
        except Exception as error:
            raise ConfigError(self._explain(error, overrides)) from error
        config = checked(raw)
        self._preparations.of(config)
        return config

    def _check_override(self, given: str) -> None:
        if given not in self._overrides:
            self._overrides[given] = _error_of(check_overrides, [given])
        if error := self._overrides[given]:
            raise error

    def _explain(self, error: Exception, overrides: list[str]) -> str:
        """An explanation looks at configs composed anew; one does for a key that is none, whatever its values."""
        first = next(iter(str(error).splitlines()), "")
        key = (type(error), first, self._compose.choices(overrides)) if first else (error,)
        if key not in self._explained:
            # The sweeper writes True where the user wrote true.
            written = [re.sub("=(True|False)$", lambda found: found[0].lower(), given) for given in overrides]
            self._explained[key] = explain(error, written, self._config_dir)
        return self._explained[key]


def _error_of(check: Any, argument: Any) -> ConfigError | None:
    try:
        check(argument)
    except ConfigError as error:
        return error
    return None
