"""Shell completion: the choices, and what the real shells make of them."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlpexp.cli.main import COMMANDS, call


def complete(line: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert call(["completion", "bash", line]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mlpexp ", list(COMMANDS)),
        ("mlpexp tr", ["train"]),
        ("mlpexp train act", ["activation.", "activation="]),
        ("mlpexp train activation=ge", ["activation=gelu"]),
        ("mlpexp train dataset=xor optimizer=ada", ["optimizer=adagrad", "optimizer=adam", "optimizer=adamw"]),
        ("mlpexp train optimizer.l", ["optimizer.lr="]),
        ("mlpexp lr", ["lr-find"]),
        ("mlpexp lr-find optimizer=ada", ["optimizer=adagrad", "optimizer=adam", "optimizer=adamw"]),
        ("mlpexp plot ", ["activations", "optimizers", "schedulers", "dataset"]),
        ("mlpexp plot opt", ["optimizers"]),
        ("mlpexp plot activations activation=ge", ["activation=gelu"]),
        ("mlpexp plot optimizers optimizer.l", ["optimizer.lr="]),
        ("mlpexp list opt", ["optimizer"]),
        ("mlpexp list optimizer ada", ["adagrad", "adam", "adamw"]),
        ("mlpexp list optimizer adam ", []),
        ("mlpexp list ke", ["keys"]),
        ("mlpexp list ep", ["epochs"]),
        ("mlpexp resume ", []),
        ("mlpexp loo", ["look"]),
        ("mlpexp look ", []),
        ("", []),
        ("mlpexp completion ", ["bash", "zsh", "fish"]),
        ("mlpexp completion bash ", []),
        ("mlpexp resume runs/xor epo", ["epochs="]),
        ("mlpexp eval runs/xor epo", []),
        ("mlpexp extend ", []),
        ("mlpexp extend runs/xor activation=relu,ge", ["activation=relu,gelu"]),
        ("mlpexp train -m activation=relu,ge", ["activation=relu,gelu"]),
        ("mlpexp train -m optimizer=sgd,adam seed=0,1 epo", ["epochs="]),
        ("mlpexp train optimizer=adam optimizer.be", ["optimizer.betas."]),
        ("mlpexp train regularizer=[dropout,batch", ["regularizer=[dropout,batchnorm"]),
        ("mlpexp train 'regularizer=[dropout,batch", ["regularizer=[dropout,batchnorm"]),
        ("mlpexp train dataset.path=", ["dataset.path=a b.csv", "dataset.path=tables/"]),
        ("mlpexp train dataset.path=tables/i", ["dataset.path=tables/iris.csv"]),
        ("mlpexp train data_dir=", ["data_dir=tables/"]),
        ("mlpexp train --config-dir ", []),
        ("mlpexp train -", []),
    ],
)
def test_choices(line: str, expected: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "tables").mkdir()
    for name in ("a b.csv", ".hidden", "tables/iris.csv"):
        (here / name).touch()
    assert complete(line, capsys) == expected


def test_a_users_own_options_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "activation").mkdir()
    (tmp_path / "activation" / "snake.yaml").write_text("name: snake\n")
    found = complete(f"mlpexp train --config-dir {tmp_path} activation=s", capsys)
    assert "activation=snake" in found
    assert "activation=sigmoid" in found
    found = complete(f"mlpexp list --config-dir {tmp_path} activation s", capsys)
    assert {"snake", "sigmoid"} <= set(found)


SHELLS = {
    "bash": (["bash", "--norc", "-i"], 'eval "$(mlpexp completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], "source <(mlpexp completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "mlpexp completion fish | source"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_in_a_real_shell(shell: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """README's line, typed into the shell, and what Tab then makes of a command, an override and a file."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    program, line = SHELLS[shell]
    assert line in (Path(__file__).parents[2] / "README.md").read_text()
    (here / "iris.csv").touch()
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("TERM", "dumb")
    with Terminal(program) as terminal:
        terminal.type(f"{line}; printf '<%s>' ready\n", until="<ready>")
        # Ctrl-A goes to the line's beginning: the shell shows which words the line has become.
        shown = "\x01printf '<%s>' \n"
        terminal.type(
            f"mlpexp tra\tactivation=ge\t dataset.path=ir\t{shown}",
            until="<mlpexp><train><activation=gelu><dataset.path=iris.csv>",
        )
        terminal.type(f"mlpexp look ir\t{shown}", until="<mlpexp><look><iris.csv>")


class Terminal:
    """A program in a terminal of its own, which a Python of its own keeps: a fork here would have torch's threads."""

    def __init__(self, program: list[str]) -> None:
        spawn = "import pty, sys; pty.spawn(sys.argv[1:])"
        pipe, both = subprocess.PIPE, subprocess.STDOUT
        self._process = subprocess.Popen(
            [sys.executable, "-c", spawn, *program], stdin=pipe, stdout=pipe, stderr=both, bufsize=0
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        # The shell is hung up on when its terminal closes.
        self._process.kill()
        self._process.communicate()

    def type(self, keys: str, until: str) -> None:
        """Types, and reads until a text is shown."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(keys.encode())
        shown = b""
        while until.encode() not in shown:
            ready, _, _ = select.select([self._process.stdout], [], [], 60)
            more = self._process.stdout.read(4096) if ready else b""
            assert more, shown.decode()
            shown += more
