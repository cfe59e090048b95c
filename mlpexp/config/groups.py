"""The groups of conf/ that hold components, and the registry of each."""

from __future__ import annotations

from typing import Any

from mlpexp.components.activation import activations
from mlpexp.components.device import devices
from mlpexp.components.init import inits
from mlpexp.components.loss import losses
from mlpexp.components.model import models
from mlpexp.components.optimizer import optimizers
from mlpexp.components.regularizer import regularizers
from mlpexp.components.scheduler import schedulers
from mlpexp.data import bundled  # noqa: F401  (registers the datasets)
from mlpexp.data.dataset import datasets
from mlpexp.fields.registry import Registry

# Those that hold one component each, in the order in which they are shown.
GROUPS: dict[str, Registry[Any]] = {
    "dataset": datasets,
    "model": models,
    "activation": activations,
    "init": inits,
    "loss": losses,
    "optimizer": optimizers,
    "scheduler": schedulers,
    "device": devices,
}
# Those that hold several components at once.
LIST_GROUPS: dict[str, Registry[Any]] = {"regularizer": regularizers}
REGISTRIES = {**GROUPS, **LIST_GROUPS}
