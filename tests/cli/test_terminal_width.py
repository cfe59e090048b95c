"""A terminal has every line broken at words, and no line of a run is cut; a pipe has each line whole."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

import pytest

from mlpexp.cli.main import call
from mlpexp.cli.streams import folded

# What a terminal does with text, and what is shown while one waits, of which nothing stays.
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
WAITING = re.compile(r"[\u2800-\u28ff] [^\r\n]*")
# Commands that print long lines of prose, and mistakes whose errors are long.
SAYING = [
    "--help",
    "help plot",
    "train --help",
    "compare --help",
    "trian",
    "train activaton=relu",
    "train experiment=xorr",
    "list optimzer",
]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(line: str, monkeypatch: pytest.MonkeyPatch, columns: int | None) -> list[str]:
    """The lines that a command shows on a terminal of so many columns, or in a pipe."""
    stream = io.StringIO() if columns is None else _Terminal()
    with monkeypatch.context() as patch:
        patch.setenv("COLUMNS", str(columns or 80))
        patch.setenv("TERM", "xterm")
        for name in ("stdout", "stderr"):
            patch.setattr(sys, name, stream)
        with contextlib.suppress(SystemExit):
            call(line.split())
    return [line for line in WAITING.sub("", CONTROLS.sub("", stream.getvalue())).splitlines() if line]


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("line", SAYING)
def test_lines_break_at_words(line: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, whole = shown(line, monkeypatch, columns), shown(line, monkeypatch, None)
    # A word that is wider stays whole.
    too_wide = [part for part in narrow if len(part) > columns and " " in part.strip()]
    assert not too_wide
    assert " ".join(narrow).split() == " ".join(whole).split()


def test_in_a_pipe_an_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    (error,) = shown("train activaton=relu", monkeypatch, None)
    assert len(error) > 200


@pytest.mark.parametrize("columns", [100, 80, 60])
def test_the_lines_of_a_run_are_whole(columns: int, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown("train dataset=xor epochs=100 log.tensorboard=false log.figures=false", monkeypatch, columns)
    assert not [line for line in lines if len(line) > columns or "…" in line]
    last, *_ = [line for line in lines if re.match(r"epoch 100/100 ━+ .*val accuracy \d\.\d{4} \d\d:\d\d$", line)]
    assert ("train loss" in last) == (columns >= 80)
    # What is beside a label stays beside it.
    start = next(n for n, line in enumerate(lines) if line.startswith("epoch lines  train: "))
    assert lines[start + 1].startswith(" " * len("epoch lines  "))


def test_options_may_stand_between_overrides(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = shown("train dataset=xor -m seed=0,1 --dry-run activation=tanh", monkeypatch, None)
    assert first == "2 runs in 1 stack; all are valid"
    config = shown("train dataset=xor --cfg job activation=tanh", monkeypatch, None)
    assert {"  name: tanh", "  name: xor"} <= set(config)


def test_folding() -> None:
    text = "test accuracy 97.72 % of a/path/that/is/long.csv"
    assert folded(text, 21) == "test accuracy 97.72 %\n  of\n  a/path/that/is/long.csv"
    assert folded(text, 20) == "test accuracy\n  97.72 % of\n  a/path/that/is/long.csv"
    assert folded(text, None) == text
