"""Cross-validation: each row is in the test split of one fold, as scikit-learn's splitters have it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.model_selection import StratifiedKFold, TimeSeriesSplit

from mlpexp.config.schema import Config
from mlpexp.data.identity import unpacked
from mlpexp.data.splits import fold_split_indices
from mlpexp.data.table import Table
from mlpexp.errors import ConfigError
from mlpexp.sweep.jobs import Job
from mlpexp.sweep.plan import plan
from mlpexp.training.prepare import Preparations

SIZES = {"equal": [40, 40], "unequal": [73, 21, 6], "one class": [47]}


@pytest.mark.parametrize("folds", [2, 5, 10])
@pytest.mark.parametrize("sizes", SIZES)
def test_folds_are_stratified(sizes: str, folds: int) -> None:
    y = torch.repeat_interleave(torch.arange(len(SIZES[sizes])), torch.tensor(SIZES[sizes]))
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(1))]
    splits = [
        fold_split_indices(
            len(y), 0.2, fold, folds, torch.Generator().manual_seed(3), y if len(SIZES[sizes]) > 1 else None
        )
        for fold in range(folds)
    ]
    assert torch.equal(torch.cat([test for _, _, test in splits]).sort().values, torch.arange(len(y)))
    theirs = list(StratifiedKFold(folds).split(y, y)) if min(SIZES[sizes]) >= folds else []
    counts = [y[test].bincount(minlength=len(SIZES[sizes])) for _, _, test in splits]
    assert max(map(len, (test for _, _, test in splits))) - min(map(len, (test for _, _, test in splits))) <= 1
    for of_class in torch.stack(counts).T:
        assert of_class.max() - of_class.min() <= 1
    for (_, test), count in zip(theirs, sorted(count.sum().item() for count in counts)[::-1], strict=False):
        assert len(test) == count
    for train, val, test in splits:
        assert torch.equal(torch.cat([train, val, test]).sort().values, torch.arange(len(y)))
        assert len(val) == pytest.approx(0.2 * len(y), abs=len(SIZES[sizes]))
        assert set(y[train].tolist()) == set(y.tolist())
    other, _, _ = fold_split_indices(len(y), 0.2, 0, folds, torch.Generator().manual_seed(4), y)
    assert not torch.equal(other, splits[0][0])


def table(path: Path, fold: int, **settings: object) -> tuple[list[np.ndarray], int]:
    """The rows of train, val and test of a fold of three."""
    data = Table(path=str(path), fold=fold, folds=3, seed=2, **settings).load(Path())  # type: ignore[arg-type]
    assert data.source is not None
    return [part.numpy() for part in unpacked(data.packed_split, data.source.n_rows)], data.source.n_rows


def test_no_group_is_in_two_folds_or_splits(tmp_path: Path) -> None:
    who = np.arange(120) % 17
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["a,who,y", *(f"{n % 11},p{w},{n % 2}" for n, w in enumerate(who))]) + "\n")
    tested: list[np.ndarray] = []
    for fold in range(3):
        parts, n = table(path, fold, group="who")
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(n))
        groups = [set(who[part].tolist()) for part in parts]
        assert sum(map(len, groups)) == 17
        assert len(groups[2]) in (5, 6)
        tested.append(parts[2])
    assert np.array_equal(np.sort(np.concatenate(tested)), np.arange(120))


def test_a_fold_in_time_is_tested_on_what_comes_next(tmp_path: Path) -> None:
    """By hand: 40 days in four parts of ten. Val is the last fifth of what is before the test."""
    path = tmp_path / "table.csv"
    days = np.random.default_rng(0).permutation(40)
    path.write_text("\n".join(["a,day,y", *(f"{d % 7},{d},{d % 2}" for d in days)]) + "\n")
    of_sklearn = TimeSeriesSplit(3).split(np.arange(40))
    for fold, (before, after) in enumerate(of_sklearn):
        (train, val, test), _ = table(path, fold, time="day")
        assert sorted(days[test]) == after.tolist() == list(range(10 * fold + 10, 10 * fold + 20))
        assert sorted([*days[train], *days[val]]) == before.tolist()
        assert len(val) == round(0.2 * len(before))
        assert days[train].max() < days[val].min()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fold": 10}, "fold=10: must be less than folds=10; the first is 0."),
        ({"fold": 0, "folds": 2, "val_fraction": 0.5}, "val_fraction=0.5: with folds=2 leaves nothing to train on."),
        ({"fold": 1, "split": "part"}, "fold=1: split=part says which rows are for test already."),
    ],
)
def test_what_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Table(path="x.csv", **settings)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_folds_of_equal_size_train_together(small: Callable[..., Config]) -> None:
    rows = "dataset=moons", "dataset.n_samples=105", "dataset.folds=10"
    configs = [small(*rows, f"dataset.fold={fold}") for fold in range(10)]
    stacks = plan([Job(number, [], config) for number, config in enumerate(configs)], Preparations())
    assert sorted(map(len, (stack.jobs for stack in stacks))) == [5, 5]
    assert all("rows, others' other numbers" in str(stack.apart) for stack in stacks)
