"""What shows when a component trains: in a small network, from a checkpoint, in bfloat16, in a stack."""

from __future__ import annotations

import dataclasses
import io
import math
import pickle
import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch

from mlpexp.components.device import Device, available, devices
from mlpexp.components.loss import Loss
from mlpexp.components.model import MLP
from mlpexp.components.optimizer import Optimizer
from mlpexp.config.compose import compose
from mlpexp.config.locate import CONF
from mlpexp.config.schema import LIST_GROUPS, Config
from mlpexp.config.user_code import blamed_on, in_one_line
from mlpexp.data.dataset import Data, Dataset, datasets
from mlpexp.data.task import Task
from mlpexp.engine.contract import check_component, check_data
from mlpexp.engine.loop import Engine, Row
from mlpexp.engine.process import runtime_context
from mlpexp.engine.trial import few_rows, why_alone
from mlpexp.errors import ConfigError
from mlpexp.sweep.plan import alone_by_config
from mlpexp.testing.declaration import Place
from mlpexp.training.prepare import check_finite, data_dir

# What makes a run take milliseconds. With forty points in the plane the last batch of an epoch is a short one.
_SMALL: dict[str, Any] = {"epochs": 4, "batch_size": 16, "device": devices["cpu"](), "model": MLP((8, 8))}
# A task of each kind: values, two classes and more. Those that a loss is for are tried, of other components the last.
_TASKS: list[Dataset] = [datasets[name](n_samples=40) for name in ("sine", "moons", "spirals")]  # type: ignore[call-arg]
# Of a dataset at most so many rows a split are trained on.
_ROWS = 64
# How many epochs are behind the checkpoint that training goes on from.
_HALF = 2


def small_config(place: Place, overrides: Sequence[str]) -> Config:
    """The config that chooses the component, made small where the overrides do not speak of it."""
    chosen = f"{place.group}=[{place.name}]" if place.group in LIST_GROUPS else f"{place.group}={place.name}"
    config = compose([chosen, *overrides], None if place.config_dir == CONF else place.config_dir)
    said = {place.group, *(re.split(r"[.=]", override)[0] for override in overrides)}
    small = {key: value for key, value in {"dataset": _TASKS[-1], **_SMALL}.items() if key not in said}
    return dataclasses.replace(config, **small)


def tried(place: Place, part: Any, config: Config) -> str | None:
    """Why a component trains alone, or None; ConfigError with what goes wrong when it trains."""
    if isinstance(part, Device):
        try:
            device = part.find()
        except ConfigError:
            # This machine has no such device.
            return None
        # On other devices the same bits are guaranteed only with it.
        config = dataclasses.replace(config, deterministic=device.type != "cpu")
    configs = [config]
    if isinstance(part, Loss) and config.dataset is _TASKS[-1]:
        configs = [dataclasses.replace(config, dataset=dataset) for dataset in _TASKS]
    trials = [(one, _data(place, part, one)) for one in configs]
    if isinstance(part, Loss):
        trials = [(one, data) for one, data in trials if _is_for(part, data.task)]
    if not trials:
        raise ConfigError(
            f"{place.choice}: is for no task; resolve must return a loss for classification or regression."
        )
    return next(filter(None, [_tried_on(place, part, *trial) for trial in trials]), None)


def _is_for(loss: Loss, task: Task) -> bool:
    """Whether a loss takes a task; one that raises on it counts too, so that its error is reported."""
    try:
        loss.resolve(task)
    except ConfigError:
        return False
    except Exception:
        return True
    return True


def _data(place: Place, part: Any, config: Config) -> Data:
    """A part of the data; those of the dataset that is checked are looked at."""
    with blamed_on(place.choice, part), torch.random.fork_rng(devices=[]):
        data = config.dataset.load(data_dir(config))
        if part is config.dataset:
            check_data(place.choice, part, data)
            check_finite(data)
            torch.default_generator.manual_seed(torch.initial_seed() + 1)
            _check_same(place.choice, data, config.dataset.load(data_dir(config)))
    train, val, test = (split.sample(_ROWS) for split in (data.train, data.val, data.test))
    return dataclasses.replace(data, train=train, val=val, test=test)


def _check_same(choice: str, data: Data, again: Data) -> None:
    """ConfigError where a dataset is another one when it is loaded again, as `mlpexp eval` does."""
    for name, split in data.splits().items():
        other = again.splits()[name]
        if not (torch.equal(split.x, other.x) and torch.equal(split.y, other.y)):
            raise ConfigError(
                f"{choice}: load returns other rows of its {name} split the second time; random numbers must come from "
                "a generator of its own, with a seed that is a field."
            )


def _tried_on(place: Place, part: Any, config: Config, data: Data) -> str | None:
    choice = place.choice
    if part is not config.dataset:
        check_component(choice, part, config, few_rows(data))
    with blamed_on(choice, part):
        start, _ = _epochs(config, data, 0)
    end = _trained(choice, part, config, data)
    reason = alone_by_config(config)
    if reason is None and (why := why_alone(part, data.task, data.n_features)) is not None:
        reason = f"{choice}: {why}"
    changes: dict[str, dict[str, Any]] = {"precision=bf16": {"precision": "bf16"}}
    if not isinstance(part, Device):
        changes |= {f"device={name}": {"device": devices[name]()} for name in available() if name != "cpu"}
    trials: list[Callable[[], object]] = [
        partial(_check_states, choice, part, config, data, start, end),
        *(
            partial(_trained, f"{choice} {what}", part, dataclasses.replace(config, **change), data)
            for what, change in changes.items()
        ),
        partial(_check_claim, part, reason),
    ]
    errors = []
    for trial in trials:
        try:
            trial()
        except ConfigError as error:
            errors.append(error)
    if errors:
        lines = [line for error in errors for line in error.lines]
        raise ConfigError(*lines) from next(filter(None, (error.__cause__ for error in errors)), None)
    return reason


def _check_claim(part: Any, alone: str | None) -> None:
    """ConfigError where an optimizer declares that it can serve a stack, and cannot."""
    if isinstance(part, Optimizer) and part.elementwise and alone is not None:
        raise ConfigError(f"{alone}; its elementwise = True is wrong.")


def _trained(choice: str, part: Any, config: Config, data: Data) -> dict[str, Any]:
    """The state that training ends in; ConfigError where it fails, or its losses are not finite."""
    with blamed_on(choice, part):
        end, rows = _epochs(config, data)
    for row in rows:
        for split, tag in (("training", "loss/train"), ("validation", "loss/val")):
            if not math.isfinite(row[tag]):
                raise ConfigError(
                    f"{choice}: the {split} loss is {row[tag]} in epoch {row['epoch']:.0f} of a small network on "
                    f"{data.name}."
                )
    return end


def _check_states(choice: str, part: Any, config: Config, data: Data, start: Any, end: Any) -> None:
    """ConfigError where a network stays as it is, a seed does not decide what it becomes, or a checkpoint lacks what
    training needs to go on."""
    lines = []
    if _same(start["module"], end["module"]):
        lines.append(f"{choice}: training leaves all weights as they were.")
    with blamed_on(choice, part):
        half, _ = _epochs(config, data, _HALF)
        again, _ = _epochs(config, data)
    try:
        file = io.BytesIO()
        torch.save(half, file)
        file.seek(0)
        half = torch.load(file, weights_only=True)
    except (pickle.PickleError, AttributeError, TypeError) as error:
        reason = in_one_line(error).split(". ")[0]  # without torch's advice on it
        line = f"{choice}: its state cannot go through a checkpoint, which holds tensors and plain data: {reason}."
        raise ConfigError(*lines, line) from error
    with blamed_on(choice, part):
        resumed, _ = _epochs(config, data, state=half)
    if not _same(again, end):
        lines.append(
            f"{choice}: the same seed gives other numbers the second time; random numbers must come from torch, and "
            "what is built must not depend on what was built before."
        )
    elif not _same(resumed, end):
        lines.append(
            f"{choice}: a run that goes on from a checkpoint ends with other numbers than one that was not stopped; "
            "what is kept from step to step must be in the state_dict of the optimizer or module."
        )
    if lines:
        raise ConfigError(*lines)


def _epochs(
    config: Config, data: Data, n: int | None = None, state: dict[str, Any] | None = None
) -> tuple[dict[str, Any], list[Row]]:
    """The state that `n` epochs end in, or all that there are, and a row of history for each."""
    with torch.random.fork_rng(devices=[]), runtime_context(config, 1) as device:
        engine = Engine([config], data, device)
        if state is not None:
            engine.load_state_dicts([state])
        rows = [row for (row,) in islice(engine.epochs(), n)]
        return engine.state_dict(0), rows


def _same(one: Any, other: Any) -> bool:
    """Whether two states hold the same bits."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one.nan_to_num(), other.nan_to_num())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
