"""Calls from Python leave the process as they found it: random numbers, torch's settings, the environment, memory."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mlpexp
from mlpexp.engine.heap import keep_freed_memory

TINY = ["dataset=xor", "epochs=1", "log.figures=false", "log.tensorboard=false"]
# All that draws random numbers, and all that is set while a run goes on.
NOISY = [*TINY, "regularizer=[dropout,mixup,input_noise]", "deterministic=true", "device=cpu", "device.threads=2"]


def train(path: Path) -> None:
    mlpexp.train(mlpexp.compose(NOISY), path)


def train_sweep(path: Path) -> None:
    mlpexp.train_sweep([*NOISY, "seed=0,1"], path)


def resume(path: Path) -> None:
    train(path)
    mlpexp.resume(path, {"epochs": 2})


def evaluate(path: Path) -> None:
    train(path)
    mlpexp.evaluate(path)


def find_lr(_path: Path) -> None:
    mlpexp.find_lr(mlpexp.compose(["dataset=moons", *NOISY[1:]]), steps=20, seeds=2)


def state() -> dict[str, Any]:
    """What a program may rely on around a call."""
    return {
        "random": random.getstate(),
        "numpy": str(np.random.get_state(legacy=False)),  # noqa: NPY002  (the global one is what is asked about)
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "products": torch.get_float32_matmul_precision(),
        "gradients": torch.is_grad_enabled(),
        # pytest notes there which test it runs, and in which phase.
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "garbage": gc.get_threshold(),
        "heap": keep_freed_memory.cache_info().currsize,
    }


@pytest.fixture(params=[False, True], ids=["", "deterministic, warn only"])
def before(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    def refusing(name: str) -> Callable[[int], None]:
        def refuse(_seed: int) -> None:
            raise AssertionError(f"{name}: seeds the caller's devices")

        return refuse

    # What torch.manual_seed calls; a machine without such devices takes note of the seed until it finds one.
    for name in ("cuda.manual_seed_all", "mps.manual_seed", "xpu.manual_seed_all"):
        monkeypatch.setattr(f"torch.{name}", refusing(name))
    keep_freed_memory.cache_clear()
    # Off as well: the first call of all imports torch's compiler, which notes in the environment where its files lie.
    torch.use_deterministic_algorithms(request.param, warn_only=request.param)
    yield state()
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("call", [train, train_sweep, resume, evaluate, find_lr])
def test_a_call_leaves_the_process_as_it_was(
    call: Callable[[Path], None], before: dict[str, Any], tmp_path: Path
) -> None:
    call(tmp_path / "run")
    after = state()
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not changed


# --- what only the command line sets ------------------------------------------------------------------------

# What libgomp does when torch loads it, without the rest of torch.
_LOAD_LIBGOMP = """
import ctypes, os, sys
from mlpexp.cli.main import main
sys.argv = ["mlpexp", "--version"]
try:
    main()
finally:
    assert "torch" not in sys.modules
    os.environ["OMP_DISPLAY_ENV"] = "verbose"
    ctypes.CDLL(os.environ["LIBGOMP"])
"""
LIBGOMP = next(Path(torch.__file__).with_name("lib").glob("libgomp*"), None)


@pytest.mark.skipif(LIBGOMP is None, reason="this torch brings no libgomp")
@pytest.mark.parametrize(
    ("given", "spins"), [({}, "30000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "30000000000")]
)
def test_the_command_line_has_threads_wait_without_spinning_for_long(given: dict[str, str], spins: str) -> None:
    """libgomp itself says what it has read; what the user has set stays."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    environment = {**others, **given, "LIBGOMP": str(LIBGOMP)}
    done = subprocess.run(
        [sys.executable, "-c", _LOAD_LIBGOMP], env=environment, capture_output=True, text=True, check=True
    )
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr
