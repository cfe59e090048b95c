"""The datasets, and the base classes and types for new ones.

Each dataset is a checked dataclass whose `load` makes or reads rows and splits them into train, val and test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.fields.ranges import (
    Count,
    Finite,
    Fraction,
    Index,
    NonNegative,
    OpenFraction,
    PathName,
    Positive,
    Probability,
    Range,
)
from mlpexp.lazy import lazy

if TYPE_CHECKING:
    from mlpexp.data.batch import Batch
    from mlpexp.data.columns import Category, Date, Image, Number
    from mlpexp.data.dataset import Data, Dataset, Recommended, Split, datasets
    from mlpexp.data.preprocessing import Preprocessing, Target
    from mlpexp.data.splits import RandomlySplit, Samples, split_at_random
    from mlpexp.data.task import Task
else:
    __getattr__ = lazy(
        __name__,
        {
            "mlpexp.data.batch": ["Batch"],
            "mlpexp.data.columns": ["Category", "Date", "Image", "Number"],
            "mlpexp.data.dataset": ["Data", "Dataset", "Recommended", "Split", "datasets"],
            "mlpexp.data.preprocessing": ["Preprocessing", "Target"],
            "mlpexp.data.splits": ["RandomlySplit", "Samples", "split_at_random"],
            "mlpexp.data.task": ["Task"],
        },
    )

__all__ = [
    "Batch",
    "Category",
    "Count",
    "Data",
    "Dataset",
    "Date",
    "Finite",
    "Fraction",
    "Image",
    "Index",
    "NonNegative",
    "Number",
    "OpenFraction",
    "PathName",
    "Positive",
    "Preprocessing",
    "Probability",
    "RandomlySplit",
    "Range",
    "Recommended",
    "Samples",
    "Split",
    "Target",
    "Task",
    "datasets",
    "split_at_random",
]


def __dir__() -> list[str]:
    return __all__
