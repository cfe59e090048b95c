"""One run of a sweep that was killed: gone on with by itself, judged, or too damaged, while the others go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mlpexp
from mlpexp.cli.main import call
from mlpexp.cli.sweep_terminal import StackTerminal
from mlpexp.cli.terminal import Terminal
from mlpexp.run import checkpoint, history

Contents = Callable[[Path], dict[str, Any]]

# Two stacks of four, of which the first is killed. Some of its members stop early, after epoch 3 the first.
SWEEP = [
    *["train", "-m", "dataset=moons", "dataset.n_samples=143", "batch_size=20", "model.hidden=[8]", "epochs=12"],
    *["activation=relu,prelu", "optimizer.lr=0.3,0.001", "seed=0,1", "log.figures=false", "log.tensorboard=false"],
    *["regularizer=[dropout,early_stopping]", "regularizer.early_stopping.patience=2", "hydra.sweep.dir=whole"],
    "device=cpu",
]
AFTER = 5


@pytest.fixture(scope="module", params=[0, 1000], ids=["with a checkpoint", "before the first checkpoint"])
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the whole sweep, and with `sweep` as SIGKILL would have left it after epoch 5."""
    directory = tmp_path_factory.mktemp("killed")
    epoch = StackTerminal.epoch

    def keep(self: StackTerminal, engine: Any, rows: Any) -> None:
        if engine.epoch == AFTER and not Path("sweep").exists():
            shutil.copytree("whole", "sweep")
        epoch(self, engine, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.setattr(StackTerminal, "epoch", keep)
        patch.setattr("mlpexp.run.recorder.FLUSH_SECONDS", 0)
        assert call([*SWEEP, f"checkpoint.every_seconds={request.param}"]) == 0
    return directory


@pytest.fixture
def sweep(killed: Path, here: Path) -> Path:
    return Path(shutil.copytree(killed / "sweep", "sweep"))


def ended_after(directory: Path) -> dict[str, int]:
    return {path.parent.name: len(history.read(path)["epoch"]) for path in directory.glob("*/metrics.csv")}


def test_members_have_stopped_early_and_others_not(killed: Path) -> None:
    """Or the tests below would show less than they say."""
    lengths = ended_after(killed / "whole")
    assert min(lengths[name] for name in "0123") < AFTER < max(lengths[name] for name in "0123")


@pytest.mark.parametrize("member", ["0", "3", *(pytest.param(name, marks=pytest.mark.long) for name in "12")])
def test_a_member_goes_on_by_itself_from_where_its_stack_was(
    member: str, sweep: Path, killed: Path, monkeypatch: pytest.MonkeyPatch, contents: Contents
) -> None:
    begun = []
    started = Terminal.started

    def note(self: Terminal, prepared: Any, epochs: Any) -> None:
        begun.append(epochs.epoch)
        started(self, prepared, epochs)

    monkeypatch.setattr(Terminal, "started", note)
    together = sweep / ".stacks" / "0.pt"
    saved = checkpoint.load(together)["states"] if together.exists() else {}
    stopped = ended_after(killed / "whole")[member] < AFTER
    assert call(["resume", f"sweep/{member}"]) == 0
    # After the epoch that was shown came no checkpoint yet; who had stopped has one of its own.
    last = ended_after(killed / "whole")[member] if stopped else AFTER - 1 if saved else 0
    assert begun == [last]
    rows = (sweep / member / "metrics.csv").read_text().splitlines()
    expected = (killed / "whole" / member / "metrics.csv").read_text().splitlines()
    assert rows[: 1 + last] == expected[: 1 + last]
    assert json.loads((sweep / member / "run.json").read_text())["state"] == "completed"

    # The others do not mind.
    found = contents(sweep)[member]
    assert call(["resume", "sweep"]) == 0
    left, whole = contents(sweep), contents(killed / "whole")
    assert left[member] == found
    assert {name: left[name] for name in "01234567" if name != member} == {
        name: whole[name] for name in "01234567" if name != member
    }


def test_a_member_is_judged_by_the_weights_that_its_stack_has(sweep: Path) -> None:
    together = sweep / ".stacks" / "0.pt"
    if not together.exists():
        assert call(["eval", "sweep/3"]) == 2
        return
    best = checkpoint.load(together)["states"][3]["member"]["best"]
    results, epoch = mlpexp.load("sweep/3")
    assert epoch == best["epoch"]
    assert checkpoint.load(together)["states"][3]["module"].keys() == results.module.state_dict().keys()
    assert all(bool((value == best["weights"][name]).all()) for name, value in results.module.state_dict().items())
    assert results.metrics()["val"]["loss"] == pytest.approx(best["loss"])


@pytest.mark.parametrize("member", ["3", pytest.param("0", marks=pytest.mark.long)])
def test_a_damaged_record_keeps_only_its_own_job_from_going_on(
    member: str, sweep: Path, killed: Path, contents: Contents, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sweep / member / "run.json"
    damaged = path.read_bytes().replace(b'"seed": ', b'"seed": 1', 1)
    path.write_bytes(damaged)
    assert call(["resume", "sweep"]) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"mlpexp: job {member} left out: {path}: is damaged: its checksum is not that of what ")
    assert first.endswith(f" With sweep/{member} moved away, the job is trained anew.")
    assert last.startswith(f"mlpexp: 1 of the sweep's 8 jobs failed ({member}); ")
    assert path.read_bytes() == damaged
    shutil.move(sweep / member, "away")
    whole = contents(killed / "whole")
    found = contents(sweep)
    assert {name: found[name] for name in found if name != "table"} == {
        name: whole[name] for name in "01234567" if name != member
    }
    assert call(["resume", "sweep"]) == 0
    assert contents(sweep) == whole


@pytest.mark.parametrize("killed", [0], indirect=True, ids=["with a checkpoint"])
@pytest.mark.parametrize("at_fault", ["damaged", "gone"])
def test_the_checkpoint_before_the_last_does_as_well(
    at_fault: str, sweep: Path, killed: Path, contents: Contents, capsys: pytest.CaptureFixture[str]
) -> None:
    together = sweep / ".stacks" / "0.pt"
    if at_fault == "damaged":
        together.write_bytes(together.read_bytes()[:-100])
    else:
        # As between the two renames of a new one.
        together.unlink()
    assert call(["resume", "sweep"]) == 0
    assert contents(sweep) == contents(killed / "whole")
    assert not (sweep / ".stacks").exists()
