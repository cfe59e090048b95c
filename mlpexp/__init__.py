"""mlpexp: what a training choice does to a multilayer perceptron.

From Python, without the command line:

>>> import mlpexp
>>> run = mlpexp.train(mlpexp.compose(["dataset=xor"]), "my_run")
>>> run.metrics["test"]["accuracy"]
1.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlpexp.errors import ConfigError, MlpexpError, RunError

if TYPE_CHECKING:
    from mlpexp.comparison.compare import compare
    from mlpexp.config.compose import compose
    from mlpexp.lr_finder.find import find_lr
    from mlpexp.sweep.train import train_sweep
    from mlpexp.training.evaluate import evaluate, load
    from mlpexp.training.single import resume, train

__all__ = [
    "ConfigError",
    "MlpexpError",
    "RunError",
    "compare",
    "compose",
    "evaluate",
    "find_lr",
    "load",
    "resume",
    "train",
    "train_sweep",
]

_LAZY = {
    "compare": "mlpexp.comparison.compare",
    "compose": "mlpexp.config.compose",
    "evaluate": "mlpexp.training.evaluate",
    "find_lr": "mlpexp.lr_finder.find",
    "load": "mlpexp.training.evaluate",
    "resume": "mlpexp.training.single",
    "train": "mlpexp.training.single",
    "train_sweep": "mlpexp.sweep.train",
}


def __getattr__(name: str) -> Any:
    """Imports what needs torch or Hydra only when it is asked for, so that `mlpexp list` answers at once."""
    if name not in _LAZY:
        raise AttributeError(f"module 'mlpexp' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
