"""The base class of datasets, and their data in memory: three splits as tensors, with their description.

N samples, F features. The whole set is loaded and moved to the device once; batches are selected by index.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mlpexp import markup
from mlpexp.data.columns import Image
from mlpexp.data.file_cache import FileCache
from mlpexp.data.identity import DataIssue, Identity
from mlpexp.data.preprocessing import Preprocessing
from mlpexp.data.source import Source, changed
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError, pluralize
from mlpexp.fields.ranges import Count, Positive
from mlpexp.fields.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Split:
    """`x` [N, F] (float32, or uint8 for images), `y`: classes [N] (int64) or values [N, T] (float32).

    `weight` [N], float32: the sample weights, greater than 0, with mean 1 over the training rows; None: all rows have
    the same weight.
    """

    x: Tensor
    y: Tensor
    weight: Tensor | None = None

    def __len__(self) -> int:
        return self.x.shape[0]

    @property
    def device(self) -> torch.device:
        return self.y.device

    @property
    def form(self) -> tuple[tuple[int, ...], torch.dtype]:
        """Shape and dtype of `x`."""
        return tuple(self.x.shape), self.x.dtype

    @property
    def n_bytes(self) -> int:
        """Memory in bytes, without rows that other splits share."""
        return self.x.nbytes + self.y.nbytes + (0 if self.weight is None else self.weight.nbytes)

    def take(self, rows: Tensor, out: Tensor | None = None) -> Tensor:
        """`x` [n, F] of the given rows [n]; written to `out` [n, F] if given."""
        import torch

        return torch.index_select(self.x, 0, rows, out=out)

    def between(self, start: int, stop: int) -> Tensor:
        """`x` of the rows from `start` (included) to `stop` (excluded) or the end."""
        return self.x[start:stop]

    def to(self, device: torch.device, moved: dict[int, Tensor] | None = None) -> Split:
        """A copy on a device; see `moved_once`."""
        weight = None if self.weight is None else moved_once(self.weight, device, moved)
        return Split(moved_once(self.x, device, moved), moved_once(self.y, device, moved), weight)

    def of(self, rows: Tensor) -> Split:
        """The split of the given rows [n]."""
        return Split(self.take(rows), self.y[rows], None if self.weight is None else self.weight[rows])

    def sample(self, n: int) -> Split:
        """min(n, N) rows in their order: one from each of n equal parts of the split, deterministic.

        Rows are often sorted by class, and the first n rows may then lack classes. Within its part a row is drawn at
        random: rows at equal distances may lack classes too, if the classes alternate.
        """
        import torch

        n = min(n, len(self))
        bounds = torch.arange(n + 1) * len(self) // n
        within = torch.rand(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        rows = bounds[:-1] + (within * bounds.diff()).long()
        rows = rows.to(self.device)
        return self.of(rows)


def moved_once(tensor: Tensor, device: torch.device, moved: dict[int, Tensor] | None) -> Tensor:
    """A tensor on a device. Shared tensors are copied once: `moved` maps the id of a tensor to its copy."""
    if moved is None:
        return tensor.to(device)
    if id(tensor) not in moved:
        moved[id(tensor)] = tensor.to(device)
    return moved[id(tensor)]


@dataclass(frozen=True)
class Form:
    """The properties that the data of all members of a stack have in common."""

    task: Task
    n_features: int
    splits: tuple[tuple[Any, ...], ...]
    """For train, val and test: shape and dtype of `x`, and of `y` without its first axis."""

    @property
    def n_rows(self) -> tuple[int, ...]:
        """Number of rows of train, val and test."""
        return tuple(shape[0] for shape, *_ in self.splits)


@dataclass(frozen=True)
class Data:
    """A dataset in memory. `train` is for training, `val` for early stopping and model selection, `test` for the end.

    Splits of floats hold the preprocessed inputs. Images stay bytes in memory, and are standardised batch by batch.
    """

    name: str
    task: Task
    train: Split
    val: Split
    test: Split
    fitted: Preprocessing | None = None  # None: unnamed columns without preprocessing
    true_function: Callable[[Tensor], Tensor] | None = None  # [N, F] → [N, 1], where it is known
    note: str = ""  # remarks for the reader of the results, such as splits that share samples; one per line
    source: Source | None = None  # the file that the data were read from
    packed_split: str | None = None  # the split of each row of that file, see identity.packed
    test_source: Source | None = None  # the file of the test rows, if it is a separate one
    issues: tuple[DataIssue, ...] = ()  # of a table, such as columns that reveal the target

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing from raw columns to network inputs."""
        return self.fitted or Preprocessing.unscaled([f"x{number}" for number in range(1, self.n_features + 1)])

    @cached_property
    def identity(self) -> Identity:
        """The description of the data that a run stores."""
        n_rows = (len(self.train), len(self.val), len(self.test))
        return Identity(
            self.task, self.preprocessing, self.source, self.packed_split, self.test_source, self.issues, n_rows
        )

    @property
    def n_features(self) -> int:
        return self.train.form[0][1]

    @cached_property
    def form(self) -> Form:
        splits = ((*split.form, tuple(split.y.shape[1:]), split.y.dtype) for split in self.splits().values())
        return Form(self.task, self.n_features, tuple(splits))

    @property
    def n_bytes(self) -> int:
        """Memory of the splits in bytes, without rows that they share with splits of other seeds."""
        return sum(split.n_bytes for split in {id(split): split for split in self.splits().values()}.values())

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of `features_in_own_units`; empty for images."""
        return self.preprocessing.names if self.preprocessing.linear else self.preprocessing.input_names

    @property
    def n_axes(self) -> int:
        """Number of numeric columns, if all columns are numeric and there is one target; else 0."""
        return self.n_features if self.preprocessing.linear and self.task.n_values == 1 else 0

    @property
    def target_name(self) -> str:
        """Name of the target; several names are joined."""
        return ", ".join(target.name for target in self.preprocessing.outputs)

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width) if the features are pixels, else None."""
        return self.preprocessing.image_shape

    @cached_property
    def shift(self) -> float | Tensor:
        """Network inputs are (pixel − shift)·scale. A number; with several channels, one for each pixel [F]."""
        return self._of_channels(lambda mean, _: mean, 0.0)

    @cached_property
    def scale(self) -> float | Tensor:
        """Network inputs are (pixel − shift)·scale. A number; with several channels, one for each pixel [F]."""
        return self._of_channels(lambda _, deviation: 1 / deviation, 1.0)

    def _of_channels(self, number: Callable[[float, float], float], default: float) -> float | Tensor:
        """`number(mean, deviation)` of each channel; `default` if the data are no images."""
        if self.image_shape is None:
            return default
        channels = [column for column in self.preprocessing.columns if isinstance(column, Image)]
        numbers = [number(channel.mean, channel.deviation) for channel in channels]
        if len(numbers) == 1:
            return numbers[0]
        import torch

        return torch.tensor(numbers, device=self.train.device).repeat_interleave(self.n_features // len(numbers))

    def __repr__(self) -> str:
        rows = ", ".join(f"{len(split):,} {name}" for name, split in self.splits().items())
        return f"<Data {self.name}: {self.task}, {pluralize(self.n_features, 'input')}; rows: {rows}>"

    def _repr_html_(self) -> str:
        """HTML for Jupyter: the splits with the number of rows of each class, and the columns."""
        splits = self.splits()
        counts = [["", *splits], ["rows", *(f"{len(split):,}" for split in splits.values())]]
        for number, name in enumerate(self.task.classes):
            of_class = [int((split.y == number).sum()) for split in splits.values()]
            counts.append([f"of class {name}", *(f"{n:,}" for n in of_class)])
        columns = [(column.name, column.kind) for column in self.preprocessing.columns]
        return "".join(
            [
                markup.title(f"Data {self.name}: {self.task}, {pluralize(self.n_features, 'input')}"),
                markup.table(counts),
                markup.folded(pluralize(len(columns), "column"), markup.table([("column", "kind"), *columns])),
                markup.lines(self.note.splitlines()),
            ]
        )

    def splits(self) -> dict[str, Split]:
        return {"train": self.train, "val": self.val, "test": self.test}

    def inputs(self, x: Tensor) -> Tensor:
        """Rows [..., F] of a split as network inputs: standardised, float32."""
        if x.is_floating_point():
            return x
        # Bytes minus a float would make two float tensors: the converted copy and the difference.
        return self.standardise_(x.float())

    def standardise_(self, pixels: Tensor) -> Tensor:
        """Standardises pixels [..., F], floats, in place."""
        return pixels.sub_(self.shift).mul_(self.scale)

    def features_in_own_units(self, x: Tensor) -> Tensor:
        """Rows [N, F] of a split in the units of the data, on the CPU; unchanged if there is no inverse."""
        return self.preprocessing.raw(x) if x.is_floating_point() and self.preprocessing.linear else x.cpu()

    def targets_in_own_units(self, y: Tensor) -> Tensor:
        """Targets or predictions [N, T] in the units of the data, on the CPU; classes are unchanged."""
        return self.preprocessing.values(y) if y.is_floating_point() else y.cpu()

    def to(self, device: torch.device, moved: dict[int, Tensor] | None = None) -> Data:
        """A copy on a device; see `moved_once`."""
        # Identical splits stay one object: a truth table, whose three splits are the same, is held once.
        splits = {id(split): split.to(device, moved) for split in self.splits().values()}
        return replace(self, train=splits[id(self.train)], val=splits[id(self.val)], test=splits[id(self.test)])


@dataclass(frozen=True)
class Recommended:
    """Recommended settings of a dataset. The rest of the config refers to them; overrides take precedence."""

    epochs: Count = 50
    """Passes over the training rows."""
    batch_size: Count = 32
    """Training rows in each step."""
    hidden: tuple[Count, ...] = (64, 64)
    """Units of each hidden layer."""
    lr: Positive = 0.001
    """Learning rate of adaptive optimizers, such as adam."""
    lr_momentum: Positive = 0.01
    """Learning rate of momentum and nesterov."""
    lr_sgd: Positive = 0.1
    """Learning rate of sgd."""


# What the seed of a dataset changes. split: the splits of fixed rows; validation: the validation rows, with a fixed
# test split; rows: all rows, which are generated; nothing: each split holds all rows.
Resampling = Literal["split", "validation", "rows", "nothing"]


@dataclass(frozen=True)
class Dataset(ABC):
    """Base of all datasets: a config that can load the data it names."""

    split_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that affect only the split or the noise. Runs that differ only in these usually have data of the same
    form: they read files once, and train in one stack."""

    recommended: Recommended = field(default_factory=Recommended)
    """Recommended settings for this dataset; the defaults of other keys refer to them."""

    @property
    def unsplit(self) -> Dataset:
        """The dataset with the default values of its `split_fields`: the same for all seeds."""
        defaults: dict[str, Any] = {part.name: part.default for part in fields(self) if part.name in self.split_fields}
        return replace(self, **defaults)

    @classmethod
    def recommend(cls, settings: Mapping[str, Any]) -> Recommended:
        """Recommended settings for these data; used for keys of `recommended` that are null in the YAML file."""
        return Recommended()

    def resampling(self) -> Resampling:
        """What the dataset's seed changes; the variance of a mean over seeds depends on it."""
        return "split"

    def missing_files(self, data_dir: Path) -> list[str]:
        """The names of files that `load` would have to fetch into `data_dir`."""
        return []

    @abstractmethod
    def load(self, data_dir: Path) -> Data:
        """The data, on the CPU. ConfigError if files are missing or unreadable, with their names and the remedy."""

    def load_with(self, data_dir: Path, cache: FileCache) -> Data:
        """As `load`; contents of files are kept in `cache`."""
        return self.load(data_dir)

    def load_again(
        self, data_dir: Path, known: Identity, run: Path, file: Path | None = None, cache: FileCache | None = None
    ) -> Data:
        """The data that the `run` was trained on, with its preprocessing; `known` is their stored identity.

        `file` is their present path, if given. ConfigError if they have changed, with the difference.
        Contents of files are kept in `cache`.
        """
        if file is not None:
            raise ConfigError(f"data={file}: is for tables, and {run} was trained on dataset={datasets.name_of(self)}.")
        data = self.load_with(data_dir, cache or FileCache())
        if known.source is not None and data.source is not None and data.source.sha256 != known.source.sha256:
            raise changed(run, Path(data.source.path), known.source.difference(data.source))
        if (data.task, data.n_features) != (known.task, known.preprocessing.n_raw):
            raise ConfigError(f"{run}: dataset={data.name} has other classes or columns now than it was trained on.")
        return replace(data, fitted=known.preprocessing)

    def labelled(self, known: Identity, file: Path) -> Split:
        """All rows of another `file`, preprocessed as the data of a run with the identity `known`.
        ConfigError if the dataset does not read files."""
        raise ConfigError(f"data={file}: is for tables, and the run was trained on dataset={datasets.name_of(self)}.")


datasets: Registry[Dataset] = Registry("dataset", {"csv": "table", "tabular": "table", "dataframe": "table"})
