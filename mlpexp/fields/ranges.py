"""What a config's values may be, as annotations: ranges of numbers (`lr: Positive = 0.001`), and paths."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Range:
    """An interval; a bound is closed unless it is said to be open. Not-a-number lies in no range."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def wanted(self, value: float) -> str:
        """The allowed range, for the message on a value outside; 2⁵³ is named only where the value is too large."""
        if self.high >= _MOST and value < self.high:
            return str(Range(low=self.low, open_low=self.open_low))
        return str(self)

    def __str__(self) -> str:
        low = "" if self.low == -math.inf else f"{'greater than' if self.open_low else 'at least'} {_plain(self.low)}"
        high = "" if self.high == math.inf else f"{'less than' if self.open_high else 'at most'} {_plain(self.high)}"
        return " and ".join(part for part in (low, high) if part)


@dataclass(frozen=True)
class FilePath:
    """Marks a text as a path, in which `~` is the home directory."""


def _plain(bound: float) -> str:
    """A bound in digits: 1000000, not 1e+06."""
    return str(int(bound)) if float(bound).is_integer() else f"{bound:g}"


# The largest integer that a config may hold: seeds go to generators that take 64 bits, sizes to allocators.
_MOST = 2**53

Finite = Annotated[float, Range(open_low=True, open_high=True)]
Positive = Annotated[float, Range(low=0, open_low=True, open_high=True)]
NonNegative = Annotated[float, Range(low=0, open_high=True)]
Probability = Annotated[float, Range(low=0, high=1)]
Fraction = Annotated[float, Range(low=0, high=1, open_high=True)]
OpenFraction = Annotated[float, Range(low=0, high=1, open_low=True, open_high=True)]
Share = Annotated[float, Range(low=0, high=1, open_low=True)]
Count = Annotated[int, Range(low=1, high=_MOST)]
Index = Annotated[int, Range(low=0, high=_MOST)]
PathName = Annotated[str, FilePath()]
