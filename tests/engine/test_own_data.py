"""Members of a stack with data of their own: each sees the rows, the preprocessing and the classes of its run alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mlpexp.config.schema import Config, parse
from mlpexp.data.dataset import Data
from mlpexp.data.file_cache import FileCache
from mlpexp.data.selection import Selection
from mlpexp.engine.loop import Engine

Small = Callable[..., Config]
CPU = torch.device("cpu")


def seeded(config: Config, seed: int) -> Config:
    plain = config.to_dict()
    return parse({**plain, "seed": seed, "dataset": {**plain["dataset"], "seed": seed}})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two numbers, one with holes, a category and a class that one row in five has."""
    draw = np.random.default_rng(0)
    lines = [
        f"{a:.3f},{'' if a > 1 else f'{100 + 50 * b:.3f}'},{'uvw'[row % 3]},{'no' if row % 5 else 'yes'}"
        for row, (a, b) in enumerate(draw.standard_normal((120, 2)))
    ]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["a,b,c,y", *lines]) + "\n")
    return path


CASES = {
    "pixels": ["dataset=digits"],
    "noise": ["dataset=moons", "dataset.n_samples=100"],
    "values": ["dataset=sine"],
    "table": ["dataset=table", "loss=cross_entropy", "loss.class_weight=balanced", "metric=roc_auc"],
}


@pytest.mark.parametrize("case", CASES)
def test_a_member_sees_what_its_run_alone_sees(case: str, small: Small, table: Path) -> None:
    """To the bit in what goes into the network, and up to rounding in what comes of it."""
    path = [f"dataset.path={table}"] if case == "table" else []
    one = small(*CASES[case], *path, "model.hidden=[8]", "batch_size=16", "epochs=3", "regularizer=[dropout]")
    configs = [seeded(one, seed) for seed in (3, 5, 3)]
    cache = FileCache()
    by_dataset = {config.dataset: config.dataset.load_with(Path(), cache) for config in configs}
    data: list[Data] = [by_dataset[config.dataset] for config in configs]
    together = Engine(configs, data, CPU)
    alone = [Engine([config], config.dataset.load(Path()), CPU) for config in configs]
    assert not torch.equal(data[0].train.x, data[1].train.x)
    with together.training_batches() as batches:
        singles = []
        for engine in alone:
            with engine.training_batches() as own:
                singles.append(list(own))
        for number, batch in enumerate(batches):
            for k, single in enumerate(singles):
                assert torch.equal(batch.x[k], single[number].x[0])
                assert torch.equal(batch.y[k], single[number].y[0])
    for k, engine in enumerate(alone):
        assert engine.members[0].data.preprocessing == data[k].preprocessing
        assert together.objective.member(k).class_weights == engine.objective.class_weights
    for rows, *each in zip(together.epochs(), *(engine.epochs() for engine in alone), strict=True):
        for row, (single,) in zip(rows, each, strict=True):
            assert row == pytest.approx(single, rel=1e-3, abs=1e-5)


def test_images_are_held_once_for_all_members(small: Small) -> None:
    configs = [seeded(small("dataset=digits"), seed) for seed in range(3)]
    cache = FileCache()
    data = [config.dataset.load_with(Path(), cache) for config in configs]
    members = Engine(configs, data, CPU).members
    splits = [split for member in members for split in member.data.splits().values()]
    assert len({split.pool.data_ptr() for split in splits if isinstance(split, Selection)}) == 1
    assert all(isinstance(split, Selection) for split in splits)
    # What a split is for itself: 8 bytes a row for the number of the row, and for its class.
    assert sum(split.n_bytes for split in splits) == 3 * 1797 * 16


def test_what_a_selection_gives_is_what_a_split_gives() -> None:
    pool = torch.arange(40, dtype=torch.uint8).view(10, 4)
    rows = torch.tensor([7, 1, 4, 9])
    chosen = Selection(pool, rows, rows * 2)
    assert chosen.form == ((4, 4), torch.uint8)
    assert len(chosen) == 4
    assert torch.equal(chosen.x, pool[rows])
    assert torch.equal(chosen.between(1, 9), pool[rows[1:]])
    assert torch.equal(chosen.take(torch.tensor([3, 0, 3])), pool[[9, 7, 9]])
    moved = chosen.to(CPU)
    assert torch.equal(moved.x, chosen.x)
    assert torch.equal(moved.y, chosen.y)
    some = chosen.sample(2)
    assert all(any(torch.equal(row, own) for own in chosen.x) for row in some.x)
