"""What the tests share: the real config, shrunk; the real data, where they are."""

from __future__ import annotations

import os

# Workers that run side by side with several threads each wait for one another; subprocesses inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import pytest

from mlpexp.config.compose import compose
from mlpexp.config.schema import Config

# What makes a run small, without a config of the tests' own.
_SMALL = ["epochs=3", "log.figures=false", "log.tensorboard=false"]


@pytest.fixture
def small() -> Callable[..., Config]:
    """Composes the real config with overrides, for three epochs and without figures and TensorBoard."""

    def shrunk(*overrides: str) -> Config:
        keys = {override.split("=")[0] for override in overrides}
        return compose([*(part for part in _SMALL if part.split("=")[0] not in keys), *overrides])

    return shrunk


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium to drive; tests that ask for it are marked `browser`."""
    found = _find_chromium()
    assert found is not None
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what this machine lacks, with the reason."""
    lacking = {"mnist": _lacks_mnist(), "cuda": _lacks_cuda(), "browser": _lacks_browser()}
    for item in items:
        for name, reason in lacking.items():
            if reason is not None and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reason))


def _lacks_mnist() -> str | None:
    directory = os.environ.get("MLPEXP_DATA_DIR")
    if directory is None:
        return "MLPEXP_DATA_DIR is not set: no real MNIST"
    if not (Path(directory) / "MNIST" / "raw").is_dir():
        return f"MLPEXP_DATA_DIR={directory} holds no MNIST/raw"
    return None


def _lacks_cuda() -> str | None:
    import torch

    return None if torch.cuda.is_available() else "this machine has no CUDA card"


def _find_chromium() -> str | None:
    import shutil

    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def _lacks_browser() -> str | None:
    return None if _find_chromium() else "there is no Chromium on the PATH"
