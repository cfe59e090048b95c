"""What the doctor has found: in one run, and in many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A symptom that a run has, what shows it in numbers, and what to try.

    `remedy` are overrides, to be pasted behind the command in place of those that it has for the same keys;
    `alternatives` are others, each to be tried alone. Where no override helps, `remedy` is empty and `evidence` says
    why.
    """

    symptom: str
    evidence: str
    remedy: str = ""
    alternatives: list[str] = field(default_factory=list)


def format_finding(finding: Mapping[str, Any]) -> str:
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


# So many jobs are named for each symptom.
_MOST_JOBS = 6


def summarize_findings(findings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """A line for each symptom, the most frequent first: how many jobs have it, which, and what was advised most often.

    `findings` are those of each job, by its name, in the order of the jobs.
    """
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for job, own in findings.items():
        for finding in own:
            found.setdefault(named(finding), {})[job] = finding
    lines = []
    for symptom, jobs in sorted(found.items(), key=lambda entry: -len(entry[1])):
        listed = ", ".join(list(jobs)[:_MOST_JOBS]) + (", …" if len(jobs) > _MOST_JOBS else "")
        of = f"{len(jobs)} of {len(findings)} run{'' if len(findings) == 1 else 's'}"
        (tried, _), *_ = Counter(advice({**finding, "alternatives": []}) for finding in jobs.values()).most_common()
        lines.append(f"{symptom}: {of} ({'job' if len(jobs) == 1 else 'jobs'} {listed}).{tried}")
    return lines
