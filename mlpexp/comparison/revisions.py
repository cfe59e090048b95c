"""What else differs between runs of one config and seed: plugins, versions of packages, the git commit."""

from __future__ import annotations

from collections.abc import Sequence

from mlpexp.comparison.runs import Repeat, StoredRun
from mlpexp.run.record import PLUGIN

COMMIT = "commit"
# Digits of a commit or of a plugin's digest, as git shows them.
_SHORT = 7


def revision(run: StoredRun) -> dict[str, str]:
    """What a run was made with, as it is shown: what most likely changes a result first, the commit last."""
    versions = run.record.versions
    plugins = {name.removeprefix(PLUGIN): text[:_SHORT] for name, text in versions.items() if name.startswith(PLUGIN)}
    packages = {name: text for name, text in sorted(versions.items(), key=_order) if not name.startswith(PLUGIN)}
    commit, dash, dirty = (run.record.git_commit or "none").partition("-")
    return {**plugins, **packages, COMMIT: f"{commit[:_SHORT]}{dash}{dirty}"}


def _order(entry: tuple[str, str]) -> tuple[bool, bool, str]:
    return entry[0] != "mlpexp", entry[0] != "torch", entry[0]


def telling_apart(runs: Sequence[StoredRun]) -> list[str]:
    """The names within `revision` that tell runs of one setting apart, as few as do; none where no seed was trained
    with several.

    A sweep that went on with another version has each seed once, and stays one setting.
    """
    revisions = [revision(run) for run in runs]
    by_repeat: dict[Repeat, set[tuple[tuple[str, str], ...]]] = {}
    for run, found in zip(runs, revisions, strict=True):
        by_repeat.setdefault(run.repeat, set()).add(tuple(found.items()))
    if all(len(found) == 1 for found in by_repeat.values()):
        return []
    names = dict.fromkeys(name for found in revisions for name in found)
    kept: list[str] = []
    for name in sorted(names, key=COMMIT.__eq__):
        if _groups(revisions, [*kept, name]) > _groups(revisions, kept):
            kept.append(name)
    return kept


def _groups(revisions: Sequence[dict[str, str]], names: Sequence[str]) -> int:
    return len({tuple(found.get(name) for name in names) for found in revisions})
