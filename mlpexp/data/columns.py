"""The columns of a table: what each holds of its own, and how its values become inputs of a network.

N rows. A column is fitted on training rows; which inputs it has follows from all rows, so that each split of the rows
gives the same network. Raw values are float64 [N]: numbers, days since 1970-01-01, and places among the `values` of a
category. NaN is a missing number or date, MISSING a missing category, UNKNOWN one that is not listed.
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
Scaling = tuple[float, float, int]  # mean and deviation of so many inputs
MISSING, UNKNOWN = -1, -2
# A category has inputs of its own for so many values at most, the most frequent ones.
MOST_VALUES = 64
# A value in fewer training rows counts as "other": so few rows would fit its weights to themselves.
_FEWEST = 3
# Numbers within this relative distance differ by rounding alone, as 0.3 and 0.30000000000000004 do.
_ROUNDING = 1e-12
# Quartiles of a normal distribution are so many deviations apart: Φ⁻¹(0.75) − Φ⁻¹(0.25).
_QUARTILES = 1.3489795003921634
_MOST_QUANTILES = 1000
# Φ⁻¹ of 0 and of 1 is infinite; scikit-learn's QuantileTransformer takes the same bound.
_LEAST_PROBABILITY = 1e-7
_MONTHS, _WEEKDAYS = 12, 7
_THURSDAY = 3  # 1970-01-01; Monday is 0
# Leap years repeat after 400 years. Days from 0000-03-01 to 1970-01-01, and of such an era.
_BEFORE_1970, _DAYS_OF_ERA = 719_468, 146_097


@dataclass(frozen=True)
class Number:
    """(value − mean) / deviation; with `quantiles` Φ⁻¹ of the value's probability.

    The deviation is 0 where the training rows are constant: the input is 0, whatever the value. A missing value is
    taken for the `median`, and a second input is 1 for it; without a median, none was missing.
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
        """Of the training rows' values, float64 [n]; `missing`: the table has rows without one."""
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
        """Of its inputs."""
        return [self.name] if self.median is None else [self.name, f"{self.name} is missing"]

    @property
    def scaling(self) -> list[Scaling]:
        """How its inputs are scaled, in their order."""
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
    """An input that is 1 for each of the `values`, one for other values, and one where some are missing."""

    kind: ClassVar[str] = "category"
    name: str
    values: tuple[str, ...]
    rare: tuple[str, ...] = ()
    """Those of the values that count as other ones, since few training rows have them."""
    missing: bool = False
    other: bool = False
    """Whether training rows have other values; where none has, an unknown value is 0 in all inputs."""

    n_raw: ClassVar[int] = 1

    @staticmethod
    def fit(name: str, values: Sequence[str], places: Tensor, *, missing: bool = False) -> Category:
        """Of the training rows' places among the `values` of the whole table, the most frequent first."""
        kept = tuple(values[:MOST_VALUES])
        counts = (places[places >= 0]).long().bincount(minlength=len(values))[: len(kept)].tolist()
        rare = tuple(value for value, n in zip(kept, counts, strict=True) if n < _FEWEST)
        others = {place for place, value in enumerate(kept) if value in rare} | {*range(len(kept), len(values))}
        present = {int(place) for place in places.unique().tolist()}
        return Category(name, kept, rare, missing, bool(present & (others | {UNKNOWN})))

    @property
    def names(self) -> list[str]:
        """Of its inputs."""
        own = [f"{self.name}={value}" for value in self.values]
        return [*own, f"{self.name}: other", *([f"{self.name} is missing"] if self.missing else [])]

    @property
    def scaling(self) -> list[Scaling]:
        """How its inputs are scaled, in their order."""
        return [(0.0, 1.0, len(self.values) + 1 + self.missing)]

    def encoded(self, raw: Tensor) -> Tensor:
        """Places [N, 1] as [N, n_inputs] of 0 and 1."""
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
    """The day, scaled as a number is, and an input for each month and weekday; one where some dates are missing."""

    kind: ClassVar[str] = "date"
    name: str
    order: Order = "year first"
    mean: float = 0.0
    deviation: float = 1.0
    median: float | None = None

    n_raw: ClassVar[int] = 1

    @staticmethod
    def fit(name: str, order: Order, days: Tensor, *, missing: bool = False) -> Date:
        """Of the training rows' days since 1970-01-01, NaN where missing."""
        day = Number.fit(name, days, missing=missing)
        return Date(name, order, day.mean, day.deviation, day.median)

    @property
    def names(self) -> list[str]:
        """Of its inputs."""
        months = [f"{self.name}: month {month}" for month in range(1, _MONTHS + 1)]
        weekdays = [f"{self.name}: {day}" for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")]
        return [self.name, *months, *weekdays, *([] if self.median is None else [f"{self.name} is missing"])]

    @property
    def scaling(self) -> list[Scaling]:
        """How its inputs are scaled, in their order."""
        return [(self.mean, self.deviation, 1), (0.0, 1.0, _MONTHS + _WEEKDAYS + (self.median is not None))]

    def encoded(self, raw: Tensor) -> Tensor:
        """Days [N, 1] as [N, n_inputs], the first before it is scaled."""
        import torch

        missing = raw.isnan()
        filled = raw if self.median is None else _filled(raw, self.median)
        days = filled[:, 0].floor().long()
        one_hot = torch.nn.functional.one_hot
        parts = [one_hot(_month(days), _MONTHS), one_hot((days + _THURSDAY) % _WEEKDAYS, _WEEKDAYS)]
        # The month and weekday of a median say nothing of the row.
        parts = [torch.where(missing, 0, part).double() for part in parts]
        return torch.cat([filled, *parts, *([] if self.median is None else [missing.double()])], dim=1)


@dataclass(frozen=True)
class Image:
    """The pixels of a channel of an image, row by row, an input each; all of them have the same mean and deviation.

    A colour image is three such columns: all of its red, then green, then blue.
    """

    kind: ClassVar[str] = "image"
    name: str
    height: int
    width: int
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def n_raw(self) -> int:
        """Number of raw values that it takes."""
        return self.height * self.width

    @property
    def names(self) -> list[str]:
        """Of its inputs."""
        return [f"{self.name}{number}" for number in range(1, self.n_raw + 1)]

    @property
    def scaling(self) -> list[Scaling]:
        """How its inputs are scaled, in their order."""
        return [(self.mean, self.deviation, self.n_raw)]

    def encoded(self, raw: Tensor) -> Tensor:
        """Pixels [N, height · width] as they are."""
        return raw


Column = Number | Category | Date | Image
KINDS: dict[str, type[Column]] = {kind.kind: kind for kind in (Number, Category, Date, Image)}


def moments(values: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of values [n], which are not constant."""
    # The square of 1e-170 is 0 as a float; to divide by a power of two changes no bit of other values.
    unit = 2.0 ** min(max(math.frexp(float(values.abs().max()))[1], -1000), 1000)
    values = values / unit
    return float(values.mean()) * unit, float(values.std(correction=0)) * unit


def constant(values: Tensor) -> bool:
    """Whether values [n] differ by rounding alone."""
    return rounded_apart(float(values.min()), float(values.max()))


def rounded_apart(low: float, high: float) -> bool:
    """Whether two numbers, low ≤ high, differ by rounding alone; 10¹² ± 1000 are far from it."""
    return high - low <= _ROUNDING * max(abs(low), abs(high))


def _filled(values: Tensor, value: float) -> Tensor:
    """Values, float64, with one in place of each NaN; a tensor, since a plain number is rounded on its way to ONNX."""
    return values.where(~values.isnan(), values.new_tensor(value))


def _quantile(values: Tensor, probabilities: Sequence[float]) -> list[float]:
    """Values at some probabilities, in between by straight lines; torch's own takes 16 million values at most."""
    import numpy as np

    found: list[float] = np.quantile(values.numpy(), probabilities).tolist()
    return found


def _month(days: Tensor) -> Tensor:
    """The month, 0 is January, of days since 1970-01-01, int64; as `civil_from_days` of H. Hinnant, chrono-compatible
    low-level date algorithms: in a year that begins in March, month m begins on day (153·m + 2) // 5."""
    day = (days + _BEFORE_1970) % _DAYS_OF_ERA
    # Leap days: one in 4 years, none in 100, one in 400.
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day = day - (365 * year + year // 4 - year // 100)
    return ((5 * day + 2) // 153 + 2) % _MONTHS


def _normal_scores(values: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Φ⁻¹ of the probability of each value, as scikit-learn's QuantileTransformer has it.

    Where several quantiles are equal, the value is in the middle of them: the mean of what interpolation from below
    and from above gives; there the lowest and the highest value too, which scikit-learn takes for ±5.2.
    """
    import numpy as np
    import torch

    q = torch.tensor(quantiles, dtype=torch.float64)
    p = torch.from_numpy(np.linspace(0, 1, len(quantiles)))
    below, above = _interpolated(values, q, p), -_interpolated(-values, -q.flip(0), -p.flip(0))
    probability = (0.5 * (below + above)).clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return torch.special.ndtri(probability)


def _interpolated(values: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """y at `values` by straight lines between the points (x, y), x [n] ascending; beyond them that of the last one.

    As numpy.interp, which torch.export does not know: where several x are equal, y of the last of them.
    """
    import torch

    left = (torch.searchsorted(x, values.contiguous(), right=True) - 1).clamp(0, len(x) - 2)
    slope = (y[left + 1] - y[left]) / (x[left + 1] - x[left])
    between = slope * (values - x[left]) + y[left]
    return torch.where(values < x[0], y[0], torch.where(values >= x[-1], y[-1], between))
