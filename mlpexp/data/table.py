"""A table of one's own: a CSV file with a header line, numbers as features, and one column to predict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlpexp.data.dataset import Data, Split, changed, datasets
from mlpexp.data.delimited import Column, read_columns, to_number
from mlpexp.data.identity import Identity, packed, unpacked
from mlpexp.data.preprocessing import Preprocessing
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
        x = _matrix(features)
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
            y = _matrix([target])
            if bool((y == y[0]).all()):
                raise ConfigError(f"{_key(target)}: is {target.cells[0]} in every row: nothing to learn.")
        rows = self.deal(len(x), groups=y if classes else None)
        names = [feature.name for feature in features]
        fitted = Preprocessing.fit(x[rows[0]], names, target.name, None if classes else y[rows[0]])
        task = Task("classification", classes) if classes else Task("regression")
        source = Source.of(Path(self.path), len(x), [column.name for column in columns])
        return self._dealt(x, y, rows, Identity(task, fitted, source, packed(rows)))

    def _dealt(self, x: Tensor, y: Tensor, rows: tuple[Tensor, Tensor, Tensor], known: Identity) -> Data:
        """The data of raw rows x [N, R] and classes or values y, dealt as `rows` say and preprocessed as `known` is."""
        fitted, target = known.preprocessing, known.preprocessing.target
        inputs, targets = fitted.inputs(x), y if known.task.classes else fitted.targets(y)
        note = "features are standardised with mean and standard deviation of the training rows"
        if not known.task.classes:
            note += f", and so is {target.name}: losses are in units of its variance, {target.deviation**2:g}"
        elif self.task == "auto" and all(to_number(name) is not None for name in known.task.classes):
            note += f"; {target.name} is taken for classes (dataset.task=regression takes it for values)"
        train, val, test = (Split(inputs[part], targets[part]) for part in rows)
        return Data(
            name=Path(self.path).stem,
            task=known.task,
            train=train,
            val=val,
            test=test,
            fitted=fitted,
            note=note,
            source=known.source,
            dealt=known.split,
        )

    def load_again(self, data_dir: Path, known: Identity, run: Path, file: Path | None = None) -> Data:
        if known.source is None:
            raise ConfigError(f"{run}: does not say what table it was trained on; its run.json is damaged.")
        # The run directory may have been moved together with the table.
        beside = [above / self.path for above in run.absolute().parents]
        of_data = [data_dir / self.path, data_dir / Path(self.path).name]
        places = [Path(self.path), Path(known.source.path), *of_data, *beside] if file is None else [file]
        path, other = known.source.find(places)
        if path is None and other is None:
            named = ", ".join(map(str, dict.fromkeys(places[:2])))
            raise ConfigError(
                f"{run}: the table that it was trained on is not there ({named}); name it: --data FILE, or "
                "data_dir=DIR for the folder that holds it."
            )
        if path is None:
            assert other is not None
            columns = read_columns(other, f"data={other}")
            now = Source.of(other, len(columns[0].cells), [column.name for column in columns])
            raise changed(run, other, known.source.difference(now))
        x, y = _rows_of(known, path)
        return self._dealt(x, y, unpacked(known.split, len(x)), known)

    def labelled(self, known: Identity, file: Path) -> Split:
        x, y = _rows_of(known, file)
        return Split(known.preprocessing.inputs(x), y if known.task.classes else known.preprocessing.targets(y))

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


def _rows_of(known: Identity, path: Path) -> tuple[Tensor, Tensor]:
    """Raw rows [N, R] and classes [N] or values [N, 1] of a table, whose columns are matched by name."""
    import torch

    where = f"data={path}"
    by_name = {column.name: column for column in read_columns(path, where)}
    target = known.preprocessing.target.name
    missing = [name for name in (*known.preprocessing.names, target) if name not in by_name]
    if missing:
        one = len(missing) == 1
        lacking = f"{where}: the column{'' if one else 's'} {', '.join(missing)} {'is' if one else 'are'} missing"
        raise ConfigError(unknown(lacking, missing[0], by_name))
    x = _matrix([by_name[name] for name in known.preprocessing.names])
    if not known.task.classes:
        return x, _matrix([by_name[target]])
    names, labels = classes_of(by_name[target])
    if foreign := [name for name in names if name not in known.task.classes]:
        what = f"{where}: column '{target}': the run knows no class '{foreign[0]}'"
        raise ConfigError(unknown(what, foreign[0], known.task.classes))
    index = [known.task.classes.index(name) for name in names]
    return x, torch.tensor([index[label] for label in labels])


def _matrix(columns: list[Column]) -> Tensor:
    """The numbers of columns as [N, R], float64."""
    import torch

    return torch.tensor([column.numbers() for column in columns], dtype=torch.float64).T.contiguous()
