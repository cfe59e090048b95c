"""Networks as scikit-learn's estimators: fitted in memory, to all rows that they are given.

N rows, C classes, T values.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Self

import numpy as np
import polars as pl
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from mlpexp.components.regularizer import EarlyStopping
from mlpexp.config.compose import compose
from mlpexp.config.reproduce import overrides as overrides_of
from mlpexp.config.schema import Config, parse
from mlpexp.data.columns import Column, Date, Number
from mlpexp.data.dataset import Data, Split
from mlpexp.data.identity import Identity
from mlpexp.data.preprocessing import BOUNDS, Preprocessing, Target
from mlpexp.data.table import Table, suited
from mlpexp.data.tables.formats import from_frame
from mlpexp.data.tables.frames import polars_of
from mlpexp.data.tables.matrix import rows_of
from mlpexp.data.tables.preparation import fitted_columns
from mlpexp.data.task import Task
from mlpexp.engine.loop import Engine, Row
from mlpexp.engine.process import runtime_context
from mlpexp.errors import ConfigError, DivergedError
from mlpexp.fields.convert import as_plain
from mlpexp.run.results import Results
from mlpexp.training.prepare import prepare

# The settings of dataset=table that hold; the others say where rows lie and how these are split.
_SETTINGS = ("columns", "ignore", "scale", "target_transform", "val_fraction")
_PATH = "X"
# What `fit` says itself.
_PLACES = ("dataset=table", f"dataset.path={_PATH}")


class _Estimator(BaseEstimator):
    """What `Classifier` and `Regressor` share."""

    def __init__(
        self, overrides: Sequence[str] = (), *, validation_fraction: float | None = None, random_state: Any = None
    ) -> None:
        self.overrides = overrides
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _targets(self, y: Any) -> tuple[np.ndarray, Task]:
        """Classes [N] as whole numbers, or values [N, T], and what is to be learned."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Trains a new network on rows X [N, F], an array or a data frame, and their targets y.

        `sample_weight` [N] is how much each row counts, as dataset.weight has it: 0 is as if the row were not there.
        ConfigError, a ValueError, where the overrides or the data are wrong; DivergedError.
        """
        frame = self._frame(X, reset=True, no_target=y is None)
        weight = None
        if sample_weight is not None:
            check_consistent_length(frame, y)
            weight = _check_sample_weight(sample_weight, frame, dtype=np.float64, ensure_non_negative=True)
            in_use = weight > 0
            frame, y, weight = frame.filter(in_use), np.asarray(y)[in_use], weight[in_use]
        targets, task = self._targets(y)
        check_consistent_length(frame, targets)
        config, dataset = self._config(len(frame))
        share = self._share(config)
        groups = targets if task.classes else np.zeros(len(targets), dtype=np.int64)
        train, val = _split(groups, share, np.random.default_rng(config.seed))
        if not hasattr(X, "columns"):
            # Whatever the numbers of an array look like, such as dates or a count of the rows.
            numbers = {name: "number" for name in frame.columns if name not in dataset.ignore}
            dataset = replace(dataset, columns=type(dataset.columns)({**numbers, **dataset.columns}))
        columns, raw = fitted_columns(from_frame(frame, "X"), dataset, torch.from_numpy(train))
        known = Preprocessing(tuple(columns), *_outputs(targets[train], task, dataset))
        # A copy: rows that are mapped into memory cannot be written, and torch has no such tensors.
        y_all = torch.tensor(targets) if task.classes else known.targets(torch.tensor(targets))
        of_rows = None if weight is None else torch.from_numpy(weight / weight[train].mean()).float()
        every = Split(known.inputs(raw), y_all, of_rows)
        learned, judged = (every.of(torch.from_numpy(part)) for part in (train, val))
        # Where the last epoch counts, its evaluation on one row is as good as any.
        judged = judged if len(val) else learned.sample(1)
        data = Data("X", task, learned, judged, judged, known)
        self._names = frame.columns
        self._results, self.history_ = _trained(config, data, best=bool(len(val)))
        self.n_iter_ = len(self.history_)
        return self

    def _frame(self, x: Any, *, reset: bool, no_target: bool = False) -> pl.DataFrame:
        """Checked rows; the columns of an array are named x1, x2 …"""
        # scikit-learn has a message of its own for a target that is not there.
        y = None if no_target else "no_validation"
        if hasattr(x, "columns"):
            validate_data(self, x, y, reset=reset, skip_check_array=True)
            return polars_of(x, "X")
        array = validate_data(self, x, y, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        return pl.DataFrame(array, schema=[f"x{number}" for number in range(1, array.shape[1] + 1)])

    def _config(self, n_rows: int) -> tuple[Config, Table]:
        """The config for so many rows, and its dataset: how columns become inputs."""
        given = self.overrides
        if isinstance(given, str) or not all(isinstance(override, str) for override in given):
            raise ConfigError(f"overrides={given!r}: must be a list of texts, such as ['epochs=20'].")
        others = [override for override in given if override.startswith("dataset=") and override != "dataset=table"]
        if others:
            raise ConfigError(f"{others[0]}: an estimator learns from the rows that fit is given; leave it out.")
        suit = suited(n_rows)
        first = ["dataset=table", f"dataset.path={_PATH}"]
        first += [f"dataset.recommended.{name}={getattr(suit, name)}" for name in ("epochs", "batch_size")]
        config = compose([*first, *(override for override in given if override != "dataset=table")])
        dataset = config.dataset
        if not isinstance(dataset, Table):
            raise ConfigError("experiment: brings a dataset; an estimator learns from the rows that fit is given.")
        plain = Table(path=_PATH)
        names = [entry.name for entry in fields(Table) if entry.name not in (*_SETTINGS, "recommended")]
        strange = [name for name in names if getattr(dataset, name) != getattr(plain, name)]
        if strange:
            allowed = ", ".join(f"dataset.{name}" for name in _SETTINGS)
            raise ConfigError(*(f"dataset.{name}: is not for an estimator; {allowed} are." for name in strange))
        if self.random_state is None:
            return config, dataset
        state = self.random_state
        if not isinstance(state, int | np.integer):
            state = check_random_state(state).randint(np.iinfo(np.int32).max)
        return replace(config, seed=int(state)), dataset

    def _share(self, config: Config) -> float | None:
        """The share of the rows to validate with; None where all rows are training rows."""
        share = self.validation_fraction
        if share is not None:
            if not (isinstance(share, float) and 0 < share < 1):
                raise ConfigError(f"validation_fraction={share!r}: must be None or a float between 0 and 1.")
            return share
        watched = config.scheduler.needs_metric or any(isinstance(part, EarlyStopping) for part in config.regularizer)
        watched |= config.calibrate is not None
        said = any(override.startswith("dataset.val_fraction=") for override in self.overrides)
        assert isinstance(config.dataset, Table)
        return config.dataset.val_fraction if watched or said or config.metric is not None else None

    def _answers(self, x: Any) -> np.ndarray:
        """Class probabilities [N, C] or values [N, T]."""
        check_is_fitted(self)
        frame = self._frame(x, reset=False)
        columns = self._results.identity.preprocessing.columns
        if self._results.identity.preprocessing.image_shape is not None:
            return self._results.predict(frame.to_numpy())
        table = from_frame(frame.rename(dict(zip(frame.columns, self._names, strict=True))), "X")
        raw = rows_of(table, columns, complete=False)
        return self._results.predict_raw(_filled(raw, columns))


class Classifier(ClassifierMixin, _Estimator):
    """A network that tells classes apart, as an estimator of scikit-learn's.

    `overrides` are those of `mlpexp train`; of `dataset=table` the keys that say how columns become inputs hold. X is
    an array of numbers or a data frame, with text, dates and missing values too. Nothing is written: a run that is kept
    in a directory gives its estimator as `mlpexp.train(config, directory, data=(X, y)).estimator()`.

    `validation_fraction` is the share of each class's rows that validates; the best epoch's weights are taken. None:
    all rows are training rows and the last epoch's weights are taken, unless the config needs rows to validate with
    (early_stopping, plateau, metric, calibrate) or names dataset.val_fraction. `random_state`: the seed; None: that of
    the config.

    Fitted: `classes_`, `n_features_in_`, `feature_names_in_`, `n_iter_` epochs, and `history_`, a row for each of them.
    """

    def _targets(self, y: Any) -> tuple[np.ndarray, Task]:
        y = column_or_1d(check_array(y, ensure_2d=False, dtype=None, input_name="y"), warn=True)
        check_classification_targets(y)
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ConfigError(f"y: has the one class {self.classes_[0]!s}; at least two are needed.")
        return places.astype(np.int64), Task("classification", tuple(map(str, self.classes_)))

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Class probabilities [N, C], in the order of `classes_`."""
        return self._answers(X)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The most probable class of each row, [N]."""
        places = self._answers(X).argmax(1)
        found: np.ndarray = self.classes_[places]
        return found


class Regressor(RegressorMixin, _Estimator):
    """A network that predicts values, one or several, as an estimator of scikit-learn's; see `Classifier`."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _targets(self, y: Any) -> tuple[np.ndarray, Task]:
        values = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        if values.ndim == 1 or values.shape[1] == 1:
            values = column_or_1d(values, warn=True)[:, None]
            self._one = True
        else:
            self._one = False
        return values, Task("regression", n_values=values.shape[1])

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Values [N], or [N, T] where it was fitted to several, in their own units."""
        values = self._answers(X)
        return values[:, 0] if self._one else values


def of_run(results: Results, config: dict[str, Any], epochs: int) -> Classifier | Regressor:
    """The network of a run as a trained estimator; `config` is that of its record.

    Its parameters are those with which `fit` trains the like on other rows.
    """
    identity = results.identity
    preprocessing = identity.preprocessing
    found: Classifier | Regressor
    share = getattr(parse(config).dataset, "val_fraction", 0.2)
    kind = Classifier if identity.task.classes else Regressor
    found = kind(_refitting(config), validation_fraction=share, random_state=config["seed"])
    if isinstance(found, Classifier):
        found.classes_ = _classes(identity.task.classes)
    else:
        found._one = identity.task.n_values == 1
    found._results = _portable(results)
    found._names = list(preprocessing.names)
    found.n_features_in_ = preprocessing.n_raw
    if found._names != [f"x{number}" for number in range(1, len(found._names) + 1)] and found._names:
        found.feature_names_in_ = np.array(found._names, dtype=object)
    found.n_iter_ = epochs
    return found


def _refitting(config: dict[str, Any]) -> tuple[str, ...]:
    """The overrides of a run without what it says of where its rows lie."""
    own = config["dataset"] if config["dataset"]["name"] == "table" else {}
    dataset = {**as_plain(Table(path=_PATH)), "name": "table", "recommended": config["dataset"]["recommended"]}
    dataset |= {name: own[name] for name in _SETTINGS if name in own}
    kept = [override for override in overrides_of({**config, "dataset": dataset}) if override not in _PLACES]
    # What suits the number of rows is another on other rows.
    given = [override.split("=")[0] for override in kept]
    return tuple(kept) + tuple(f"{key}={config[key]}" for key in ("epochs", "batch_size") if key not in given)


def _classes(names: Sequence[str]) -> np.ndarray:
    """Classes by the names that a run has for them: whole numbers and truth values as such."""
    if all(name in ("True", "False") for name in names):
        return np.array([name == "True" for name in names])
    try:
        whole = [int(name) for name in names]
    except ValueError:
        return np.array(names)
    return np.array(whole) if [str(number) for number in whole] == list(names) else np.array(names)


def _outputs(values: np.ndarray, task: Task, dataset: Table) -> tuple[Any, ...]:
    """The targets of a preprocessing, fitted to the training rows' values [n, T]."""
    if task.classes:
        return (Target("y"),)
    names = ["y"] if task.n_values == 1 else [f"y{number}" for number in range(1, task.n_values + 1)]
    transform = dataset.target_transform
    least = BOUNDS[transform]
    if (values <= least).any():
        raise ConfigError(f"dataset.target_transform={transform}: needs values greater than {least:g}.")
    first, *further = (Target.fit(name, torch.tensor(values[:, at]), transform) for at, name in enumerate(names))
    return first, tuple(further)


def _split(groups: np.ndarray, share: float | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The rows to learn from and those to validate with, the same share of each group, which keeps at least one row."""
    rows = rng.permutation(len(groups)) if share is not None else np.arange(len(groups))
    parts = [rows[:0]]
    for group in np.unique(groups) if share is not None else ():
        own = rows[groups[rows] == group]
        parts.append(own[: min(round(len(own) * (share or 0)), len(own) - 1)])
    val = np.sort(np.concatenate(parts))
    if share is not None and not len(val):
        raise ConfigError(f"validation_fraction={share:g}: leaves no row to validate with; n_samples={len(rows)}.")
    return np.setdiff1d(rows, val), val


def _filled(raw: torch.Tensor, columns: Sequence[Column]) -> torch.Tensor:
    """Raw values [N, R], with the training rows' mean where a number is missing of which they lacked none.

    Of a column scaled by its quantiles their median. A part that a cross-validation learns from may have no holes.
    """
    for at, column in enumerate(columns):
        if isinstance(column, Number | Date) and column.median is None:
            quantiles = getattr(column, "quantiles", ())
            middle = quantiles[len(quantiles) // 2] if quantiles else column.mean
            raw[:, at] = raw[:, at].nan_to_num(middle)
    return raw


def _trained(config: Config, data: Data, *, best: bool) -> tuple[Results, list[Row]]:
    """A network with the weights of its best epoch, or of its last, and its history; nothing is written."""
    prepared = prepare(config, data)
    with runtime_context(config, config.batch_size * prepared.n_linear_parameters) as device:
        engine = Engine([config], data, device)
        history = [row for rows in engine.epochs() for row in rows]
        (member,) = engine.members
        if member.failure is not None:
            raise DivergedError(f"{member.failure}.")
        module = engine.best_network(0) if best else engine.stack.member(0)
        results = Results.of(module, data, engine.objective.member(0), engine.stack.bf16)
        return _portable(results.calibrated() if config.calibrate else results), history


def _portable(results: Results) -> Results:
    """What predicts, on the CPU and without data: it is pickled as it is."""
    known = Identity(results.task, results.identity.preprocessing)
    return replace(results, module=copy.deepcopy(results.module).cpu(), identity=known, read=_no_data)


def _no_data() -> Data:
    raise ConfigError("an estimator keeps no data.")
