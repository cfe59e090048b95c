"""Measures of runs in words, held to histories written by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpexp.comparison.measure import measured
from mlpexp.comparison.runs import StoredRun
from mlpexp.config.measure import parse_measure
from mlpexp.errors import ConfigError
from mlpexp.run import record

Write = Callable[..., Path]
HISTORY = {
    "epoch": [1, 2, 3, 4],
    "loss/train": [0.8, 0.4, 0.2, 0.1],
    "loss/val": [0.9, 0.5, 0.6, 0.7],
    "accuracy/val": [0.5, 0.8, math.nan, math.nan],
}


@pytest.fixture
def run(write_run: Write) -> StoredRun:
    directory = write_run("run", score=0.75, history=HISTORY, epochs_done=4)
    return StoredRun(directory, record.read(directory))


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("accuracy/test", 0.75),
        ("loss/train", 0.25),
        ("first loss/val", 0.9),
        ("last loss/val", 0.7),
        ("max loss/val", 0.9),
        ("min loss/val", 0.5),
        ("last accuracy/val", 0.8),  # the last that was measured
        ("epochs", 4),
        ("epochs until loss/train <= 0.2", 3),
        ("epochs until accuracy/val >= 0.8", 2),
        ("epochs until loss/val <= 0.1", 5),
        ("last loss/val less last loss/train", 0.6),
        ("last loss/val over min loss/val", 1.4),
        ("last loss/val less last loss/train less first loss/val", 1.5),  # from the right
    ],
)
def test_value(words: str, value: float, run: StoredRun) -> None:
    assert measured(parse_measure(words), run) == pytest.approx(value)


@pytest.mark.parametrize("words", ["accuracy/test", "last loss/val", "epochs until loss/val <= 0.5"])
def test_what_a_run_lacks_is_no_number(words: str, write_run: Write) -> None:
    directory = write_run("bare", score=None)
    assert math.isnan(measured(parse_measure(words), StoredRun(directory, record.read(directory))))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("accuracy/test", "75.00 %"),
        ("loss/test", "0.75"),
        ("calibration_error/test less calibration_error/val", "75.00 %"),
        ("accuracy/test over accuracy/val", "0.75"),
    ],
)
def test_units(words: str, shown: str) -> None:
    assert parse_measure(words).shown(0.75) == shown


@pytest.mark.parametrize("value", [-0.00000025, -3.0])
def test_a_minus_is_a_minus(value: float) -> None:
    assert "-" not in parse_measure("loss/test").shown(value)


@pytest.mark.parametrize(
    "words", ["", "acuracy/test", "accuracy", "accuracy/dev", "last", "epochs until loss/val < 1", "loss/val less "]
)
def test_words_that_say_nothing(words: str) -> None:
    with pytest.raises(ConfigError, match="is not a measure; examples: accuracy/test"):
        parse_measure(words)


def test_a_limit_that_is_no_number() -> None:
    with pytest.raises(ConfigError, match=r"measure=epochs until loss/val <= low: low is not a number\."):
        parse_measure("epochs until loss/val <= low")
