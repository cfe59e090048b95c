"""The revision of a run's code, by which runs of one config and seed may differ: plugins, packages, the git commit."""

from __future__ import annotations

from collections.abc import Sequence

from mlpexp.comparison.runs import Repeat, StoredRun
from mlpexp.run.record import PLUGIN

COMMIT = "commit"
# Number of digits shown of a commit or of a plugin's digest, as in git.
_SHORT = 7


def revision(run: StoredRun) -> dict[str, str]:
    """The versions of a run's plugins and packages and its commit; those most likely to change a result come first."""
    versions = run.record.versions
    plugins = {name.removeprefix(PLUGIN): text[:_SHORT] for name, text in versions.items() if name.startswith(PLUGIN)}
    packages = {name: text for name, text in sorted(versions.items(), key=_order) if not name.startswith(PLUGIN)}
    commit, dash, dirty = (run.record.git_commit or "none").partition("-")
    return {**plugins, **packages, COMMIT: f"{commit[:_SHORT]}{dash}{dirty}"}


def _order(entry: tuple[str, str]) -> tuple[bool, bool, str]:
    return entry[0] != "mlpexp", entry[0] != "torch", entry[0]


def telling_apart(runs: Sequence[StoredRun]) -> list[str]:
    """The names in `revision` that distinguish runs of one setting, as few as needed.

    Empty if no seed was trained with several revisions: a sweep that was resumed with another version stays one
    setting.
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
