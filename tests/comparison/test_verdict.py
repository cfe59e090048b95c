"""What is said in words, and what is not claimed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlpexp.comparison.compare import compare
from mlpexp.comparison.verdict import verdict

Write = Callable[..., Path]
RELU = "activation=relu"


@pytest.mark.parametrize(
    ("tanh", "numbers"),
    [
        # d = −8, −10, −12, −10, −10 points: t = −15.811, p = 0.0000935; J(4) = 0.797885, d_z = −7.0711
        (
            [0.82, 0.8, 0.78, 0.8, 0.8],
            "10.00 points lower, worse in 5 of 5 seeds (95 % CI −11.76 to −8.24, p < 0.001, d = −5.64)",
        ),
        # d = 1, −1, 1, −1, −1 points: mean −0.2, sd 1.0954, t = −0.408, p = 0.704
        (
            [0.91, 0.89, 0.91, 0.89, 0.89],
            "0.20 points lower, worse in 3 of 5 seeds (95 % CI −1.56 to +1.16, p = 0.704, d = −0.15)",
        ),
    ],
)
def test_the_numbers_of_a_difference(write_sweep: Write, tanh: list[float], numbers: str) -> None:
    assert numbers in verdict(compare(write_sweep({RELU: [0.9] * 5, "activation=tanh": tanh})))[1]


def test_long_lists_are_cut(write_sweep: Write) -> None:
    sweep = write_sweep({f"epochs={n}": [n / 20, n / 30] for n in range(1, 10)})
    assert len(verdict(compare(sweep))) == 1 + 8 + 1 + 2
    assert len(verdict(compare(sweep), most=3)) == 1 + 3 + 1 + 1 + 2


def test_a_difference_of_nothing_asks_for_no_seeds(write_sweep: Write) -> None:
    """Means that are equal as shown: only what these seeds can detect is said."""
    sweep = write_sweep({RELU: [0.90, 0.92, 0.94, 0.96], "activation=tanh": [0.92, 0.90, 0.96, 0.94]})
    (line,) = [line for line in verdict(compare(sweep)) if ": 0.00 points lower" in line]
    assert line.endswith("not distinguishable from noise with 4 seeds; with 4 seeds you can see 4.91 points.")
