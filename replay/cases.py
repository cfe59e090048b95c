"""The cases: command lines that are run from an empty directory, and which components they choose."""

from __future__ import annotations

import io
import re
import shlex
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np

_QUICK = "log.figures=false log.tensorboard=false"
_RUN = f"train hydra.run.dir=run epochs=3 {_QUICK}"
_SWEEP = f"train -m hydra.sweep.dir=sweep {_QUICK}"


@dataclass(frozen=True)
class Case:
    """Commands, each in a process of its own, one after the other in one directory.

    A command is what is typed after `mlpexp`, or `python FILE`. With `killed_after=n` the first one is killed by a
    SIGKILL as soon as its checkpoint is in place for the n-th time. `files` are written before, by name.
    """

    name: str
    commands: tuple[str, ...]
    killed_after: int | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def _table(last: str, kind: type) -> bytes:
    """Forty rows of two features and a target that they determine but for noise."""
    source = Random(last)
    lines = [f"a,b,{last}"]
    for _ in range(40):
        a, b = source.gauss(0, 1), source.gauss(0, 1)
        y = a - 2 * b + source.gauss(0, 0.3)
        lines.append(f"{a:.4f},{b:.4f},{'high' if y > 0 else 'low'}" if kind is str else f"{a:.4f},{b:.4f},{y:.4f}")
    return "\n".join([*lines, ""]).encode()


def _idx(folder: str, prefixes: tuple[str, str] = ("train", "t10k")) -> dict[str, bytes]:
    """The four IDX files of MNIST, or of what has its form, with forty images of random pixels."""
    source = Random(folder.lower())
    files = {}
    for prefix, n in zip(prefixes, (40, 20), strict=True):
        start = f"data/{folder}/raw/{prefix}"
        files[f"{start}-images-idx3-ubyte"] = struct.pack(">4I", 0x803, n, 28, 28) + source.randbytes(n * 784)
        files[f"{start}-labels-idx1-ubyte"] = struct.pack(">2I", 0x801, n) + bytes(i % 10 for i in range(n))
    return files


def _own() -> dict[str, bytes]:
    """Forty images of random pixels in folders of two classes, and forty rows of numbers in a NumPy archive."""
    source, archive = Random("own"), io.BytesIO()
    files = {f"own/{'ab'[i % 2]}/{i}.ppm": b"P6 4 3 255\n" + source.randbytes(36) for i in range(40)}
    np.savez(archive, x=np.array([[source.gauss(0, 1) for _ in range(3)] for _ in range(40)]), y=np.arange(40) % 2)
    return {**files, "own/own.npz": archive.getvalue()}


# Of CIFAR-10 only the published files are read.
_FORGED = {
    f"data/cifar-10-batches-py/{name}": b""
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
}
_IMAGES = {
    **_idx("FashionMNIST"),
    **_idx("KMNIST"),
    **_idx("EMNIST", ("emnist-digits-train", "emnist-digits-test")),
    **_FORGED,
    **_own(),
}

_SCRIPT = b"""\
import mlpexp

if __name__ == "__main__":
    config = mlpexp.compose(["dataset=circles", "dataset.n_samples=60", "activation=silu", "epochs=2"])
    run = mlpexp.train(config, "run")
    print(run.metrics["test"])
    results, epoch = mlpexp.load("run")
    print(epoch, results.module, results.predict([[0.0, 0.5]]))
    overrides = ["dataset=xor", "activation=relu,tanh", "seed=range(3)", "epochs=20", "log.figures=false"]
    comparison = mlpexp.train_sweep(overrides, "sweep")
    for summary in comparison.summaries:
        print(summary.label, summary.n, summary.estimate(comparison.metric))
"""

_ALONE = {
    "elu": "dataset=moons dataset.n_samples=60 init=xavier_normal optimizer=sgd scheduler=step",
    "gelu": "dataset=spirals dataset.n_samples=60 init=xavier_uniform optimizer=adamw scheduler=cosine "
    "scheduler.warmup=1",
    "hardswish": "dataset=circles dataset.n_samples=60 init=kaiming_normal optimizer=rmsprop epochs=6 "
    "scheduler=cosine_restarts scheduler.period=2",
    "identity": "dataset=and init=normal optimizer=momentum scheduler=exponential",
    "leaky_relu": "dataset=sine init=kaiming_uniform loss=huber optimizer=nadam epochs=8 scheduler=plateau "
    "scheduler.patience=1 scheduler.threshold=0.5",
    "mish": "dataset=sine dataset.split=extrapolate init=orthogonal loss=mae optimizer=radam scheduler=polynomial "
    "clip.norm=0.5",
    "prelu": "dataset=table dataset.path=values.csv loss=mse optimizer=adagrad scheduler=multistep",
    "relu": "dataset=digits device=auto init=default optimizer=adam scheduler=none "
    "regularizer=[batchnorm,dropout,early_stopping]",
    "selu": "dataset=table dataset.path=classes.csv init=lecun_normal optimizer=nesterov regularizer=[alpha_dropout] "
    "scheduler=onecycle",
    "sigmoid": "dataset=or loss=bce optimizer=lbfgs",
    "silu": "dataset=spirals dataset.n_samples=60 loss=cross_entropy optimizer=muon "
    "regularizer=[layernorm,label_smoothing]",
    "softplus": "dataset=moons dataset.n_samples=60 regularizer=[l1,l2,max_norm,input_noise,mixup] "
    "regularizer.max_norm.limit=0.5 regularizer.mixup.alpha=1",
    "softsign": "dataset=mnist dataset.val_size=10 data_dir=data init=zeros seed=3",
    "tanh": "dataset=xor model=mlp model.hidden=[4,4] device=cpu device.threads=1 loss=auto precision=bf16 "
    "clip.value=0.1 deterministic=true",
}
_FILES = {"values.csv": _table("y", float), "classes.csv": _table("kind", str), **_idx("MNIST")}
# Which of _ALONE read files; the others find an empty directory.
_READING = {"prelu": "values.csv", "selu": "classes.csv", "softsign": "data/"}

_MISTAKES = (
    "train activation=rleu",
    "train optimzer.lr=0.1",
    "train optimizer.lr=fast",
    "train epochs=0 batch_size=-1",
    "train activation=relu,gelu",
    "train dataset.path=a(b",
    "train dataset=table dataset.path=nowhere.csv",
    "train regularizer=[drop]",
    "resume nowhere",
    "trian",
    "train loss=mse dataset=xor",
    "eval",
)


def cases(groups: Mapping[str, list[str]]) -> list[Case]:
    """All of them. `groups` are those of `mlpexp list`, with their options, each of which is listed and shown."""
    alone = [Case(name, (_command(name, words),), files=_read_by(_READING.get(name))) for name, words in _ALONE.items()]
    experiments = ",".join(groups.get("experiment", []))
    return [
        # The longest first.
        Case("python", ("python script.py",), files={"script.py": _SCRIPT}),
        Case(
            "help",
            ("--help", *(f"{name} --help" for name in ("train", "eval", "resume", "compare", "lr-find", "plot"))),
        ),
        Case("mistakes", _MISTAKES),
        Case(
            "figures",
            (
                "train hydra.run.dir=run dataset=moons dataset.n_samples=60 model=perceptron epochs=3",
                "eval run",
                "report run --out page.html",
            ),
        ),
        # Members that differ in all that acts by element; some stop before the others.
        Case(
            "stack_of_numbers",
            (
                f"{_SWEEP} dataset=moons dataset.n_samples=60 epochs=8 optimizer=momentum activation=relu,gelu,prelu "
                "optimizer.lr=0.02,0.3 seed=0,1 regularizer=[batchnorm,dropout,early_stopping] "
                "regularizer.early_stopping.patience=1 regularizer.dropout.p=0.1",
                "compare sweep --out comparison",
            ),
        ),
        # Members of several stacks: networks of two sizes, and what cannot be stacked at all.
        Case(
            "stacks_of_options",
            (
                f"{_SWEEP} dataset=spirals dataset.n_samples=60 epochs=4 optimizer=adam,muon,lbfgs init=default,zeros "
                "scheduler=cosine,plateau",
                f"{_SWEEP.replace('sweep', 'sizes')} dataset=sine dataset.seed=1,2 epochs=3 model.hidden=[4],[8,8] "
                "'regularizer=[],[dropout,mixup]' stack.max_members=3",
            ),
        ),
        Case(
            "killed_run",
            (
                f"train hydra.run.dir=run {_QUICK} dataset=moons dataset.n_samples=60 epochs=6 scheduler=plateau "
                "regularizer=[batchnorm,dropout] optimizer=nadam checkpoint.every_seconds=0",
                "resume run",
                "resume run",
                "resume run epochs=8",
            ),
            killed_after=3,
        ),
        Case(
            "killed_sweep",
            (
                f"{_SWEEP} dataset=moons dataset.n_samples=60 epochs=6 seed=range(4) optimizer=rmsprop,sgd "
                "regularizer=[dropout,mixup] checkpoint.every_seconds=0",
                "resume sweep",
            ),
            killed_after=3,
        ),
        # Half of its members diverge.
        Case(
            "failing_sweep",
            (
                f"{_SWEEP} dataset=sine epochs=4 optimizer=sgd optimizer.lr=0.05,1e20 seed=range(3)",
                "resume sweep",
                "compare sweep --out comparison",
            ),
        ),
        Case(
            "images",
            tuple(
                f"{_RUN.replace('=run', f'={name}')} dataset={name} {words}"
                for name, words in {
                    "fashion_mnist": "data_dir=data dataset.val_size=10",
                    "kmnist": "data_dir=data dataset.val_size=10 dataset.limit=20",
                    "emnist": "data_dir=data dataset.val_size=10 dataset.part=digits",
                    "cifar10": "data_dir=data",
                    "images": "dataset.path=own",
                    "npz": "dataset.path=own/own.npz",
                }.items()
            ),
            files=_IMAGES,
        ),
        Case("failing_run", (f"{_RUN} dataset=sine optimizer=sgd optimizer.lr=1e20", "eval run")),
        Case(
            "no_run",
            (
                "lr-find dataset=moons dataset.n_samples=60 --steps 20 --seeds 2 --out found",
                "plot schedulers scheduler=step,cosine epochs=4 --out schedules.png",
            ),
        ),
        Case(
            "dry_run",
            (f"train -m experiment={experiments} data_dir=data --dry-run", "train --cfg job experiment=gates"),
            files=_read_by("data/"),
        ),
        Case("list", ("--version", "list", *(f"list {group}" for group in groups), "list nothing")),
        *alone,
    ]


def _command(activation: str, words: str) -> str:
    keys = {word.split("=")[0] for word in words.split()}
    given = [word for word in _RUN.split() if word.split("=")[0] not in keys or word == "train"]
    return " ".join([*given, f"activation={activation}", words])


def _read_by(prefix: str | None) -> dict[str, bytes]:
    return {} if prefix is None else {name: content for name, content in _FILES.items() if name.startswith(prefix)}


# What no case can choose.
_ELSEWHERE = {("device", "cuda"), ("device", "mps")}


def groups_of(conf: Path) -> dict[str, list[str]]:
    """The config groups under a tree's `conf`, each with its options."""
    folders = sorted(path for path in conf.iterdir() if path.is_dir())
    return {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in folders}


def missing(groups: Mapping[str, list[str]], given: list[Case]) -> list[str]:
    """The options, as `group=option`, that no case chooses."""
    words = [word for case in given for command in case.commands for word in shlex.split(command)]
    chosen = {
        (key, option)
        for key, _, value in (word.partition("=") for word in words)
        for option in re.split(r"[][,]+", value)
    }
    wanted = {(group, option) for group, options in groups.items() for option in options}
    return [f"{group}={option}" for group, option in sorted(wanted - chosen - _ELSEWHERE)]
