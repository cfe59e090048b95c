"""Notes on a table, which the header of a run shows; one line each."""

from __future__ import annotations

from collections.abc import Sequence

from mlpexp.data.preprocessing import Target
from mlpexp.data.tables.kinds import Ignored, Kind
from mlpexp.data.tables.raw import short

# At most this many columns are named in a note.
_MOST_NAMED = 8


def column_notes(kinds: Sequence[Kind], beside: Sequence[str]) -> list[str]:
    """Notes on which columns are categories or dates, and which are left out and why.

    The columns `beside` only split the rows.
    """
    notes = []
    for word, plural in (("category", "categories"), ("date", "dates")):
        names = [short(kind.name) for kind in kinds if kind.word == word]
        if names:
            notes.append(f"{plural}: {_listed(names)}")
    if beside:
        notes.append(f"splits the rows, not an input: {_listed([short(name) for name in beside])}")
    left = [
        f"{short(kind.name)} ({kind.reason})" for kind in kinds if isinstance(kind, Ignored) and kind.name not in beside
    ]
    if left:
        notes.append(f"left out: {_listed(left)}")
    missing = [
        f"{short(kind.name)} {kind.n_missing:,}" for kind in kinds if kind.n_missing and not isinstance(kind, Ignored)
    ]
    if missing:
        notes.append(f"missing values: {_listed(missing)}")
    return notes


def value_notes(outputs: Sequence[Target]) -> str:
    """A note on how targets of values are transformed and standardised."""
    parts = []
    for target in outputs:
        name = {"none": "{}", "log": "ln {}", "log1p": "ln(1 + {})"}[target.transform].format(short(target.name))
        parts.append(
            f"{name} is standardised with {target.mean:.4g} ± {target.deviation:.4g}; the loss is in these units"
            f"{', and R² is that of ' + name if target.transform != 'none' else ''}"
        )
    return "; ".join(parts)


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return ", ".join(texts[:_MOST_NAMED]) + more
