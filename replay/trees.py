"""A tree to run: its files, and an environment in which it is the only mlpexp."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
# All that is made; git ignores it.
PLACE = ROOT / ".replay"

_SCRIPT = """\
#!{python}
{before}
import sys
from {module} import {function}
sys.exit({function}())
"""
# Whatever the layout of a directory, a checkpoint is a .pt file that takes the place of the one before it.
_KILL = """
import os, signal
from pathlib import Path
left, replace = int(os.environ["REPLAY_KILLED_AFTER"]), os.replace
def replaced(source, target):
    global left
    replace(source, target)
    name = Path(target).name
    if name.endswith(".pt") and not name.startswith("best") and "previous" not in name:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
os.replace = replaced
"""


@dataclass(frozen=True)
class Tree:
    """Where its files are, the Python that runs them, and the command: as it is, and to be killed."""

    root: Path
    environment: Path

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    @property
    def command(self) -> Path:
        return self.environment / "bin" / "mlpexp"

    @property
    def killed_command(self) -> Path:
        return self.environment / "killed" / "mlpexp"


def checkout(commit: str) -> Path:
    """The files of a commit, in a folder of their own."""
    folder = PLACE / "trees" / commit
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        unfinished.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "--extract", "--directory", str(unfinished)], input=archive, check=True)
        unfinished.rename(folder)
    return folder


def prepare(root: Path) -> Tree:
    """An environment for a tree: its own files first, then the packages of this Python by path.

    Two trees on one path would share the namespace `hydra_plugins`. A path in a .pth file is searched, but the .pth
    files in it are not: an editable install of this checkout stays out. It has the same path for each tree, which come
    one after the other, since a run records how it was started.
    """
    tree = Tree(root, PLACE / "environment")
    venv.create(tree.environment, with_pip=False, clear=True)
    (site,) = (tree.environment / "lib").glob("python*/site-packages")
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    (site / "replay.pth").write_text("".join(f"{path}\n" for path in [root, *packages()]))
    information = site / f"mlpexp-{project['version']}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mlpexp\nVersion: {project['version']}\n")
    module, function = project["scripts"]["mlpexp"].split(":")
    for path, before in ((tree.command, ""), (tree.killed_command, _KILL)):
        path.parent.mkdir(exist_ok=True)
        path.write_text(_SCRIPT.format(python=tree.python, before=before, module=module, function=function))
        path.chmod(0o755)
    return tree


def packages() -> list[str]:
    """Where the packages of this Python are."""
    own = sysconfig.get_paths()
    named = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return list(dict.fromkeys([own["purelib"], own["platlib"], *named]))


def installed() -> str:
    """A hash of the packages there are, this Python, and what replays: with another, results are not comparable."""
    names = [path.name for place in packages() for path in Path(place).glob("*.dist-info")]
    sources = [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]
    text = "\n".join([sys.version, *sorted(names), *sources])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
