"""mlpexp: what a training choice does to a multilayer perceptron.

From Python, without the command line:

>>> import mlpexp
>>> run = mlpexp.train(mlpexp.compose(["dataset=xor"]), "my_run")
>>> run.metrics["test"]["accuracy"]
1.0

What authors of components need stands in `mlpexp.components`, `mlpexp.data` and `mlpexp.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpexp.errors import ConfigError, DivergedError, MlpexpError, RunError
from mlpexp.lazy import lazy

if TYPE_CHECKING:
    from mlpexp.comparison.compare import compare
    from mlpexp.comparison.comparison import Comparison
    from mlpexp.config.compose import compose
    from mlpexp.config.schema import Config
    from mlpexp.engine.heap import keep_freed_memory
    from mlpexp.lr_finder.find import find_lr
    from mlpexp.run.results import Results
    from mlpexp.sweep.from_python import train_sweep
    from mlpexp.training.attempt import Run
    from mlpexp.training.estimators import Classifier, Regressor
    from mlpexp.training.evaluate import evaluate, load
    from mlpexp.training.single import resume, train
else:
    __getattr__ = lazy(
        __name__,
        {
            "mlpexp.comparison.compare": ["compare"],
            "mlpexp.comparison.comparison": ["Comparison"],
            "mlpexp.config.compose": ["compose"],
            "mlpexp.config.schema": ["Config"],
            "mlpexp.engine.heap": ["keep_freed_memory"],
            "mlpexp.lr_finder.find": ["find_lr"],
            "mlpexp.run.results": ["Results"],
            "mlpexp.sweep.from_python": ["train_sweep"],
            "mlpexp.training.attempt": ["Run"],
            "mlpexp.training.estimators": ["Classifier", "Regressor"],
            "mlpexp.training.evaluate": ["evaluate", "load"],
            "mlpexp.training.single": ["resume", "train"],
        },
    )

__all__ = [
    "Classifier",
    "Comparison",
    "Config",
    "ConfigError",
    "DivergedError",
    "MlpexpError",
    "Regressor",
    "Results",
    "Run",
    "RunError",
    "compare",
    "compose",
    "evaluate",
    "find_lr",
    "keep_freed_memory",
    "load",
    "resume",
    "train",
    "train_sweep",
]


def __dir__() -> list[str]:
    return __all__
