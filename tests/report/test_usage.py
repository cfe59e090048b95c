"""What a report says of how to use a run: its commands and its lines of Python run as they stand."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import mlpexp
from mlpexp.cli.main import call
from mlpexp.config.schema import Config
from mlpexp.report.page import page
from mlpexp.report.section import section_of


def frame() -> pl.DataFrame:
    x = np.random.default_rng(0).normal(size=80)
    return pl.DataFrame(
        {"size <cm>": x, "colour": ["red", "blue"] * 40, "kind": np.where(x > 0, "big & tall", "small")}
    )


CASES: dict[str, tuple[list[str], str]] = {
    "table": (
        ["dataset=table", "dataset.path=t.csv"],
        "the columns size <cm>, colour: a table. It gives the probability of",
    ),
    "values": (["dataset=sine"], "the columns x: a table. It gives values of y in their own units"),
    "points": (["dataset=moons"], "the columns x1, x2: a table"),
    "images": (["dataset=digits"], "images of 8 × 8 pixels: a folder, one image, or an .npz or .npy file"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_page_says_works(case: str, here: Path, small: Callable[..., Config]) -> None:
    frame().write_csv("t.csv")
    overrides, said = CASES[case]
    run = mlpexp.train(small(*overrides, "epochs=1"), "my runs/<1>")
    section = section_of(run.directory)
    shown = page("title", [section])
    part = shown.split("<h3>How to use this model</h3>")[1].split("<details>")[0]
    text, commands, _, program = [
        html.unescape(found) for found in re.findall(r"<(?:p|pre)>(.*?)</(?:p|pre)>", part, re.DOTALL)
    ]
    assert said in text
    if case == "images":
        np.save("new.npy", np.zeros((2, 8, 8), dtype="uint8"))
        file = "new.npy"
    else:
        names = list(run.results.identity.preprocessing.names)
        pl.DataFrame(
            [frame()[name] if name in frame().columns else pl.Series(name, [0.1, 0.2]) for name in names]
        ).write_csv("new.csv")
        file = "new.csv"
    predict, export = [line.removeprefix("$ ") for line in commands.strip().splitlines()]
    assert call([file if word == "FILE" else word for word in shlex.split(predict)[1:]]) == 0
    assert len(pl.read_csv("predictions.csv"))
    assert call(shlex.split(export)[1:]) == 0
    exec(compile(program, case, "exec"), {})


def test_a_sweep_has_no_such_part(here: Path, small: Callable[..., Config]) -> None:
    for seed in (0, 1):
        mlpexp.train(small("epochs=1", f"seed={seed}"), here / "sweep" / str(seed))
    assert "How to use" not in page("title", [section_of(here / "sweep")])
