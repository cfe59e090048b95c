"""run.json: what a run is, its state, and what it measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from mlpexp.data.identity import Identity
from mlpexp.doctor.finding import Finding
from mlpexp.errors import ConfigError, MlpexpError
from mlpexp.fields.convert import convert
from mlpexp.fields.ranges import Finite, Index, NonNegative, Positive
from mlpexp.run.files import read_bytes, with_checksum, without_checksum, write_text
from mlpexp.run.history import checked_written

NAME = "run.json"
# Of a plugin's name, among the versions.
PLUGIN = "plugin "
# Bytes: a config with lists of thousands of numbers is far less.
_MOST = 2**24
State = Literal["running", "completed", "failed", "interrupted"]


@dataclass(frozen=True)
class Record:
    """The content of run.json. JSON has no infinities and no not-a-number: they are null."""

    state: State
    """running, completed, failed or interrupted."""
    config: dict[str, Any]
    """The whole config, with every reference resolved."""
    started: str
    """When the run began: UTC, ISO 8601."""
    device: str
    """The device that it trained on: cpu, cuda:0, mps."""
    seed: int
    """The run's seed: initial weights, batch order and noise."""
    n_parameters: int
    """How many numbers of the network are trained."""
    versions: dict[str, str]
    """Of Python and packages; of each plugin the digest of its source."""
    git_commit: str | None
    """Commit of the working directory's repository, with -dirty where files differ from it; null outside of one."""
    host: str
    """The machine's name."""
    pid: int
    """The process that trained the run."""
    command: str = ""
    """The command that makes the run again as it is now."""
    python: str = ""
    """The lines of Python that make the run again as it is now."""
    seconds: float = 0.0
    """Wall time of the training, in all of the run's processes; of a run in a stack, that of the stack."""
    completed: list[int] = field(default_factory=list)
    """The epochs after which the run was complete and was given more."""
    epochs_done: int = 0
    """Epochs trained."""
    best_epoch: int = 0
    """The epoch of the best weights, the first one being 1; 0 where no epoch gave finite losses."""
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    """By split (train, val, test), the metrics of the best weights; null where a split has none."""
    undefined: dict[str, dict[str, str]] = field(default_factory=dict)
    """By split, the metrics that it has not, and why."""
    temperature: float | None = None
    """T of calibrate=temperature, by which outputs are divided; null without it, and before training ends."""
    reason: str | None = None
    """Why the run failed."""
    diverged: bool = False
    """Whether it failed because its loss was not finite."""
    constant_answer: list[float] = field(default_factory=list)
    """The answer that is the same for all rows: the share of each class of the training rows, or their mean."""
    constant: dict[str, dict[str, float]] = field(default_factory=dict)
    """By split, its metrics. A comparison counts them for a run that diverged."""
    findings: list[dict[str, Any]] = field(default_factory=list)
    """What the doctor found: symptom, evidence and remedies of each."""
    data: dict[str, Any] = field(default_factory=dict)
    """The data: file and its SHA-256, classes, columns with the fitted preprocessing, and the split of each row."""
    history: dict[str, Any] = field(default_factory=dict)
    """How many rows metrics.csv had when this was written, and their checksum."""

    def write(self, directory: Path) -> None:
        """Puts run.json in place, whole or not at all, with the checksum of what it holds."""
        text = json.dumps(with_checksum(finite(vars(self))), indent=2, allow_nan=False)
        write_text(directory / NAME, text + "\n")


def finite(value: Any) -> Any:
    """JSON has no infinities and no not-a-number: they become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    return [finite(entry) for entry in value] if isinstance(value, list) else value


def start(
    config: dict[str, Any],
    *,
    device: str,
    n_parameters: int,
    data: dict[str, Any],
    constant_answer: list[float],
    ask_git: bool = True,
) -> Record:
    """The record of a run that begins now, in this process; unless `ask_git`, without a commit."""
    return Record(
        state="running",
        config=config,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        device=device,
        seed=config["seed"],
        n_parameters=n_parameters,
        versions=_versions() | _plugins(config.get("plugins") or ()),
        git_commit=_git_commit() if ask_git else None,
        host=socket.gethostname(),
        pid=os.getpid(),
        constant_answer=constant_answer,
        data=data,
    )


@cache
def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("mlpexp", "torch", "hydra-core", "numpy")}
    return {"python": platform.python_version(), **packages}


def _plugins(names: Iterable[str]) -> dict[str, str]:
    """By plugin a digest of its source: of its file, or of all of a package's."""
    found = {}
    for name in names:
        module = sys.modules.get(name)
        if module is None or module.__file__ is None:
            continue
        path = Path(module.__file__)
        files = sorted(path.parent.rglob("*.py")) if hasattr(module, "__path__") else [path]
        try:
            content = b"".join(file.read_bytes() for file in files)
        except OSError:
            # It was removed after it had been imported.
            continue
        found[f"{PLUGIN}{name}"] = hashlib.sha256(content).hexdigest()
    return found


def _git_commit() -> str | None:
    """The commit of the working directory's repository, marked where files differ from it; None outside one."""
    try:
        shown = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip() or None


def read(directory: Path) -> Record:
    """The record of a run directory; ConfigError where there is no run.json, or it is damaged."""
    path = directory / NAME
    if not directory.is_dir():
        raise ConfigError(f"{directory}: there is no such run directory.")
    try:
        content = without_checksum(json.loads(read_bytes(path, _MOST)))
    except FileNotFoundError:
        raise ConfigError(f"{directory}: is no run directory: it has no {NAME}.{_runs_below(directory)}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is damaged: {error}.{_what_is_left(directory)}") from None
    for entry in dataclasses.fields(Record):
        if entry.name not in content:
            raise ConfigError(f"{path}: is damaged: '{entry.name}' is missing.")
    return Record(**{entry.name: _checked(path, entry.name, content) for entry in dataclasses.fields(Record)})


_KINDS: dict[str, Any] = {
    "state": State,
    "config": dict[str, Any],
    "command": str,
    "python": str,
    "completed": list[int],
    "started": str,
    "device": str,
    "seed": Index,
    "n_parameters": Index,
    "versions": dict[str, str],
    "diverged": bool,
    "constant_answer": list[Finite],
    "constant": dict[str, dict[str, Finite | None]],
    "git_commit": str | None,
    "host": str,
    "pid": Index,
    "seconds": NonNegative,
    "epochs_done": Index,
    "best_epoch": Index,
    # What is not finite is null there.
    "metrics": dict[str, dict[str, Finite | None]],
    "undefined": dict[str, dict[str, str]],
    "temperature": Positive | None,
    "reason": str | None,
    "findings": list[Finding],
    "data": dict[str, Any],
}


def _checked(path: Path, name: str, content: dict[str, Any]) -> Any:
    value = content[name]
    try:
        if name == "history":
            return checked_written(value)
        checked = convert(value, _KINDS[name], name)
        return [dataclasses.asdict(finding) for finding in checked] if name == "findings" else checked
    except MlpexpError as error:
        raise ConfigError(f"{path}: is damaged: {error.lines[0]}") from None


def identity(found: Record, directory: Path) -> Identity:
    """What a run notes of its data; ConfigError where its run.json is damaged there.

    Apart from reading the record, since a comparison of many runs needs none of it.
    """
    try:
        return Identity.of_plain(found.data)
    except ValueError as error:
        raise ConfigError(f"{directory / NAME}: is damaged: {str(error).splitlines()[0]}.") from None


def constant_answer(found: Record, directory: Path) -> list[float]:
    """The answer that is the same for all rows; ConfigError where it is none of the run's task."""
    task = identity(found, directory).task
    if len(found.constant_answer) != (task.n_classes or task.n_values):
        raise ConfigError(f"{directory / NAME}: is damaged: 'constant_answer' is of another task.")
    return found.constant_answer


def _what_is_left(directory: Path) -> str:
    """What can still be done with a run whose record is damaged."""
    parts = {"checkpoints/best.pt": "weights", ".hydra/overrides.yaml": "overrides"}
    said = [f"{directory / name} has its {what}" for name, what in parts.items() if (directory / name).exists()]
    return f" {', '.join(said)}." if said else ""


def _runs_below(directory: Path) -> str:
    """A hint where a day or a sweep was named in place of one of its runs."""
    found = min(directory.glob(f"*/{NAME}"), default=None)
    return f" Did you mean {found.parent}?" if found else ""
