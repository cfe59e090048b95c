"""The components that a config can name, except datasets, and what authors of components need.

Bases and registries of each kind; what the fields of a component may be annotated with, so that they are checked; and
what methods are given: `Batch`, `Progress`, `Span`, `Task`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.fields.ranges import (
    Count,
    Finite,
    Fraction,
    Index,
    NonNegative,
    OpenFraction,
    PathName,
    Positive,
    Probability,
    Range,
)
from mlpexp.lazy import lazy

if TYPE_CHECKING:
    from mlpexp.components.activation import Activation, activations
    from mlpexp.components.device import Device, devices
    from mlpexp.components.init import Init, inits
    from mlpexp.components.loss import Loss, losses
    from mlpexp.components.model import Model, models
    from mlpexp.components.optimizer import Optimizer, optimizers
    from mlpexp.components.regularizer import Regularizer, regularizers
    from mlpexp.components.scheduler import Progress, Scheduler, Span, schedulers
    from mlpexp.data.batch import Batch
    from mlpexp.data.task import Task
else:
    __getattr__ = lazy(
        __name__,
        {
            "mlpexp.components.activation": ["Activation", "activations"],
            "mlpexp.components.device": ["Device", "devices"],
            "mlpexp.components.init": ["Init", "inits"],
            "mlpexp.components.loss": ["Loss", "losses"],
            "mlpexp.components.model": ["Model", "models"],
            "mlpexp.components.optimizer": ["Optimizer", "optimizers"],
            "mlpexp.components.regularizer": ["Regularizer", "regularizers"],
            "mlpexp.components.scheduler": ["Progress", "Scheduler", "Span", "schedulers"],
            "mlpexp.data.batch": ["Batch"],
            "mlpexp.data.task": ["Task"],
        },
    )

__all__ = [
    "Activation",
    "Batch",
    "Count",
    "Device",
    "Finite",
    "Fraction",
    "Index",
    "Init",
    "Loss",
    "Model",
    "NonNegative",
    "OpenFraction",
    "Optimizer",
    "PathName",
    "Positive",
    "Probability",
    "Progress",
    "Range",
    "Regularizer",
    "Scheduler",
    "Span",
    "Task",
    "activations",
    "devices",
    "inits",
    "losses",
    "models",
    "optimizers",
    "regularizers",
    "schedulers",
]


def __dir__() -> list[str]:
    return __all__
