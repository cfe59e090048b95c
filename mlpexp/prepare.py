"""All that can be wrong with a run before it starts: the data, the device, what does not fit together."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from mlpexp import memory
from mlpexp.components.loss import Loss
from mlpexp.config.convert import show
from mlpexp.config.schema import Config
from mlpexp.data.dataset import Data
from mlpexp.errors import ConfigError


@dataclass(frozen=True)
class Prepared:
    """A config with its data (on the CPU) and device. Nothing has been written yet."""

    config: Config
    data: Data
    device: torch.device
    loss: Loss  # what `auto` stands for
    n_parameters: int  # of the linear layers


def prepare(config: Config, data: Data | None = None) -> Prepared:
    """Loads the data and finds the device, or says in a ConfigError why the config cannot be run.

    `data` are those of the config, where they are loaded already.
    """
    if config.deterministic:
        # cuBLAS reads this when it is first used; without it torch refuses to promise the same bits.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = config.device.find()
    if config.compile and device.type == "cpu" and not _has_compiler():
        raise ConfigError("compile=true: needs a C++ compiler, such as g++ or the one that CXX names; there is none.")
    if data is None:
        data = config.dataset.load(data_dir(config))
        _check_finite(data)
    loss = config.loss.resolve(data.task)
    for name, part in config.regularizer.items():
        if part.smoothing and data.task.kind != "classification":
            raise ConfigError(f"regularizer={name}: is for classification, and the dataset is a regression task.")
    n_parameters = config.model.n_parameters(data.n_features, loss.n_outputs(data.task))
    _check_memory(config, n_parameters, data.n_features, device)
    _check_batches(config, data, loss)
    return Prepared(config, data, device, loss, n_parameters)


class Preparations:
    """Prepares configs, and loads each dataset once for all of them."""

    def __init__(self) -> None:
        self._data: dict[str, Data] = {}
        self._known: dict[str, Prepared | ConfigError] = {}

    def of(self, config: Config) -> Prepared:
        """As `prepare`, but for the seed and whatever else does not matter to it."""
        source = repr((config.dataset, config.data_dir))
        network = (config.model, config.loss, config.regularizer, config.batch_size)
        how = (config.optimizer.full_batch, config.device, config.compile, config.deterministic)
        key = f"{source} {network} {how}"
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


def _has_compiler() -> bool:
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ([named] if named else ["g++", "clang++"]))


def data_dir(config: Config) -> Path:
    """Where data sets that are files lie: `data_dir`, else $MLPEXP_DATA_DIR, else ./data."""
    return Path(config.data_dir or os.environ.get("MLPEXP_DATA_DIR") or "data").expanduser()


def _check_finite(data: Data) -> None:
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


def _check_batches(config: Config, data: Data, loss: Loss) -> None:
    """ConfigError where batches of a single row are all there is, and the network cannot learn from them."""
    from mlpexp.engine.stack import needs_two_rows

    n = len(data.train)
    if n > 1 and (config.optimizer.full_batch or config.batch_size > 1):
        return
    with torch.random.fork_rng(devices=[]):
        regularizers = list(config.regularizer.values())
        module = config.model.build(data.n_features, loss.n_outputs(data.task), config.activation, regularizers)
    if needs_two_rows(module):
        why = f"batch_size={config.batch_size}:" if n > 1 else f"dataset={data.name}: has 1 training row, and"
        raise ConfigError(f"{why} the network's batch normalisation needs at least 2 rows in a batch.")


def _counted(n: int) -> str:
    return "one value is" if n == 1 else f"{n:,} values are"


def _check_memory(config: Config, n_parameters: int, n_features: int, device: torch.device) -> None:
    needed, total = memory.needed(config, n_parameters, n_features), memory.total(device)
    if total is not None and needed > total:
        hidden = f"model.hidden={show(config.model.hidden)}" if hasattr(config.model, "hidden") else "model"
        raise ConfigError(
            f"{hidden}: makes {n_parameters:,} parameters; training them takes {needed / 2**30:.0f} GiB, "
            f"and the device has {total / 2**30:.0f} GiB of memory. Choose smaller layers."
        )
