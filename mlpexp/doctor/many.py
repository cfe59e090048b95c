"""What the doctor has found in many runs, such as those of a sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mlpexp.doctor.finding import advice, named

# So many jobs are named for each symptom.
_MOST_JOBS = 6


def in_short(findings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
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
