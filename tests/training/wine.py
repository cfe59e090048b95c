"""scikit-learn's wines as a table of one's own."""

from __future__ import annotations

import polars as pl
from sklearn.datasets import load_wine


def wine() -> pl.DataFrame:
    """178 rows: 13 numbers, and the class in text, `kind`."""
    found = load_wine()
    columns = dict(zip(found.feature_names, found.data.T, strict=True))
    return pl.DataFrame({**columns, "kind": [f"kind {label}" for label in found.target]})
