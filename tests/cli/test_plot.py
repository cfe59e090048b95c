"""`mlpexp plot` as a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mlpexp.cli.main import call
from mlpexp.cli.plot import KINDS
from mlpexp.components.activation import activations

SNAKE = """
from dataclasses import dataclass
import torch
from mlpexp.components.activation import Activation, activations

class Module(torch.nn.Module):
    def forward(self, x):
        return x + torch.sin(x).square()

@activations.register("plotted_snake")
@dataclass(frozen=True)
class Snake(Activation):
    a: float = 1.0

    def build(self):
        return Module()
"""


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG file."""
    with Image.open(path, formats=["PNG"]) as image:
        return image.size


@pytest.mark.parametrize(
    "line",
    [
        "activations activation=gelu,silu",
        "activations activation=leaky_relu activation.negative_slope=0.2",
        "optimizers optimizer=sgd,adam optimizer.lr=0.1",
        "schedulers scheduler=step,cosine epochs=3 scheduler.warmup=1",
        "schedulers optimizer=lbfgs scheduler=plateau",
        "dataset",
        "dataset dataset=spirals dataset.noise=0.2",
    ],
)
def test_a_picture_is_a_new_file_each_time(line: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kind = line.split()[0]
    assert call(["plot", *line.split()]) == 0
    assert capsys.readouterr().out == f"written to outputs/plots/{kind}.png\n"
    path = here / "outputs" / "plots" / f"{kind}.png"
    before = path.read_bytes()
    assert size(path)[0] > 400
    if kind == "dataset":
        assert call(["plot", *line.split()]) == 0
        assert capsys.readouterr().out == f"written to outputs/plots/{kind}_1.png\n"
        assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["activations", "optimizers", "schedulers"])
def test_without_a_choice_all_are_drawn(kind: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plot", kind, "--out", "new/all.png", "epochs=2"]) == 0
    assert capsys.readouterr().out == "written to new/all.png\n"
    # A small panel for each: taller than a figure of a few curves.
    assert size(here / "new" / "all.png")[1] > 500


def test_a_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{k},{k * k},{-k},{'ab'[k % 2]}" for k in range(20)]
    (here / "t.csv").write_text("\n".join(["one,two,three,kind", *rows]))
    assert call(["plot", "dataset", "--out=t.png", "dataset=table", "dataset.path=t.csv"]) == 0
    assert "t: left out: one (counts the rows, from 0 to 19)" in capsys.readouterr().out


def test_plugins_and_options_of_ones_own(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activations, "_components", dict(activations._components))
    (here / "plotted_snake.py").write_text(SNAKE)
    (here / "own" / "activation").mkdir(parents=True)
    (here / "own" / "activation" / "wavy.yaml").write_text("# wavy\nname: plotted_snake\na: 1.0\n")
    own = ["--config-dir", "own", "plugins=[plotted_snake]"]
    assert call(["plot", "activations", *own, "activation=wavy,relu", "--out", "one.png"]) == 0
    assert call(["plot", "activations", *own, "activation.a=2"]) == 0
    assert "left out, as they have no a: elu, gelu" in capsys.readouterr().out


def test_help_imports_no_torch(here: Path) -> None:
    program = (
        "import sys; from mlpexp.cli.main import call\n"
        "try: call(['plot', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'matplotlib', 'hydra', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for kind in KINDS:
        assert kind in done.stdout
