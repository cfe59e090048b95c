"""Cases written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import pytest

from mlpexp.config.compose import compose
from mlpexp.config.schema import Config
from mlpexp.doctor.case import Case, Layer


@cache
def config(*overrides: str) -> Config:
    return compose(list(overrides))


@pytest.fixture(scope="session")
def case() -> Callable[..., Case]:
    """Makes a case of overrides and histories."""
    return _case


def _case(
    *overrides: str,
    loss: Sequence[float] = (),
    val_loss: Sequence[float] = (),
    score: float | Sequence[float] = 1.0,
    val_score: float | Sequence[float] | None = None,
    more: Mapping[str, Sequence[float]] | None = None,
    layers: Sequence[Layer] = (),
    lr: float = 0.001,
    **changes: Any,
) -> Case:
    """A classification with histories written by hand; a score may be one number for all epochs."""
    n = len(loss)

    def column(value: float | Sequence[float]) -> list[float]:
        return [float(value)] * n if isinstance(value, int | float) else list(value)

    history = {
        "loss/train": list(loss),
        "loss/val": list(val_loss or loss),
        "accuracy/train": column(score),
        "accuracy/val": column(score if val_score is None else val_score),
        "lr": [lr] * n,
        "grad_norm": [1.0] * n,
        **{tag: list(values) for tag, values in (more or {}).items()},
    }
    known: dict[str, Any] = {"n_train": 1000, "n_val": 200, "majority": 0.5, "constant_loss": 0.693}
    return Case(config(*overrides), history, "accuracy", layers=list(layers), **{**known, **changes})
