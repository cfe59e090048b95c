"""`mlpexp list`, and what must stay out of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlpexp.cli.main import call
from mlpexp.config.locate import CONF
from mlpexp.config.schema import GROUPS, LIST_GROUPS

REGISTRIES = {**GROUPS, **LIST_GROUPS}


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_the_groups_are_listed_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list"]) == 0
    listed = {line.split()[0]: line for line in lines(capsys) if line}
    for group, registry in REGISTRIES.items():
        assert all(name in listed[group] for name in registry)
    assert "mnist" in listed["experiment"]


@pytest.mark.parametrize("group", REGISTRIES)
def test_every_option_has_a_line(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["list", group]) == 0
    listed = dict(line.split(maxsplit=1) for line in lines(capsys))
    assert listed.keys() == REGISTRIES[group].keys()
    for name, comment in listed.items():
        assert f"# {comment}" in (CONF / group / f"{name}.yaml").read_text()


def test_a_users_own_options_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "activation").mkdir()
    (tmp_path / "activation" / "snake.yaml").write_text("# x + sin(x)²\nname: snake\n")
    assert call(["list", "activation", "--config-dir", str(tmp_path)]) == 0
    assert any(line.split(maxsplit=1) == ["snake", "x + sin(x)²"] for line in lines(capsys))


@pytest.mark.parametrize("arguments", [["list"], ["list", "optimizer"], ["--help"], ["--version"], ["list", "--help"]])
def test_what_answers_at_once_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; from mlpexp.cli.main import call\n"
        f"try: code = call({arguments!r})\n"
        "except SystemExit as exit: code = exit.code\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'matplotlib', 'tensorboard', 'hydra'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_keeps_torchs_compiler_out(here: Path) -> None:
    """Its import takes more than a second; see mlpexp/engine/eager.py."""
    program = (
        "import sys; from mlpexp.cli.main import call\n"
        "parts = ['epochs=2', 'scheduler=cosine', 'regularizer=[dropout]', 'checkpoint.every_seconds=0']\n"
        "code = call(['train', 'dataset=xor', *parts])\n"
        "sys.exit('imported the compiler' if 'torch._dynamo' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
