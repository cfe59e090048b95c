"""What of a run is on disk, and when."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlpexp.config.compose import compose
from mlpexp.engine.loop import Engine
from mlpexp.errors import RunError
from mlpexp.run import checkpoint, history, record, recorder
from mlpexp.run.directory import RunDirectory
from mlpexp.run.history import History
from mlpexp.run.recorder import Recorder
from mlpexp.training.prepare import prepare
from mlpexp.training.single import Watcher, run_in


class Writing:
    """A run that writes, and a clock that the test sets."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(recorder, "time", SimpleNamespace(monotonic=lambda: self.now))
        prepared = prepare(compose(["dataset=xor", "epochs=100", "log.histograms=0"]))
        self.engine = Engine([prepared.config], prepared.data, torch.device("cpu"))
        data = prepared.data.identity.plain
        begun = record.start(
            prepared.config.to_dict(), device="cpu", n_parameters=1, data=data, constant_answer=[0.5, 0.5]
        )
        self.paths = RunDirectory(path)
        self.recorder = Recorder(self.paths, begun, prepared.config, self.engine.members[0].data)
        self.recorder.begin(str, lambda: self.engine.stack.named_parameters_of(0))
        self._rows = self.engine.epochs()

    def epoch(self, last: bool = False) -> None:
        (row,) = next(self._rows)
        self.recorder.epoch(
            row, lambda: self.engine.stack.named_parameters_of(0), lambda: pytest.fail("not asked for"), last
        )

    def on_disk(self) -> tuple[int, int]:
        """How many epochs metrics.csv and TensorBoard have."""
        rows = history.read(self.paths.history)["epoch"] if self.paths.history.exists() else []
        steps = steps_of(self.paths.path)
        assert rows == list(range(1, len(rows) + 1))
        assert steps == list(range(1, len(steps) + 1))
        return len(rows), len(steps)


def steps_of(path: Path) -> list[int]:
    events = EventAccumulator(str(path), {"scalars": 0}).Reload()
    return [event.step for event in events.Scalars("lr")] if "lr" in events.Tags()["scalars"] else []


@pytest.fixture
def writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writing]:
    one = Writing(tmp_path, monkeypatch)
    yield one
    one.recorder.pause()


def test_epochs_of_one_second_are_written_together(writing: Writing) -> None:
    for _ in range(5):
        writing.now += 0.15
        writing.epoch()
    assert writing.on_disk() == (0, 0)
    writing.now += 0.3
    writing.epoch()
    assert writing.on_disk() == (6, 6)
    writing.now += 0.9
    writing.epoch()
    assert writing.on_disk() == (6, 6)
    writing.now += 60
    writing.epoch()
    assert writing.on_disk() == (8, 8)


def test_a_checkpoint_comes_after_all_that_it_covers(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        writing.epoch()
    seen: list[Any] = []
    monkeypatch.setattr(checkpoint, "save", lambda path, state, **_: seen.append((path.name, writing.on_disk())))
    writing.recorder.checkpoint(writing.engine.state_dict(0))
    assert seen == [("last.pt", (3, 3)), ("best.pt", (3, 3))]


@pytest.mark.parametrize("end", ["last", "flush", "pause", "finish"])
def test_nothing_is_lost_at_the_end(end: str, writing: Writing) -> None:
    for _ in range(3):
        writing.epoch()
    if end == "last":
        writing.epoch(last=True)
    else:
        writing.epoch()
        {
            "flush": writing.recorder.flush,
            "pause": writing.recorder.pause,
            "finish": lambda: writing.recorder.finish([], completed=False),
        }[end]()
    assert writing.on_disk() == (4, 4)


def test_curves_can_be_read_while_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", 0)
    seen = []

    class Reader(Watcher):
        def epoch(self, engine: Any, rows: Any) -> None:
            seen.append((history.read(tmp_path / "metrics.csv")["epoch"], steps_of(tmp_path)))

    run_in(tmp_path, prepare(compose(["dataset=xor", "epochs=3", "log.figures=false"])), Reader())
    assert seen == [([1], [1]), ([1, 2], [1, 2]), ([1, 2, 3], [1, 2, 3])]


def test_rows_are_as_the_csv_module_writes_them(tmp_path: Path) -> None:
    rows: list[dict[str, float]] = [
        {"epoch": 1, "loss/train": 0.1, "lr": 1e-7, "dead_units/a,b": 0.5},
        {"epoch": 2, "loss/train": 0.30000001192092896, "lr": 1e22},
        {"loss/train": float("nan"), "epoch": 3, "lr": -float("inf"), "dead_units/a,b": 0.0},
    ]
    written = History(tmp_path / "metrics.csv")
    expected = io.StringIO()
    writer = csv.DictWriter(expected, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for row in rows:
        written.add(row)
    written.flush()
    written.flush()
    assert (tmp_path / "metrics.csv").read_text() == expected.getvalue()
    written.add(rows[1])
    written.close()
    writer.writerow(rows[1])
    again = History(tmp_path / "metrics.csv")
    again.go_on(4, written.written)
    again.add(rows[2])
    again.close()
    writer.writerow(rows[2])
    assert (tmp_path / "metrics.csv").read_text() == expected.getvalue()


def test_a_full_disk_is_said_once_and_leaves_no_open_file(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    written = History(Path("/dev/full"))
    monkeypatch.setattr(Path, "exists", lambda _: False)
    written.add({"epoch": 1})
    with pytest.raises(RunError, match=r"full: cannot be written: No space left on device$"):
        written.flush()
    with pytest.raises(RunError, match=r"full: cannot be written: No space left on device$"):
        written.close()
    written.close()
