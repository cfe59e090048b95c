"""Where the commands of the snapshot are given, and what is masked of what they say."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from mlpexp.cli.main import COMMANDS, call
from mlpexp.config import hydra_adapter
from mlpexp.config.locate import groups, options
from mlpexp.config.schema import SETTINGS
from tests.comparison.conftest import write_run, write_sweep
from tests.doctor.conftest import case

__all__ = ["case", "write_run", "write_sweep"]

# What lies in the directory, beside a completed run `run` and a completed sweep `sweep`.
FILES = {
    "tables/empty.csv": b"",
    "tables/header.csv": b"a,b\n",
    "tables/ragged.csv": b"a,b\n1,2\n3\n",
    "tables/letters.csv": b"a,b\n" + b"1,0\n2,1\n3,0\n4,1\n" * 9 + b"x,0\n",
    "tables/gap.csv": b"a,b\n" + b"1,0\n2,1\n,0\n4,1\n" * 3,
    "tables/binary.csv": b"\0",
    "tables/rare.csv": b"a,b\n" + b"1,cat\n2,dog\n" * 5 + b"3,cow\n",
    "tables/one_class.csv": b"a,b\n" + b"1,cat\n2,cat\n" * 5,
    "tables/one_value.csv": b"a,b\n" + b"1,0.5\n2,0.5\n" * 5,
    "tables/one_column.csv": b"a\n1\n2\n3\n",
    "tables/two_rows.csv": b"a,b\n1,0.5\n2,1.5\n",
    "tables/things.csv": b"size,day,kind,part\n"
    + b"1.5,2024-01-05,a,train\n-2.5,2024-01-06,b,tset\n4,2024-01-06,a,val\n" * 4,
    "tables/infinite.csv": b"a,b\n1,-inf\n2,0.5\n3,1.5\n",
    "tables/missing.csv": b"a,b\n1,NA\n",
    "tables/quote.csv": b'a,b\n"1,2\n',
    "tables/people.csv": b"id;name;joined;age;answer;ticket;paid\n"
    + b"".join(
        b"%d;%s;2024-0%d-1%d;%s;%s;%s;%s\n"
        % (
            i,
            b"person %d" % i,
            1 + i % 9,
            i % 10,
            b"" if i % 3 else b"%d" % (20 + i * i % 41),
            [b"Yes", b"yes", b"no"][i * i % 7 % 3],
            [b"A", b"B"][i % 4 == 0],
            [b"late", b"in time"][i % 4 == 0],
        )
        for i in range(1, 41)
    ),
    "conf/activation/nope.yaml": b"name: nope\n",
    "conf/activation/list.yaml": b"- relu\n",
    "conf/activation/slope.yaml": b"name: relu\nslope: 1\n",
    "conf/activation/latin.yaml": b"\xff\xfe",
    "conf/activation/refers.yaml": b"name: ${nope}\n",
    "conf/activation/empty.yaml": b"",
    "conf/experiment/open.yaml": b"# @package _global_\nepochs: 3\nlog: [\n",
    "conf/experiment/study.yaml": b"# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,x'}}}\n",
    "divides.py": b"1 / 0\n",
    "imports.py": b"import nope\n",
    "there.png": b"mine",
    "day/evening/run.json": b"{}",
    "holds_files/a.txt": b"",
    "no_jobs/multirun.yaml": b"",
}


def idx(*shape: int, fill: int = 0) -> bytes:
    """A file of MNIST's kind in which each value is `fill`."""
    return struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape) + bytes([fill]) * math.prod(shape)


# By directory, the files of MNIST in it.
_MNIST = {
    "train-images": idx(40, 28, 28),
    "train-labels": idx(40),
    "t10k-images": idx(9, 28, 28),
    "t10k-labels": idx(9),
}
MNIST: dict[str, dict[str, bytes]] = {
    "mnist/whole": {},
    "mnist/short": {"train-images": b"12345"},
    "mnist/cut": {"train-images": idx(40, 28, 28)[:-1]},
    "mnist/long": {"train-labels": idx(40) + b"0"},
    "mnist/other": {"train-images": idx(40)},
    "mnist/size": {"train-images": idx(40, 20, 20)},
    "mnist/fewer": {"train-labels": idx(30)},
    "mnist/none": {"train-images": idx(0, 28, 28), "train-labels": idx(0)},
    "mnist/ten": {"train-labels": idx(40, fill=10)},
}
# What was changed in copies of the run, by their names: keys of run.json, or of the config in it.
DAMAGED: dict[str, dict[str, Any]] = {
    "damaged/state": {"state": "happy"},
    "damaged/seed": {"seed": "x"},
    "damaged/config": {"config": None},
    "damaged/dataset": {"config.dataset": None},
    "damaged/key": {"config.foo": 1},
    "damaged/name": {"config.activation": {"name": "os.system"}},
    "damaged/evil": {"config.plugins": ["evil"]},
    "damaged/layers": {"config.model": {"name": "mlp", "hidden": [8]}},
    "damaged/interrupted": {"state": "interrupted"},
}
# What stands in the place of its checkpoints, in further copies.
CHECKPOINTS: dict[str, Callable[[Path], object]] = {
    "damaged/none": Path.unlink,
    "damaged/text": lambda path: path.write_bytes(b"hello world"),
    "damaged/code": lambda path: torch.save({"weights": Path()}, path),
    "damaged/list": lambda path: torch.save([1], path),
}
# What was changed in sweep.json, in copies of the sweep.
SWEEPS: dict[str, Callable[[dict[str, Any]], object]] = {
    "sweeps/same": lambda content: content["jobs"][1].update(directory=content["jobs"][0]["directory"]),
    "sweeps/outside": lambda content: content["jobs"][1].update(directory="../x"),
    "sweeps/stacks": lambda content: content.update(stacks=[[0]]),
    "sweeps/number": lambda content: content["jobs"][1].update(number="1"),
}
_SMALL = ["dataset=xor", "log.figures=false", "log.tensorboard=false", "device=cpu"]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, edit: Callable[..., None]) -> Path:
    """The directory in which commands are given."""
    here = tmp_path_factory.mktemp("place")
    for name, content in FILES.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert call(["train", *_SMALL, "epochs=2", "hydra.run.dir=run"]) == 0
        sweep = ["model=mlp,perceptron", "seed=0,1", "epochs=1", "hydra.sweep.dir=sweep"]
        assert call(["train", "-m", *_SMALL, *sweep]) == 0
    for name, changes in DAMAGED.items():
        shutil.copytree(here / "run", here / name)

        def change(record: dict[str, Any], changes: dict[str, Any] = changes) -> None:
            for key, value in changes.items():
                (record["config"] if "." in key else record)[key.removeprefix("config.")] = value

        edit(here / name / "run.json", change)
    for name, replace in CHECKPOINTS.items():
        shutil.copytree(here / "run", here / name)
        for path in (here / name / "checkpoints").iterdir():
            replace(path)
    for name, sweep_changes in SWEEPS.items():
        shutil.copytree(here / "sweep", here / name)
        edit(here / name / "sweep.json", sweep_changes)
    for name, files in MNIST.items():
        raw = here / name / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for file, content in {**_MNIST, **files}.items():
            (raw / f"{file}-idx{3 if 'images' in file else 1}-ubyte").write_bytes(content)
    return here


@pytest.fixture
def at_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """There, on a machine without GPU, compiler, network and data, in a terminal of 100 columns."""

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("mlpexp.components.device.available", lambda: ["cpu"])
    for name in ("MNIST", "EMNIST", "CIFAR10"):
        monkeypatch.setattr(f"torchvision.datasets.{name}.download", unreachable)
    monkeypatch.setattr("mlpexp.sweep.plan.free_memory", lambda device: None)
    monkeypatch.setattr("mlpexp.training.prepare._has_compiler", lambda: False)
    for name in ("MLPEXP_DATA_DIR", "HYDRA_FULL_ERROR", "FORCE_COLOR", "NOPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(place)
    return place


@pytest.fixture(scope="session")
def compositions() -> dict[tuple[str, ...], DictConfig]:
    return {}


@pytest.fixture
def composed_once(compositions: dict[tuple[str, ...], DictConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra composes each set of choices once for all commands: that is most of their time."""
    compose = hydra_adapter.compose

    def once(loader: ConfigLoader, config_name: str, overrides: list[str]) -> DictConfig:
        key = (str(loader.get_search_path()), config_name, *overrides)
        if key not in compositions:
            compositions[key] = compose(loader, config_name, overrides)
        return compositions[key]

    monkeypatch.setattr(hydra_adapter, "compose", once)


@pytest.fixture
def said(at_place: Path, composed_once: None, capsys: pytest.CaptureFixture[str]) -> Callable[[str], list[str]]:
    """What a command line says, masked; whatever it is, nothing is written, and what is wrong goes to stderr alone."""
    masks, before = _masks(at_place), _state(at_place)

    def of(line: str) -> list[str]:
        try:
            code = call(shlex.split(line)[1:])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        assert code in (0, 2), line
        assert all(part.startswith("mlpexp: ") for part in err.splitlines()), f"{line}\n{err}"
        assert (code == 2) == (out == ""), f"{line}\n{out}"
        assert _state(at_place) == before, f"{line} has written or removed something"
        errors = [part if code == 0 else part.removeprefix("mlpexp: ") for part in err.splitlines()]
        return [masks(part) for part in [*errors, *out.splitlines()] if part.strip()]

    return of


def _state(place: Path) -> dict[Path, tuple[int, int]]:
    return {path: (found.st_mtime_ns, found.st_size) for path in place.rglob("*") for found in [path.stat()]}


def _masks(place: Path) -> Callable[[str], str]:
    """Writes <…> for what differs between machines and for long lists that each new component would change."""
    listed = {group: [option.name for option in options(group)] for group in groups()}
    keys = {*groups(), *SETTINGS}
    listed |= {"command": list(COMMANDS), "key": list(keys), "key of a run": list(keys - {"experiment"})}
    names = {frozenset(known): f"<every {what}>" for what, known in listed.items() if len(known) > 5}

    def named(found: re.Match[str]) -> str:
        return names.get(frozenset(found[0].split(", ")), found[0])

    def masked(line: str) -> str:
        line = line.replace(str(place), "<here>")
        line = re.sub(r"the device has \d+ GiB", "the device has <size>", line)
        line = re.sub(r"(or is damaged: )Error.*", r"\1<what torch says>", line)
        # Hydra's own and those of the plugins that are installed.
        line = re.sub(r"basic, (\w+, )*stacked(, \w+)*", "<every launcher>", line)
        # argparse quotes choices, and names options with their values, in other ways from version to version.
        line = re.sub(r"\(choose from .*\)", "(choose from <choices>)", line)
        line = re.sub(r"(--[\w-]+) ([A-Z]+), (-\w+) \2", r"\1, \3 \2", line)
        return re.sub(r"[\w-]+(?:, [\w-]+)+", named, line).rstrip()

    return masked
