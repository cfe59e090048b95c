"""What the doctor has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A symptom that a run has, what shows it in numbers, and what to try.

    `remedy` are overrides, to be pasted behind the command in place of those that it has for the same keys;
    `alternatives` are other such, each by itself. Where no override helps, `remedy` is empty and `evidence` says why.
    """

    symptom: str
    evidence: str
    remedy: str = ""
    alternatives: list[str] = field(default_factory=list)


def said(finding: Mapping[str, Any]) -> str:
    """A finding, as run.json holds it, in a paragraph."""
    return f"{named(finding)}: {finding['evidence']}.{advice(finding)}"


def markdown(findings: Sequence[Mapping[str, Any]]) -> str:
    """The findings as a list in Markdown, the overrides as code."""
    return "\n".join(
        f"- **{named(finding)}**: {finding['evidence']}.{advice(finding, mark='`')}" for finding in findings
    )


def named(finding: Mapping[str, Any]) -> str:
    """The symptom as a reader is shown it: `dead units`."""
    return str(finding["symptom"]).replace("_", " ")


def advice(finding: Mapping[str, Any], mark: str = "") -> str:
    """A sentence with the remedies, each between two `mark`s; empty without any."""
    tries = [finding["remedy"], *finding["alternatives"]] if finding["remedy"] else []
    return f" Try {', or '.join(f'{mark}{override}{mark}' for override in tries)}." if tries else ""
