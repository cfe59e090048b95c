"""`mlpexp.testing.check` is seen to find what is wrong with a component, in a sentence for each fault."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlpexp.testing import check

BUILD = "    def build(self):\n        return Module({})\n"
SINE = BUILD.format("torch.sin")
FIELD = "    a: {} = {}\n\n" + SINE
RATE = "    def rate(self, step, span, lr):\n        return {}\n"
LOAD = "    seed: int = 0\n\n    def load(self, data_dir):\n        return data({}, Y)\n"
# An optimizer as a module would have it; {body} is what a step does to the parameter p, its gradient g.
OPTIMIZER = """
    elementwise: ClassVar[bool] = {elementwise}

    def build(self, parameters):
        return Steps(parameters, {{"lr": self.lr}})


class Steps(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                g, state = p.grad, self.state[p]
                {body}
"""


@dataclass(frozen=True)
class Case:
    """A class, its YAML file, and what is said of it."""

    group: str
    body: str
    expected: tuple[str, ...]
    file: str | None = "# of one's own\nname: own\n"


def optimizer(body: str, *expected: str, elementwise: bool = False) -> Case:
    return Case("optimizer", OPTIMIZER.format(body=body, elementwise=elementwise), expected)


def activation(body: str, *expected: str, file: str | None = "# of one's own\nname: own\n") -> Case:
    return Case("activation", body, expected, file)


FILE = "conf/activation/own.yaml"
WITH_A = "# of one's own\nname: own\na: 1.0\n"
RESUMED = (
    "optimizer=own: a run that goes on from a checkpoint ends with other numbers than one that was not stopped; what "
    "is kept from step to step must be in the state_dict of the optimizer or module."
)

WRONG = {
    "no file": activation(
        SINE, "activation=own: its file activation/own.yaml is missing; write it in conf.", file=None
    ),
    "a file without a comment": activation(
        SINE,
        f"{FILE}: begins without a comment; its first line is what `mlpexp list activation` shows.",
        file="name: own\n",
    ),
    "a file without a field": activation(
        FIELD.format("Positive", 1.0),
        f"{FILE}: holds the keys [name]; must hold the name and the fields in their order, [name,a].",
    ),
    "a file with another default": activation(
        FIELD.format("Positive", 2.0), f"{FILE}: has a=1.0; the default of the field is 2.0.", file=WITH_A
    ),
    "a file with another name": activation(
        SINE, f"{FILE}: has name=tanh; Own is registered as own.", file="# of one's own\nname: tanh\n"
    ),
    "a file that is no YAML": activation(SINE, "…", file="# of one's own\nname: [own\n"),
    "a default that is out of range": activation(
        FIELD.format("Positive", -1.0),
        f"{FILE}: has a=-1.0; the default of the field is -1.0.",
        "activation.a=-1.0: must be greater than 0.",
        file=WITH_A.replace("1.0", "-1.0"),
    ),
    "a field without a range": activation(
        FIELD.format("float", 1.0),
        "activation=own: the field a takes nan; annotate it with a range, such as Finite, Positive or Fraction.",
        file=WITH_A,
    ),
    "a field of a type that is not checked": activation(
        FIELD.format("frozenset[float] | None", None),
        "activation=own: the field a has an annotation that no config can be checked against; use float, int, bool, "
        "str, Literal, a tuple of these, a range such as Positive, or one of them or None.",
        file=WITH_A.replace("1.0", "null"),
    ),
    "an annotation that cannot be evaluated": activation(
        FIELD.format("'Nowhere'", 1.0),
        "activation=own: its annotations cannot be evaluated, NameError: name 'Nowhere' is not defined; what they name "
        "must be imported outside of TYPE_CHECKING.",
        file=WITH_A,
    ),
    "a field that run.json does not give back": activation(
        "    a: Positive = 1.0\n\n    def __post_init__(self):\n        object.__setattr__(self, 'a', self.a / 2)\n\n"
        + SINE,
        "activation=own: cannot be restored from run.json: it has other values then.",
        file=WITH_A,
    ),
    "strengths that are none": Case(
        "regularizer",
        '    strengths: ClassVar[tuple[str, ...]] = ("p",)\n',
        ("regularizer=own: strengths names p, which is no field.",),
    ),
    "a loss that is no number": Case(
        "scheduler",
        RATE.format("1e38 * (step > 0)"),
        ("scheduler=own: the validation loss is nan in epoch 1 of a small network on spirals.",),
    ),
    "batches of one size only": activation(
        BUILD.format("lambda x: x + torch.sin(torch.ones(8, 1)) if len(x) > 4 else x"),
        "activation=own: RuntimeError: The size of tensor a (16) must match the size of tensor b (8) at …",
    ),
    "no bfloat16": activation(
        BUILD.format("lambda x: torch.special.ndtri(torch.sigmoid(x))"),
        "activation=own precision=bf16: NotImplementedError: …",
    ),
    "random numbers of Python's": activation(
        "    def build(self):\n        import random\n\n        return Module(lambda x: x * random.random())\n",
        "activation=own: the same seed gives other numbers the second time; random numbers must come from torch, and "
        "what is built must not depend on what was built before.",
    ),
    "no step": optimizer("p - 0.1 * g", "optimizer=own: training leaves all weights as they were."),
    "a moment that no checkpoint holds": optimizer(
        "m = p.__dict__.setdefault('m', torch.zeros_like(p)); m.mul_(0.9).add_(g); p.sub_(0.1 * m)", RESUMED
    ),
    "a state that is no plain data": optimizer(
        "state['m'] = Module(None); p.sub_(0.1 * g)",
        "optimizer=own: its state cannot go through a checkpoint, which holds tensors and plain data: …",
    ),
    "steps that mix members": optimizer(
        "p.sub_(0.1 * g / g.norm())",
        "optimizer=own: in a stack it gives other numbers than alone; its elementwise = True is wrong.",
        elementwise=True,
    ),
    "other rows each time": Case(
        "dataset",
        LOAD.format("torch.randn(20, 2)"),
        (
            "dataset=own: load returns other rows of its train split the second time; random numbers must come from a "
            "generator of its own, with a seed that is a field.",
        ),
        file="# of one's own\nname: own\nseed: 0\n",
    ),
    "a row that is not finite": Case(
        "dataset",
        LOAD.format("X / (X != X[3, 1])"),
        ("dataset=own: row 4 of its train split, column 'x2': is …",),
        file="# of one's own\nname: own\nseed: 0\n",
    ),
    "a loss for no task": Case(
        "loss",
        "    kind = 'ranking'\n\n    def per_sample(self, outputs, targets, smoothing=0.0):\n        return outputs\n",
        ("loss=own: is for no task; resolve must return a loss for classification or regression.",),
    ),
    "several at once": activation(
        f"    a: float = 1.0\n\n{BUILD.format('lambda x: x.double()')}\n    def gain(self):\n        return None\n",
        "activation=own: the field a takes nan; annotate it with a range, such as Finite, Positive or Fraction.",
        f"{FILE}: begins without a comment; its first line is what `mlpexp list activation` shows.",
        f"{FILE}: has a=2.0; the default of the field is 1.0.",
        "activation=own: build returns a module that turns [8, 5] of torch.float32 into [8, 5] of torch.float64; …",
        "activation=own: gain returns None; must be a number greater than 0 (…",
        file="name: own\na: 2.0\n",
    ),
}


@pytest.fixture
def written(own: Callable[..., list[str]], here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], Any]:
    monkeypatch.syspath_prepend(here)

    def write(case: Case) -> Any:
        own(case.group, case.body, case.file)
        return importlib.import_module("own_plugin").Own

    return write


@contextmanager
def refused(*expected: str) -> Iterator[None]:
    """Within, an AssertionError says these sentences, as far as … in each."""
    with pytest.raises(AssertionError) as caught:
        yield
    said = str(caught.value).splitlines()
    assert len(said) == len(expected), said
    for line, wanted in zip(said, expected, strict=True):
        assert line == wanted or (wanted.endswith("…") and line.startswith(wanted[:-1])), line


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case: str, written: Callable[[Case], Any]) -> None:
    component = written(WRONG[case])
    with refused(*WRONG[case].expected):
        check(component, "conf")


MIXING = "lambda x: torch.relu(x - x.mean())"


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (activation(SINE), None),
        (activation(BUILD.format(MIXING)), "activation=own: in a stack it gives other numbers than alone"),
        (optimizer("p.sub_(0.1 * g)"), "optimizer=own does not update elements of a weight independently"),
    ],
)
def test_what_is_right_passes_and_why_it_trains_alone_is_said(
    case: Case, reason: str | None, written: Callable[[Case], Any]
) -> None:
    """The file is found beside the module."""
    assert check(written(case)) == reason


def test_what_is_not_registered(written: Callable[[Case], Any]) -> None:
    component = written(activation(SINE))
    other = type("Other", (component,), {})
    with refused(
        'Other: is not registered; put the decorator of its registry above it, such as @activations.register("NAME").'
    ):
        check(other)
    with pytest.raises(TypeError, match="check takes the class of a component"):
        check(component())


def test_overrides_give_other_values(written: Callable[[Case], Any]) -> None:
    body = f"    a: Positive = 1.0\n\n{BUILD.format('lambda x: x[..., : None if self.a == 1 else 3]')}"
    component = written(activation(body, file=WITH_A))
    assert check(component, overrides=["activation.a=1.0"]) is None
    with refused("activation=own: build returns a module that turns [4, 5] of torch.float32 into [4, 3] of …"):
        check(component, overrides=["activation.a=2", "dataset=xor"])
