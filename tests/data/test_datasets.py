"""Every registered dataset loads as Data promises: shapes, splits, seeds."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mlpexp.config.compose import compose
from mlpexp.data import bundled  # noqa: F401  (registers the datasets)
from mlpexp.data.dataset import Data, Dataset, Split, datasets
from mlpexp.data.splits import RandomlySplit, split_at_random
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import build
from mlpexp.training.prepare import data_dir

Made = Callable[[str], list[str]]  # the fixture's

SHARED_ROWS = ("and", "or", "xor")
# What each file is by nature: samples in all, features, classes (0: regression).
SIZES = {
    "and": (4, 2, 2),
    "or": (4, 2, 2),
    "xor": (4, 2, 2),
    "sine": (50, 1, 0),
    "moons": (1000, 2, 2),
    "circles": (1000, 2, 2),
    "spirals": (1000, 2, 3),
    "digits": (1797, 64, 10),
    "mnist": (70000, 784, 10),
    "table": (90, 3, 3),
    # Of these as `made` makes them.
    "fashion_mnist": (400, 784, 10),
    "kmnist": (400, 784, 10),
    "emnist": (400, 784, 10),
    "cifar10": (400, 3072, 10),
    "images": (120, 144, 3),
    "npz": (120, 5, 3),
}


def make(name: str, tmp_path: Path, files: Sequence[str] = (), **changes: Any) -> tuple[Dataset, Path]:
    """The dataset `name` with its defaults, and the data_dir to load it from; skips where MNIST is not at hand.

    `files` are overrides that say where its files are.
    """
    if files:
        config = compose([f"dataset={name}", *files, *(f"dataset.{key}={value}" for key, value in changes.items())])
        return config.dataset, data_dir(config)
    if name == "table":
        path = tmp_path / "table.csv"
        rows = [f"{i * i},{i * 7 % 11},{-i / 2},{'abc'[i % 3]}" for i in range(90)]
        path.write_text("\n".join(["one,two,three,kind", *rows]))
        changes["path"] = str(path)
    folder = Path(os.environ.get("MLPEXP_DATA_DIR", tmp_path))
    if name == "mnist" and not (folder / "MNIST" / "raw").is_dir():
        pytest.skip("MLPEXP_DATA_DIR names no folder with MNIST/raw")
    return datasets[name](**changes), folder


def load(name: str, tmp_path: Path, files: Sequence[str] = (), **changes: Any) -> Data:
    dataset, folder = make(name, tmp_path, files, **changes)
    return dataset.load(folder)


def all_datasets(*, without: tuple[str, ...] = ()) -> list[Any]:
    return [
        pytest.param(name, marks=pytest.mark.mnist) if name == "mnist" else name
        for name in datasets
        if name not in without
    ]


def rows_of(x: Tensor) -> set[bytes]:
    return {row.numpy().tobytes() for row in x}


@pytest.mark.parametrize("name", all_datasets())
def test_loads_as_promised(name: str, tmp_path: Path, made: Made) -> None:
    data = load(name, tmp_path, made(name))
    n_rows, n_features, n_classes = SIZES[name]
    assert data.n_features == n_features
    assert sum(len(split) for split in data.splits().values()) == n_rows * (3 if name in SHARED_ROWS else 1)
    assert data.task.kind == ("classification" if n_classes else "regression")
    assert data.task.n_classes == n_classes
    for split in data.splits().values():
        assert len(split) > 0
        assert split.x.shape == (len(split), n_features)
        assert split.x.dtype in (torch.uint8, torch.float32)
        assert split.x.is_contiguous()
        assert bool(data.inputs(split.x).isfinite().all())
        if n_classes:
            assert split.y.shape == (len(split),)
            assert split.y.dtype == torch.int64
            assert set(split.y.tolist()) == set(range(n_classes))
        else:
            assert split.y.shape == (len(split), 1)
            assert split.y.dtype == torch.float32
    if data.image_shape:
        assert math.prod(data.image_shape) == n_features
    else:
        assert len(data.feature_names) == n_features


@pytest.mark.parametrize("name", all_datasets(without=SHARED_ROWS))
def test_splits_share_no_row(name: str, tmp_path: Path, made: Made) -> None:
    data = load(name, tmp_path, made(name), **({"limit": 2000} if name == "mnist" else {}))
    train, val, test = (rows_of(split.x) for split in data.splits().values())
    assert not train & val
    assert not train & test
    assert not val & test


@pytest.mark.parametrize("name", SHARED_ROWS)
def test_what_shares_rows_says_so(name: str, tmp_path: Path) -> None:
    data = load(name, tmp_path)
    assert data.train is data.val is data.test
    assert data.note == "train, val and test are the same four rows"


@pytest.mark.parametrize("name", all_datasets(without=SHARED_ROWS))
def test_the_seed_decides_the_data(name: str, tmp_path: Path, made: Made) -> None:
    small = {"limit": 500} if name == "mnist" else {}
    first, again, other = (load(name, tmp_path, made(name), seed=seed, **small) for seed in (3, 3, 4))
    for split in ("train", "val"):
        assert torch.equal(getattr(first, split).x, getattr(again, split).x)
        assert torch.equal(getattr(first, split).y, getattr(again, split).y)
    assert rows_of(first.train.x) != rows_of(other.train.x)


def test_loading_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    for name in ("sine", "moons", "digits"):
        load(name, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["digits", "moons", "spirals", "table"])
def test_each_split_has_every_class_in_its_share(name: str, tmp_path: Path) -> None:
    data = load(name, tmp_path, val_fraction=0.1, test_fraction=0.3)
    counts = torch.stack([split.y.bincount() for split in data.splits().values()]).double()
    shares = counts / counts.sum(0)
    # A share is off by the rounding of one row at most.
    wanted = torch.tensor([0.6, 0.1, 0.3]).double().unsqueeze(1)
    assert bool(((shares - wanted).abs() <= 1 / counts.sum(0)).all())


@pytest.mark.parametrize(
    "name", all_datasets(without=("fashion_mnist", "kmnist", "emnist", "circles", "spirals", *SHARED_ROWS))
)
def test_a_part_of_the_training_rows(name: str, tmp_path: Path, made: Made) -> None:
    small = {"limit": 500} if name == "mnist" else {}
    whole, half, fifth = (load(name, tmp_path, made(name), train_fraction=f, **small) for f in (1.0, 0.5, 0.2))
    for other in (half, fifth):
        assert torch.equal(other.val.y, whole.val.y)
        assert torch.equal(other.test.y, whole.test.y)
    assert len(half.train) == pytest.approx(0.5 * len(whole.train), abs=whole.task.n_classes)
    assert len(fifth.train) == pytest.approx(0.2 * len(whole.train), abs=whole.task.n_classes)
    if isinstance(make(name, tmp_path, made(name))[0], RandomlySplit):
        shares = torch.stack([part.train.y.bincount() for part in (whole, half, fifth)]).double()
        assert ((shares[1:] - shares[0] * torch.tensor([[0.5], [0.2]])).abs() <= 0.5).all()
    # The network sees them as the preprocessing of their own rows makes them: raw rows are compared.
    x = [part.features_in_own_units(part.train.x) for part in (whole, half, fifth)]
    if x[0].is_floating_point():
        x = [rows.round(decimals=2) + 0.0 for rows in x]
    assert rows_of(x[2]) < rows_of(x[1]) < rows_of(x[0])


@pytest.mark.parametrize("name", ["digits", "moons", "table"])
def test_fractions_that_leave_nothing_to_train_on(name: str) -> None:
    values = {"val_fraction": 0.5, "test_fraction": 0.5} | ({"path": "x.csv"} if name == "table" else {})
    with pytest.raises(ConfigError, match=r"^dataset\.val_fraction=0\.5: with test_fraction=0\.5 leaves nothing"):
        build(datasets[name], values, "dataset")


def test_a_class_of_three_rows_is_in_each_split_and_of_two_is_an_error() -> None:
    x, y = torch.arange(13.0).unsqueeze(1), torch.tensor([0] * 10 + [1] * 3)
    splits = split_at_random(x, y, 0.8, 0.1, torch.Generator(), y)
    assert [split.y.tolist().count(1) for split in splits] == [1, 1, 1]
    with pytest.raises(ConfigError, match="a class has 2 rows; at least 3"):
        split_at_random(x[:-1], y[:-1], 0.2, 0.2, torch.Generator(), y[:-1])
    with pytest.raises(ConfigError, match="it has 2 rows; at least 3"):
        split_at_random(x[:2], y[:2], 0.2, 0.2, torch.Generator(), None)


def test_importing_the_datasets_imports_nothing_heavy() -> None:
    code = (
        "import sys, mlpexp.data.bundled; "
        "print([m for m in ('torch', 'numpy', 'sklearn', 'torchvision', 'PIL') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_digits_are_those_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    data = load("digits", tmp_path)
    reference = load_digits()
    ours = rows_of(torch.cat([split.x for split in data.splits().values()]))
    assert ours == rows_of(torch.from_numpy(reference.data).to(torch.uint8))
    counts = sum(split.y.bincount() for split in data.splits().values())
    assert isinstance(counts, Tensor)
    assert torch.equal(counts, torch.from_numpy(reference.target).bincount())


def test_digits_reach_the_network_standardised(tmp_path: Path) -> None:
    data = load("digits", tmp_path)
    pixels = data.inputs(data.train.x)
    assert float(pixels.mean()) == pytest.approx(0, abs=1e-5)
    assert float(pixels.std()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("name", "shapes"), [("moons", "make_moons"), ("circles", "make_circles")])
def test_without_noise_points_are_those_of_scikit_learn(name: str, shapes: str, tmp_path: Path) -> None:
    import sklearn.datasets

    options = {"factor": 0.5} if name == "circles" else {}
    x, y = getattr(sklearn.datasets, shapes)(100, shuffle=False, noise=None, **options)
    data = load(name, tmp_path, n_samples=100, noise=0.0)
    ours_x = torch.cat([split.x for split in data.splits().values()]).double()
    ours_y = torch.cat([split.y for split in data.splits().values()])
    for label in (0, 1):
        distances = torch.cdist(ours_x[ours_y == label], torch.from_numpy(x[y == label]))
        assert float(distances.min(0).values.max()) < 1e-6
        assert float(distances.min(1).values.max()) < 1e-6


def test_spirals_have_an_arm_a_class_each_a_turn_of_the_others(tmp_path: Path) -> None:
    data = load("spirals", tmp_path, arms=4, n_samples=102, noise=0.0, turns=0.5)
    x = torch.cat([split.x for split in data.splits().values()])
    y = torch.cat([split.y for split in data.splits().values()])
    assert y.bincount().tolist() == [26, 26, 25, 25]
    radius = x.norm(dim=1)
    angle = 2 * math.pi * (y / 4 + 0.5 * (radius - 0.2) / 1.8)
    assert torch.allclose(x, torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), atol=1e-5)


def test_more_arms_than_points_can_fill_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a class has 2 rows"):
        load("spirals", tmp_path, arms=20, n_samples=50)


def test_sine_is_the_true_function_and_noise(tmp_path: Path) -> None:
    exact = load("sine", tmp_path, noise=0.0)
    assert exact.true_function is not None
    for split in exact.splits().values():
        assert torch.equal(exact.true_function(split.x), split.y)
    noisy = load("sine", tmp_path, n_samples=5000)
    residuals = torch.cat([split.y - split.x.sin() for split in noisy.splits().values()])
    # Five standard errors of a standard deviation estimated from 5000 values.
    assert float(residuals.std()) == pytest.approx(0.3, abs=5 * 0.3 / math.sqrt(2 * 5000))


def test_sine_at_random_spreads_each_split_over_the_axis(tmp_path: Path) -> None:
    data = load("sine", tmp_path)
    assert [len(split) for split in data.splits().values()] == [30, 10, 10]
    for split in (data.val, data.test):
        assert float(split.x.flatten().diff().max()) <= 9 * 6 / 49 + 1e-6


def test_sine_extrapolate_judges_beyond_what_it_learned_from_and_says_so(tmp_path: Path) -> None:
    data = load("sine", tmp_path, split="extrapolate")
    assert len(data.train) == 35
    assert data.val is data.test
    assert len(data.test) == 15
    assert float(data.train.x.max()) < float(data.test.x.min())
    assert "val and test are the same 15 points" in data.note


@pytest.mark.parametrize("order", ["sorted", "alternating"])
def test_a_sample_of_a_split_holds_its_classes_as_the_split_does(order: str) -> None:
    # 3 classes of 1,000 rows; 500 parts of 6 rows.
    y = torch.arange(3000) // 1000 if order == "sorted" else torch.arange(3000) % 3
    sample = Split(torch.arange(3000.0)[:, None], y).sample(500)
    rows = sample.x[:, 0].long()
    assert (rows // 6).tolist() == list(range(500)), "one row of each part, in order"
    assert torch.equal(sample.y, y[rows])
    # Within five standard deviations of a random draw: 10.5 rows each.
    assert sample.y.bincount().tolist() == pytest.approx([500 / 3] * 3, abs=53)


@pytest.mark.parametrize("n", [1, 6, 7, 8])
def test_a_sample_of_a_small_split_is_all_of_it(n: int) -> None:
    split = Split(torch.arange(7.0)[:, None], torch.arange(7))
    assert len(split.sample(n)) == min(n, 7)
    assert torch.equal(split.sample(n).x, split.sample(n).x)
    if n >= 7:
        assert torch.equal(split.sample(n).x, split.x)
