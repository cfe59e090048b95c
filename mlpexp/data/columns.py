"""The columns of a table: the fitted parameters of each, and how its values become inputs of a network.

N rows. A column is fitted on the training rows. The number of its inputs follows from all rows, so that every split
gives a network of the same shape. Raw values are float64 [N]: numbers, days since 1970-01-01, or indices into the
`values` of a category. NaN is a missing number or date, MISSING a missing category, UNKNOWN an unlisted one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from mlpexp.data.tables.dates import Order

if TYPE_CHECKING:
    from torch import Tensor

Scale = Literal["standard", "robust", "quantile"]
Scaling = tuple[float, float, int]  # mean, standard deviation, number of inputs
MISSING, UNKNOWN = -1, -2
# At most this many values of a category, the most frequent ones, have an input of their own.
MOST_VALUES = 64
# A value in fewer training rows counts as "other": its weights would overfit these rows.
_FEWEST = 3
# Numbers within this relative distance are taken as equal up to rounding, such as 0.3 and 0.30000000000000004.
_ROUNDING = 1e-12
# Interquartile range of the standard normal distribution: Φ⁻¹(0.75) − Φ⁻¹(0.25).
_QUARTILES = 1.3489795003921634
_MOST_QUANTILES = 1000
# Probabilities are clipped to this, since Φ⁻¹(0) is infinite; the same bound as scikit-learn's QuantileTransformer.
_LEAST_PROBABILITY = 1e-7
_MONTHS, _WEEKDAYS = 12, 7
_THURSDAY = 3  # 1970-01-01; Monday is 0
# Leap years repeat every 400 years, an era. Days from 0000-03-01 to 1970-01-01, and days of an era.
_BEFORE_1970, _DAYS_OF_ERA = 719_468, 146_097


@dataclass(frozen=True)
class Number:
    """(value − mean) / deviation; with `quantiles` Φ⁻¹ of the value's probability.

    If the training rows are constant, the deviation is 0, and the input is 0 for every value. A missing value is
    replaced by the `median`, and a second input is 1 for it; `median` is None if no value was missing.
    """

    kind: ClassVar[str] = "number"
    name: str
    mean: float = 0.0
    deviation: float = 1.0
    median: float | None = None
    quantiles: tuple[float, ...] = ()
    """Values at equally spaced probabilities from 0 to 1."""

    n_raw: ClassVar[int] = 1

    @staticmethod
    def fit(name: str, values: Tensor, scale: Scale = "standard", *, missing: bool = False) -> Number:
        """Fits to the training rows' values, float64 [n]; `missing`: some row of the table has no value."""
        known = values[~values.isnan()] if missing else values
        if not len(known):
            return Number(name, 0.0, 0.0, 0.0)
        median = _quantile(known, [0.5])[0] if missing else None
        if constant(known):
            return Number(name, float(known.mean()), 0.0, median)
        if scale == "quantile":
            n = min(_MOST_QUANTILES, len(known))
            return Number(name, 0.0, 1.0, median, tuple(_quantile(known, [k / (n - 1) for k in range(n)])))
        if scale == "robust":
            low, middle, high = _quantile(known, [0.25, 0.5, 0.75])
            if high > low:
                return Number(name, middle, (high - low) / _QUARTILES, median)
        return Number(name, *moments(known), median)

    @property
    def names(self) -> list[str]:
        """Names of the inputs."""
        return [self.name] if self.median is None else [self.name, f"{self.name} is missing"]

    @property
    def scaling(self) -> list[Scaling]:
        """Mean and standard deviation of the inputs, in their order."""
        return [(self.mean, self.deviation, 1), *([] if self.median is None else [(0.0, 1.0, 1)])]

    def encoded(self, raw: Tensor) -> Tensor:
        """Raw values [N, 1] as [N, n_inputs], before they are scaled."""
        import torch

        filled = raw if self.median is None else _filled(raw, self.median)
        if self.quantiles:
            filled = _normal_scores(filled, self.quantiles)
        return filled if self.median is None else torch.cat([filled, raw.isnan().double()], dim=1)


@dataclass(frozen=True)
class Category:
    """One-hot encoding: an input for each of the `values`, one for other values, and one for missing values if any."""

    kind: ClassVar[str] = "category"
    name: str
    values: tuple[str, ...]
    rare: tuple[str, ...] = ()
    """Values that count as "other", since few training rows have them."""
    missing: bool = False
    other: bool = False
    """Whether there is an input for other values; without it, an unknown value is 0 in all inputs."""

    n_raw: ClassVar[int] = 1

    @staticmethod
    def fit(name: str, values: Sequence[str], places: Tensor, *, missing: bool = False) -> Category:
        """Fits to the training rows' indices into `values`, which are those of the whole table, most frequent first."""
        kept = tuple(values[:MOST_VALUES])
        counts = (places[places >= 0]).long().bincount(minlength=len(values))[: len(kept)].tolist()
        rare = tuple(value for value, n in zip(kept, counts, strict=True) if n < _FEWEST)
        others = {place for place, value in enumerate(kept) if value in rare} | {*range(len(kept), len(values))}
        present = {int(place) for place in places.unique().tolist()}
        return Category(name, kept, rare, missing, bool(present & (others | {UNKNOWN})))

    @property
    def names(self) -> list[str]:
        """Names of the inputs."""
        own = [f"{self.name}={value}" for value in self.values]
        return [*own, f"{self.name}: other", *([f"{self.name} is missing"] if self.missing else [])]

    @property
    def scaling(self) -> list[Scaling]:
        """Mean and standard deviation of the inputs, in their order."""
        return [(0.0, 1.0, len(self.values) + 1 + self.missing)]

    def encoded(self, raw: Tensor) -> Tensor:
        """Indices [N, 1] as one-hot inputs [N, n_inputs]."""
        import torch

        n = len(self.values)
        place = _filled(raw[:, 0], MISSING).long()
        for rare in self.rare:
            place = torch.where(place == self.values.index(rare), UNKNOWN, place)
        place = torch.where((place < MISSING) | (place >= n), n, place)
        place = torch.where(place == MISSING, n + 1 if self.missing else n, place)
        if not self.other:
            place = torch.where(place == n, n + 2, place)
        return torch.nn.functional.one_hot(place, n + 3)[:, : n + 1 + self.missing].double()


@dataclass(frozen=True)
class Date:
    """The standardised day, one-hot month and weekday, and an input for missing dates if any."""

    kind: ClassVar[str] = "date"
    name: str
    order: Order = "year first"
    mean: float = 0.0
    deviation: float = 1.0
    median: float | None = None

    n_raw: ClassVar[int] = 1

    @staticmethod
    def fit(name: str, order: Order, days: Tensor, *, missing: bool = False) -> Date:
        """Fits to the training rows' days since 1970-01-01, NaN where missing."""
        day = Number.fit(name, days, missing=missing)
        return Date(name, order, day.mean, day.deviation, day.median)

    @property
    def names(self) -> list[str]:
        """Names of the inputs."""
        months = [f"{self.name}: month {month}" for month in range(1, _MONTHS + 1)]
        weekdays = [f"{self.name}: {day}" for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")]
        return [self.name, *months, *weekdays, *([] if self.median is None else [f"{self.name} is missing"])]

    @property
    def scaling(self) -> list[Scaling]:
        """Mean and standard deviation of the inputs, in their order."""
        return [(self.mean, self.deviation, 1), (0.0, 1.0, _MONTHS + _WEEKDAYS + (self.median is not None))]

    def encoded(self, raw: Tensor) -> Tensor:
        """Days [N, 1] as inputs [N, n_inputs]; the first, the day, is not yet scaled."""
        import torch

        missing = raw.isnan()
        filled = raw if self.median is None else _filled(raw, self.median)
        days = filled[:, 0].floor().long()
        one_hot = torch.nn.functional.one_hot
        parts = [one_hot(_month(days), _MONTHS), one_hot((days + _THURSDAY) % _WEEKDAYS, _WEEKDAYS)]
        # The month and weekday of the median carry no information about the row.
        parts = [torch.where(missing, 0, part).double() for part in parts]
        return torch.cat([filled, *parts, *([] if self.median is None else [missing.double()])], dim=1)


@dataclass(frozen=True)
class Image:
    """The pixels of one channel of an image, row by row: one input each, with a common mean and deviation.

    A colour image is three such columns: red, green, blue.
    """

    kind: ClassVar[str] = "image"
    name: str
    height: int
    width: int
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def n_raw(self) -> int:
        """Number of raw values."""
        return self.height * self.width

    @property
    def names(self) -> list[str]:
        """Names of the inputs."""
        return [f"{self.name}{number}" for number in range(1, self.n_raw + 1)]

    @property
    def scaling(self) -> list[Scaling]:
        """Mean and standard deviation of the inputs, in their order."""
        return [(self.mean, self.deviation, self.n_raw)]

    def encoded(self, raw: Tensor) -> Tensor:
        """Pixels [N, height · width], unchanged."""
        return raw


Column = Number | Category | Date | Image
KINDS: dict[str, type[Column]] = {kind.kind: kind for kind in (Number, Category, Date, Image)}


def moments(values: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of values [n] that vary."""
    # The square of 1e-170 underflows to 0. Division by a power of two is exact.
    unit = 2.0 ** min(max(math.frexp(float(values.abs().max()))[1], -1000), 1000)
    values = values / unit
    return float(values.mean()) * unit, float(values.std(correction=0)) * unit


def constant(values: Tensor) -> bool:
    """Whether values [n] are equal up to rounding."""
    return rounded_apart(float(values.min()), float(values.max()))


def rounded_apart(low: float, high: float) -> bool:
    """Whether two numbers, low ≤ high, are equal up to rounding; 10¹² ± 1000 are different numbers."""
    return high - low <= _ROUNDING * max(abs(low), abs(high))


def _filled(values: Tensor, value: float) -> Tensor:
    """Replaces each NaN by `value`, as a float64 tensor: a Python number is rounded to float32 in ONNX export."""
    return values.where(~values.isnan(), values.new_tensor(value))


def _quantile(values: Tensor, probabilities: Sequence[float]) -> list[float]:
    """Quantiles with linear interpolation; torch.quantile takes at most 16 million values."""
    import numpy as np

    found: list[float] = np.quantile(values.numpy(), probabilities).tolist()
    return found


def _month(days: Tensor) -> Tensor:
    """The month (0: January) of days since 1970-01-01, int64. Algorithm: `civil_from_days` of H. Hinnant,
    chrono-compatible low-level date algorithms: in a year from March on, month m begins on day (153·m + 2) // 5."""
    day = (days + _BEFORE_1970) % _DAYS_OF_ERA
    # Leap years: every 4th year, except every 100th, but every 400th.
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day = day - (365 * year + year // 4 - year // 100)
    return ((5 * day + 2) // 153 + 2) % _MONTHS


def _normal_scores(values: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Φ⁻¹ of the empirical probability of each value, as scikit-learn's QuantileTransformer.

    If several quantiles are equal, their mean probability is taken: the mean of interpolation from below and from
    above. This also holds for the lowest and the highest value, which scikit-learn maps to ±5.2.
    """
    import numpy as np
    import torch

    q = torch.tensor(quantiles, dtype=torch.float64)
    p = torch.from_numpy(np.linspace(0, 1, len(quantiles)))
    below, above = _interpolated(values, q, p), -_interpolated(-values, -q.flip(0), -p.flip(0))
    probability = (0.5 * (below + above)).clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return torch.special.ndtri(probability)


def _interpolated(values: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Linear interpolation of the points (x, y) at `values`, x [n] ascending; constant beyond the first and last point.

    As numpy.interp, in operations that torch.export supports. If several x are equal, the y of the last one is taken.
    """
    import torch

    left = (torch.searchsorted(x, values.contiguous(), right=True) - 1).clamp(0, len(x) - 2)
    slope = (y[left + 1] - y[left]) / (x[left + 1] - x[left])
    between = slope * (values - x[left]) + y[left]
    return torch.where(values < x[0], y[0], torch.where(values >= x[-1], y[-1], between))
