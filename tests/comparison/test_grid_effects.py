"""Main effects and interactions of a full grid, against scipy and block designs worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mlpexp.comparison.closed_test import holm
from mlpexp.comparison.compare import compare
from mlpexp.comparison.effects import effect_p
from mlpexp.comparison.verdict import verdict

Write = Callable[..., Path]
INITS = ("default", "zeros")


def by_contrasts(columns: np.ndarray, contrasts: np.ndarray, overlap: float) -> float:
    """The test on orthonormal contrasts [r, columns] of blocks [n, columns]: sums of squares, and ε of Greenhouse."""
    values = columns @ contrasts.T
    n, r = values.shape
    mean_square = n * (values.mean(0) ** 2).sum() / r
    residual = ((values - values.mean(0)) ** 2).sum() / (r * (n - 1))
    of_contrasts = np.linalg.eigvalsh(np.atleast_2d(np.cov(values.T)))
    epsilon = of_contrasts.sum() ** 2 / (r * (of_contrasts**2).sum())
    return float(stats.f.sf(mean_square / residual / (1 + n * overlap), epsilon * r, epsilon * r * (n - 1)))


def orthonormal(k: int) -> np.ndarray:
    from scipy.linalg import helmert

    return np.asarray(helmert(k))


@pytest.mark.parametrize("overlap", [0.0, 1 / 3])
@pytest.mark.parametrize("sizes", [(2, 2), (3, 2), (4, 3)])
def test_effects_are_those_of_orthonormal_contrasts(sizes: tuple[int, int], overlap: float) -> None:
    scores = np.random.default_rng(1).normal(size=(6, *sizes)) + 0.5 * np.arange(sizes[0])[:, None]
    first, second = map(orthonormal, sizes)
    assert effect_p(scores.mean(2), overlap) == pytest.approx(by_contrasts(scores.mean(2), first, overlap))
    both = by_contrasts(scores.reshape(6, -1), np.kron(first, second), overlap)
    assert effect_p(scores, overlap) == pytest.approx(both)


def test_effects_without_noise() -> None:
    apart = np.broadcast_to([0.9, 0.8, 0.7], (5, 3)) + np.arange(5)[:, None] / 10
    assert np.isnan(effect_p(apart))
    assert effect_p(0 * apart + np.arange(5)[:, None]) == 1.0
    additive = apart[:, :, None] + np.array([0.0, 0.05])
    assert effect_p(additive) == 1.0


def grid(scores: np.ndarray) -> dict[str, list[float]]:
    """By overrides the scores [n, 3, 2] of each setting."""
    names = ("relu", "tanh", "gelu")
    return {
        f"activation={name} init={init}": scores[:, i, j].tolist()
        for i, name in enumerate(names)
        for j, init in enumerate(INITS)
    }


@pytest.mark.usefixtures("composed_once")
def test_a_grid_says_effects_before_pairs(write_sweep: Write) -> None:
    random = np.random.default_rng(2)
    scores = 0.8 + 0.05 * random.normal(size=(6, 1, 1)) + 0.005 * random.normal(size=(6, 3, 2))
    scores += np.array([0.0, -0.05, 0.1])[:, None]
    comparison = compare(write_sweep(grid(scores)))
    assert [effect.keys for effect in comparison.effects] == [("activation",), ("init",), ("activation", "init")]
    raw = [effect_p(scores.mean(2)), stats.ttest_rel(*scores.mean(1).T).pvalue, effect_p(scores)]
    assert [effect.p for effect in comparison.effects] == pytest.approx(holm(raw).tolist())
    of_activation = comparison.effects[0].means
    assert list(of_activation) == ["gelu", "relu", "tanh"]
    assert of_activation["tanh"] == pytest.approx(scores[:, 1].mean())
    lines = verdict(comparison)
    at = lines.index("All combinations of activation and init as one design, over the 6 seeds that all settings have:")
    assert lines[at + 1].startswith("activation matters (adjusted p < 0.001): on average over init gelu ")
    assert lines[at + 2].startswith("init: no difference is seen on average over activation (adjusted p = ")
    assert lines[at + 3].startswith("activation and init do not visibly interact (adjusted p = ")
    assert "points lower" in lines[at + 4]


@pytest.mark.usefixtures("composed_once")
def test_an_interaction_is_said(write_sweep: Write) -> None:
    scores = 0.8 + 0.005 * np.random.default_rng(3).normal(size=(6, 3, 2))
    scores[:, 0, 0] += 0.1
    lines = verdict(compare(write_sweep(grid(scores))))
    assert "activation and init interact (adjusted p < 0.001): what one does depends on the other." in lines


@pytest.mark.usefixtures("composed_once")
@pytest.mark.parametrize("why", ["four seeds", "a setting is missing", "datasets"])
def test_no_grid_of_five_seeds_has_no_effects(why: str, write_sweep: Write) -> None:
    settings = grid(0.8 + 0.01 * np.random.default_rng(4).normal(size=(4 if why == "four seeds" else 5, 3, 2)))
    if why == "a setting is missing":
        del settings["activation=tanh init=zeros"]
    if why == "datasets":
        settings = {
            words.replace("init=default", "dataset=moons").replace("init=zeros", "dataset=circles"): values
            for words, values in settings.items()
        }
    assert compare(write_sweep(settings)).effects == []
