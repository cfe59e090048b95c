"""Healthy runs, over which the doctor is silent: defaults and recommended rates."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpexp.components.activation import activations
from mlpexp.components.optimizer import optimizers
from mlpexp.components.scheduler import schedulers
from mlpexp.config.compose import Composer, compose
from mlpexp.data.dataset import datasets
from mlpexp.fields.convert import fields_of
from mlpexp.run import record
from mlpexp.sweep.jobs import check_jobs, expand
from mlpexp.sweep.train import SweepWatcher, train_jobs
from mlpexp.training.prepare import Preparations
from mlpexp.training.single import train

SMALL = ["log.figures=false", "log.tensorboard=false"]
BUNDLED = [name for name in datasets if not {"path", "val_size"} & {*fields_of(datasets[name])}]
# lbfgs fits the digits to a training loss of 10⁻⁸ while validation loss trebles: it does overfit. muon takes as long as
# all others together.
RATED = [name for name in optimizers if name not in ("lbfgs", "muon")]


def symptoms(directory: Path, *overrides: str) -> dict[str, list[str]]:
    """Of every job of a sweep, by what makes it differ, the symptoms that the doctor has found."""
    preparations = Preparations()
    jobs = check_jobs(expand([*SMALL, *overrides]), Composer(), preparations=preparations)
    for job in jobs:
        (directory / job.directory).mkdir()
    train_jobs(directory, jobs, preparations, SweepWatcher())
    found = {}
    for job in jobs:
        run = record.read(directory / job.directory)
        assert run.state == "completed"
        found[" ".join(job.overrides[len(SMALL) :])] = [finding["symptom"] for finding in run.findings]
    return {job: names for job, names in found.items() if names}


@pytest.mark.parametrize("dataset", BUNDLED)
def test_every_bundled_dataset_with_its_defaults(dataset: str, tmp_path: Path) -> None:
    # On one draw of the data: on others a seed of the spirals does overfit.
    fixed = ["dataset.seed=0"] if "seed" in fields_of(datasets[dataset]) else []
    assert symptoms(tmp_path, f"dataset={dataset}", "seed=range(5)", *fixed) == {}


def test_every_optimizer_and_every_schedule_on_digits(tmp_path: Path) -> None:
    (tmp_path / "optimizers").mkdir()
    (tmp_path / "schedulers").mkdir()
    assert symptoms(tmp_path / "optimizers", f"optimizer={','.join(RATED)}") == {}
    assert symptoms(tmp_path / "schedulers", f"scheduler={','.join(schedulers)}") == {}


@pytest.mark.parametrize(
    "names", [["relu", "gelu", "tanh", "sigmoid"], pytest.param(list(activations), marks=pytest.mark.long)]
)
def test_every_activation_on_digits(names: list[str], tmp_path: Path) -> None:
    assert symptoms(tmp_path, f"activation={','.join(names)}") == {}


@pytest.mark.mnist
def test_mnist_for_two_epochs(tmp_path: Path) -> None:
    run = train(compose([*SMALL, "dataset=mnist", "epochs=2"]), tmp_path / "run")
    assert run.record.findings == []
