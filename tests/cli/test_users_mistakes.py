"""Mistakes in components of a user's own: one line with the user's file and line, and nothing written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpexp.cli.main import call
from mlpexp.config.schema import REGISTRIES
from mlpexp.testing import check

WHOLE = "HYDRA_FULL_ERROR=1 shows the whole traceback."
ROWS = "[4] of torch.float32"


def method(head: str, *lines: str) -> str:
    return "\n".join([f"    def {head}:", *(f"        {line}" for line in lines)])


BUILD, LOAD = "build(self)", "load(self, data_dir)"
MODEL = "build(self, n_features, n_outputs, activation, regularizers)"
SIZE = method("n_parameters(self, n_features, n_outputs)", "return 10")
FILL = "fill_weight(self, weight, gain, generator)"
PER_SAMPLE = "per_sample(self, outputs, targets, smoothing=0.0)"
KIND = '    kind = "classification"\n\n' + method("n_outputs(self, task)", "return task.n_classes") + "\n\n"

# By kind of component and mistake: the class, and the line about it, where HERE is the place marked by `# here`.
MISTAKES: dict[str, tuple[str, str]] = {
    "activation: its module raises": (
        method(BUILD, "def forward(x):", "    raise KeyError('x')  # here", "", "return Module(forward)"),
        f"activation=own: KeyError: 'x' (HERE). {WHOLE}",
    ),
    "activation: build raises": (
        method(BUILD, "return nn.Nope()  # here"),
        f"activation=own: AttributeError: module 'torch.nn' has no attribute 'Nope' (HERE). {WHOLE}",
    ),
    "activation: no module": (
        method(f"{BUILD}", "return None").replace(":", ":  # here", 1),
        "activation=own: build returns None; must return a torch.nn.Module (HERE).",
    ),
    "activation: float64": (
        method(BUILD, "return Module(lambda x: x.double())").replace(":", ":  # here", 1),
        "activation=own: build returns a module that turns [4, 5] of torch.float32 into [4, 5] of torch.float64; "
        "must be [4, 5] of torch.float32 (HERE).",
    ),
    "activation: another shape": (
        method(BUILD, "return Module(lambda x: x[:, :2])").replace(":", ":  # here", 1),
        "activation=own: build returns a module that turns [4, 5] of torch.float32 into [4, 2] of torch.float32; "
        "must be [4, 5] of torch.float32 (HERE).",
    ),
    "activation: no gain": (
        "\n\n".join(
            [method(BUILD, "return nn.Tanh()"), method("gain(self)", "return None").replace(":", ":  # here", 1)]
        ),
        "activation=own: gain returns None; must be a number greater than 0 (HERE).",
    ),
    "activation: no gradient": (
        method(BUILD, "return Module(lambda x: torch.sin(x.detach()))").replace(":", ":  # here", 1),
        "activation=own: build returns a module that no gradient passes through; must compute with torch, without "
        "detach (HERE).",
    ),
    "init: raises": (
        method(FILL, "weight.normal_(std=1 / 0)  # here"),
        f"init=own: ZeroDivisionError: division by zero (HERE). {WHOLE}",
    ),
    "init: not in place": (
        method(FILL, "return torch.zeros_like(weight)").replace(":", ":  # here", 1),
        "init=own: fill_weight returns other weights; must change the weight that it is given in place (HERE).",
    ),
    "loss: a mean": (
        KIND + method(PER_SAMPLE, "return F.cross_entropy(outputs, targets)").replace(":", ":  # here", 1),
        f"loss=own: per_sample returns [] of torch.float32; must be {ROWS}, a loss for each row (HERE).",
    ),
    "loss: another shape": (
        KIND + method(PER_SAMPLE, "return outputs").replace(":", ":  # here", 1),
        f"loss=own: per_sample returns [4, 2] of torch.float32; must be {ROWS}, a loss for each row (HERE).",
    ),
    "loss: no kind": (
        method(PER_SAMPLE, "return F.cross_entropy(outputs, targets, reduction='none')"),
        f"loss=own: AttributeError: 'Own' object has no attribute 'kind' (CLASS). {WHOLE}",
    ),
    "loss: raises": (
        KIND + method(PER_SAMPLE, "return F.cross_entropy(outputs, targets[:2])  # here"),
        f"loss=own: ValueError: Expected input batch_size (4) to match target batch_size (2) (HERE). {WHOLE}",
    ),
    "loss: classes along another axis": (
        KIND
        + method(PER_SAMPLE, "return F.cross_entropy(outputs, targets, reduction='none')")
        + "\n\n"
        + method("predict(self, outputs)", "return outputs.argmax(1)").replace(":", ":  # here", 1),
        "loss=own: predict returns [2, 2] of torch.int64 for outputs [2, 4, 2]; must be classes [2, 4] (HERE).",
    ),
    "model: raises": (
        method(MODEL, "return nn.Linear(n_features, hidden)  # here") + "\n\n" + SIZE,
        f"model=own: NameError: name 'hidden' is not defined (HERE). {WHOLE}",
    ),
    "model: too many outputs": (
        method(MODEL, "return nn.Linear(n_features, 7)").replace(":", ":  # here", 1) + "\n\n" + SIZE,
        "model=own: build returns a module that turns [4, 2] of torch.float32 into [4, 7] of torch.float32; "
        "must be [4, 1] of torch.float32 (HERE).",
    ),
    "optimizer: none": (
        method("build(self, parameters)", "torch.optim.SGD(parameters, lr=self.lr)").replace(":", ":  # here", 1),
        "optimizer=own: build returns None; must return a torch.optim.Optimizer (HERE).",
    ),
    "optimizer: raises": (
        method("build(self, parameters)", "return torch.optim.SGD(parameters, lr=-1)  # here"),
        f"optimizer=own: ValueError: Invalid learning rate: -1 (HERE). {WHOLE}",
    ),
    "regularizer: a penalty that is a number": (
        method("penalty(self, weights)", "return sum(w.norm().item() for w in weights)").replace(":", ":  # here", 1),
        "regularizer=own: penalty returns a value of type float; must return a torch.Tensor that was computed from the "
        "weights (HERE).",
    ),
    "regularizer: no batch": (
        method("augment(self, batch)", "batch.noisy(0.1)").replace(":", ":  # here", 1),
        "regularizer=own: augment returns None; must return the batch to learn from (HERE).",
    ),
    "regularizer: raises after a step": (
        method("constrain(self, weights)", "weights.clamp_(-1, 1)  # here"),
        f"regularizer=own: AttributeError: 'list' object has no attribute 'clamp_' (HERE). {WHOLE}",
    ),
    "scheduler: a rate below zero": (
        method("rate(self, step, span, lr)", "return 3.0 - step").replace(":", ":  # here", 1),
        "scheduler=own: rate returns -1.0 for step 4 of 6; must be a number of at least 0 (HERE).",
    ),
    "scheduler: raises": (
        method("rate(self, step, span, lr)", "return 1 / 0  # here"),
        f"scheduler=own: ZeroDivisionError: division by zero (HERE). {WHOLE}",
    ),
    "dataset: raises": (
        method(LOAD, "return open('nope.txt')  # here"),
        f"dataset=own: FileNotFoundError: [Errno 2] No such file or directory: 'nope.txt' (HERE). {WHOLE}",
    ),
    **{
        f"dataset: {name}": (
            method(LOAD, f"return {given}").replace(":", ":  # here", 1),
            f"dataset=own: load returns {mistake} (HERE).",
        )
        for name, (given, mistake) in {
            "nothing": ("None", "None; must return mlpexp.data.Data"),
            "float64 inputs": (
                "data(X.double(), Y)",
                "a train split with x [20, 2] of torch.float64; must be [rows, features] of torch.float32 or "
                "torch.uint8",
            ),
            "float labels": (
                "data(X, Y.float())",
                "a train split with y [20] of torch.float32; for classification of 20 rows must be [20] of torch.int64",
            ),
            "labels as a column": (
                "data(X, Y[:, None])",
                "a train split with y [20, 1] of torch.int64; for classification of 20 rows must be [20] of "
                "torch.int64",
            ),
            "labels from 1": ("data(X, Y + 1)", "a train split with y from 1 to 2; must be classes from 0 to 1"),
            "fewer labels": (
                "data(X, Y[:5])",
                "a train split with y [5] of torch.int64; for classification of 20 rows must be [20] of torch.int64",
            ),
            "no rows": ("data(X[:0], Y[:0])", "a train split with no rows; must be at least one"),
            "other features": (
                "data(X[:, :1], Y)",
                "a val split with 2 features; must be as many as in the train split, 1",
            ),
            "NumPy": ("data(X.numpy(), Y)", "a value of type ndarray as x of the train split; must be a torch.Tensor"),
        }.items()
    },
}

Write = Callable[..., list[str]]


def place(mark: str = "# here") -> str:
    lines = Path("own_plugin.py").read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if line.endswith(mark)]
    return f"own_plugin.py:{number}"


def of_class() -> str:
    """Where Python says that the class begins: with its first decorator."""
    lines = Path("own_plugin.py").read_text().splitlines()
    return f"own_plugin.py:{next(n for n, line in enumerate(lines, 1) if '.register(' in line)}"


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(
    case: str, own: Write, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body, expected = MISTAKES[case]
    words = own(case.split(":")[0], body)
    expected = expected.replace("HERE", place()) if "HERE" in expected else expected.replace("CLASS", of_class())
    for command in (["train", *words], ["train", *words, "--dry-run"]):
        assert call(command) == 2
        out, err = capsys.readouterr()
        assert err.splitlines() == [f"mlpexp: {expected}"]
        assert out == ""
    with pytest.raises(AssertionError) as caught:
        check(sys.modules["own_plugin"].Own, "conf", [word for word in words if word.startswith("dataset=xor")])
    assert str(caught.value).splitlines() == [expected.removesuffix(f" {WHOLE}")]
    assert {path.name for path in here.iterdir()} <= {"own_plugin.py", "conf", "__pycache__"}


def test_every_kind_of_component_is_tried() -> None:
    assert {case.split(":")[0] for case in MISTAKES} == {*REGISTRIES} - {"device"}


def test_a_class_without_a_method_is_named_where_it_is_registered(
    own: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    words = own("activation", "    pass")
    assert call(["train", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "mlpexp: plugins=[own_plugin]: cannot be imported: TypeError: the activation 'own' has no method build "
        f"({of_class()}). {WHOLE}"
    )


def test_a_mistake_in_what_a_field_is_checked_by(own: Write, capsys: pytest.CaptureFixture[str]) -> None:
    body = method("__post_init__(self)", "raise ValueError('odd')  # here") + "\n\n" + method(BUILD, "return nn.Tanh()")
    assert call(["train", *own("activation", body)]) == 2
    assert capsys.readouterr().err.splitlines() == [f"mlpexp: {place()}: ValueError: odd. {WHOLE}"]


# It works on few rows, and fails in the middle of training.
LATE = method(
    BUILD,
    "def forward(x):",
    "    if x.ndim > 1 and x.shape[-2] > 8:",
    "        raise KeyError('x')  # here",
    "    return x",
    "return Module(forward)",
)
MOONS = ["dataset=moons", "epochs=2", "log.figures=false", "log.tensorboard=false"]


@pytest.mark.parametrize("command", ["train", "lr-find"])
def test_what_fails_later_is_one_line_too(
    command: str, own: Write, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = own("activation", LATE)
    run = ["hydra.run.dir=run"] if command == "train" else []
    assert call([command, *words, *MOONS[: None if run else 1], *run]) == 1
    expected = f"{place()}: KeyError: 'x'. {WHOLE}"
    assert capsys.readouterr().err.splitlines() == [f"mlpexp: {expected}"]
    if run:
        assert f'"reason": "{expected}"' in (here / "run" / "run.json").read_text()


def test_a_sweep_goes_on_with_its_other_jobs(own: Write, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = own("activation", LATE)
    words[words.index("activation=own")] = "activation=own,tanh"
    assert call(["train", "-m", *words, *MOONS, "hydra.sweep.dir=sweep"]) == 1
    first, _ = capsys.readouterr().err.splitlines()
    assert first == f"mlpexp: job 0 failed: {place()}: KeyError: 'x'. {WHOLE}"
    assert '"state": "completed"' in (here / "sweep" / "1" / "run.json").read_text()


@pytest.mark.parametrize("sweep", [False, True])
def test_the_whole_traceback_is_there_for_those_who_ask(
    sweep: bool, own: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*own("activation", LATE), *MOONS]
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match=r"KeyError|failed") as caught:
        call(["train", *["-m"] * sweep, *words, f"hydra.{'sweep' if sweep else 'run'}.dir=out"])
    if sweep:
        assert "raise KeyError('x')" in capsys.readouterr().err
    else:
        assert isinstance(caught.value.__cause__, KeyError)


def test_a_missing_module_or_file_is_named_as_the_cause(own: Write, capsys: pytest.CaptureFixture[str]) -> None:
    words = own("activation", method(BUILD, "return nn.Tanh()"))

    def refused(*arguments: str) -> str:
        assert call(["train", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    without = [word for word in words if not word.startswith("plugins=")]
    said = refused(*without)
    assert said.startswith("mlpexp: activation.name=own: no such activation. Choose from: elu, ")
    assert said.endswith(" A component of your own needs plugins=[MODULE], the module that registers it.")
    assert refused(*without, "plugins=[colorsys]").endswith("plugins=[colorsys] does not register it.")
    Path("conf/activation/own.yaml").unlink()
    missing = "mlpexp: activation=own: is registered, but its file activation/own.yaml is missing; write it in"
    assert refused(*words) == f"{missing} conf."
    assert refused(*words[2:]) == f"{missing} a directory that --config-dir names."
