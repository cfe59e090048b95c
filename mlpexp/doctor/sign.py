"""What a rule gives, and how it words numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlpexp.doctor.case import Case


@dataclass(frozen=True)
class Sign:
    """That a case has a symptom: the evidence in numbers, and remedies, the most promising first.

    A remedy that the config leaves no room for is None.
    """

    evidence: str
    remedies: Sequence[str | None] = ()


@dataclass(frozen=True)
class Symptom:
    """Something that can be wrong with a run.

    `rule` gives its sign, or None where a run has not got it. What a symptom `explains` is not looked for in a run
    that has it: it would only be a consequence.
    """

    name: str
    meaning: str
    rule: Callable[[Case], Sign | None]
    explains: tuple[str, ...] = ()


def number(value: float) -> str:
    """In three digits."""
    return f"{value:.3g}"


def change(before: float, after: float) -> str:
    """From one value to another, in per cent."""
    if before == 0:
        return "from nothing"
    return f"{100 * (after / before - 1):+.0f} %".replace("-", "−")


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
