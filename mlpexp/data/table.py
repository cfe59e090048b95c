"""A table of one's own: a CSV file with a header line, numbers as features, and one column to predict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlpexp.data.dataset import Data, Split, Units, datasets
from mlpexp.data.delimited import Column, read_columns, to_number
from mlpexp.data.source import Source
from mlpexp.data.splits import RandomlySplit
from mlpexp.data.task import Task
from mlpexp.errors import ConfigError, pluralize, unknown
from mlpexp.fields.ranges import PathName

if TYPE_CHECKING:
    from torch import Tensor

# Whole numbers are taken as classes up to this many different ones.
MOST_CLASSES = 20


@datasets.register("csv")
@dataclass(frozen=True, kw_only=True)
class Table(RandomlySplit):
    """A CSV file with a header line, numbers as features, and one column to predict.

    Features, and the target of a regression, are standardised with the training rows' mean and standard
    deviation.
    """

    path: PathName
    """The file, relative to where the command runs."""
    target: str | None = None
    """Name of the column to predict; null: the last."""
    task: Literal["auto", "classification", "regression"] = "auto"
    """What is predicted, classes or values; auto: classes where the target is text or at most 20 different whole
    numbers."""

    def load(self, data_dir: Path) -> Data:
        import torch

        where = f"dataset.path={self.path}"
        columns = read_columns(Path(self.path), where)
        target = self._pick_target(columns, where)
        features = [column for column in columns if column is not target]
        if not features:
            raise ConfigError(f"{where}: has the one column '{target.name}'; a feature and a target are needed.")
        x = torch.tensor([feature.numbers() for feature in features], dtype=torch.float64).T.contiguous()
        if len(x) < 3:
            raise ConfigError(
                f"{where}: has {pluralize(len(x), 'row')}; at least 3 are needed, for train, val and test."
            )
        classes: tuple[str, ...] = ()
        if self.task == "classification" or (self.task == "auto" and holds_classes(target)):
            classes, labels = classes_of(target)
            self._check_classes(target, classes, labels)
            y = torch.tensor(labels)
        else:
            y = torch.tensor(target.numbers(), dtype=torch.float64).unsqueeze(1)
            if bool((y == y[0]).all()):
                raise ConfigError(f"{_key(target)}: is {target.cells[0]} in every row: nothing to learn.")

        train, val, test = self.split(x, y, self.generator(), groups=y if classes else None)
        x_units, y_units = _units(train.x), None
        train, val, test = (Split(x_units.standardised(part.x), part.y) for part in (train, val, test))
        note = "features are standardised with mean and standard deviation of the training rows"
        if not classes:
            y_units = _units(train.y)
            train, val, test = (Split(part.x, y_units.standardised(part.y)) for part in (train, val, test))
            note += f", and so is {target.name}: losses are in units of its variance, {float(y_units.std) ** 2:g}"
        elif self.task == "auto" and target.is_numeric():
            note += f"; {target.name} is taken for classes (dataset.task=regression takes it for values)"
        return Data(
            name=Path(self.path).stem,
            task=Task("classification", classes) if classes else Task("regression"),
            train=train,
            val=val,
            test=test,
            feature_units=x_units,
            target_units=y_units,
            feature_names=tuple(feature.name for feature in features),
            target_name=target.name,
            note=note,
            source=Source.of(Path(self.path), len(x), [column.name for column in columns]),
        )

    def _pick_target(self, columns: list[Column], where: str) -> Column:
        if self.target is None:
            return columns[-1]
        by_name = {column.name: column for column in columns}
        if self.target not in by_name:
            raise ConfigError(
                unknown(f"dataset.target={self.target}: no such column in {self.path}", self.target, by_name)
            )
        return by_name[self.target]

    def _check_classes(self, target: Column, names: tuple[str, ...], labels: list[int]) -> None:
        """ConfigError unless there are two classes or more, each with a row for train, val and test."""
        if len(names) == 1:
            raise ConfigError(f"{_key(target)}: has the one class '{names[0]}'; at least two are needed.")
        for label, n in sorted(Counter(labels).items()):
            if n < 3:
                raise ConfigError(
                    f"{_key(target)}: the class '{names[label]}' has {n} row{'s' if n > 1 else ''}; "
                    "at least 3 are needed, for train, val and test (for numbers: dataset.task=regression)."
                )


def _key(target: Column) -> str:
    return f"dataset.target={target.name}"


def holds_classes(target: Column) -> bool:
    """Whether task=auto takes a column for classes: text, or at most MOST_CLASSES different whole numbers.

    A stray text among numbers that are no classes is a mistake in a column of values, and is reported as one.
    """
    numbers = {number for cell in target.cells if (number := to_number(cell)) is not None}
    return not numbers or (len(numbers) <= MOST_CLASSES and all(number.is_integer() for number in numbers))


def classes_of(target: Column) -> tuple[tuple[str, ...], list[int]]:
    """The names of the classes, in order (of size, for numbers), and the class of each row."""
    cells = target.cells
    if target.is_numeric():
        values = target.numbers()
        # 1 and 1.0 are one class.
        cells = [str(int(value)) if value.is_integer() else repr(value) for value in values]
        names = sorted(set(cells), key=float)
    else:
        names = sorted(set(cells))
    index = {name: label for label, name in enumerate(names)}
    return tuple(names), [index[cell] for cell in cells]


def _units(values: Tensor) -> Units:
    """Mean and standard deviation of each column of values [N, F]; a constant column has the deviation 1."""
    import torch

    constant = (values == values[0]).all(dim=0)
    return Units(values.mean(dim=0), torch.where(constant, 1.0, values.std(dim=0, correction=0)))
