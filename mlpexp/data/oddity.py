"""A finding on a table, as `mlpexp look` shows it and as a run stores it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Oddity:
    """`symptom` is a stable key, `columns` are the columns concerned, `evidence` is a sentence with figures.

    `remedy` is an override, empty if none helps; each of the `alternatives` may be used in its place.
    """

    symptom: str
    columns: tuple[str, ...]
    evidence: str
    remedy: str = ""
    alternatives: tuple[str, ...] = ()
