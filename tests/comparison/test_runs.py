"""Which runs are found, and what is said of those that cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpexp.comparison.runs import find_runs

WriteRun = Callable[..., Path]


def names(paths: list[str]) -> list[str]:
    runs, _ = find_runs(paths)
    return [str(run.directory) for run in runs]


def test_runs_below_a_directory_in_the_order_of_their_numbers(write_run: WriteRun, here: Path) -> None:
    for name in ("day/10-00-00/2", "day/10-00-00/10", "day/09-00-00", "day/.hidden/0"):
        write_run(name)
    # What lies within a run belongs to it.
    write_run("day/09-00-00/evaluations/0")
    assert names(["day"]) == ["day/09-00-00", "day/10-00-00/2", "day/10-00-00/10"]


def test_a_run_counts_once_however_it_is_named(write_run: WriteRun, here: Path) -> None:
    write_run("sweep/0")
    write_run("sweep/1")
    Path("link").symlink_to("sweep/1")
    assert names(["sweep/1", "sweep", "link", str(here / "sweep")]) == ["sweep/1", "sweep/0"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"state": "done"}'])
def test_a_damaged_run_is_left_out_and_named(write_run: WriteRun, here: Path, content: str) -> None:
    write_run("sweep/0")
    (write_run("sweep/1") / "run.json").write_text(content)
    runs, notes = find_runs(["sweep"])
    assert [str(run.directory) for run in runs] == ["sweep/0"]
    (note,) = notes
    assert note.startswith("left out: sweep/1/run.json: is damaged: ")
    assert "\n" not in note


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_run_that_may_not_be_read_is_named(write_run: WriteRun, here: Path) -> None:
    write_run("sweep/0")
    (write_run("sweep/1") / "run.json").chmod(0)
    assert "cannot be read" in find_runs(["sweep"])[1][0]
