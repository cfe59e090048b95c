"""Files and modules that are broken are named in one line, with exit code 2; nothing is written, no code is run.

What is said of wrong command lines stands in tests/messages.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mlpexp.cli.main import call
from mlpexp.errors import ConfigError
from mlpexp.run.directory import RunDirectory


@pytest.fixture(autouse=True)
def one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a wrong command line ends in."""
    capsys.readouterr()
    assert call(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    prefix, message = line.split(" ", 1)
    assert prefix == "mlpexp:"
    return message


@pytest.mark.parametrize("override", ["x=" + "[" * 1000, "optimizer.lr=1" + "0" * 400], ids=["list", "number"])
def test_a_value_without_end_is_shown_in_short(override: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["train", override], capsys)
    assert said.startswith(f"{override[:75]}")
    assert len(said) < 250
    assert not list(here.iterdir())


@pytest.mark.parametrize("error", ["1 / 0", "import nope", "raise ValueError('two\\nlines')", "def"])
def test_a_plugin_that_fails(error: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "failing_plugin.py").write_text(f"{error}\n")
    said = refused(["train", "plugins=[failing_plugin]"], capsys)
    assert said.startswith("plugins=[failing_plugin]: cannot be imported: ")
    assert not (here / "outputs").exists()


def test_the_full_error_is_there_for_those_who_ask(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ConfigError, match="no such option"):
        call(["train", "activation=geluu"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs that has completed."""
    path = tmp_path_factory.mktemp("finished") / "run"
    small = ["dataset=xor", "epochs=2", "log.figures=false", "log.tensorboard=false", "device=cpu"]
    assert call(["train", *small, f"hydra.run.dir={path}"]) == 0
    return path


@pytest.fixture
def run(finished: Path, here: Path) -> Path:
    """A copy of it as `run`, to damage."""
    shutil.copytree(finished, here / "run")
    return here / "run"


def contents(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def refuses(arguments: list[str], run: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends in which leaves the run as it is."""
    before = contents(run)
    said = refused(arguments, capsys)
    assert contents(run) == before
    return said


@pytest.mark.parametrize("command", ["resume", "eval"])
@pytest.mark.parametrize(
    ("changes", "blamed"),
    [
        ({"state": "happy"}, "is damaged: state=happy: "),
        ({"seed": "x"}, "is damaged: seed=x: "),
        ({"config": None}, "is damaged: config=null: "),
        ({"metrics": []}, "is damaged: metrics=[]: "),
        ({"config.dataset": None}, "dataset=null: "),
        ({"config.epochs": "x"}, "epochs=x: "),
        ({"config.foo": 1}, "foo=1: "),
        ({"config.activation": {"name": "relu", "_target_": "os.system"}}, "activation._target_=os.system: "),
        ({"config.activation": {"name": "os.system"}}, "activation.name=os.system: "),
    ],
    ids=str,
)
def test_a_wrong_record_is_named_with_its_key(
    command: str,
    changes: dict[str, Any],
    blamed: str,
    run: Path,
    edit: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def change(record: dict[str, Any]) -> None:
        for key, value in changes.items():
            section = record["config"] if key.startswith("config.") else record
            section[key.removeprefix("config.")] = value

    edit(run / "run.json", change)
    assert refuses([command, "run"], run, capsys).startswith(f"run/run.json: {blamed}")


@pytest.mark.parametrize("command", ["resume", "eval"])
@pytest.mark.parametrize("content", [b"", b'{"state": "comp', b"[1]", b"[" * 100_000, b"\xff\xfe\0", b"{}"])
def test_a_damaged_record(command: str, content: bytes, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "run.json").write_bytes(content)
    assert refuses([command, "run"], run, capsys).startswith("run/run.json: is damaged: ")


@pytest.mark.parametrize("command", ["resume", "eval"])
def test_a_plugin_that_a_run_names_is_not_imported(
    command: str, run: Path, here: Path, edit: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "evil.py").write_text("raise SystemExit('imported')\n")
    edit(run / "run.json", lambda record: record["config"].update(plugins=["evil"]))
    assert "add plugins=[evil]" in refuses([command, "run"], run, capsys)


class Evil:
    """Unpickling it makes the file `evil` in the working directory."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("evil"),)


BAD_CHECKPOINTS: dict[str, Any] = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "text": lambda path: path.write_bytes(b"hello world"),
    "pickle": lambda path: path.write_bytes(pickle.dumps(Evil())),
    "code": lambda path: torch.save({"weights": Evil()}, path),
    "list": lambda path: torch.save([1], path),
    "keys": lambda path: torch.save({"weights": {}}, path),
    "directory": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("kind", BAD_CHECKPOINTS)
@pytest.mark.parametrize("command", ["resume", "eval"])
def test_a_bad_checkpoint_is_named_and_runs_no_code(
    command: str, kind: str, run: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = RunDirectory(Path("run"))
    path, other = (paths.last, paths.best) if command == "resume" else (paths.best, paths.last)
    BAD_CHECKPOINTS[kind](path)
    other.unlink()
    assert refuses([command, "run"], run, capsys).startswith(f"{path}: ")
    assert not (here / "evil").exists()


def test_a_run_without_best_weights_cannot_be_judged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RunDirectory(run).best.unlink()
    RunDirectory(run).last.unlink()
    assert refuses(["eval", "run"], run, capsys) == "run/checkpoints/best.pt: there is no such checkpoint."
