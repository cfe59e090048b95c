"""The settings of a table: its file, the kinds of its columns, and the split of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mlpexp.data.columns import Scale
from mlpexp.data.preprocessing import Transform
from mlpexp.data.splits import RandomlySplit
from mlpexp.data.tables.dialect import TextForm
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import Named
from mlpexp.fields.ranges import PathName


@dataclass(frozen=True, kw_only=True)
class TableSettings(RandomlySplit):
    """The settings of `dataset=table`."""

    path: PathName
    """Path of the file, relative to the working directory."""
    target: tuple[str, ...] | None = None
    """Name of the column to predict; null: the last. Several names for values that are predicted together."""
    task: Literal["auto", "classification", "regression"] = "auto"
    """What is predicted, classes or values; auto: classes where the target is text, or whole numbers: at most 4
    different ones, or at most 20 that stand in at least 3 rows each."""
    columns: Named[str] = field(default_factory=Named)
    """Kinds of columns, by name: number, category, date, day_first, month_first or ignore; others are inferred."""
    ignore: tuple[str, ...] = ()
    """Names of columns to leave out."""
    missing: Literal["impute", "drop", "refuse"] = "impute"
    """Rows with missing values: impute: the training rows' median and an input that says so, a category of its own;
    drop: left out; refuse: an error."""
    rare: Literal["refuse", "drop", "merge"] = "refuse"
    """Classes with fewer than three rows: refuse: an error; drop: their rows are left out; merge: they become one
    class, "other"."""
    scale: Scale = "standard"
    """How numbers are scaled: standard: mean 0, deviation 1; robust: by median and quartiles; quantile: to a normal
    distribution."""
    target_transform: Transform = "none"
    """Transform of the values to predict: none; log: ln y; log1p: ln(1 + y)."""
    group: str | None = None
    """Column whose groups stay together, such as patients: no group is in two splits."""
    time: str | None = None
    """Column of dates or numbers by which rows are split: the latest rows are the test split, those before them val."""
    split: str | None = None
    """Column that says of each row whether it is for train, val or test."""
    test_path: PathName | None = None
    """File with the test rows, with the same columns; the rows of `path` are then for train and val."""
    weight: str | None = None
    """Column of the rows' weights w, numbers of at least 0; it is no input. They are divided by their mean over the
    training rows. The loss of a batch of B rows is Σ w·loss / B; with loss.class_weight, c of the row's class,
    Σ w·c·loss / Σ w·c. All metrics are weighted, as scikit-learn's with sample_weight: a mean is Σ w·m / Σ w. Rows of
    weight 0 are left out. What mixup makes of two rows counts by the weights of both. null: all rows count alike."""
    sep: str | None = None
    """Separator of a text file: one character, or tab, space, comma, semicolon, pipe; null: it is inferred."""
    decimal: Literal[".", ","] | None = None
    """Decimal mark of a text file; null: it is inferred."""
    header: bool | None = None
    """Whether a text file begins with the names of its columns; null: it is inferred."""
    encoding: str | None = None
    """Encoding of a text file, such as latin-1; null: it is inferred."""
    sheet: str | None = None
    """Sheet of an Excel workbook; null: the first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # From Python it may be a dict, and a dataset is hashed.
        object.__setattr__(self, "columns", Named(self.columns))
        _ = self.text_form  # raises what is wrong with it
        if self.fold is not None and (said := self.split or self.test_path) is not None:
            key = "split" if self.split is not None else "test_path"
            raise ConfigError(f"fold={self.fold}: {key}={said} says which rows are for test already.")
        rules = {"group": self.group, "time": self.time, "split": self.split}
        given = [f"{key}={value}" for key, value in rules.items() if value is not None]
        if self.test_path is not None:
            given.append(f"test_path={self.test_path}")
        if len(given) > 1:
            raise ConfigError(f"{given[1]}: {given[0]} splits the rows already; leave one of the two out.")

    @property
    def text_form(self) -> TextForm:
        """The given settings on the format of a text file."""
        return TextForm(self.sep, self.header, self.decimal, self.encoding)
