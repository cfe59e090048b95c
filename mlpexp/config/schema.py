"""The whole config of a run as checked dataclasses: what composing YAML and overrides ends in.

Everything downstream reads this, never the raw config.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlpexp import markup
from mlpexp.components.activation import Activation
from mlpexp.components.device import Device
from mlpexp.components.init import Init
from mlpexp.components.loss import Loss
from mlpexp.components.model import Model
from mlpexp.components.optimizer import Optimizer, optimizers
from mlpexp.components.regularizer import Regularizer
from mlpexp.components.scheduler import Scheduler
from mlpexp.config.groups import GROUPS, LIST_GROUPS, REGISTRIES
from mlpexp.config.metric import Picking
from mlpexp.config.report import Report
from mlpexp.data.dataset import Dataset
from mlpexp.errors import ConfigError, UnknownNameError
from mlpexp.fields.convert import as_plain, build, convert, hints_of, show, wrong_keys
from mlpexp.fields.ranges import Count, Index, NonNegative, PathName, Positive
from mlpexp.fields.registry import Registry
from mlpexp.figures.formats import Format


@dataclass(frozen=True)
class Clip:
    """Limits on the gradient."""

    norm: Positive | None = None
    """Maximum norm of the gradient over all parameters; null: no limit."""
    value: Positive | None = None
    """Maximum absolute value of each element of the gradient; null: no limit."""


@dataclass(frozen=True)
class Log:
    """What is written of a run."""

    tensorboard: bool = True
    """Whether event files for TensorBoard are written."""
    figures: Literal[True, False, "all"] = True
    """Which runs have figures, files and images in TensorBoard, drawn at their end. true: of runs that train as one
    stack, such as those of a sweep, the best one of each setting by its validation score; all: every run; false: none.
    `mlpexp eval RUN` draws those of any run later."""
    format: Format = "png"
    """Format of the files of figures, those of a sweep too: png (200 dots an inch), svg, or pdf."""
    confusion_every: Index = 0
    """Epochs from one confusion matrix in TensorBoard to the next; 0: at the end only."""
    histograms: Index = 5
    """Number of epochs, evenly spread, at which histograms of the weights are written for TensorBoard; 0: none."""
    diagnostics: Index = 100
    """Approximate number of epochs, evenly spread, at which dead and saturated units are counted; 0: none."""


@dataclass(frozen=True)
class Stack:
    """Training several runs as one model."""

    max_members: Count | None = None
    """Maximum number of runs that train as one model; null: as many as fit into memory; 1: each run alone."""
    processes: Count | None = None
    """Number of processes that train at the same time, each another stack on one core of the CPU; null: as many as
    there are cores and as are worth starting; 1: one stack after the other."""


@dataclass(frozen=True)
class Sweep:
    """Which jobs the values that a sweep lists make, where these are not all combinations."""

    zip: tuple[str, ...] = ()
    """Keys whose values go together, the first with the first and so on, such as [optimizer,optimizer.lr]."""
    settings: tuple[tuple[str, ...], ...] = ()
    """Settings, each a list of overrides such as [optimizer=sgd, optimizer.lr=0.1]; each is combined with the other
    values of the sweep. On the command line each override stands in quotes."""


@dataclass(frozen=True)
class Checkpoint:
    """Saving the state of a run."""

    every_seconds: NonNegative = 10.0
    """Minimum seconds from one write to the next; each follows the end of an epoch."""


@dataclass(frozen=True)
class Config:
    """One run, whole."""

    dataset: Dataset
    """What is learned: rows of features, each with a class or a value, in three splits."""
    model: Model
    """The network."""
    activation: Activation
    """The function between the layers, element by element."""
    init: Init
    """The distribution of the weights before the first step."""
    loss: Loss
    """What training minimises; auto: the one that suits the dataset."""
    optimizer: Optimizer
    """How the gradient changes the weights in each step."""
    scheduler: Scheduler
    """How the learning rate changes during the run."""
    device: Device
    """Where the run is computed: CPU or GPU."""
    regularizer: tuple[Regularizer, ...] = ()
    """Methods against overfitting; several can be combined, [] is none."""
    epochs: Count = 50
    """Passes over the training rows."""
    batch_size: Count = 32
    """Training rows in each step."""
    metric: Picking | None = None
    """Metric that picks the best epoch on the validation split, and ranks settings on the test split. null: accuracy;
    of values the loss picks and R² ranks. Choosing by accuracy costs probabilities (log loss 0.427 against 0.369 over
    36 runs): take loss where these count. With unequal classes accuracy says little (where 6 % are positive, a network
    that always answers no has 0.94): take roc_auc, balanced_accuracy or loss. Early stopping and scheduler=plateau
    watch the validation loss in any case."""
    calibrate: Literal["temperature"] | None = None
    """temperature: after training one number T is fitted on the validation split, for the weights of the best epoch;
    class probabilities are then those of outputs divided by T, wherever they come out (Guo et al. 2017). Which class
    is predicted, and the loss, stay. For classification. null: none is fitted."""
    seed: Index = 0
    """Decides the initial weights, the order of the batches, dropout and noise; and the split of the data, unless
    dataset.seed is given."""
    clip: Clip = field(default_factory=Clip)
    """Gradient clipping after each backward pass: by norm first, then by value. optimizer=lbfgs takes none."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of the products; bf16: bfloat16 by torch.autocast, with weights that stay float32."""
    compile: bool = False
    """Whether torch.compile compiles the network: it pays off on a GPU and in long runs only."""
    deterministic: bool = False
    """Whether only algorithms are used that give the same bits each time, on a GPU too; those of the CPU always do."""
    data_dir: PathName | None = None
    """The folder of downloaded datasets; null: that of the environment variable MLPEXP_DATA_DIR, else ./data."""
    log: Log = field(default_factory=Log)
    """What a run leaves besides its metrics and checkpoints."""
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    """When checkpoints/last.pt is written, besides at the end of a run."""
    stack: Stack = field(default_factory=Stack)
    """How the runs of a sweep are put together."""
    sweep: Sweep = field(default_factory=Sweep, compare=False)
    """Which jobs a sweep has; no part of what each of them is."""
    report: Report = field(default_factory=Report)
    """What the end of a sweep shows besides its table, as in `mlpexp list experiment activations`."""
    plugins: tuple[str, ...] = ()
    """Modules of your own that register components, such as [my_module]; imported before the config is checked."""

    def __post_init__(self) -> None:
        wrong = [f"scheduler.{line}" for line in self.scheduler.conflicts(self.optimizer.lr, self.epochs)]
        for name, limit in dataclasses.asdict(self.clip).items():
            if limit is not None and self.optimizer.full_batch:
                optimizer = optimizers.name_of(self.optimizer)
                wrong.append(
                    f"clip.{name}={limit:g}: optimizer={optimizer} searches along the gradient, which must be that "
                    f"of the loss; leave out clip.{name}, or choose another optimizer."
                )
        for number, part in enumerate(self.regularizer):
            if type(part) in map(type, self.regularizer[:number]):
                wrong.append(f"regularizer: holds {type(part).__name__} twice.")
        if wrong:
            raise ConfigError(*wrong)

    @property
    def smoothing(self) -> float:
        """ε of label smoothing."""
        return max((part.smoothing for part in self.regularizer), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """The config of a run as plain mappings, lists and scalars, each component with its `name`; see `parse`."""
        plain: dict[str, Any] = {}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if not entry.compare:
                continue
            if entry.name in GROUPS:
                plain[entry.name] = _named(GROUPS[entry.name], value)
            elif entry.name in LIST_GROUPS:
                registry = LIST_GROUPS[entry.name]
                plain[entry.name] = {registry.name_of(part): _named(registry, part) for part in value}
            else:
                plain[entry.name] = as_plain(value)
        return plain

    def _repr_html_(self) -> str:
        """What Jupyter shows: what differs from the defaults, and below it every key."""
        from mlpexp.config.reproduce import overrides

        plain = self.to_dict()
        differing = [override.partition("=")[::2] for override in overrides(plain)]
        keys = [(key, show(value)) for key, value in _flat(plain) if key != "report"]
        first = markup.table([("key", "value"), *differing]) if differing else markup.lines(["all defaults"])
        return "".join(
            [
                markup.title("Config: what differs from the defaults"),
                first,
                markup.folded("every key", markup.table([("key", "value"), *keys], most_rows=len(keys))),
            ]
        )


# The keys of a run that are not components.
SETTINGS = [entry.name for entry in dataclasses.fields(Config) if entry.name not in REGISTRIES]


def _flat(plain: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The keys with dots, and their values."""
    for key, value in plain.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _named(registry: Registry[Any], component: Any) -> dict[str, Any]:
    return {"name": registry.name_of(component), **as_plain(component)}


def parse(raw: Mapping[str, Any]) -> Config:
    """The checked config that plain mappings describe, or ConfigError with a line for each key that is wrong."""
    # `convert` checks the plain settings against the annotations of Config itself.
    hints = hints_of(Config)
    wrong = wrong_keys(raw, [entry.name for entry in dataclasses.fields(Config)], "")
    parts: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in hints:
            continue
        try:
            if key in GROUPS:
                parts[key] = component(GROUPS[key], value, key)
            elif key in LIST_GROUPS:
                parts[key] = _components(LIST_GROUPS[key], value, key)
            else:
                parts[key] = convert(value, hints[key], key)
        except UnknownNameError as error:
            plugins = raw.get("plugins")
            own = "A component of your own needs plugins=[MODULE], the module that registers it."
            wrong.append(f"{error} {f'plugins={show(plugins)} does not register it.' if plugins else own}")
        except ConfigError as error:
            wrong += error.lines
    wrong += [f"{key}: is required. Choose from: {', '.join(sorted(GROUPS[key]))}." for key in GROUPS if key not in raw]
    if wrong:
        raise ConfigError(*wrong)
    return Config(**parts)


def component(registry: Registry[Any], value: Any, key: str) -> Any:
    """The component that a mapping with a `name` describes."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key}={show(value)}: must name one {registry.kind}: {', '.join(sorted(registry))}.")
    values = dict(value)
    name = values.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"{key}.name={show(name)}: must name one {registry.kind}: {', '.join(sorted(registry))}.")
    part = build(registry[name], values, key)
    _check_hashable(part, key)
    return part


def _check_hashable(component: Any, key: str) -> None:
    """ConfigError for fields that cannot be hashed: runs are grouped by their components."""
    wrong = []
    for entry in dataclasses.fields(component):
        value = getattr(component, entry.name)
        if (entry.compare if entry.hash is None else entry.hash) and not _hashable(value):
            wrong.append(
                f"{key}.{entry.name}={show(value)}: is a {type(value).__name__}, which cannot be hashed; declare it as "
                "a tuple, such as tuple[int, ...], or with field(hash=False)."
            )
    if wrong:
        raise ConfigError(*wrong)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _components(registry: Registry[Any], value: Any, key: str) -> tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key}={show(value)}: must be a list of names, such as [{','.join(list(registry)[:2])}].")
    for name, part in value.items():
        # What `+regularizer.dropout.p=0.3` makes: settings of something that was not chosen.
        if isinstance(part, Mapping) and "name" not in part and name in registry:
            raise ConfigError(f"{key}.{name}: is not in use; add {key}=[{name}].")
        if isinstance(part, Mapping) and part.get("name", name) != name:
            raise ConfigError(f"{key}.{name}.name={show(part['name'])}: must be the key that holds it, {name}.")
    return tuple(component(registry, part, f"{key}.{name}") for name, part in value.items())
