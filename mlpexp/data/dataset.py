"""What a dataset is: its three splits as tensors, and what a reader needs to know of them.

N samples, F features. The whole set is loaded at once and moved to the device once; batches are selected from
it by index.
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
from mlpexp.data.identity import Identity
from mlpexp.data.oddity import Oddity
from mlpexp.data.preprocessing import Preprocessing
from mlpexp.data.readings import Readings
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

    `weight` [N], float32: how much each row counts, greater than 0, with mean 1 over the training rows; None where all
    count alike.
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
        """The shape of `x` and its number format."""
        return tuple(self.x.shape), self.x.dtype

    @property
    def n_bytes(self) -> int:
        """How much memory it takes, without rows that are shared."""
        return self.x.nbytes + self.y.nbytes + (0 if self.weight is None else self.weight.nbytes)

    def take(self, rows: Tensor, out: Tensor | None = None) -> Tensor:
        """`x` of some rows [n], written to `out` [n, F] if that is given."""
        import torch

        return torch.index_select(self.x, 0, rows, out=out)

    def between(self, start: int, stop: int) -> Tensor:
        """`x` of the rows from `start` on, up to `stop` or the last."""
        return self.x[start:stop]

    def to(self, device: torch.device, moved: dict[int, Tensor] | None = None) -> Split:
        """On a device; see `moved_once`."""
        weight = None if self.weight is None else moved_once(self.weight, device, moved)
        return Split(moved_once(self.x, device, moved), moved_once(self.y, device, moved), weight)

    def of(self, rows: Tensor) -> Split:
        """Some rows [n]."""
        return Split(self.take(rows), self.y[rows], None if self.weight is None else self.weight[rows])

    def sample(self, n: int) -> Split:
        """min(n, N) rows in their order: one from each of n equal parts of the split, the same ones each time.

        Rows are often sorted by class, so the first n need not hold every class. Within its part a row is drawn at
        random: rows at equal distances need not hold every class either, where classes alternate.
        """
        import torch

        n = min(n, len(self))
        bounds = torch.arange(n + 1) * len(self) // n
        within = torch.rand(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        rows = bounds[:-1] + (within * bounds.diff()).long()
        rows = rows.to(self.device)
        return self.of(rows)


def moved_once(tensor: Tensor, device: torch.device, moved: dict[int, Tensor] | None) -> Tensor:
    """A tensor on a device, copied there once for all that share it: `moved` holds the copies by the id of theirs."""
    if moved is None:
        return tensor.to(device)
    if id(tensor) not in moved:
        moved[id(tensor)] = tensor.to(device)
    return moved[id(tensor)]


@dataclass(frozen=True)
class Form:
    """What the data of all members of a stack agree in."""

    task: Task
    n_features: int
    splits: tuple[tuple[Any, ...], ...]
    """Of train, val and test the shape and number format of `x`, and those of `y` but for the rows."""

    @property
    def n_rows(self) -> tuple[int, ...]:
        """Of train, val and test."""
        return tuple(shape[0] for shape, *_ in self.splits)


@dataclass(frozen=True)
class Data:
    """A dataset in memory. `train` is learned from, `val` steers the run, `test` is looked at once, at the end.

    Splits of floats hold what `preprocessing` made of the raw columns. Images stay bytes in memory, and are
    standardised batch by batch.
    """

    name: str
    task: Task
    train: Split
    val: Split
    test: Split
    fitted: Preprocessing | None = None  # None: columns without names, which the network sees as they are
    true_function: Callable[[Tensor], Tensor] | None = None  # [N, F] → [N, 1], where it is known
    note: str = ""  # what a reader of the results must know, such as splits that share samples; a line each
    source: Source | None = None  # the file that the data were read from
    dealt: str | None = None  # which rows of that file went to which split, see identity.packed
    test_source: Source | None = None  # the file of the test rows, where it is another
    odd: tuple[Oddity, ...] = ()  # what is odd in a table

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """From raw columns to what the network sees."""
        return self.fitted or Preprocessing.unscaled([f"x{number}" for number in range(1, self.n_features + 1)])

    @cached_property
    def identity(self) -> Identity:
        """What a run notes of the data."""
        n_rows = (len(self.train), len(self.val), len(self.test))
        return Identity(self.task, self.preprocessing, self.source, self.dealt, self.test_source, self.odd, n_rows)

    @property
    def n_features(self) -> int:
        return self.train.form[0][1]

    @cached_property
    def form(self) -> Form:
        splits = ((*split.form, tuple(split.y.shape[1:]), split.y.dtype) for split in self.splits().values())
        return Form(self.task, self.n_features, tuple(splits))

    @property
    def n_bytes(self) -> int:
        """How much memory the splits take, without rows that they share with those of other seeds."""
        return sum(split.n_bytes for split in {id(split): split for split in self.splits().values()}.values())

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Of what `features_in_own_units` gives; empty for images, whose pixels have none."""
        return self.preprocessing.names if self.preprocessing.linear else self.preprocessing.input_names

    @property
    def n_axes(self) -> int:
        """How many numbers a row is, where the network sees these alone and predicts one thing; else 0."""
        return self.n_features if self.preprocessing.linear and self.task.n_values == 1 else 0

    @property
    def target_name(self) -> str:
        """Of what is predicted; names of several values are listed."""
        return ", ".join(target.name for target in self.preprocessing.outputs)

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """Channels, height and width, where the features are pixels."""
        return self.preprocessing.image_shape

    @cached_property
    def shift(self) -> float | Tensor:
        """Networks see (pixel − shift)·scale: a number, or of several channels one for each pixel [F]."""
        return self._of_channels(lambda mean, _: mean, 0.0)

    @cached_property
    def scale(self) -> float | Tensor:
        """Networks see (pixel − shift)·scale: a number, or of several channels one for each pixel [F]."""
        return self._of_channels(lambda _, deviation: 1 / deviation, 1.0)

    def _of_channels(self, number: Callable[[float, float], float], default: float) -> float | Tensor:
        """A number that is made of the mean and deviation of each channel; `default` where there are no images."""
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
        """What Jupyter shows: the splits with the rows of each class, and the columns."""
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
        """Rows [..., F] of a split as the network sees them: standardised, float32."""
        if x.is_floating_point():
            return x
        # Bytes less a float would be floats too, converted in a copy that the difference is not written to.
        return self.standardise_(x.float())

    def standardise_(self, pixels: Tensor) -> Tensor:
        """Pixels [..., F], as floats, as the network sees them: in place."""
        return pixels.sub_(self.shift).mul_(self.scale)

    def features_in_own_units(self, x: Tensor) -> Tensor:
        """Rows [N, F] of a split in the data's own units, on the CPU; as they are where there is no way back."""
        return self.preprocessing.raw(x) if x.is_floating_point() and self.preprocessing.linear else x.cpu()

    def targets_in_own_units(self, y: Tensor) -> Tensor:
        """Values [N, T] of a split, or predicted ones, in the data's own units, on the CPU; classes as they are."""
        return self.preprocessing.values(y) if y.is_floating_point() else y.cpu()

    def to(self, device: torch.device, moved: dict[int, Tensor] | None = None) -> Data:
        """On a device; see `moved_once`."""
        # Splits that are one and the same stay so: truth tables are held once, not thrice.
        splits = {id(split): split.to(device, moved) for split in self.splits().values()}
        return replace(self, train=splits[id(self.train)], val=splits[id(self.val)], test=splits[id(self.test)])


@dataclass(frozen=True)
class Recommended:
    """The settings that suit a dataset. The rest of the config refers to them, and any override takes precedence."""

    epochs: Count = 50
    """Passes over the training rows."""
    batch_size: Count = 32
    """Training rows in each step."""
    hidden: tuple[Count, ...] = (64, 64)
    """Units of each hidden layer."""
    lr: Positive = 0.001
    """Learning rate of optimizers that scale their steps, such as adam."""
    lr_momentum: Positive = 0.01
    """Learning rate of momentum and nesterov."""
    lr_sgd: Positive = 0.1
    """Learning rate of sgd."""


# What another seed of a dataset changes: which rows, always the same, are in which split; which of them are held out
# for validation, beside given test rows; all rows, drawn anew; or nothing, since the splits are all rows there are.
Resampling = Literal["split", "validation", "rows", "nothing"]


@dataclass(frozen=True)
class Dataset(ABC):
    """Base of all datasets: a config that can load the data it names."""

    dealing: ClassVar[tuple[str, ...]] = ()
    """The fields that only decide which rows go to which split, or how noise falls: runs that differ in these have data
    of one form as a rule, share what is read, and train in one stack."""

    recommended: Recommended = field(default_factory=Recommended)
    """Settings with which this dataset is learned: the defaults of other keys refer to them."""

    @property
    def undealt(self) -> Dataset:
        """The dataset with the defaults of the fields in `dealing`: the same for all seeds."""
        defaults: dict[str, Any] = {part.name: part.default for part in fields(self) if part.name in self.dealing}
        return replace(self, **defaults)

    @classmethod
    def recommend(cls, settings: Mapping[str, Any]) -> Recommended:
        """What suits the data of these settings; it is taken where `recommended` is null in the dataset's YAML file."""
        return Recommended()

    def resampling(self) -> Resampling:
        """What another seed of the dataset changes: how a mean over such seeds varies depends on it."""
        return "split"

    def missing_files(self, data_dir: Path) -> list[str]:
        """The names of files that `load` would have to fetch into `data_dir`."""
        return []

    @abstractmethod
    def load(self, data_dir: Path) -> Data:
        """The data, on the CPU. ConfigError where files are missing or unreadable, naming them and what to do."""

    def load_with(self, data_dir: Path, readings: Readings) -> Data:
        """As `load`; what is read is kept in `readings`, or taken from there."""
        return self.load(data_dir)

    def load_again(
        self, data_dir: Path, known: Identity, run: Path, file: Path | None = None, readings: Readings | None = None
    ) -> Data:
        """The data that the `run` was trained on, which is `known` of them, with its preprocessing.

        `file` is where they lie now, if that is said. ConfigError where they are others now, saying what has changed.
        What is read is kept in `readings`, or taken from there.
        """
        if file is not None:
            raise ConfigError(f"data={file}: is for tables, and {run} was trained on dataset={datasets.name_of(self)}.")
        data = self.load_with(data_dir, readings or Readings())
        if known.source is not None and data.source is not None and data.source.sha256 != known.source.sha256:
            raise changed(run, Path(data.source.path), known.source.difference(data.source))
        if (data.task, data.n_features) != (known.task, known.preprocessing.n_raw):
            raise ConfigError(f"{run}: dataset={data.name} has other classes or columns now than it was trained on.")
        return replace(data, fitted=known.preprocessing)

    def labelled(self, known: Identity, file: Path) -> Split:
        """All rows of another `file` as the network of a run sees them that `known` is of; ConfigError where none."""
        raise ConfigError(f"data={file}: is for tables, and the run was trained on dataset={datasets.name_of(self)}.")


datasets: Registry[Dataset] = Registry("dataset", {"csv": "table", "tabular": "table", "dataframe": "table"})
