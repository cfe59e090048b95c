"""The ranges that a config's numbers may lie in."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest

from mlpexp.fields import ranges
from mlpexp.fields.ranges import Range

INF, NAN = math.inf, math.nan
# Numbers inside and outside of every range, its bounds among them.
INSIDE: dict[str, list[float]] = {
    "Finite": [-1e308, 0.0, 1e308],
    "Positive": [5e-324, 1.0, 1e308],
    "NonNegative": [0.0, 1.0, 1e308],
    "Probability": [0.0, 0.5, 1.0],
    "Fraction": [0.0, 0.5, math.nextafter(1, 0)],
    "OpenFraction": [5e-324, 0.5, math.nextafter(1, 0)],
    "Share": [5e-324, 0.5, 1.0],
    "Count": [1, 2, 2**53],
    "Index": [0, 1, 2**53],
}
OUTSIDE: dict[str, list[float]] = {
    "Finite": [INF, -INF, NAN],
    "Positive": [0.0, -1e-9, INF, -INF, NAN],
    "NonNegative": [-1e-9, INF, -INF, NAN],
    "Probability": [-1e-9, math.nextafter(1, 2), INF, NAN],
    "Fraction": [-1e-9, 1.0, INF, NAN],
    "OpenFraction": [0.0, 1.0, INF, NAN],
    "Share": [0.0, math.nextafter(1, 2), INF, NAN],
    "Count": [0, -1, 2**53 + 1],
    "Index": [-1, 2**53 + 1],
}
NAMES = [name for name, value in vars(ranges).items() if any(isinstance(part, Range) for part in get_args(value))]


def limit(name: str) -> Range:
    _, found = get_args(getattr(ranges, name))
    assert isinstance(found, Range)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_range_has_a_reference(name: str) -> None:
    assert name in INSIDE
    assert name in OUTSIDE


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in NAMES for value in INSIDE[name]])
def test_inside(name: str, value: float) -> None:
    assert value in limit(name)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in NAMES for value in OUTSIDE[name]])
def test_outside(name: str, value: float) -> None:
    assert value not in limit(name)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({}, ""),
        ({"low": 0}, "at least 0"),
        ({"low": 0, "open_low": True}, "greater than 0"),
        ({"high": 1}, "at most 1"),
        ({"high": 1, "open_high": True}, "less than 1"),
        ({"low": 0, "high": 1, "open_high": True}, "at least 0 and less than 1"),
        ({"low": 0.25, "high": 1_000_000}, "at least 0.25 and at most 1000000"),
    ],
)
def test_in_words(bounds: dict[str, Any], words: str) -> None:
    assert str(Range(**bounds)) == words
