"""What is odd in a table, as `mlpexp look` tells it and as a run stores it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Oddity:
    """`symptom` is a stable key, `columns` are those that it is about, `evidence` is a sentence with figures.

    `remedy` is an override, `alternatives` are others, each by itself; where none helps, `remedy` is empty.
    """

    symptom: str
    columns: tuple[str, ...]
    evidence: str
    remedy: str = ""
    alternatives: tuple[str, ...] = ()
