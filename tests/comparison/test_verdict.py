"""What is said in words, and what is not claimed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlpexp.comparison.compare import compare
from mlpexp.comparison.verdict import verdict

Write = Callable[..., Path]
NOT_EQUAL = "Not distinguishable from noise does not mean equal: the interval holds what the difference may be."
FEW = (
    " seeds a t-test finds only differences that are large beside their spread, and rests on that spread being normal; "
    "five seeds or more say much more."
)
RELU = "activation=relu"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # d = −8, −10, −12, −10, −10 points: t = −15.811, p = 0.0000935; J(4) = 0.797885, d_z = −7.0711
        (
            {RELU: [0.9, 0.9, 0.9, 0.9, 0.9], "activation=tanh": [0.82, 0.8, 0.78, 0.8, 0.8]},
            [
                "Highest mean test accuracy: activation=relu, 90.00 %.",
                "activation=tanh: 10.00 points lower (95 % CI −11.76 to −8.24, p < 0.001, d = −5.64): more than noise.",
            ],
        ),
        # d = 1, −1, 1, −1, −1 points: mean −0.2, sd 1.0954, t = −0.408, p = 0.704
        (
            {RELU: [0.9, 0.9, 0.9, 0.9, 0.9], "activation=tanh": [0.91, 0.89, 0.91, 0.89, 0.89]},
            [
                "Highest mean test accuracy: activation=relu, 90.00 %.",
                "activation=tanh: 0.20 points lower (95 % CI −1.56 to +1.16, p = 0.704, d = −0.15): "
                "not distinguishable from noise with 5 seeds.",
                NOT_EQUAL,
            ],
        ),
        (
            {RELU: [0.9, 0.9], "activation=tanh": [0.8, 0.9]},
            [
                "Highest mean test accuracy: activation=relu, 90.00 %.",
                "activation=tanh: 5.00 points lower (95 % CI −68.53 to +58.53, p = 0.500): "
                "not distinguishable from noise with 2 seeds.",
                f"With 2{FEW}",
                NOT_EQUAL,
            ],
        ),
        (
            {RELU: [1, 1, 1], "activation=tanh": [1, 1, 1], "activation=gelu": [0.5, 0.5, 0.5]},
            [
                "Highest mean test accuracy: activation=relu, 100.00 %.",
                "activation=tanh: the same test accuracy as activation=relu in each of 3 seeds.",
                "activation=gelu: 50.00 points lower in each of 3 seeds alike: without spread there is no t-test.",
            ],
        ),
        (
            {RELU: [0.9], "activation=tanh": [0.8], "activation=gelu": [0.9]},
            [
                "Highest mean test accuracy: activation=relu, 90.00 %.",
                "activation=gelu: the same test accuracy as activation=relu with the one seed that both have.",
                "activation=tanh: 10.00 points lower with the one seed that both have: nothing says whether another "
                "seed would agree.",
                "One seed a setting: there is no interval and no test. Train more seeds, as with -m seed=0,1,2,3,4.",
            ],
        ),
        (
            {"": [0.9]},
            [
                "test accuracy 90.00 % over 1 seed.",
                "One seed: there is no interval and no test. Train more seeds, as with -m seed=0,1,2,3,4.",
            ],
        ),
        ({"": [0.9, 0.8]}, ["test accuracy 85.00 % over 2 seeds."]),
    ],
)
def test_verdict(write_sweep: Write, settings: dict[str, list[float]], expected: list[str]) -> None:
    assert verdict(compare(write_sweep(settings))) == expected


def test_what_only_many_tests_take_away(write_sweep: Write) -> None:
    # d = −1, −2, −1, −2, 0 points: t = −3.207, p = 0.0327, the least of three pairs: 3p = 0.098
    sweep = write_sweep(
        {
            "activation=relu": [0.90, 0.90, 0.90, 0.90, 0.90],
            "activation=gelu": [0.89, 0.88, 0.89, 0.88, 0.90],
            "activation=tanh": [0.90, 0.90, 0.85, 0.80, 0.88],
        }
    )
    sentence = verdict(compare(sweep))[1]
    assert sentence.startswith("activation=gelu: 1.20 points lower (95 % CI −2.24 to −0.16, p = 0.098 after Holm's ")
    assert sentence.endswith(
        ": taken alone it would pass for more than noise (p = 0.033), but not as one of 3 comparisons."
    )


def test_losses_say_which_way_is_worse(write_sweep: Write) -> None:
    sweep = write_sweep({RELU: [0.9, 0.8], "activation=tanh": [0.7, 0.2]})
    said = verdict(compare(sweep, metric="loss/test"))
    assert said[0] == "Lowest mean test loss: activation=relu, 0.15."
    assert said[1].startswith("activation=tanh: 0.4 higher, which is worse (95 % CI ")
    said = verdict(compare(sweep, metric="loss/test", baseline="activation=tanh"))
    assert said[1] == "Compared with the baseline, activation=tanh, 0.55:"
    assert said[2].startswith("activation=relu: 0.4 lower, which is better (95 % CI ")


def test_settings_that_share_no_seed(write_run: Write, here: Path) -> None:
    write_run("0", RELU, seed=0)
    write_run("1", "activation=tanh", seed=1)
    assert verdict(compare(here))[1].endswith(
        ": shares no seed with activation=relu, so they cannot be paired; give both the same."
    )


def test_without_results_nothing_is_claimed(write_run: Write, here: Path) -> None:
    write_run("0", RELU, state="failed", score=None, metrics={})
    assert verdict(compare(here)) == ["No run has a result yet: there is nothing to compare."]
    write_run("1", "activation=tanh")
    assert "activation=relu: no run has a result." in verdict(compare(here))


def test_long_lists_are_cut(write_sweep: Write) -> None:
    sweep = write_sweep({f"epochs={n}": [n / 20, n / 30] for n in range(1, 10)})
    assert len(verdict(compare(sweep))) == 1 + 8 + 2
    said = verdict(compare(sweep), most=3)
    assert said[4] == "And 5 more settings."
