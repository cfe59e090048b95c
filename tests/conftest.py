"""What the tests share: the real config, shrunk; the real data, where they are."""

from __future__ import annotations

import os

# Workers that run side by side with several threads each wait for one another; subprocesses inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import base64
import copy
import csv
import gc
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf, flag_override

from mlpexp.config import hydra_adapter
from mlpexp.config.compose import Composer
from mlpexp.config.effects import check_keys
from mlpexp.config.locate import CONF
from mlpexp.config.schema import Config

# A module of a user's, with one component: what it is called in its registry, and its base.
_PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from mlpexp.components import *
from mlpexp.data import *


class Module(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


X, Y = torch.randn(20, 2), torch.arange(20) % 2


def data(x, y):
    return Data("own", Task("classification", ("a", "b")), Split(x, y), Split(X, Y), Split(X, Y))


@{registry}.register("own")
@dataclass(frozen=True)
class Own({base}):
{body}
"""
_NEEDED = {
    "optimizer": ["lr: 0.1"],
    "scheduler": ["warmup: 0.0", "warmup_start: 0.0"],
    "dataset": ["recommended: {hidden: [4]}"],
}
# What makes a run small, without a config of the tests' own.
_SMALL = ["epochs=3", "log.figures=false", "log.tensorboard=false"]
# What of run.json and of sweep.csv is never twice the same.
_OF_THE_MOMENT = ("command", "python", "started", "seconds", "pid", "crc32")


@pytest.fixture(scope="session", autouse=True)
def composed_once() -> Iterator[None]:
    """Hydra composes each set of choices of conf/ once, for all commands that tests call: it takes 60 ms each time.

    It reads each of its files once: a third of that time. With what a test puts into a directory or a plugin of its own
    it composes anew.
    """
    compose = hydra_adapter.compose
    known: dict[tuple[str, ...], DictConfig] = {}

    def once(loader: ConfigLoader, config_name: str, overrides: Sequence[str]) -> DictConfig:
        places = {place.path for place in loader.get_search_path().get_path()}
        own = any(override.startswith(("hydra/", "hydra.searchpath")) for override in overrides)
        if own or places != {"pkg://hydra.conf", str(CONF), "structured://"}:
            return _with_numbers(compose(loader, config_name, overrides))
        key = (config_name, *overrides)
        if key not in known:
            known[key] = compose(loader, config_name, overrides)
        found = copy.deepcopy(known[key])
        with flag_override(found.hydra, ["readonly", "struct"], False):
            found.hydra.runtime.cwd = str(Path.cwd())
        return _with_numbers(found)

    read = ConfigRepository.load_config
    files: dict[tuple[str, str], bytes] = {}

    def read_once(repository: ConfigRepository, config_path: str) -> ConfigResult | None:
        source = repository._find_object_source(config_path, ObjectType.CONFIG)
        if source is None or source.full_path() not in (f"file://{CONF}", "pkg://hydra.conf"):
            return read(repository, config_path)
        key = (source.full_path(), config_path)
        if key not in files:
            files[key] = pickle.dumps(read(repository, config_path))
        found: ConfigResult = pickle.loads(files[key])
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hydra_adapter, "compose", once)
        patch.setattr(ConfigRepository, "load_config", read_once)
        # Hydra copies the store of all plugins, which it only reads, for each list of options: 3 ms each time.
        patch.setattr(StructuredConfigSource, "__deepcopy__", lambda source, _: copy.copy(source), raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def on_one_core() -> Iterator[None]:
    """The process of the tests draws and trains, as on a single core: another takes half a second to two to start.

    tests/figures/test_drawing.py, tests/sweep/test_stacked_sweep.py and tests/sweep/test_pool.py have others do it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlpexp.figures.drawing.usable_cores", lambda: 1)
        patch.setattr("mlpexp.sweep.processes.usable_cores", lambda: 1)
        patch.setattr("mlpexp.sweep.workers.usable_cores", lambda: 1)
        yield


# A white PNG of one pixel.
_MARK = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEANl9ngAAAAABJRU5ErkJggg==")


@pytest.fixture
def marks_for_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, and a PNG file of one is a mark: where it is not looked at, drawing is a third of a run."""
    from matplotlib.figure import Figure

    save = Figure.savefig

    def mark(figure: Figure, file: Any, *, format: str | None = None, **options: Any) -> None:
        if format == "png":
            file.write(_MARK)
        else:
            save(figure, file, format=format, **options)

    monkeypatch.setattr(Figure, "savefig", mark)


# The jobs of sweeps lie in directories 0, 1, …, as with hydra.sweep.subdir='${hydra.job.num}'.
_SUBDIR = {"auto": "${hydra.job.num}"}


def _with_numbers(config: DictConfig) -> DictConfig:
    """The config, with short names for the jobs of a sweep where it asks for those by what varies."""
    layout: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    written = layout["subdir"]
    with flag_override(config.hydra, ["readonly", "struct"], False):
        config.hydra.sweep.subdir = _SUBDIR.get(written, written)
    return config


@pytest.fixture(scope="module")
def named_jobs() -> Iterator[None]:
    """The jobs of sweeps lie in directories named after what varies, as they do unless the user chooses otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_SUBDIR, "auto", "auto")
        yield


@pytest.fixture(scope="session")
def small() -> Callable[..., Config]:
    """Composes the real config with overrides, for three epochs and without figures and TensorBoard."""
    # It composes each set of choices once.
    composer = Composer()

    def shrunk(*overrides: str) -> Config:
        keys = {override.split("=")[0] for override in overrides}
        whole = [*(part for part in _SMALL if part.split("=")[0] not in keys), *overrides]
        config = composer.config(whole)
        check_keys([(config, whole)])
        return config

    return shrunk


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers, and the modules in the working directory that do so, are forgotten after it."""
    from mlpexp.config.schema import GROUPS, LIST_GROUPS

    for registry in (*GROUPS.values(), *LIST_GROUPS.values()):
        monkeypatch.setattr(registry, "_components", dict(registry._components))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(Path.cwd()):
            del sys.modules[name]


@pytest.fixture
def own(here: Path, registries: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Writes a plugin and its YAML file, that of its name alone unless `file` gives another; what chooses it."""
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def write(group: str, body: str, file: str | None = "# of one's own\nname: own\n") -> list[str]:
        names = {"registry": "losses" if group == "loss" else f"{group}s", "base": group.capitalize()}
        (here / "own_plugin.py").write_text(_PLUGIN.format(**names, body=body))
        directory = here / "conf" / group
        directory.mkdir(parents=True)
        if file is not None:
            comment = [line for line in file.splitlines() if line.startswith("#")]
            entries = [line for line in file.splitlines() if not line.startswith("#")] + _NEEDED.get(group, [])
            if group == "regularizer":
                entries = ["own:", *(f"  {entry}" for entry in entries)]
            (directory / "own.yaml").write_text("\n".join([*comment, *entries, ""]))
        data = [] if group == "dataset" else ["dataset=xor"]
        chosen = "regularizer=[own]" if group == "regularizer" else f"{group}=own"
        return ["--config-dir", "conf", *data, "plugins=[own_plugin]", chosen, "device=cpu"]

    return write


@pytest.fixture
def scalars() -> Callable[[Path], dict[str, list[tuple[int, float]]]]:
    """By tag, the steps and values that TensorBoard reads of a run, but those of its end."""
    return _scalars


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, Any]]:
    """Every number that the directory of a run or a sweep holds, by run; floats to the bit."""

    def of(directory: Path) -> dict[str, Any]:
        found = {str(path.parent.relative_to(directory)): _of_run(path.parent) for path in directory.rglob("run.json")}
        if (directory / "sweep.csv").exists():
            table = csv.DictReader((directory / "sweep.csv").read_text().splitlines())
            found["table"] = [{key: row[key] for key in row if key != "seconds/mean"} for row in table]
        return found

    return of


def _of_run(run: Path) -> Any:
    from mlpexp.run import checkpoint

    said = json.loads((run / "run.json").read_text())
    found = {
        "run.json": {key: value for key, value in said.items() if key not in _OF_THE_MOMENT},
        "metrics.csv": (run / "metrics.csv").read_text(),
        "checkpoints": {path.name: _plain(checkpoint.load(path)) for path in run.glob("checkpoints/*")},
        "figures": sorted(path.name for path in run.glob("figures/*")),
    }
    if any(run.glob("*tfevents*")):
        found["scalars"] = _scalars(run)
    return found


def _plain(value: Any) -> Any:
    """With the bytes of its tensors, which `==` compares whole."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run), {"scalars": 0}).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if not tag.startswith("best_epoch/")
    }


@pytest.fixture(scope="session")
def locked_by_another() -> Callable[[Path], AbstractContextManager[None]]:
    """Within, another process has a directory locked; in the end it is killed."""

    @contextmanager
    def locked(directory: Path) -> Iterator[None]:
        code = (
            "import sys; from pathlib import Path; from mlpexp.run.directory import locked\n"
            "with locked(Path(sys.argv[1])): print('locked', flush=True); input()"
        )
        words = [sys.executable, "-c", code, str(directory)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"locked\n"
            yield
            other.kill()

    return locked


@pytest.fixture(scope="session")
def edit() -> Callable[[Path, Callable[[dict[str, Any]], object]], None]:
    """Changes what a run.json or sweep.json holds, as whoever means to would: with a new checksum."""

    def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
        from mlpexp.run.files import with_checksum, without_checksum

        content = without_checksum(json.loads(path.read_text()))
        change(content)
        path.write_text(json.dumps(with_checksum(content)))

    return edited


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[str]]]:
    """Overrides with which a dataset that is files is read from small made-up ones: 300 images of ten classes, a third
    of them for validation, and 100 to test on; of images and npz 120 in three. None for other datasets."""
    folder = tmp_path_factory.mktemp("made")
    patch = pytest.MonkeyPatch()
    known: dict[str, list[str]] = {}

    def overrides(name: str) -> list[str]:
        if name not in known:
            write = _WRITERS.get(name)
            known[name] = [] if write is None else write(folder / name, patch)
        return known[name]

    yield overrides
    patch.undo()


def _noise(n: int, classes: int, *shape: int) -> tuple[Any, Any]:
    """Bytes [n, *shape] of noise, brighter in the part of them that is that of their class, and the classes [n]."""
    import numpy as np

    x, y = np.random.default_rng(n).integers(100, size=(n, *shape)), np.arange(n) % classes
    part = np.arange(x[0].size).reshape(shape) * classes // x[0].size
    x += 150 * (part == y.reshape(-1, *[1] * len(shape)))
    return x.astype(np.uint8), y.astype(np.uint8)


def _write_idx(path: Path, array: Any) -> None:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(length.to_bytes(4, "big") for length in array.shape)
    path.write_bytes(head + array.tobytes())


def _write_idx_files(folder: Path, prefixes: tuple[str, str]) -> list[str]:
    folder.mkdir(parents=True)
    for prefix, n in zip(prefixes, (300, 100), strict=True):
        for kind, array in zip(("images-idx3-ubyte", "labels-idx1-ubyte"), _noise(n, 10, 28, 28), strict=True):
            _write_idx(folder / f"{prefix}-{kind}", array)
    return [f"data_dir={folder.parents[1]}", "dataset.val_size=100"]


def _write_emnist(folder: Path, _: pytest.MonkeyPatch) -> list[str]:
    prefixes = ("emnist-digits-train", "emnist-digits-test")
    return [*_write_idx_files(folder / "EMNIST" / "raw", prefixes), "dataset.part=digits"]


def _write_cifar10(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    """As the published files, which torchvision reads only with the digests that it knows; it is told of these."""
    import hashlib
    import pickle

    from torchvision.datasets import CIFAR10

    (folder / CIFAR10.base_folder).mkdir(parents=True)

    def write(name: str, content: dict[str, Any]) -> list[str]:
        packed = pickle.dumps(content, protocol=2)
        (folder / CIFAR10.base_folder / name).write_bytes(packed)
        return [name, hashlib.md5(packed).hexdigest()]

    x, y = _noise(400, 10, 3072)
    parts = [{"data": x[at : at + 60], "labels": y[at : at + 60].tolist()} for at in range(0, 300, 60)]
    train = [write(f"data_batch_{number}", part) for number, part in enumerate(parts, 1)]
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    _, digest = write("batches.meta", {"label_names": names.split()})
    patch.setattr(CIFAR10, "train_list", train)
    patch.setattr(CIFAR10, "test_list", [write("test_batch", {"data": x[300:], "labels": y[300:].tolist()})])
    patch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": digest})
    return [f"data_dir={folder}", "dataset.val_size=100"]


def _write_images(folder: Path, _: pytest.MonkeyPatch) -> list[str]:
    from PIL import Image

    for number, (pixels, label) in enumerate(zip(*_noise(120, 3, 6, 8, 3), strict=True)):
        path = folder / ("cat", "dog", "eel")[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return [f"dataset.path={folder}"]


def _write_npz(folder: Path, _: pytest.MonkeyPatch) -> list[str]:
    import numpy as np

    folder.mkdir()
    x, y = _noise(120, 3, 5)
    np.savez(folder / "arrays.npz", x=x / 255, y=y)
    return [f"dataset.path={folder / 'arrays.npz'}"]


_IDX = ("train", "t10k")
_WRITERS: dict[str, Callable[[Path, pytest.MonkeyPatch], list[str]]] = {
    "fashion_mnist": lambda folder, _: _write_idx_files(folder / "FashionMNIST" / "raw", _IDX),
    "kmnist": lambda folder, _: _write_idx_files(folder / "KMNIST" / "raw", _IDX),
    "emnist": _write_emnist,
    "cifar10": _write_cifar10,
    "images": _write_images,
    "npz": _write_npz,
}


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium to drive; tests that ask for it are marked `browser`."""
    found = _find_chromium()
    assert found is not None
    return found


def pytest_collection_finish() -> None:
    """What all tests share is never garbage: looking through it takes a twentieth of their time."""
    gc.collect()
    gc.freeze()
    # As in cli/main.py.
    gc.set_threshold(50_000, 5, 5)


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
