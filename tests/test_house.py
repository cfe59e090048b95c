"""The layout of the package: which room may import which, and no circles between files."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mlpexp"
# From the top down; rooms in one line do not import each other.
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
    ["errors", "lazy"],
]
FLOOR = {room: floor for floor, rooms in enumerate(LADDER) for room in rooms}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts)


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


@cache
def imports() -> dict[str, set[str]]:
    """Which modules of ours each one imports: at its top, within functions, and for types."""
    modules = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        found[module] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name if name in modules else node.module for name in inner]
            found[module].update(name for name in names if name.split(".")[0] == "mlpexp" and name != module)
    return found


def test_every_room_has_a_floor() -> None:
    assert {room_of(module) for module in imports()} == set(FLOOR)


@pytest.mark.parametrize("room", FLOOR)
def test_a_room_imports_rooms_below_it_only(room: str) -> None:
    upward = [
        f"{module} imports {name}"
        for module, names in imports().items()
        for name in sorted(names)
        if room_of(module) == room != room_of(name) and FLOOR[room_of(name)] <= FLOOR[room]
    ]
    assert not upward


def test_no_two_files_import_each_other() -> None:
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' → '.join(error.args[1])}")
