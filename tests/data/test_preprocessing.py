"""From raw columns to inputs against scikit-learn's StandardScaler in float64; plain data that come back to the bit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from mlpexp.data import Image, Preprocessing, Target, Task
from mlpexp.data.identity import Identity, packed, unpacked
from mlpexp.errors import ConfigError


def far_away() -> torch.Tensor:
    """Timestamps of ten minutes, 10¹² + N(0, 1000), one value throughout, and thirds."""
    draw = np.random.default_rng(0)
    columns = [
        1.7e9 + draw.uniform(0, 600, 50),
        1e12 + draw.normal(0, 1000, 50),
        np.full(50, 0.1),
        draw.integers(0, 9, 50) / 3,
    ]
    return torch.from_numpy(np.stack(columns, 1))


def test_columns_far_from_zero_are_standardised_as_scikit_learn_does_in_float64() -> None:
    x = far_away()
    fitted = Preprocessing.fit(x, ["t", "y", "same", "third"], "value", x[:, 1:2])
    expected = StandardScaler().fit(x).transform(x)
    np.testing.assert_allclose(fitted.inputs(x), expected, atol=1e-6)
    np.testing.assert_allclose(fitted.raw(fitted.inputs(x)), x, rtol=0, atol=2e-3)
    np.testing.assert_allclose(fitted.targets(x[:, 1:2]), expected[:, 1:2], atol=1e-6)
    np.testing.assert_allclose(fitted.values(fitted.targets(x[:, 1:2])), x[:, 1:2], rtol=0, atol=2e-3)


def test_it_comes_back_from_json_to_the_bit() -> None:
    x = far_away()
    task = Task("classification", ("no", "yes, é"))
    image = Preprocessing((Image("pixels", 2, 3, 0.1, 1 / 3),), Target("digit"))
    for fitted in (Preprocessing.fit(x, ["t", "y", "same", "third"]), image):
        known = Identity(task, fitted, None, None)
        assert Identity.of_plain(json.loads(json.dumps(known.plain))) == known
    assert image.inputs(torch.ones(1, 6)).tolist() == [pytest.approx([0.9 * 3] * 6)]


def test_which_rows_went_where_takes_little_more_than_two_bits_a_row() -> None:
    order = torch.randperm(50_000, generator=torch.Generator().manual_seed(0))
    rows = order[:30_000].sort().values, order[30_000:40_000].sort().values, order[40_000:].sort().values
    text = packed(rows, 50_000)
    assert 8 * len(text) < 2.2 * 50_000
    for part, found in zip(rows, unpacked(text, 50_000), strict=True):
        assert torch.equal(part, found)
    for other in (49_999, 50_001):
        with pytest.raises(ConfigError, match="is not one of these rows"):
            unpacked(text, other)
