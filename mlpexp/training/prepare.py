"""All that can be wrong with a run before it starts: the data, the device, what does not fit together."""

from __future__ import annotations

import json
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch

from mlpexp.components.device import total_memory
from mlpexp.components.loss import Loss
from mlpexp.components.regularizer import regularizers
from mlpexp.config.metric import Picking
from mlpexp.config.schema import Config
from mlpexp.config.user_code import blamed_on, refused, users_components
from mlpexp.data.dataset import Data, Form
from mlpexp.data.file_cache import FileCache
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
# Bytes of data that are kept for a sweep, of which each seed may have a split.
_MOST_KEPT = 2**30


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
        return _prepared(config, lambda: _new(config, FileCache()) if data is None else data, set())


def _prepared(config: Config, load: Callable[[], Data], tried: set[Hashable]) -> Prepared:
    """As `prepare`; `tried` are users' components that have been, with data of this form."""
    device = config.device.find()
    if config.compile and device.type == "cpu" and not _has_compiler():
        raise ConfigError("compile=true: needs a C++ compiler, such as g++ or the one that CXX names; there is none.")
    users = users_components(config)
    data = load()
    to_try = users if (trial := (_source(config, unsplit=True), _alike(config), data.form)) not in tried else {}
    if to_try:
        _check_components(config, to_try, data)
    loss = config.loss.resolve(data.task)
    for part in config.regularizer:
        if part.smoothing and data.task.kind != "classification":
            name = regularizers.name_of(part)
            raise ConfigError(f"regularizer={name}: is for classification, and the dataset is a regression task.")
    if config.calibrate is not None and data.task.kind != "classification":
        raise ConfigError(
            f"calibrate={config.calibrate}: is for classification, and the dataset is a regression task; leave it out."
        )
    _check_metric(config, data)
    n_parameters = config.model.n_parameters(data.n_features, loss.n_outputs(data.task))
    check_memory(config, n_parameters, data.n_features, device)
    _check_batches(config, data, loss)
    if to_try:
        _try(config, to_try, data)
    tried.add(trial)
    return Prepared(config, data, device, loss, n_parameters)


def _new(config: Config, cache: FileCache) -> Data:
    """The data of a config, checked."""
    data = _loaded(config, lambda: config.dataset.load_with(data_dir(config), cache))
    check_finite(data)
    return data


def load_again(
    config: Config, known: Identity, directory: Path, file: Path | None = None, cache: FileCache | None = None
) -> Data:
    """The data that a run was trained on, with its stored split and preprocessing.

    `file` is the path of its table, if that was moved. ConfigError if the data have changed or are missing. Files are
    kept in `cache`.
    """
    dataset = config.dataset
    with refused():
        return _loaded(config, lambda: dataset.load_again(data_dir(config), known, directory, file, cache))


class Preparations:
    """Prepares configs: each file is read once for all of them, and its rows are split once for each dataset.

    Data beyond a gigabyte are freed, the least recently used first, and split again when they are needed.
    """

    def __init__(self, file: Path | None = None) -> None:
        """`file` is the path of the table of earlier runs, if that was moved."""
        self._file = file
        self._cache = FileCache()
        self._data: OrderedDict[Hashable, Data] = OrderedDict()
        self._forms: dict[Hashable, Form] = {}
        self._known: dict[Hashable, _Checked | ConfigError] = {}
        self._tried: set[Hashable] = set()
        # Of runs that go on, by their data; and the first of these of each file.
        self._again: dict[Hashable, _Earlier] = {}
        self._first: dict[Hashable, Hashable] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process loads the data again.
        return _going_on, (self._file, list(self._again.values()))

    def stored(self, config: Config, known: Identity, directory: Path) -> Data:
        """As `load_again`, once for all runs of the same data."""
        key = _source(config), json.dumps(known.plain)
        return self._kept(key, lambda: load_again(config, known, directory, self._file, self._cache))

    def go_on(self, config: Config, known: Identity, directory: Path) -> None:
        """From here on, configs with this dataset are prepared with the data that a run was trained on.

        Configs with other splits of it use the rows of the same file.
        """
        source, earlier = _source(config), _Earlier(config, known, directory)
        if self._again.setdefault(source, earlier).known.plain != known.plain:
            raise ConfigError(
                f"{directory}: was trained on other data than others of its sweep; resume them one by one."
            )
        self._first.setdefault(_source(config, unsplit=True), source)

    def of(self, config: Config) -> Prepared:
        """As `prepare`; of configs that differ only in what preparing ignores, such as the seed, one is checked."""
        key = _source(config), _alike(config)
        if key not in self._known:
            try:
                with refused():
                    found = _prepared(config, lambda: self._data_of(config), self._tried)
                self._known[key] = _Checked(found.device, found.loss, found.n_linear_parameters)
            except ConfigError as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, ConfigError):
            raise known
        return Prepared(config, self._data_of(config), known.device, known.loss, known.n_linear_parameters)

    def form(self, config: Config) -> Form:
        """`Data.form` of a config's."""
        source = _source(config)
        return self._forms[source] if source in self._forms else self.of(config).data.form

    def _data_of(self, config: Config) -> Data:
        source, of_file = _source(config), _source(config, unsplit=True)

        def load() -> Data:
            if source in self._again:
                return self._load_again(source)
            if of_file in self._first:
                # Which is refused where the file is another one now.
                first = self._first[of_file]
                self._kept(first, partial(self._load_again, first))
            if source in self._forms:
                return config.dataset.load_with(data_dir(config), self._cache)
            return _new(config, self._cache)

        data = self._kept(source, load)
        self._forms[source] = data.form
        return data

    def _load_again(self, source: Hashable) -> Data:
        earlier = self._again[source]
        return load_again(earlier.config, earlier.known, earlier.directory, self._file, self._cache)

    def _kept(self, key: Hashable, load: Callable[[], Data]) -> Data:
        if key not in self._data:
            self._data[key] = load()
        self._data.move_to_end(key)
        n_bytes = sum(data.n_bytes for data in self._data.values())
        while n_bytes > _MOST_KEPT and len(self._data) > 1:
            n_bytes -= self._data.popitem(last=False)[1].n_bytes
        return self._data[key]


@dataclass(frozen=True)
class _Earlier:
    """A run that goes on, or begins anew, on the data that it had."""

    config: Config
    known: Identity
    directory: Path


def _going_on(file: Path | None, earlier: Sequence[_Earlier]) -> Preparations:
    preparations = Preparations(file)
    for run in earlier:
        preparations.go_on(run.config, run.known, run.directory)
    return preparations


@dataclass(frozen=True)
class _Checked:
    """What `Prepared` has besides config and data."""

    device: torch.device
    loss: Loss
    n_linear_parameters: int


def _source(config: Config, *, unsplit: bool = False) -> Hashable:
    """The key of a config's data; with `unsplit` it is the same for all splits of them."""
    return config.dataset.unsplit if unsplit else config.dataset, config.data_dir


def _alike(config: Config) -> Hashable:
    """What preparing looks at, besides the data."""
    network = (config.model, config.loss, config.regularizer, config.batch_size, config.metric, config.calibrate)
    how = (config.optimizer.full_batch, config.device, config.compile, config.deterministic)
    return network, tuple(users_components(config).values()), how


def _loaded(config: Config, load: Callable[[], Data]) -> Data:
    """The data of a config that `load` gives; where its dataset is a user's, they are checked."""
    users = users_components(config)
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
