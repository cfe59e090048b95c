"""A full disk and a directory that cannot be written: one line, exit code 1, and the last checkpoint still whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpexp.cli.main import call
from mlpexp.run import checkpoint, history

Contents = Callable[[Path], dict[str, Any]]

TRAINED = ["dataset=digits", "model.hidden=[16]", "epochs=6", "checkpoint.every_seconds=0", "log.histograms=2"]
NUMBERED = "hydra.sweep.subdir=${hydra.job.num}"
COMMANDS = {
    "run": ["train", *TRAINED, "hydra.run.dir=it"],
    "sweep": [
        "train",
        "-m",
        *TRAINED,
        "log.figures=false",
        "seed=0,1,2",
        "hydra.sweep.dir=it",
        NUMBERED,
    ],
}


class Disk:
    """A small disk, at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mount(self, options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"this user may not mount a tmpfs: {done.stderr.strip()}")

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """Not mounted yet. In the end the working directory is another, so that it can be unmounted."""
    if shutil.which("mount") is None or not sys.platform.startswith("linux"):
        pytest.skip("a tmpfs is a matter of Linux")
    disk = Disk(tmp_path / "disk")
    disk.path.mkdir()
    yield disk
    monkeypatch.chdir(tmp_path)
    if disk.path.is_mount():
        subprocess.run(["umount", str(disk.path)], check=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, contents: Contents) -> dict[str, Any]:
    """What is left where there is room."""
    found = {}
    for kind, words in COMMANDS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path_factory.mktemp(kind))
            assert call(words) == 0
            found[kind] = contents(Path("it"))
    return found


def sizes(kind: str) -> list[Any]:
    """Of disks, in kB: too small for the files of Hydra, for run.json, a checkpoint, all of them, the figures."""
    short = {"run": [4, 64, 160], "sweep": [16, 160]}[kind]
    longer = range(8, 240, 8)
    marked = [pytest.param(kind, size, marks=pytest.mark.long) for size in longer if size not in short]
    return [*(pytest.param(kind, size) for size in short), *marked]


@pytest.mark.parametrize(("kind", "size"), [*sizes("run"), *sizes("sweep")])
def test_a_disk_of_any_size(
    kind: str,
    size: int,
    disk: Disk,
    whole: dict[str, Any],
    contents: Contents,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk.mount(f"size={size}k")
    monkeypatch.chdir(disk.path)
    assert call(COMMANDS[kind]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 if kind == "run" else 1 <= len(lines) <= 4
    assert all(line.startswith("mlpexp: ") for line in lines)
    assert "No space left on device" in lines[0]
    assert not list(Path("it").rglob("*.tmp"))
    for path in Path("it").rglob("*.pt"):
        checkpoint.load(path)

    disk.remount("size=100m")
    begun = Path("it", "run.json" if kind == "run" else "sweep.json")
    if not begun.exists():
        # There is nothing to go on with: with nothing in the way, the command is given once more.
        shutil.rmtree("it")
        assert call(COMMANDS[kind]) == 0
    else:
        assert call(["resume", "it"]) == 0
    found = contents(Path("it"))
    if kind == "run":
        assert found == whole["run"]
    else:
        # Who failed by itself goes on by itself, equal up to rounding.
        for number in "012":
            rows = history.read(Path("it", number, "metrics.csv"))
            assert rows["epoch"] == [1, 2, 3, 4, 5, 6]
            expected = whole["sweep"][number]["run.json"]["metrics"]
            assert found[number]["run.json"]["metrics"]["test"]["loss"] == pytest.approx(
                expected["test"]["loss"], rel=0.02
            )


_LIMITED = """
import resource, sys
from mlpexp.cli.main import call
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
sys.exit(call(sys.argv[2:]))
"""


@pytest.mark.parametrize("kind", ["run", pytest.param("sweep", marks=pytest.mark.long)])
def test_a_limit_on_the_size_of_files(kind: str, here: Path, whole: dict[str, Any], contents: Contents) -> None:
    """TensorBoard's file is the first to meet it: checkpoints are smaller."""
    pytest.importorskip("resource", reason="limits on the size of a file are a matter of POSIX")
    limit = {"run": 30_000, "sweep": 60_000}[kind]
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(limit), *COMMANDS[kind]], cwd=here, capture_output=True, text=True
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "cannot be written: File too large" in lines[0]
    assert all(line.startswith("mlpexp: ") for line in lines)
    for path in Path("it").rglob("*.pt"):
        checkpoint.load(path)
    assert call(["resume", "it"]) == 0
    if kind == "run":
        assert contents(Path("it")) == whole["run"]
    else:
        states = [json.loads(path.read_text())["state"] for path in Path("it").glob("*/run.json")]
        assert states == ["completed"] * 3


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("train dataset=xor", "outputs/"),
        ("train dataset=xor hydra.run.dir=new", "hydra.run.dir=new"),
        ("train dataset=xor hydra.run.dir=empty", "empty/.lock"),
        ("train -m dataset=xor seed=0,1", "outputs/"),
        ("train -m dataset=xor seed=0,1 hydra.sweep.dir=new", "hydra.sweep.dir=new"),
        ("resume run epochs=3", "run/.lock"),
        ("resume sweep", "sweep/.lock"),
        ("resume sweep/0", "sweep/0/.lock"),
        ("eval run", "run/evaluations/"),
        ("compare sweep", "sweep/comparisons/"),
        ("lr-find dataset=xor --out new", "--out=new"),
        ("plot dataset dataset=xor", "outputs/plots/"),
    ],
)
def test_a_directory_that_cannot_be_written(
    command: str,
    name: str,
    disk: Disk,
    few: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if os.geteuid() == 0:
        # Root may write wherever the system can.
        disk.mount("size=10m")
    shutil.copytree(few, disk.path, dirs_exist_ok=True)
    (disk.path / "empty").mkdir()
    before = {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()}
    if os.geteuid() == 0:
        disk.remount("ro")
    else:
        for path in [disk.path, *disk.path.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.chdir(disk.path)
    try:
        assert call(command.split()) == 1
        (line,) = capsys.readouterr().err.splitlines()
    finally:
        if os.geteuid() != 0:
            for path in [disk.path, *disk.path.rglob("*")]:
                path.chmod(0o755)
    assert line.startswith(f"mlpexp: {name}")
    assert "Read-only file system" in line or "Permission denied" in line
    assert {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()} == before


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and a sweep that have completed."""
    directory = tmp_path_factory.mktemp("few")
    quick = ["dataset=xor", "epochs=2", "log.figures=false", "log.tensorboard=false"]
    assert call(["train", *quick, f"hydra.run.dir={directory}/run"]) == 0
    assert call(["train", "-m", *quick, "seed=0,1", f"hydra.sweep.dir={directory}/sweep"]) == 0
    return directory
