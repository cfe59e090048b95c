"""`make replay`: what is compared, what is masked, and that a difference has to be named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from replay.cases import cases, groups_of, missing
from replay.compare import differences, named_in, summary
from replay.outcome import KINDS, Said, masked_text, outcome
from replay.trees import ROOT

GROUPS = groups_of(ROOT / "conf")


def test_every_option_is_chosen_by_a_case() -> None:
    assert missing(GROUPS, cases(GROUPS)) == []
    assert missing({**GROUPS, "activation": [*GROUPS["activation"], "new"]}, cases(GROUPS)) == ["activation=new"]


def test_cases_have_names_of_their_own() -> None:
    names = [case.name for case in cases(GROUPS)]
    assert len(set(names)) == len(names) >= 25


def write_run(place: Path, *, pid: int = 1, weight: float = 0.5, loss: str = "0.25", reason: str | None = None) -> None:
    (place / "run").mkdir(parents=True)
    record = {"pid": pid, "seconds": pid / 7, "n_parameters": 3, "reason": reason, "metrics": {"val": {"loss": 0.1}}}
    (place / "run" / "run.json").write_text(json.dumps(record))
    (place / "run" / "metrics.csv").write_text(f"epoch,loss/val\n1,{loss}\n")
    state = {"weights": {"w": torch.tensor([weight, 1.0])}, "epoch": pid}
    torch.save(state, place / "run" / "best.pt")


def kept(place: Path, out: str = "fine\n", code: int = 0) -> dict[str, str]:
    return outcome(place, [Said("train", code, out, "")], {str(place): "<here>"}, set())


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({}, []),
        ({"pid": 2}, ["state"]),  # the checkpoint's epoch, not the record's pid
        ({"weight": 0.5 + 2**-24}, ["numbers"]),
        ({"loss": "0.25000000000000006"}, ["numbers"]),
        ({"reason": "diverged"}, ["texts"]),
    ],
)
def test_what_differs_is_found_and_times_are_not(change: dict[str, object], kinds: list[str], tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", **change)  # type: ignore[arg-type]
    a, b = kept(tmp_path / "a"), kept(tmp_path / "b")
    assert [kind for kind in KINDS if a[kind] != b[kind]] == kinds


def test_output_codes_and_files_are_compared(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    a = kept(tmp_path / "a")
    assert kept(tmp_path / "a", out="well\n")["texts"] != a["texts"]
    assert kept(tmp_path / "a", code=2)["numbers"] != a["numbers"]
    (tmp_path / "a" / "more.png.txt").touch()
    assert kept(tmp_path / "a")["files"] == a["files"].replace("run/best.pt", "more.png.txt\nrun/best.pt")


def test_the_mask_takes_times_and_places() -> None:
    known = {"/home/me/tree": "<tree>"}

    def shown(seconds: str, time: str) -> str:
        width = max(len(seconds), 7)
        return "\n".join(
            [
                f"took {seconds} s; in /home/me/tree/outputs/{time}",
                f"┏━━━━┳{'━' * (width + 2)}┓",
                f"┃ lr ┃ {'seconds':>{width}} ┃",
                f"┡━━━━╇{'━' * (width + 2)}┩",
                f"│  3 │ {seconds:>{width}} │",
                f"| lr | seconds |\n| --- | ---: |\n| 3 | {seconds} |\n",
                f"<tr><th>seconds</th><th>n</th></tr>\n<tr><td>{seconds}</td><td>3</td></tr>",
            ]
        )

    one = masked_text(shown("0.2", "2026-11-28/10-15-00"), known)
    assert one == masked_text(shown("12345678.9", "2027-01-01/00-00-59"), known)
    assert one.startswith("took <duration>; in <tree>/outputs/<time>\n")
    assert "│  3 │<duration>│" in one
    assert "<td>3</td>" in one


def test_a_difference_must_be_named(tmp_path: Path) -> None:
    for folder, number in (("base", "1"), ("now", "2")):
        (tmp_path / folder / "case").mkdir(parents=True)
        for kind in KINDS:
            (tmp_path / folder / "case" / kind).write_text(f"same\n{number if kind == 'numbers' else 0}\n")
    found = differences(tmp_path / "base", tmp_path / "now", None)
    assert found["numbers"] == {"case": ["-1", "+2"]}
    assert not found["texts"]
    message = "Adam begins elsewhere\n\nIt did not.\nBehaviour: weights of all runs\nwith adam\n\nWordsmith: me"
    named = {
        kind: named_in([["abc", message]], word) for kind, word in (("numbers", "Behaviour:"), ("texts", "Words:"))
    }
    assert named["texts"] == []
    lines, fine = summary(found, named)
    assert fine
    assert "  abc Behaviour: weights of all runs with adam" in lines
    lines, fine = summary(found, {})
    assert not fine
    assert lines[0] == "numbers: 1 case differs (case); no commit says `Behaviour:`"


def test_words_about_other_numbers_are_the_same_words(tmp_path: Path) -> None:
    for folder, number, word in (("base", "0.25", "loss"), ("now", "0.5", "loss"), ("other", "0.5", "the loss")):
        (tmp_path / folder / "case").mkdir(parents=True)
        (tmp_path / folder / "case" / "numbers").write_text(f"loss={number}\n")
        (tmp_path / folder / "case" / "texts").write_text(f"{word} {number}\n")
    assert not differences(tmp_path / "base", tmp_path / "now", None)["texts"]
    assert differences(tmp_path / "base", tmp_path / "other", None)["texts"]
    assert differences(tmp_path / "now", tmp_path / "other", None)["texts"]
