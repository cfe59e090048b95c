"""`mlpexp export`: the exported model gives what `predict` gives, and its folder says how it is used."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import mlpexp
from mlpexp.cli.main import call
from mlpexp.components.activation import activations
from mlpexp.components.loss import MSE, losses
from mlpexp.data.columns import Category, Date, Image, Number
from mlpexp.data.identity import Identity
from mlpexp.data.preprocessing import Preprocessing, Target
from mlpexp.data.tables.matrix import rows_of
from mlpexp.data.tables.reading import read_table
from mlpexp.data.task import Task
from mlpexp.engine.objective import Objective
from mlpexp.errors import ConfigError
from mlpexp.run.raw_network import RawNetwork
from mlpexp.run.results import Results
from mlpexp.training.export import MODELS, Format, _as_onnx, _as_torch, examples, export

FORMATS: list[Format] = ["torch", "onnx"]
QUICK = ["epochs=3", "model.hidden=[8]", "log.figures=false", "log.tensorboard=false", "device=cpu"]


def written(form: str) -> Callable[..., tuple[bytes, Any]]:
    """What writes a format; skips where its packages are not installed."""
    if form == "onnx":
        for package in ("onnx", "onnxruntime", "onnxscript"):
            pytest.importorskip(package, reason="ONNX needs onnx, onnxruntime and onnxscript (the extra onnx)")
    return {"torch": _as_torch, "onnx": _as_onnx}[form]


def answers(folder: Path, form: str, raw: torch.Tensor) -> np.ndarray:
    """Those of an exported folder's model, by the library of its format."""
    found: np.ndarray
    if form == "torch":
        found = torch.export.load(str(folder / MODELS["torch"])).module()(raw).numpy()
    else:
        import onnxruntime

        (found,) = onnxruntime.InferenceSession(str(folder / MODELS["onnx"])).run(None, {"raw": raw.numpy()})
    assert found.dtype == np.float64
    return found


def network_on(preprocessing: Preprocessing, task: Task, loss: Any, *layers: nn.Module) -> Results:
    """Results of a network with random weights."""
    torch.manual_seed(0)
    n = preprocessing.n_inputs
    module = nn.Sequential(nn.Linear(n, 6), *layers, nn.Linear(6, loss.n_outputs(task)))
    known, objective = Identity(task, preprocessing), Objective(task, loss)
    return Results(module, known, objective, lambda: pytest.fail("data were read"), temperature=1.7)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of all kinds of columns with holes; runs of two classes, three classes, and two values."""
    place = tmp_path_factory.mktemp("project")
    draw = np.random.default_rng(0)
    n = 160
    size = draw.normal(1e9, 20, n).round(2)
    colours = draw.choice(["red", "green", "blue", ""], n).tolist()
    colours[0], colours[1] = "rare", "rarer"
    day = [f"{year}-{month:02}-28" for year, month in draw.integers((1950, 1), (2050, 13), (n, 2)).tolist()]
    frame = pl.DataFrame(
        {
            "size": [None if draw.random() < 0.1 else value for value in size],
            "colour": colours,
            "day": [None if draw.random() < 0.1 else value for value in day],
            "weight": draw.normal(0, 3, n).round(3),
            "two": np.where(size > 1e9, "large", "small"),
            "three": draw.choice(["a", "b", "c|d"], n),
            "price": (np.exp(draw.normal(8, 1, n))).round(2),
            "count": draw.integers(0, 10**6, n) + 0.5,
        }
    )
    frame.write_csv(place / "things.csv")
    table = ["dataset=table", f"dataset.path={place}/things.csv", *QUICK]
    for run, target, *more in (
        ("two", "two", "dataset.ignore=[three,price,count]", "loss=bce", "regularizer=[batchnorm,dropout]"),
        ("three", "three", "dataset.ignore=[two,price,count]", "dataset.scale=robust", "loss=cross_entropy"),
        ("values", "[price,count]", "dataset.ignore=[two,three]", "dataset.target_transform=log1p"),
        ("quantile", "two", "dataset.ignore=[three,price,count]", "dataset.scale=quantile"),
    ):
        mlpexp.train(mlpexp.compose([*table, f"dataset.target={target}", *more]), place / run)
    digits = ["dataset=digits", *QUICK, "loss=bce", "regularizer=[layernorm]"]
    mlpexp.train(mlpexp.compose(digits), place / "digits")
    return place


# Missing, unknown, rare and other values, and an early and a late day.
NEW = """\
size,colour,day,weight
1000000020.5,red,2024-02-29,1
,green,1968-12-31,-2
999999980.25,,,0.5
1000000001,rare,2100-03-01,3
1000000002,purple,1900-03-01,-900
"""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("run", ["two", "three", "values", "quantile", "digits"])
def test_the_model_gives_what_predict_gives(
    run: str, form: Format, project: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(form)
    words = ["export", str(project / run), "--format", form, "--out", "out"]
    if (run, form) == ("quantile", "onnx"):
        assert call(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "--format=torch exports it" in line
        assert not list(here.iterdir())
        return
    assert call(words) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["README.md", "metadata.json", MODELS[form]]
    results, epoch = mlpexp.load(project / run)
    metadata = json.loads(Path("out/metadata.json").read_text())
    assert metadata["epoch"] == epoch
    if run == "digits":
        raw = torch.from_numpy(np.random.default_rng(0).integers(0, 17, (5, 64)).astype(float))
    else:
        Path("new.csv").write_text(NEW)
        raw = rows_of(read_table(Path("new.csv"), "new"), results.identity.preprocessing.columns)
    wanted = results.predict_raw(raw)
    atol, rtol = (0.0, 1e-5) if run == "values" else (1e-5, 0.0)
    for n in (len(raw), 1):
        np.testing.assert_allclose(answers(Path("out"), form, raw[:n]), wanted[:n], atol=atol, rtol=rtol)
    # The codes that metadata.json names are those of the raw values.
    if run != "digits":
        colour = next(column for column in metadata["columns"] if column["name"] == "colour")
        codes = [colour["codes"].get(name) for name in ("red", "green")]
        assert raw[:, colour["first"]].tolist()[:2] == codes
        assert raw[2, colour["first"]] == colour["missing"]
        assert raw[4, colour["first"]] == colour["unknown"]


@pytest.mark.parametrize("form", FORMATS)
def test_the_five_lines_of_the_readme_use_the_model(
    form: str, project: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(form)
    assert call(["export", str(project / "values"), "--format", form, "--out", "out"]) == 0
    monkeypatch.chdir("out")
    lines = Path("README.md").read_text().split("```python\n")[1].split("```")[0]
    assert len(lines.splitlines()) == 5
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(lines, {})
    results, _ = mlpexp.load(project / "values")
    example = json.loads(Path("metadata.json").read_text())["example"]
    (wanted,) = results.predict_raw(torch.tensor([example], dtype=torch.float64)).tolist()
    assert eval(said.getvalue()) == pytest.approx(dict(zip(["price", "count"], wanted, strict=True)), rel=1e-5)


class Positive(nn.Module):
    """A ReLU that makes 0 of NaN."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, 0.0)


class Side(nn.Module):
    """Layers side by side on the same inputs."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([layer(x) for layer in self.layers], 1)


@pytest.mark.parametrize("form", FORMATS)
def test_every_activation_is_exported(form: str) -> None:
    # One model of them all: an export takes a second.
    names = [name for name, _ in activations.items()]
    first, *further = (Target(name) for name in names)
    preprocessing, task = Preprocessing((Number("x"),), first, tuple(further)), Task("regression", (), len(names))
    layers = Side([activations[name]().build() for name in names])
    results = Results(layers, Identity(task, preprocessing), Objective(task, MSE()), lambda: pytest.fail("data"))
    raw = torch.linspace(-9, 9, 40, dtype=torch.float64)[:, None]
    _, answer = written(form)(RawNetwork(results), raw[:2], "{}", "")
    with torch.no_grad():
        wanted = layers(raw.float()).numpy()
    errors = dict(zip(names, np.abs(answer(raw) - wanted).max(0), strict=True))
    assert {name: error for name, error in errors.items() if not error < 1e-5} == {}


@pytest.mark.parametrize("form", FORMATS)
def test_numbers_and_days_keep_their_digits(form: str) -> None:
    # In float32 10⁹ + 1 is 10⁹. The network gives the number, and the month and the weekday as numbers.
    days = [-250_000, -1, 0, 59, 60, 11_016, 11_017, 47_540, 1_000_000]
    columns = (Number("x", 1e9, 1.0, 1e9 + 1), Date("day", "year first", 0.0, 1e5), Category("c", ("u",), other=True))
    outputs = tuple(Target(name, 1e12 / 3, 1e3 / 7) for name in "uvw")
    results = network_on(Preprocessing(columns, outputs[0], outputs[1:]), Task("regression", (), 3), MSE(), nn.Tanh())
    layer = nn.Linear(results.identity.n_features, 3)
    weights = torch.zeros(3, results.identity.n_features)
    weights[0, 0] = 1
    weights[1, 3:15] = torch.arange(1, 13)
    weights[2, 15:22] = torch.arange(7)
    layer.load_state_dict({"weight": weights, "bias": torch.zeros(3)})
    results = Results(layer, results.identity, results.objective, results.read)
    raw = torch.tensor([[torch.nan, day, -2] for day in days], dtype=torch.float64)
    _, answer = written(form)(RawNetwork(results), raw[:2], "{}", "")
    dates = [datetime.date(1970, 1, 1) + datetime.timedelta(day) for day in days]
    wanted = [[1, date.month, date.weekday()] for date in dates]
    np.testing.assert_allclose((answer(raw) - 1e12 / 3) / (1e3 / 7), wanted, atol=1e-5)


@pytest.mark.parametrize("form", FORMATS)
def test_a_number_that_was_never_missing_gives_no_answer(form: str) -> None:
    last = Number("q", quantiles=(0.0, 1.0)) if form == "torch" else Number("q")
    preprocessing = Preprocessing((Number("x"), Image("red", 1, 2), last))
    results = network_on(preprocessing, Task("classification", ("a", "b")), losses["bce"](), Positive())
    raw = examples(preprocessing)[:4].clone()
    raw[1, 0] = raw[2, -1] = torch.nan
    _, answer = written(form)(RawNetwork(results), raw, "{}", "")
    assert np.isnan(answer(raw)).all(1).tolist() == [False, True, True, False]


def test_what_cannot_be_exported_is_one_line_and_nothing_is_written(
    project: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("taken").mkdir()
    Path("taken/mine").write_text("mine")
    with pytest.raises(ConfigError, match=r"^--out=taken: already holds files; choose another directory\.$"):
        export(project / "two", "taken", "torch")
    with pytest.raises(ConfigError, match=r"two: already holds a run; choose another directory\.$"):
        export(project / "two", project / "two", "torch")
    with pytest.raises(ConfigError, match=r"^none: there is no such run directory"):
        export("none", "new", "torch")
    monkeypatch.setattr(RawNetwork, "forward", lambda self, raw: raw if raw.sum() > 0 else raw * 2)
    with pytest.raises(ConfigError, match=r"^--format=torch: .*: cannot be exported: ") as caught:
        export(project / "two", "new", "torch")
    assert len(str(caught.value).splitlines()) == 1
    monkeypatch.setattr(RawNetwork, "forward", lambda self, raw: torch.zeros_like(raw[:, :2]))
    with pytest.raises(ConfigError, match=r"two: what was exported differs from what predict gives, by \d"):
        export(project / "two", "new", "torch")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"^--format=onnx: needs the package onnx: pip install 'mlpexp\[onnx\]'\.$"):
        export(project / "two", "new", "onnx")
    assert [path.name for path in here.rglob("*")] == ["taken", "mine"]
