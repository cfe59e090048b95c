"""All that can be wrong with a run before it starts: the data, the device, what does not fit together."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch

from mlpexp.components.device import total_memory
from mlpexp.components.loss import Loss
from mlpexp.components.regularizer import regularizers
from mlpexp.config.metric import Picking
from mlpexp.config.schema import Config
from mlpexp.config.user_code import blamed_on, refused, users_components
from mlpexp.data.dataset import Data
from mlpexp.data.identity import Identity
from mlpexp.engine.metrics import undefined
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import show

_FLOAT = 4  # bytes
# Tensors of the size of the weights: themselves, their gradients, two moments of the optimizer, the best so far, and
# copies while a checkpoint is written.
_LIKE_WEIGHTS = 8
# Tensors of the size of a hidden layer's outputs: the product, the normalised one, the activation, dropout and its
# mask, and gradients.
_LIKE_OUTPUTS = 8


@dataclass(frozen=True)
class Prepared:
    """A config with its data (on the CPU) and device. Nothing has been written yet."""

    config: Config
    data: Data
    device: torch.device
    loss: Loss  # what `auto` stands for
    n_linear_parameters: int  # of the linear layers, without those of normalisation


def prepare(config: Config, data: Data | None = None) -> Prepared:
    """Loads the data and finds the device, or says in a ConfigError why the config cannot be run.

    `data` are those of the config, where they are loaded already.
    """
    with refused():
        return _prepared(config, data)


def _prepared(config: Config, data: Data | None) -> Prepared:
    device = config.device.find()
    if config.compile and device.type == "cpu" and not _has_compiler():
        raise ConfigError("compile=true: needs a C++ compiler, such as g++ or the one that CXX names; there is none.")
    users = users_components(config)
    if data is None:
        data = _loaded(config, users, lambda: config.dataset.load(data_dir(config)))
        check_finite(data)
    if users:
        _check_components(config, users, data)
    loss = config.loss.resolve(data.task)
    for part in config.regularizer:
        if part.smoothing and data.task.kind != "classification":
            name = regularizers.name_of(part)
            raise ConfigError(f"regularizer={name}: is for classification, and the dataset is a regression task.")
    _check_metric(config, data)
    n_parameters = config.model.n_parameters(data.n_features, loss.n_outputs(data.task))
    check_memory(config, n_parameters, data.n_features, device)
    _check_batches(config, data, loss)
    if users:
        _try(config, users, data)
    return Prepared(config, data, device, loss, n_parameters)


def load_again(config: Config, known: Identity, directory: Path, file: Path | None = None) -> Data:
    """The data that the run of a directory was trained on, as it notes them: nothing is fitted or split anew.

    `file` is where its table lies now. ConfigError where the data are others now, or not there.
    """
    dataset, users = config.dataset, users_components(config)
    with refused():
        return _loaded(config, users, lambda: dataset.load_again(data_dir(config), known, directory, file))


class Preparations:
    """Prepares configs, and loads each dataset once for all of them."""

    def __init__(self, file: Path | None = None) -> None:
        """`file` is where the table of runs that were trained before lies now."""
        self._file = file
        self._data: dict[Hashable, Data] = {}
        self._known: dict[Hashable, Prepared | ConfigError] = {}
        self._stored: dict[Hashable, Data] = {}

    def stored(self, config: Config, known: Identity, directory: Path) -> Data:
        """As `load_again`, once for all runs of the same data."""
        key = _source(config), json.dumps(known.plain)
        if key not in self._stored:
            self._stored[key] = load_again(config, known, directory, self._file)
        return self._stored[key]

    def go_on(self, config: Config, known: Identity, directory: Path) -> None:
        """From here on, configs with this dataset are prepared with the data that a run was trained on."""
        data = self.stored(config, known, directory)
        if self._data.setdefault(_source(config), data) is not data:
            raise ConfigError(
                f"{directory}: was trained on other data than others of its sweep; resume them one by one."
            )

    def of(self, config: Config) -> Prepared:
        """As `prepare`; configs that differ only in what preparing ignores, such as the seed, share one result."""
        source = _source(config)
        network = (config.model, config.loss, config.regularizer, config.batch_size, config.metric)
        own = tuple(users_components(config).values())
        how = (config.optimizer.full_batch, config.device, config.compile, config.deterministic)
        key = (source, network, own, how)
        if key not in self._known:
            try:
                self._known[key] = prepare(config, self._data.get(source))
            except ConfigError as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, ConfigError):
            raise known
        self._data.setdefault(source, known.data)
        return known


def _source(config: Config) -> Hashable:
    return config.dataset, config.data_dir


def _loaded(config: Config, users: Mapping[str, Any], load: Callable[[], Data]) -> Data:
    """The data of a config that `load` gives; where its dataset is a user's, they are checked."""
    choice = next((choice for choice, part in users.items() if part is config.dataset), None)
    if choice is None:
        return load()
    from mlpexp.engine.contract import check_data

    with blamed_on(choice, config.dataset):
        data = load()
        check_data(choice, config.dataset, data)
    return data


def _check_components(config: Config, users: Mapping[str, Any], data: Data) -> None:
    """ConfigError for the first component of a user's that does not return what its kind must."""
    from mlpexp.engine.contract import check_component
    from mlpexp.engine.trial import few_rows

    rows = few_rows(data)
    for choice, component in users.items():
        check_component(choice, component, config, rows)


def _try(config: Config, users: Mapping[str, Any], data: Data) -> None:
    """ConfigError where users' components fail in a training step."""
    from mlpexp.engine.trial import few_rows, try_epoch

    with blamed_on(", ".join(users), next(iter(users.values()))):
        try_epoch(config, few_rows(data))


def _has_compiler() -> bool:
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ([named] if named else ["g++", "clang++"]))


def data_dir(config: Config) -> Path:
    """Where data sets that are files lie: `data_dir`, else $MLPEXP_DATA_DIR, else ./data."""
    return Path(config.data_dir or os.environ.get("MLPEXP_DATA_DIR") or "data").expanduser()


def check_finite(data: Data) -> None:
    """ConfigError naming the first value of the data that is not finite: its loss would not be either."""
    for name, split in data.splits().items():
        for values, names in ((split.x, data.feature_names), (split.y.reshape(len(split), -1), (data.target_name,))):
            bad = (~values.isfinite()).nonzero()
            if values.is_floating_point() and len(bad):
                row, column = bad[0].tolist()
                called = f"'{names[column]}'" if column < len(names) else str(column + 1)
                raise ConfigError(
                    f"dataset={data.name}: row {row + 1} of its {name} split, column {called}: is "
                    f"{values[row, column].item()}; {_counted(len(bad))} not finite."
                )


def _check_metric(config: Config, data: Data) -> None:
    """ConfigError where the metric that is to pick the best epoch is of another task, or is undefined."""
    task, name = data.task, config.metric
    if name is None:
        return
    fitting = [other for other in get_args(Picking) if other in task.metrics]
    if name not in fitting:
        raise ConfigError(
            f"metric={name}: is not for {task.kind}, which the dataset is. Choose from: {', '.join(fitting)}."
        )
    if (why := undefined(task, data.val.y, "the val split").get(name)) is not None:
        raise ConfigError(f"metric={name}: {why}, so that no epoch has it; choose another metric, such as loss.")


def _check_batches(config: Config, data: Data, loss: Loss) -> None:
    """ConfigError where all batches have a single row, and the network cannot learn from them."""
    from mlpexp.engine.batches import least_rows

    n = len(data.train)
    if n > 1 and (config.optimizer.full_batch or config.batch_size > 1):
        return
    with torch.random.fork_rng(devices=[]):
        module = config.model.build(data.n_features, loss.n_outputs(data.task), config.activation, config.regularizer)
    if (least := least_rows(module)) > 1:
        why = f"batch_size={config.batch_size}:" if n > 1 else f"dataset={data.name}: has 1 training row, and"
        raise ConfigError(f"{why} the network's batch normalisation needs at least {least} rows in a batch.")


def _counted(n: int) -> str:
    return "one value is" if n == 1 else f"{n:,} values are"


def check_memory(config: Config, n_parameters: int, n_features: int, device: torch.device) -> None:
    """ConfigError where a network is too large for the device."""
    needed, total = memory_needed(config, n_parameters, n_features), total_memory(device)
    if total is not None and needed > total:
        hidden = f"model.hidden={show(config.model.hidden)}" if hasattr(config.model, "hidden") else "model"
        raise ConfigError(
            f"{hidden}: makes {n_parameters:,} parameters; training them takes {needed / 2**30:.0f} GiB, "
            f"and the device has {total / 2**30:.0f} GiB of memory. Choose smaller layers."
        )


def memory_needed(config: Config, n_parameters: int, n_features: int) -> int:
    """About how many bytes a run takes besides its data."""
    widths = [n_features, *getattr(config.model, "hidden", ())]
    return _FLOAT * (_LIKE_WEIGHTS * n_parameters + _LIKE_OUTPUTS * config.batch_size * sum(widths))
