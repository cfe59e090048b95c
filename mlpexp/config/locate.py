"""Where the configs lie: mlpexp's own conf/, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlpexp.errors import ConfigError

# In an installed wheel conf/ lies inside the package; in a checkout beside it.
_PACKAGE = Path(__file__).parent.parent
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"


@dataclass(frozen=True)
class Option:
    """One file of a group: its name as it is chosen, and the comment of one line that it begins with."""

    name: str
    comment: str
    path: Path


def config_directory(path: str | Path) -> Path:
    """The directory of options that --config-dir names; ConfigError where it does not exist."""
    found = Path(path).expanduser()
    if not found.is_dir():
        raise ConfigError(f"--config-dir={path}: there is no such directory.")
    return found


def groups(*more: Path) -> list[str]:
    """The groups of conf/ and of `more` config directories, by name."""
    return sorted({entry.name for root in (CONF, *more) for entry in root.iterdir() if entry.is_dir()})


def options(group: str, *more: Path) -> list[Option]:
    """The options of a group, by name; a name that stands in several directories counts once, mlpexp's first."""
    found: dict[str, Option] = {}
    for root in (CONF, *more):
        for path in sorted((root / group).glob("*.yaml")):
            found.setdefault(path.stem, Option(path.stem, _comment(path), path))
    return [found[name] for name in sorted(found)]


def _comment(path: Path) -> str:
    """The first comment of a file that is not a directive to Hydra (`# @package …`)."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        text = line.lstrip("# ").strip()
        if text and not text.startswith("@"):
            return text
    return ""
