"""The jobs of a sweep: all combinations of the values in a command line, all checked before the first one starts."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import Override

from mlpexp.config.compose import Composer
from mlpexp.config.effects import check_keys
from mlpexp.config.hydra_adapter import config_loader
from mlpexp.config.overrides import count, is_about_hydra, is_about_sweep, parse_override, values
from mlpexp.config.schema import Config, Sweep
from mlpexp.errors import ConfigError, pluralize, unknown
from mlpexp.fields.convert import show
from mlpexp.run.names import directory_name, varied
from mlpexp.run.sweep_record import JobRecord, lies_within

if TYPE_CHECKING:
    from mlpexp.training.prepare import Preparations

MOST_JOBS = 100_000
# At most this many mistakes are listed, and this many jobs for each.
_MOST_LINES = 20
_MOST_NUMBERS = 5
# The longest name of a file, in bytes, on common file systems.
_LONGEST_NAME = 255


@dataclass(frozen=True)
class Job:
    """One run of a sweep."""

    number: int
    overrides: list[str]
    config: Config
    directory: str = ""  # relative to that of the sweep; empty where nothing is written


def expand(
    overrides: Sequence[str],
    params: Mapping[str, str] | None = None,
    config_dir: str | None = None,
    sweep: Sweep = Sweep(),  # noqa: B008  (it is frozen)
) -> list[list[str]]:
    """The overrides of each job of a command line, combined with the `hydra.sweeper.params` of a config.

    >>> expand(["seed=0,1", "epochs=3"], {"seed": "7", "activation": "relu,gelu"})
    [['seed=0', 'activation=relu', 'epochs=3'], ['seed=0', 'activation=gelu', 'epochs=3'],
     ['seed=1', 'activation=relu', 'epochs=3'], ['seed=1', 'activation=gelu', 'epochs=3']]

    They are those of Hydra's basic sweeper, in its order; shuffle(…) is evaluated here, once. ConfigError for values
    that cannot be enumerated, and for more than 100,000 jobs.
    """
    return [list(itertools.chain(*job)) for job in itertools.product(*axes(overrides, params, config_dir, sweep))]


def axes(
    overrides: Sequence[str],
    params: Mapping[str, str] | None = None,
    config_dir: str | None = None,
    sweep: Sweep = Sweep(),  # noqa: B008  (it is frozen)
) -> list[list[list[str]]]:
    """The axes of a sweep, see `expand`: for each axis the values, and for each value the overrides that set it.

    An axis is a key, the keys that `sweep.zip` combines, or `sweep.settings`.
    """
    listed = [*(f"{key}={value}" for key, value in (params or {}).items()), *overrides]
    given = [text for text in listed if not is_about_sweep(text)]
    wrong: list[str] = []
    # As in Hydra's sweeper, the last value of a key takes precedence.
    by_key = {}
    for text in given:
        try:
            override = parse_override(text)
            by_key[override.get_key_element()] = override
        except ConfigError as error:
            wrong += error.lines
    if wrong:
        raise ConfigError(*wrong)
    swept = any(override.is_sweep_override() for override in by_key.values())
    loader = config_loader(config_dir) if swept else None
    counts = {key: count(override, loader) for key, override in by_key.items()}
    zipped = _zipped(sweep.zip, counts)
    settings = _settings(sweep.settings, by_key)
    n_jobs = math.prod(n for key, n in counts.items() if key not in zipped[1:]) * max(1, len(settings))
    if n_jobs > MOST_JOBS:
        raise too_many(n_jobs)
    lists = {key: [[value] for value in values(override, loader)] for key, override in by_key.items()}
    if zipped:
        together = zip(*(lists[key] for key in zipped), strict=True)
        lists[zipped[0]] = [list(itertools.chain(*parts)) for parts in together]
    return [*(lists[key] for key in lists if key not in zipped[1:]), *([settings] if settings else [])]


def _zipped(names: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    """The keys of `sweep.zip`, as written in the command line.

    ConfigError if one is missing, if there is only one, or if their numbers of values differ.
    """
    given = f"sweep.zip={show(list(names))}"
    known = {key.lstrip("+"): key for key in counts}
    if lacking := next((name for name in names if name not in known), None):
        raise ConfigError(unknown(f"{given}: the sweep gives {lacking} no values", lacking, known))
    keys = [known[name] for name in dict.fromkeys(names)]
    if len(keys) == 1:
        raise ConfigError(f"{given}: must name at least two keys, whose values go together.")
    if len({counts[key] for key in keys}) > 1:
        numbers = ", ".join(f"{key} has {pluralize(counts[key], 'value')}" for key in keys)
        raise ConfigError(f"{given}: {numbers}; values that go together must be equally many.")
    return keys


def _settings(settings: Sequence[Sequence[str]], by_key: Mapping[str, Override]) -> list[list[str]]:
    """The overrides of each setting; ConfigError if one is invalid, or sets a key that the command line sets too."""
    wrong: list[str] = []
    taken = {key.lstrip("+") for key in by_key}
    for text in dict.fromkeys(itertools.chain(*settings)):
        try:
            override = parse_override(text)
        except ConfigError as error:
            wrong += [f"sweep.settings: {line}" for line in error.lines]
            continue
        key = override.get_key_element().lstrip("+")
        if override.is_sweep_override():
            wrong.append(f"sweep.settings: {text}: must be one value; a setting for each, or a list in brackets.")
        elif is_about_hydra(text) or is_about_sweep(text):
            wrong.append(f"sweep.settings: {text}: is about the sweep as a whole, and no part of a setting.")
        elif key in taken:
            wrong.append(f"sweep.settings: {text}: {key} has a value of its own in this sweep; leave out one of them.")
    if wrong:
        raise ConfigError(*wrong)
    return [list(setting) for setting in settings]


def too_many(n_jobs: int) -> ConfigError:
    """The error for a sweep of more jobs than `MOST_JOBS`."""
    return ConfigError(f"the sweep has {n_jobs:,} jobs, and more than {MOST_JOBS:,} are refused; give fewer values.")


def check_jobs(
    jobs: Sequence[list[str]],
    composer: Composer,
    *,
    numbered: bool = True,
    preparations: Preparations | None = None,
    first: int = 0,
    beside: Sequence[tuple[Config, Sequence[str]]] = (),
) -> list[Job]:
    """The jobs with their configs; or one ConfigError with a line for each mistake in any of them.

    With `numbered` a line names the jobs that have the mistake, unless all have it. `preparations` cache the data that
    are loaded. `first` is the number of the first job; `beside` are the configs and overrides of earlier jobs of the
    sweep: an override must have an effect in at least one job, new or earlier.
    """
    from mlpexp.training.prepare import Preparations

    preparations = preparations or Preparations()
    keys = varied([*(overrides for _, overrides in beside), *jobs])
    found: list[Job] = []
    wrong: dict[str, list[int]] = {}
    for number, overrides in enumerate(jobs, first):
        try:
            config = composer.config(overrides)
            preparations.of(config)
            place = composer.place(overrides, number, directory_name(number, overrides, keys))
            found.append(Job(number, overrides, config, place))
        except ConfigError as error:
            for line in error.lines:
                wrong.setdefault(line, []).append(number)
    if wrong:
        lines = [
            f"{message} {_concerned(numbers)}" if numbered and len(numbers) < len(jobs) else message
            for message, numbers in wrong.items()
        ]
        more = [f"and {len(lines) - _MOST_LINES} more."] if len(lines) > _MOST_LINES else []
        raise ConfigError(*lines[:_MOST_LINES], *more)
    check_keys([*beside, *((job.config, job.overrides) for job in found)])
    return found


def _concerned(numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[:_MOST_NUMBERS]))
    if len(numbers) > _MOST_NUMBERS:
        return f"({len(numbers)} jobs: {listed}, …)"
    return f"(job {listed})" if len(numbers) == 1 else f"(jobs {listed})"


def job_records(jobs: Sequence[Job]) -> list[JobRecord]:
    """The records of jobs for sweep.json. ConfigError unless each has its own directory within that of the sweep."""
    if len({PurePath(job.directory) for job in jobs}) < len(jobs):
        raise ConfigError("hydra.sweep.subdir: must give each job a directory of its own, as ${hydra.job.num} does.")
    for job in jobs:
        if any(len(os.fsencode(part)) > _LONGEST_NAME for part in PurePath(job.directory).parts):
            shown = show(job.directory)
            raise ConfigError(f"hydra.sweep.subdir={shown}: must have names of at most {_LONGEST_NAME} bytes.")
        if not lies_within(job.directory):
            where = f"that of job {job.number} is {job.directory}"
            raise ConfigError(f"hydra.sweep.subdir: must lie within the sweep's directory; {where}.")
    return [JobRecord(job.number, job.overrides, job.directory, job.config.to_dict()) for job in jobs]
