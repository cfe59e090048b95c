"""What `make train` installs, by dry runs: nothing is installed here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def dry_run(here: Path, *, has_torch: bool) -> str:
    """What `make train` would do in a clone without `.venv`, where PYTHON answers whether it has torch."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, here)
    python = here / "python"
    python.write_text(f"#!/bin/sh\nexit {0 if has_torch else 1}\n")
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "-n", "train", f"PYTHON={python}"], cwd=here, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_size_is_said_before_anything_is_fetched(here: Path) -> None:
    lines = dry_run(here, has_torch=False)
    assert f"{here}/python -m venv .venv" in " ".join(lines.split())
    said, installed = lines.index("5.5 GB"), lines.index("pip install")
    assert said < installed
    assert "5.5 GB" in (ROOT / "README.md").read_text().split("## The first run")[0]


def test_a_torch_that_is_there_is_used(here: Path) -> None:
    assert "-m venv --system-site-packages .venv" in dry_run(here, has_torch=True)


def test_the_question_for_torch_is_answered(tmp_path: Path) -> None:
    (question,) = re.findall(r"^HAS_TORCH := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    python = shutil.which("python3")
    assert python is not None

    def code() -> int:
        return subprocess.run([python, "-S", "-c", question], cwd=tmp_path, check=False).returncode

    assert code() == 1
    for name in ("torch", "torchvision"):
        (tmp_path / f"{name}.py").touch()
    assert code() == 0
