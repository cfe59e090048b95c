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
    assert call(["plot", "dataset", "--out=t.png", "dataset=csv", "dataset.path=t.csv"]) == 0
    assert "t: features are standardised" in capsys.readouterr().out


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


CHOICES = f"Choose from: {', '.join(sorted(KINDS))}."
WRONG = {
    "plot": "plot: the following arguments are required: KIND; see mlpexp plot --help.",
    "plot activation": f"plot activation: no such picture; did you mean 'activations'? {CHOICES}",
    "plot nope": f"plot nope: no such picture. {CHOICES}",
    "plot activations --foo": "plot: unrecognized arguments: --foo; see mlpexp plot --help.",
    "plot activations --config-dir nope activation=relu": "--config-dir=nope: there is no such directory.",
    "plot activations activation=geluu": "activation=geluu: no such option; did you mean 'gelu'?…",
    "plot activations activation=": "…",
    "plot activations activation.negative_slop=0.1": "activation.negative_slop=0.1: no activation has such a key; "
    "did you mean 'negative_slope'? Choose from: alpha, approximate, beta, init, negative_slope.",
    "plot activations gelu": "gelu: cannot be read; an override is key=value…",
    "plot optimizers optimizer.lr=-1": "optimizer.lr=-1: must be greater than 0.",
    "plot optimizers optimizer.lr=range(1,50)": "plot: 539 curves are more than a figure has room for, 24.",
    "plot schedulers epochs=1000000": "plot: 306,000,000 steps of all schedules are too many to draw…",
    "plot dataset dataset=csv": "dataset.path: is required; give it a value, dataset.path=VALUE.",
    "plot dataset dataset=minst": "dataset=minst: no such option; did you mean 'mnist'?…",
    "plot dataset dataset=xor,or": "dataset=xor,or: plot dataset draws one data set; give one value.",
    "plot dataset --out there.png": "--out=there.png: already exists, and nothing is overwritten; choose another name.",
    "plot dataset --out new.pdf": "--out=new.pdf: must end in .png.",
    "plot dataset --out there.png/new.png": "there.png/new.png: cannot be made: …",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    line: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "there.png").write_text("mine")
    assert call(line.split()) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    start, _, end = WRONG[line].partition("…")
    assert err.startswith(f"mlpexp: {start}")
    assert "…" in WRONG[line] or err == f"mlpexp: {start}\n", err
    assert err.endswith(f"{end}\n")
    assert [path.name for path in here.iterdir()] == ["there.png"]
    assert (here / "there.png").read_text() == "mine"


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
