"""The ladder of rooms, and what the files of the package import."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "mlpexp"

# From the top down. A room imports rooms below it; rooms in one line do not import each other.
LADDER = [
    ["__main__"],
    ["cli"],
    ["__init__"],
    ["report"],
    ["lr_finder", "plots", "testing"],
    ["sweep"],
    ["comparison"],
    ["training"],
    ["run"],
    ["doctor"],
    ["engine"],
    ["config"],
    ["components"],
    ["data"],
    ["fields"],
    ["figures"],
    ["interruption"],
    ["child_process", "cores"],
    ["errors", "lazy", "markup"],
]
FLOOR = {room: floor for floor, rooms in enumerate(LADDER) for room in rooms}


def room_of(module: str) -> str:
    """The folder or file right below mlpexp/ that a module is or lies in."""
    return module.split(".")[1]


@cache
def files() -> dict[str, Path]:
    """Every module of the package, as `mlpexp.engine.loop`, or `mlpexp.engine.__init__` for that of a folder."""
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def imports() -> dict[str, set[str]]:
    """The modules of ours that each one imports: at its top, within functions, and for types."""
    return {module: _imported(path) - {module} for module, path in files().items()}


def _imported(path: Path) -> set[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # What is imported from a folder can be one of its files.
            names += [
                name if name in files() else node.module
                for name in (f"{node.module}.{alias.name}" for alias in node.names)
            ]
    ours = [name for name in names if name.split(".")[0] == "mlpexp"]
    return {name if name in files() else f"{name}.__init__" for name in ours}


@cache
def arrows() -> dict[tuple[str, str], int]:
    """How many imports go from one room to another."""
    found: dict[tuple[str, str], int] = {}
    for module, names in imports().items():
        for name in names:
            pair = room_of(module), room_of(name)
            if pair[0] != pair[1]:
                found[pair] = found.get(pair, 0) + 1
    return found
