"""Compares what two trees left: a diff a case, and whether the commits between them name what differs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from replay.outcome import KINDS
from replay.trees import ROOT

# What the body of a commit message says where a kind may differ. State may at any time.
NAMED_BY = {"numbers": "Behaviour:", "texts": "Words:", "files": "Behaviour:"}


_NUMBER = re.compile(r"[-+−]?\d[\d.,]*(e[-+]?\d+)?")


@dataclass(frozen=True)
class Named:
    """A line of a commit message that says what differs since."""

    commit: str
    line: str


def difference(base: str, now: str, most: int | None) -> list[str]:
    """The unified diff of two texts without its header, `most` lines of it."""
    lines = [line.rstrip("\n") for line in unified_diff(base.splitlines(), now.splitlines(), n=0)][2:]
    lines = [line for line in lines if not line.startswith("@@")]
    if most is not None and len(lines) > most:
        return [*lines[:most], f"… and {len(lines) - most} lines more: ARGS=--all shows them"]
    return lines


def differences(base: Path, now: Path, most: int | None) -> dict[str, dict[str, list[str]]]:
    """By kind and case, what differs between two folders of results."""
    names = sorted({path.name for folder in (base, now) for path in folder.iterdir() if path.is_dir()})
    found: dict[str, dict[str, list[str]]] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        for name in names:
            before, after = (_read(folder / name / kind) for folder in (base, now))
            if kind == "texts" and name in found["numbers"] and _NUMBER.sub("#", before) == _NUMBER.sub("#", after):
                continue  # The words are the same, about other numbers.
            if lines := difference(before, after, most):
                found[kind][name] = lines
    return found


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def named_since(base: str) -> dict[str, list[Named]]:
    """By kind, what the messages of the commits since `base` name."""
    log = subprocess.run(
        ["git", "log", "--format=%h%x00%B%x01", f"{base}..HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    commits = [entry.strip().split("\0") for entry in log.split("\x01") if entry.strip()]
    return {kind: named_in(commits, word) for kind, word in NAMED_BY.items()}


def named_in(commits: list[list[str]], word: str) -> list[Named]:
    """What messages say after a word, to the next such word or empty line; `commits` are pairs of name and message."""
    others = "|".join(re.escape(other) for other in set(NAMED_BY.values()))
    said = re.compile(rf"^\s*({re.escape(word)}.*(?:\n(?!\s*(?:{others}|$)).*)*)", re.MULTILINE)
    return [Named(name, " ".join(found.split())) for name, message in commits for found in said.findall(message)]


def summary(found: Mapping[str, Mapping[str, list[str]]], named: Mapping[str, list[Named]]) -> tuple[list[str], bool]:
    """A line a kind with those that name it, and whether all that differs is named."""
    lines, fine = [], True
    for kind in KINDS:
        differ = found[kind]
        if not differ:
            lines.append(f"{kind}: no difference")
            continue
        where = f"{kind}: {len(differ)} {'case differs' if len(differ) == 1 else 'cases differ'} ({', '.join(differ)})"
        if kind not in NAMED_BY:
            lines.append(f"{where}; may do so")
        elif named.get(kind):
            lines.append(f"{where}; named by")
            lines += [f"  {one.commit} {one.line}" for one in named[kind]]
        else:
            fine = False
            lines.append(f"{where}; no commit says `{NAMED_BY[kind]}`")
    return lines, fine
