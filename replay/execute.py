"""Runs cases in fresh processes, several at a time, and keeps what each leaves and says."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from replay.cases import Case
from replay.outcome import KINDS, Said, outcome
from replay.trees import PLACE, Tree

_TIMEOUT = 600  # seconds, for a command
# The same whatever the machine does besides: one thread, no GPU, no colours, a terminal's width.
_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", ""),
    "HOME": os.environ.get("HOME", ""),
    "COLUMNS": "120",
    "CUDA_VISIBLE_DEVICES": "",
    "GIT_CEILING_DIRECTORIES": str(PLACE),
    "LC_ALL": "C.UTF-8",
    "MPLBACKEND": "agg",
    "MPLCONFIGDIR": str(PLACE / "matplotlib"),
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
}


def run_all(tree: Tree, cases: list[Case], results: Path, n_jobs: int) -> None:
    """Runs all cases in a tree; puts into `results/<case>` a text a kind."""
    shutil.rmtree(results, ignore_errors=True)
    # The list of the fonts, which whoever comes first would make.
    environment = {**os.environ, **_ENVIRONMENT}
    subprocess.run([tree.python, "-c", "import matplotlib.font_manager"], env=environment, check=True)
    with ThreadPoolExecutor(n_jobs) as pool:
        for case, texts in zip(cases, pool.map(lambda case: _run(tree, case), cases), strict=True):
            folder = results / case.name
            folder.mkdir(parents=True)
            for kind in KINDS:
                (folder / kind).write_text(texts[kind])
    (results / "complete").touch()


def _run(tree: Tree, case: Case) -> dict[str, str]:
    # Of one name for both trees, which come one after the other: it is in what they say.
    place = PLACE / "run" / case.name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name, content in case.files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    said = []
    for i, command in enumerate(case.commands):
        kill = case.killed_after if i == 0 else None
        said.append(_say(tree, command, place, kill))
        if kill is not None and said[0].code != -signal.SIGKILL:
            raise RuntimeError(f"{case.name}: ended by itself, before it wrote its checkpoint {kill} times")
    # The longer paths first, which begin with the others where the tree is this checkout.
    known = {str(place): "<here>", str(tree.environment): "<environment>", str(tree.root): "<tree>"}
    return outcome(place, said, known, set(case.files))


def _say(tree: Tree, command: str, place: Path, kill: int | None) -> Said:
    words = shlex.split(command)
    if words[0] == "python":
        words[0] = str(tree.python)
    else:
        words.insert(0, str(tree.command if kill is None else tree.killed_command))
    environment = _ENVIRONMENT if kill is None else {**_ENVIRONMENT, "REPLAY_KILLED_AFTER": str(kill)}
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, timeout=_TIMEOUT, check=False)
    return Said(command, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
