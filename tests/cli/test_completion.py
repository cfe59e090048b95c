"""Shell completion, through the shell function that Hydra installs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlpexp.cli.main import COMMANDS, call


def complete(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setattr(sys, "argv", ["mlpexp"])
    assert call(["-sc", "query=bash"]) == 0
    return capsys.readouterr().out.split()


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
    ],
)
def test_choices(
    line: str, expected: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert complete(line, capsys, monkeypatch) == expected


def test_a_users_own_options_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "activation").mkdir()
    (tmp_path / "activation" / "snake.yaml").write_text("name: snake\n")
    found = complete(f"mlpexp train --config-dir {tmp_path} activation=s", capsys, monkeypatch)
    assert "activation=snake" in found
    assert "activation=sigmoid" in found
    found = complete(f"mlpexp list --config-dir {tmp_path} activation s", capsys, monkeypatch)
    assert {"snake", "sigmoid"} <= set(found)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_in_a_real_bash(here: Path) -> None:
    """What README says, typed into bash, and what it then offers for `mlpexp train activation=ge<TAB>`."""
    script = (
        'eval "$(mlpexp -sc install=bash)"\n'
        'COMP_LINE="mlpexp train activation=ge"; COMP_POINT=${#COMP_LINE}\n'
        "COMP_WORDS=(mlpexp train activation=ge); COMP_CWORD=2\n"
        "complete -p mlpexp | grep -q hydra_bash_completion && hydra_bash_completion 2>/dev/null\n"
        'echo "${COMPREPLY[@]}"'
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    assert done.stdout.strip() == "activation=gelu", done.stderr
