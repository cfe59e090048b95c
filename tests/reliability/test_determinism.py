"""The same command gives the same weights, to the bit, in whichever process: on a CPU always, on a GPU where asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpexp.cli.main import call

# Whatever draws random numbers or adds up in an order of its own.
LEARNING = [
    *["dataset=digits", "model.hidden=[32,16]", "epochs=3", "activation=gelu", "optimizer=adamw", "scheduler=cosine"],
    *["regularizer=[dropout,batchnorm,mixup,input_noise,label_smoothing]", "clip.norm=1", "log.figures=false"],
]
KINDS = {
    "run": ["train", *LEARNING, "seed=5"],
    "stack": ["train", "-m", *LEARNING, "seed=0,1,2", "optimizer.lr=0.01,0.001"],
}


def twice(words: list[str], kind: str, here: Path, mlpexp: Callable[..., Any], contents: Callable[..., Any]) -> None:
    """Runs a command in this process and in another, and compares all that they leave."""
    key = "hydra.run.dir" if kind == "run" else "hydra.sweep.dir"
    assert call([*words, f"{key}=one"]) == 0
    other = mlpexp([*words, f"{key}=other"], here)
    assert other.code == 0, other.err
    assert contents(here / "one") == contents(here / "other")


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("run", []),
        pytest.param("stack", ["deterministic=true"], marks=pytest.mark.long),
        pytest.param("run", ["deterministic=true"], marks=pytest.mark.long),
        pytest.param("stack", [], marks=pytest.mark.long),
        pytest.param("run", ["device.threads=2"], marks=pytest.mark.long),
        pytest.param("stack", ["device.threads=2"], marks=pytest.mark.long),
    ],
)
def test_two_processes_on_a_cpu(
    kind: str, asked: list[str], here: Path, mlpexp: Callable[..., Any], contents: Callable[..., Any]
) -> None:
    twice([*KINDS[kind], "device=cpu", *asked], kind, here, mlpexp, contents)


@pytest.mark.cuda
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_on_a_gpu(
    kind: str, here: Path, mlpexp: Callable[..., Any], contents: Callable[..., Any]
) -> None:
    twice([*KINDS[kind], "device=cuda", "deterministic=true"], kind, here, mlpexp, contents)
