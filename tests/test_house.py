"""The layout of the package: which room may import which, no circles between files, and the picture of both."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from architecture.__main__ import TARGET, shown
from architecture.rooms import FLOOR, files, imports, room_of


def test_every_room_has_a_floor() -> None:
    assert {room_of(module) for module in files()} == set(FLOOR)


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


def test_the_picture_has_the_arrows_that_there_are() -> None:
    drawn = TARGET.read_text(encoding="utf-8")
    assert drawn.count("<path d=") == 1 + len(shown()), "run: make architecture"
    assert all(f"{source} imports {target}: " in drawn for source, target in shown()), "run: make architecture"
