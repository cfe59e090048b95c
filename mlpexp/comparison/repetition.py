"""What differs between the runs of a setting besides the seed: the data, the split, or nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlpexp.comparison.runs import StoredRun
from mlpexp.config.metric import Metric
from mlpexp.config.schema import component
from mlpexp.data.dataset import Resampling, datasets
from mlpexp.data.identity import split_of_rows
from mlpexp.errors import ConfigError, pluralize

_SPLITS = ("train", "val", "test")
Base = Literal["data", "splits", "folds", "one split", "test set", "all rows"]
_WORDS: dict[Base, str] = {
    "data": ", each with its own data",
    "splits": ", each with its own split",
    "folds": "",
    "one split": " on this one split",
    "test set": " on this test set",
    "all rows": "",
}


@dataclass(frozen=True)
class Repetition:
    """What the runs of a setting have in common, for a metric of one split."""

    base: Base
    overlap: float = 0.0
    """n_test / n_train if training sets overlap: the variance of a mean is then (1/n + n_test / n_train) s²."""
    n_rows: int | None = None
    """Number of rows of the split that is measured, if all runs have the same rows."""

    def over(self, n: int) -> str:
        """`over 10 seeds, each with its own split`."""
        return f"over {pluralize(n, self.unit)}{self.where if n > 1 else self.where.replace('each with', 'with')}"

    @property
    def unit(self) -> str:
        return "fold" if self.base == "folds" else "seed"

    @property
    def where(self) -> str:
        """`, each with its own split`, ` on this one split`."""
        return _WORDS[self.base]


def repetition(runs: Sequence[StoredRun], metric: Metric) -> Repetition:
    """What the runs of one setting have in common, according to their records."""
    if not runs:
        return Repetition("one split")
    kind = _resampling(runs[0])
    n_train, n_measured = _n_rows(runs[0], metric)
    rows = None if math.isnan(n_measured) or n_measured < 1 else round(n_measured)
    if kind == "nothing":
        return Repetition("all rows")
    if metric.split == "test" and (kind == "validation" or (len(runs) > 1 and _same_test_rows(runs))):
        return Repetition("test set", n_rows=rows)
    if len({_split_of(run) for run in runs}) == 1:
        return Repetition("one split", n_rows=rows)
    if kind == "rows":
        return Repetition("data")
    folds = len({run.fold for run in runs}) > 1
    return Repetition("folds" if folds else "splits", overlap=n_measured / n_train)


def _resampling(run: StoredRun) -> Resampling:
    """What another seed of the run's dataset changes; "split", the cautious assumption, for an unknown dataset."""
    try:
        found: Resampling = component(datasets, run.record.config.get("dataset"), "dataset").resampling()
    except ConfigError:
        return "split"
    return found


def _split_of(run: StoredRun) -> tuple[Any, Any, Any]:
    """The split that the run has stored; if it has none, the seed and fold that determine it."""
    dataset = _dataset(run)
    split = run.record.data.get("split")
    return (split, None, None) if split else (None, str(dataset.get("seed")), str(dataset.get("fold")))


def _same_test_rows(runs: Sequence[StoredRun]) -> bool:
    """Whether runs have the same test rows, but different rows for training or validation."""
    splits = {run.record.data.get("split") for run in runs}
    if None in splits or len(splits) == 1:
        return False
    found = set()
    for run in runs:
        source, tested = (run.record.data.get(name) or {} for name in ("source", "test_source"))
        n_rows = sum(part.get("n_rows", 0) for part in (source, tested))
        of_row = split_of_rows(run.record.data.get("split"), n_rows)
        found.add(bytes(row == _SPLITS.index("test") for row in of_row))
    return len(found) == 1


def _n_rows(run: StoredRun, metric: Metric) -> tuple[float, float]:
    """The numbers of training rows and of measured rows; or their shares of all rows if the run has no numbers.

    For metrics of the training split, the second is that of the test split, which determines the overlap.
    """
    measured = "test" if metric.split == "train" else metric.split
    n_rows = run.record.data.get("n_rows")
    if isinstance(n_rows, list | tuple) and len(n_rows) == len(_SPLITS) and all(n_rows):
        by_split = dict(zip(_SPLITS, n_rows, strict=True))
        return by_split["train"], by_split[measured]
    dataset = _dataset(run)
    shares = [dataset.get(f"{name}_fraction") for name in ("val", "test")]
    val, test = (share if isinstance(share, float) else 0.2 for share in shares)
    return 1 - val - test, val if measured == "val" else test


def _dataset(run: StoredRun) -> Mapping[str, Any]:
    found = run.record.config.get("dataset")
    return found if isinstance(found, Mapping) else {}
