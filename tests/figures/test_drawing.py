"""Pictures drawn by other processes: the same, whatever happens to the processes, and nothing of these is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpexp.figures import drawing as module
from mlpexp.figures.boundary import decision_boundary, grid
from mlpexp.figures.confusion import confusion
from mlpexp.figures.curves import curves
from mlpexp.figures.drawing import Drawing, process_beside, processes_for
from mlpexp.figures.drawing_process import DrawingProcess
from mlpexp.figures.picture import Picture

POINTS = {"train": (np.array([[0, 0], [1, 1]], np.float32), np.array([0, 1]))}
HISTORY = {name: [3.0, 2.0, 1.0] for name in ("loss/train", "loss/val", "accuracy/train", "accuracy/val", "lr")}
PICTURES: list[Picture[Any]] = [
    Picture(confusion, np.eye(2, dtype=int), ["a", "b"], title="Test split"),
    Picture(curves, {"epoch": [1.0, 2.0, 3.0], **HISTORY}, score="accuracy", best_epoch=2),
    Picture(decision_boundary, np.full((len(grid(POINTS)), 2), 0.5), POINTS, ["0", "1"], ["x", "y"]),
]


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "usable_cores", lambda: 2)


def test_other_processes_draw_the_same_in_any_order() -> None:
    with Drawing(2) as drawing:
        drawing.start()
        drawing.start()  # once more does nothing
        assert len(drawing._processes) == 2
        assert drawing.ahead >= len(PICTURES)
        begun = [drawing.begin(picture) for picture in PICTURES]
        # Were they drawn here, it would be seen.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Picture, "drawn", lambda *_: b"drawn here")
            drawn = [wait() for wait in reversed(begun)]
    assert drawn[::-1] == [picture.drawn() for picture in PICTURES]
    assert all(process._process.poll() is not None for process in drawing._processes)


def test_equal_pictures_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    draw = DrawingProcess.drawn

    def note(process: DrawingProcess, pickled: bytes) -> bytes:
        sent.append(pickled)
        return draw(process, pickled)

    monkeypatch.setattr(DrawingProcess, "drawn", note)
    tables = [np.eye(2, dtype=int), np.eye(2, dtype=int), np.array([[1, 0], [1, 0]])]
    pictures = [Picture(confusion, table, ["a", "b"]) for table in tables]
    with Drawing(2) as drawing:
        drawing.start()
        drawn = [wait() for wait in [drawing.begin(picture) for picture in pictures]]
    assert len(sent) == 2
    assert drawn == [picture.drawn() for picture in pictures]


@pytest.mark.parametrize(("cores", "n_pictures", "n_processes"), [(1, 1000, 0), (8, 3, 0), (8, 24, 2), (3, 1000, 3)])
def test_no_more_processes_than_pay(
    cores: int, n_pictures: int, n_processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "usable_cores", lambda: cores)
    assert processes_for(n_pictures) == n_processes


def test_a_process_beside_needs_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    assert process_beside() == 1
    monkeypatch.setattr(module, "usable_cores", lambda: 1)
    assert process_beside() == 0


def test_without_processes_pictures_are_drawn_when_asked_for() -> None:
    with Drawing(0) as drawing:
        drawing.start()
        assert not drawing._processes
        assert drawing.ahead == 0
        assert drawing.begin(PICTURES[0])() == PICTURES[0].drawn()


def test_what_a_process_that_dies_has_not_drawn_is_drawn_here() -> None:
    with Drawing(2) as drawing:
        drawing.start()
        begun = [drawing.begin(picture) for picture in PICTURES]
        for process in drawing._processes:
            process.kill()
        begun += [drawing.begin(picture) for picture in PICTURES]
        assert [wait() for wait in begun] == 2 * [picture.drawn() for picture in PICTURES]


def test_without_any_process_pictures_are_drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with Drawing(2) as drawing:
        drawing.start()
        assert drawing.begin(PICTURES[0])() == PICTURES[0].drawn()


def test_an_error_is_that_of_drawing_here() -> None:
    broken: Picture[Any] = Picture(confusion, np.eye(2, dtype=int), [])
    with pytest.raises(ValueError) as here:  # noqa: PT011
        broken.drawn()
    with Drawing(2) as drawing:
        drawing.start()
        wait = drawing.begin(broken)
        with pytest.raises(ValueError) as there:  # noqa: PT011
            wait()
    assert str(there.value) == str(here.value)


def test_leaving_with_pictures_begun_waits_for_none() -> None:
    with Drawing(2) as drawing:
        drawing.start()
        for _ in range(50):
            drawing.begin(PICTURES[2])
    assert all(process._process.poll() is not None for process in drawing._processes)


def test_a_script_that_draws_is_not_run_once_more(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\n"
        "import numpy as np\n"
        "from mlpexp.figures import drawing\n"
        "from mlpexp.figures.confusion import confusion\n"
        "from mlpexp.figures.picture import Picture\n"
        "with drawing.Drawing(2) as some:\n"
        "    some.start()\n"
        "    print(len(some.begin(Picture(confusion, np.eye(2, dtype=int), ['a', 'b']))()) > 1000)\n"
        "import sys; print('matplotlib' in sys.modules)\n"
    )
    # A module there of the same name as one of ours is not taken for it.
    (tmp_path / "numpy.py").write_text("")
    command = [sys.executable, "-P", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["once", "True", "False"]
