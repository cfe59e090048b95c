"""What a flipped bit or a cut-off end does to a run or a sweep: nothing, or a line that says which file is damaged."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlpexp.cli.main import call
from mlpexp.cli.sweep_terminal import StackTerminal
from mlpexp.cli.terminal import Terminal

Contents = Callable[[Path], dict[str, Any]]

QUICK = ["dataset=moons", "dataset.n_samples=143", "batch_size=20", "model.hidden=[8]", "epochs=8", "log.figures=false"]
QUICK += ["regularizer=[dropout]", "scheduler=cosine", "checkpoint.every_seconds=0", "log.histograms=0"]
COMMANDS = {
    "run": ["train", *QUICK, "hydra.run.dir=whole"],
    "sweep": ["train", "-m", *QUICK, "activation=relu,tanh", "seed=0,1", "hydra.sweep.dir=whole"],
}
AFTER = 5

# What is damaged, in what, and before what. `it` is a run or a sweep that was killed after epoch 5, `whole` has ended.
CASES = [
    *[("run", f"it/{name}", "resume it") for name in ("checkpoints/last.pt", "checkpoints/last.previous.pt")],
    *[("run", f"it/{name}", "resume it") for name in ("run.json", "metrics.csv", "checkpoints/best.pt")],
    *[("run", f"it/{name}", "resume it") for name in (".hydra/config.yaml", "*tfevents*", ".lock")],
    *[("run", f"it/{name}", "eval it") for name in ("checkpoints/last.pt", "checkpoints/best.pt", "run.json")],
    *[("run", f"whole/{name}", "eval whole") for name in ("checkpoints/best.pt", "run.json", "metrics.csv")],
    *[("run", f"whole/{name}", "resume whole epochs=9") for name in ("checkpoints/last.pt", "metrics.csv")],
    *[("sweep", f"it/{name}", "resume it") for name in (".stacks/0.pt", ".stacks/0.previous.pt", "sweep.json")],
    *[("sweep", f"it/{name}", "resume it") for name in ("1/run.json", "1/metrics.csv", "0/.hydra/overrides.yaml")],
    *[("sweep", f"it/{name}", "resume it/1") for name in (".stacks/0.pt", "sweep.json", "1/run.json")],
    *[("sweep", f"it/{name}", "eval it/1") for name in (".stacks/0.pt", "sweep.json")],
    *[("sweep", f"whole/{name}", "compare whole") for name in ("1/run.json", "1/metrics.csv", "sweep.json")],
]


def made_up_for(pattern: str, command: str) -> bool:
    """Whether something else does as well as the file: another checkpoint, most of all."""
    if pattern.endswith(".json"):
        return command.startswith("compare")
    return not command.startswith("resume" if pattern.endswith("metrics.csv") else "resume whole")


@dataclass(frozen=True)
class Damage:
    """What becomes of the bytes of a file."""

    seed: int

    def __call__(self, content: bytes) -> bytes:
        source = random.Random(self.seed)
        at = source.randrange(max(1, len(content)))
        if source.random() < 1 / 3:
            return content[:at]
        changed = bytearray(content)
        for place in range(at, min(len(content), at + source.choice([1, 1, 1, 16]))):
            changed[place] ^= 1 << source.randrange(8)
        return bytes(changed)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For a run and for a sweep: `whole`, and `it` as SIGKILL would have left it after epoch 5."""
    directory = tmp_path_factory.mktemp("originals")
    for kind, words in COMMANDS.items():
        watcher = Terminal if kind == "run" else StackTerminal
        epoch = watcher.epoch

        def keep(self: Any, engine: Any, rows: Any, original: Any = epoch) -> None:
            if engine.epoch == AFTER and not Path("it").exists():
                shutil.copytree("whole", "it")
            original(self, engine, rows)

        with pytest.MonkeyPatch.context() as patch:
            (directory / kind).mkdir()
            patch.chdir(directory / kind)
            patch.setattr(watcher, "epoch", keep)
            patch.setattr("mlpexp.run.recorder.FLUSH_SECONDS", 0)
            assert call(words) == 0
    return directory


@pytest.fixture(scope="module")
def expected(originals: Path, tmp_path_factory: pytest.TempPathFactory, contents: Contents) -> Callable[..., Any]:
    """What a command leaves where nothing is damaged, or where the file `without` is missing."""
    known: dict[tuple[str, str, str], Any] = {}

    def of(kind: str, command: str, without: str = "") -> Any:
        if (kind, command, without) not in known:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(shutil.copytree(originals / kind, tmp_path_factory.mktemp("expected") / "here"))
                if without:
                    Path(without).unlink()
                assert call(command.split()) == 0
                known[kind, command, without] = left(contents, command)
        return known[kind, command, without]

    return of


def left(contents: Contents, command: str) -> Any:
    """What a command has left, as far as it is what it was asked for."""
    name, directory, *_ = command.split()
    here = Path(directory)
    if name == "resume":
        return contents(here)
    if name == "eval":
        (found,) = here.glob("evaluations/*/metrics.json")
        return json.loads(found.read_text())
    (table,) = here.glob("comparisons/*/comparison.csv")
    return table.read_text()


# Every third case, once.
SHORT = range(0, len(CASES), 3)


@pytest.mark.parametrize("seed", [pytest.param(i, marks=[] if i in SHORT else [pytest.mark.long]) for i in range(200)])
def test_a_damaged_file_does_not_matter_or_is_named(
    seed: int,
    here: Path,
    originals: Path,
    expected: Callable[..., Any],
    contents: Contents,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kind, pattern, command = CASES[seed % len(CASES)]
    right = expected(kind, command)
    shutil.copytree(originals / kind, here, dirs_exist_ok=True)
    (path,) = here.glob(pattern)
    damaged = Damage(seed)(path.read_bytes())
    path.write_bytes(damaged)
    capsys.readouterr()
    code = call(command.split())
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert all(line.startswith("mlpexp: ") and len(line) < 1000 for line in lines)
    name = str(path.relative_to(here))
    told = any(name in line for line in [*lines, *out.splitlines()])
    if code != 0:
        assert code in (1, 2)
        assert not made_up_for(pattern, command), err
        assert told, err
        # It may still be mended.
        assert path.read_bytes() == damaged
    elif pattern.startswith("whole/1/run.json"):
        # The run is left out of the comparison, which says so.
        assert told
    elif "tfevents" in path.name:
        # Its readers check their checksums themselves, and read no further than they hold.
        found = left(contents, command)
        for tag, scalars in found["."].pop("scalars").items():
            assert set(scalars) <= set(right["."]["scalars"][tag])
        assert found["."] == {name: value for name, value in right["."].items() if name != "scalars"}
    elif (pattern, command) == ("it/.stacks/0.pt", "resume it/1"):
        # Alone, numbers are rounded otherwise than in a stack: they tell from which epoch on the run was alone.
        assert left(contents, command) in (right, expected(kind, command, without=pattern))
    else:
        assert left(contents, command) == right
