"""`mlpexp compare` as a command, on runs that were trained."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mlpexp
from mlpexp.cli.main import call
from mlpexp.run.files import with_checksum, without_checksum

SWEEP = [
    *("train", "-m", "dataset=xor", "model=mlp,perceptron", "seed=0,1,2", "epochs=3"),
    *("log.tensorboard=false", "log.figures=false", "hydra.sweep.dir=sweep"),
]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("compare"))
        assert call(SWEEP) == 0
        return Path("sweep").resolve()


def files(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if path.is_file()}


def test_a_sweep(sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(sweep.parent)
    before = files(sweep)
    assert call(["compare", "sweep"]) == 0
    out = capsys.readouterr().out
    for part in (
        "│ perceptron │ 3 │",
        "Best by val accuracy: model=",
        "to the best, model=",
        "written to sweep/",
    ):
        assert part in out
    new = files(sweep) - before
    assert {path.name for path in new} == {"comparison.md", "comparison.csv", "settings.png", "learning_curves.png"}
    (directory,) = {path.parent for path in new}
    assert directory.parent == sweep / "comparisons"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d+)?", directory.name)
    assert call(["compare", "sweep"]) == 0
    assert len(list((sweep / "comparisons").iterdir())) == 2


def test_several_paths_baseline_metric_and_out(sweep: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(sweep / name) for name in ("0", "1", "3", "4")]
    assert call(["compare", *runs, "--baseline", "model=perceptron", "--metric", "loss/val", "--out", "new"]) == 0
    assert {path.name for path in Path("new").iterdir()} == {
        "comparison.md",
        "comparison.csv",
        "settings.png",
        "learning_curves.png",
    }
    assert "to the baseline, model=perceptron" in capsys.readouterr().out
    assert call(["compare", *runs]) == 0
    (written,) = Path("outputs/comparisons").glob("*/*/comparison.md")
    assert call(["compare", *runs, "--out", "new"]) == 2
    assert capsys.readouterr().err == "mlpexp: --out=new: already holds files; choose another directory.\n"
    assert f"    mlpexp compare {' '.join(runs)}\n" in written.read_text()


def test_one_run_says_that_there_is_no_interval(sweep: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["compare", str(sweep / "0")]) == 0
    assert "One seed: there is no interval and no test." in capsys.readouterr().out
    assert list(Path("outputs/comparisons").glob("*/*/settings.png"))


def test_a_terminal_is_not_flooded(sweep: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = without_checksum(json.loads((sweep / "0" / "run.json").read_text()))
    for n in range(1, 51):
        run = here / "many" / str(n)
        run.mkdir(parents=True)
        content |= {"config": content["config"] | {"epochs": n}}
        content |= {"state": "failed", "reason": f"reason {n}"} if n > 30 else {}
        (run / "run.json").write_text(json.dumps(with_checksum(content)))
    assert call(["compare", "many"]) == 0
    out = capsys.readouterr().out
    assert "and 10 more settings\n" in out
    assert "failed: many/35 (epochs=35, seed 0): reason 35\nand 15 more runs without a result\n" in out
    assert "And 37 more settings." in out
    assert len(out.splitlines()) < 110


def test_from_python(sweep: Path) -> None:
    comparison = mlpexp.compare([sweep], baseline="model=mlp", metric="accuracy/val")
    assert [summary.seeds for summary in comparison.summaries] == [[0, 1, 2], [0, 1, 2]]
    assert comparison.reference is not None
    assert comparison.reference.label == "model=mlp"


def test_help_imports_neither_rich_nor_numpy() -> None:
    code = """
import sys
from mlpexp.cli.main import call
from mlpexp.run.files import with_checksum, without_checksum
try:
    call(["compare", "--help"])
except SystemExit:
    print([name for name in ("numpy", "rich", "torch", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")
    assert "--baseline SETTING" in done.stdout
