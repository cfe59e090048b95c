"""`mlpexp lr-find`: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlpexp.cli.main import call
from mlpexp.config.schema import parse

MOONS = ["lr-find", "dataset=moons", "--seeds", "2", "--steps", "60"]


def pasted(out: str) -> str:
    (line,) = re.findall(r"^mlpexp train .*$", out, re.MULTILINE)
    return str(line)


def test_it_prints_rates_and_the_command_to_paste(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*MOONS, "regularizer=[dropout]", "optimizer.lr=0.5"]) == 0
    out = capsys.readouterr().out
    for part in (
        "60 rates from 1e-06 to 10; seeds 0 to 1, trained as one",
        "│ divergence ÷ 30 ",
        "│ steepest ",
        "│ config ",
    ):
        assert part in out
    line = pasted(out)
    assert re.fullmatch(r"mlpexp train dataset=moons 'regularizer=\[dropout\]' optimizer.lr=[\d.e-]+", line)
    assert call([*shlex.split(line)[1:], "epochs=1", "log.figures=false", "log.tensorboard=false"]) == 0


def test_what_it_writes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*MOONS, "--out", "new"]) == 0
    assert {path.name for path in Path("new").iterdir()} == {
        *("lr_find.csv", "lr_find.json", "lr_find.png", "config.yaml")
    }
    assert Path("new/lr_find.png").read_bytes().startswith(b"\x89PNG")
    with Path("new/lr_find.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["step", "lr", "loss", "loss/smoothed", "loss/seed=0", "loss/seed=1"]
    table = np.array([[float(value) for value in row.values()] for row in rows])
    np.testing.assert_array_equal(table[:, 0], np.arange(1, len(rows) + 1))
    np.testing.assert_allclose(table[:, 1], np.geomspace(1e-6, 10, 60)[: len(rows)])
    np.testing.assert_allclose(table[:, 2], table[:, 4:].mean(1))
    found = json.loads(Path("new/lr_find.json").read_text())
    assert found["command"] == ["mlpexp", *MOONS, "--out", "new"]
    assert found["lr"] == found["suggestions"]["divergence ÷ 30"]
    from omegaconf import OmegaConf

    assert parse(OmegaConf.to_container(OmegaConf.load("new/config.yaml"))).seed == 0  # type: ignore[arg-type]


def test_nothing_is_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = [*MOONS, "--to", "0.1"]
    assert call(short) == call(short) == 0
    written = list(Path("outputs/lr_find").glob("*/*/lr_find.csv"))
    assert len(written) == 2
    assert call([*short, "--out", str(written[0].parent)]) == 2
    assert capsys.readouterr().err.endswith("already holds files; choose another directory.\n")


def test_where_there_is_no_rate_there_is_nothing_to_paste(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*MOONS, "init=zeros", "--out", "new"]) == 0
    out = capsys.readouterr().out
    assert "The loss never fell" in out
    assert "mlpexp train" not in out
    assert json.loads(Path("new/lr_find.json").read_text())["lr"] is None


def test_options_of_ones_own_are_in_the_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = here / "conf" / "dataset"
    own.mkdir(parents=True)
    (own / "few.yaml").write_text("name: moons\nn_samples: 100\n")
    assert call(["lr-find", "--config-dir", "conf", "dataset=few", "--seeds", "1", "--out", "new"]) == 0
    assert pasted(capsys.readouterr().out).startswith("mlpexp train --config-dir=conf dataset=few optimizer.lr=")


def test_help_imports_neither_torch_nor_rich() -> None:
    code = """
import sys
from mlpexp.cli.main import call
try:
    call(["lr-find", "--help"])
except SystemExit:
    print([name for name in ("numpy", "rich", "torch", "hydra") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")
    assert "--from LR" in done.stdout
