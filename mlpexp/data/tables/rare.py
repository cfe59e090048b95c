"""Rare classes, which have too few rows to split: an error, left out, or merged into one class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.data.columns import UNKNOWN
from mlpexp.data.tables.raw import RawTable, short
from mlpexp.data.tables.settings import TableSettings
from mlpexp.data.tables.targets import TargetColumn, labels_of
from mlpexp.errors import ConfigError, pluralize

if TYPE_CHECKING:
    from torch import Tensor

# Rows of a class that are needed for train, val and test.
FEWEST = 3
# At most this many classes are named in a message.
_MOST_NAMED = 8
# The name of the class that rare ones become.
OTHER = "other"


def without_rare_classes(
    table: RawTable, found: TargetColumn, settings: TableSettings
) -> tuple[Tensor, TargetColumn, list[str]]:
    """The class of each row [N], int64; the target with the remaining classes; and notes.

    The class is MISSING or UNKNOWN if the row is left out. `settings.rare` says what happens to rare classes.
    ConfigError if it is "refuse" and there are rare classes, or if too few classes remain.
    """
    import torch

    labels = torch.tensor(labels_of(table.column(found.name, table.where), found))
    counts = labels[labels >= 0].bincount(minlength=len(found.classes)).tolist()
    key = f"dataset.target={short(found.name)}"
    if len(found.classes) == 1:
        raise ConfigError(f"{key}: has only the class '{short(found.classes[0])}'; at least two are needed.")
    rare = [at for at, n in enumerate(counts) if n < FEWEST]
    split_here = settings.group is None and settings.time is None and settings.split is None
    if not rare or not split_here:
        return labels, found, []
    listed = ", ".join(f"'{short(found.classes[at])}' ({counts[at]})" for at in rare[:_MOST_NAMED])
    listed += ", …" if len(rare) > _MOST_NAMED else ""
    what = f"{pluralize(len(rare), 'class')} with fewer than {FEWEST} rows: {listed}"
    rest = [name for at, name in enumerate(found.classes) if at not in rare]
    together = sum(counts[at] for at in rare)
    if settings.rare == "refuse":
        numbers = "" if any(not _is_number(name) for name in found.classes) else ", or dataset.task=regression"
        raise ConfigError(
            f"{key}: has {what}; at least {FEWEST} are needed, for train, val and test. dataset.rare=drop leaves them "
            f"out, dataset.rare=merge makes one class of them{numbers}."
        )
    if len(rest) < (2 if settings.rare == "drop" else 1):
        raise ConfigError(f"dataset.rare={settings.rare}: {found.name} has {what}; too few other classes are left.")
    if settings.rare == "merge" and (together < FEWEST or OTHER in rest):
        why = f"'{OTHER}' is a class already" if OTHER in rest else f"together they have {pluralize(together, 'row')}"
        raise ConfigError(f"dataset.rare=merge: {found.name} has {what}; {why}. dataset.rare=drop leaves them out.")
    new = torch.full((len(found.classes),), UNKNOWN if settings.rare == "drop" else len(rest))
    for at, name in enumerate(rest):
        new[found.classes.index(name)] = at
    labels = torch.where(labels >= 0, new[labels.clamp(min=0)], labels)
    classes = tuple(rest) if settings.rare == "drop" else (*rest, OTHER)
    done = "are left out" if settings.rare == "drop" else f"are the class '{OTHER}'"
    return labels, TargetColumn(found.name, classes, found.n_missing), [f"{what} {done}"]


def merged_classes(before: TargetColumn, after: TargetColumn) -> tuple[str, ...]:
    """The classes of `before` that are merged into one class of `after`; empty if none are."""
    if OTHER not in after.classes or OTHER in before.classes:
        return ()
    return tuple(name for name in before.classes if name not in after.classes)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
