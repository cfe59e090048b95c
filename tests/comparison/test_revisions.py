"""Runs of one config and seed that were made with other code: settings of their own, and no repeats."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpexp.comparison.compare import compare
from mlpexp.config.compose import compose
from mlpexp.run import record
from mlpexp.training.single import train

Write = Callable[..., Path]
OLD, NEW = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("first", "second", "labels"),
    [
        ({"git_commit": OLD}, {"git_commit": NEW}, ["commit=aaaaaaa", "commit=bbbbbbb"]),
        ({"git_commit": OLD}, {"git_commit": f"{OLD}-dirty"}, ["commit=aaaaaaa", "commit=aaaaaaa-dirty"]),
        ({"versions": {"torch": "2.13"}}, {"versions": {"torch": "2.14"}}, ["torch=2.13", "torch=2.14"]),
        # One name is enough, and the commit is the last that says why.
        (
            {"versions": {"numpy": "1", "torch": "2"}, "git_commit": OLD},
            {"versions": {"numpy": "2", "torch": "3"}, "git_commit": NEW},
            ["torch=2", "torch=3"],
        ),
        ({"versions": {"plugin snake": OLD}}, {"versions": {"plugin snake": NEW}}, ["snake=aaaaaaa", "snake=bbbbbbb"]),
        ({"versions": {}}, {"versions": {"plugin snake": NEW}}, ["all runs", "snake=bbbbbbb"]),
    ],
)
def test_two_revisions_are_two_settings(
    first: dict[str, Any], second: dict[str, Any], labels: list[str], write_run: Write, here: Path
) -> None:
    for seed in range(3):
        write_run(f"s/old{seed}", seed=seed, score=0.8 + seed / 100, **first)
        write_run(f"s/new{seed}", seed=seed, score=0.7 + seed / 100, **second)
    found = compare(here / "s")
    names = {summary.label.replace("snake=–", "all runs"): summary.seeds for summary in found.summaries}
    assert names == {label: [0, 1, 2] for label in labels}
    assert not any("repeat" in note for note in found.notes)
    assert found.contrasts[0].difference.n == 3


def test_only_a_seed_with_both_makes_two_settings(write_run: Write, here: Path) -> None:
    """As of a sweep that was extended after a commit; beside one of which a seed was trained again."""
    for seed in range(4):
        write_run(f"s/relu{seed}", "activation=relu", seed=seed, git_commit=OLD if seed < 2 else NEW)
        write_run(f"s/tanh{seed}", "activation=tanh", seed=seed, git_commit=OLD)
    write_run("s/again", "activation=tanh", seed=0, git_commit=NEW)
    write_run("s/repeat", "activation=tanh", seed=1, git_commit=OLD)
    found = compare(here / "s")
    assert {summary.label: summary.seeds for summary in found.summaries} == {
        "activation=relu": [0, 1, 2, 3],
        "activation=tanh, commit=aaaaaaa": [0, 1, 2, 3],
        "activation=tanh, commit=bbbbbbb": [0],
    }
    assert found.keys == ["activation", "commit"]
    assert [note for note in found.notes if "repeat" in note] == [
        "1 run repeats a setting and a seed: of such runs only the last one started counts."
    ]
    assert compare(here / "s", "activation=tanh,commit=aaaaaaa").reference is not None


def test_a_run_notes_the_content_of_its_plugins(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "digested_part").mkdir()
    (here / "digested_part" / "__init__.py").write_text("A = 1\n")
    (here / "digested_part" / "more.py").write_text("B = 2\n")
    monkeypatch.syspath_prepend(str(here))
    quiet = ["dataset=xor", "epochs=1", "log.figures=false", "log.tensorboard=false"]
    train(compose([*quiet, "plugins=[digested_part]"]), "run")
    monkeypatch.delitem(sys.modules, "digested_part")
    expected = hashlib.sha256(b"A = 1\nB = 2\n").hexdigest()
    versions = record.read(here / "run").versions
    assert {name: text for name, text in versions.items() if name.startswith("plugin ")} == {
        "plugin digested_part": expected
    }
