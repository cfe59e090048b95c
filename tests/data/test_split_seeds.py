"""Each seed has its own split of the data, unless dataset.seed is given a number."""

from __future__ import annotations

from typing import Any

import pytest

from mlpexp.config import reproduce
from mlpexp.config.compose import Composer
from mlpexp.data.dataset import datasets
from mlpexp.fields.convert import fields_of

COMPOSER = Composer()
SEEDED = sorted(name for name in datasets if "seed" in fields_of(datasets[name]))


@pytest.mark.parametrize("name", SEEDED)
def test_the_seed_of_a_dataset_is_that_of_the_run(name: str) -> None:
    path = ["dataset.path=some"] if "path" in fields_of(datasets[name]) else []

    def seed(*overrides: str) -> tuple[int, list[str]]:
        config = COMPOSER.config([f"dataset={name}", *path, *overrides])
        dataset: Any = config.dataset
        # What reproduces it names the seed of the data where it is another.
        return dataset.seed, [line for line in reproduce.overrides(config.to_dict()) if "seed" in line]

    assert seed() == (0, [])
    assert seed("seed=3") == (3, ["seed=3"])
    assert seed("seed=3", "dataset.seed=0") == (0, ["dataset.seed=0", "seed=3"])
    assert seed("dataset.seed=5") == (5, ["dataset.seed=5"])
    assert "seed" in datasets[name].split_fields


def test_all_that_is_random_in_data_has_a_seed() -> None:
    assert {name for name in datasets if name not in SEEDED} == {"and", "or", "xor"}
