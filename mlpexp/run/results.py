"""The results of a trained network: metrics of every split, and the predictions of the test split row by row.

N test rows, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from mlpexp.data.arrays import raw_rows
from mlpexp.data.dataset import Data, Split
from mlpexp.data.identity import Identity
from mlpexp.data.task import Task
from mlpexp.doctor.measure import constant_outputs, loss_of_constant
from mlpexp.engine.metrics import Answers, metrics, undefined
from mlpexp.engine.objective import Objective, evaluate, outputs_of, train_shares
from mlpexp.engine.rows import Rows, mean, spread
from mlpexp.engine.stack import ModuleStack, Stack
from mlpexp.engine.temperature import fit_temperature
from mlpexp.errors import pluralize

T = TypeVar("T")


@dataclass(frozen=True)
class Results:
    """Of one network, in evaluation mode; its data are read where they are asked for, and predictions need none.

    Class probabilities are those of its outputs divided by the `temperature`, see engine/temperature.py.
    """

    module: nn.Module
    identity: Identity
    objective: Objective
    read: Callable[[], Data]
    bf16: bool = False
    temperature: float = 1.0

    def __repr__(self) -> str:
        n = sum(parameter.numel() for parameter in self.module.parameters())
        return f"<Results: {self.task}, {pluralize(n, 'parameter')} on {self._device}>"

    @staticmethod
    def of(module: nn.Module, data: Data, objective: Objective, bf16: bool = False) -> Results:
        """Of a network on data that lie on its device already."""
        return Results(module, data.identity, objective, lambda: data, bf16)

    @cached_property
    def data(self) -> Data:
        """The data of the run, on the network's device; ConfigError where they are not there or have changed."""
        return self.read().to(self._device)

    @property
    def task(self) -> Task:
        return self.objective.task

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device

    @property
    def _stack(self) -> ModuleStack:
        return ModuleStack(self.module, self.bf16)

    def calibrated(self) -> Results:
        """The same with the temperature that is the best on the validation split."""
        val = self.data.val
        return replace(self, temperature=fit_temperature(self.objective.loss, self.outputs(val), val.y, val.weight))

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """Class probabilities [N, n_classes] of outputs [N, C]."""
        return self.objective.loss.probabilities(outputs / self.temperature)

    def metrics(self) -> dict[str, dict[str, float]]:
        """By split the task's metrics (mlpexp/config/metric.py says what each is); nan where it has none."""
        return judged(self._stack, [self.data], self.objective, [self.temperature])[0]

    def metrics_of(self, split: Split, names: Collection[str] | None = None) -> dict[str, float]:
        """What `metrics` are of one split: all, or those of these `names`."""
        names = self.task.metrics if names is None else names
        return _metrics_of(self._stack, self._rows(split), self.objective, names, [self.temperature])[0]

    def undefined(self) -> dict[str, dict[str, str]]:
        """By split the metrics that it has not, whatever the network, and why."""
        found = {name: undefined(self.task, split.y, f"the {name} split") for name, split in self.data.splits().items()}
        return {name: reasons for name, reasons in found.items() if reasons}

    def outputs(self, split: Split) -> torch.Tensor:
        """Outputs [N, C] for the rows of a split, on the CPU."""
        return outputs_of(self._stack, self._rows(split))[0].cpu()

    def _rows(self, split: Split) -> Rows:
        return Rows(((self.data, split),))

    def confusion(self, split: Split) -> np.ndarray:
        """How many rows of each true class (rows) were taken for each class (columns), [C, C]."""
        n_classes = self.task.n_classes
        predicted = self.objective.loss.predict(self.outputs(split))
        cells = split.y.cpu() * n_classes + predicted
        return torch.bincount(cells, minlength=n_classes**2).view(n_classes, n_classes).numpy()

    def calibration(self, split: Split) -> Calibration:
        """How sure the network is of the classes that it predicts, and how often it is right."""
        probabilities = self.probabilities(self.outputs(split))
        return _calibration(probabilities, split)

    def predict(self, x: Any) -> np.ndarray:
        """Class probabilities [N, C], or values [N, T], both in float64, for inputs [N, F] in the data's own units.

        `x` is an array, or a data frame whose columns are matched by name; of images rows of pixels, channel by
        channel, or [N, H, W] and in colours [N, H, W, 3]. ConfigError where columns are missing or too many, or a
        value is not finite.
        """
        return self.predict_raw(torch.from_numpy(raw_rows(x, self.identity.preprocessing, "predict")))

    def predict_raw(self, raw: torch.Tensor) -> np.ndarray:
        """What `predict` gives, for raw columns [N, R] in the order of the run's own."""
        preprocessing = self.identity.preprocessing
        rows = preprocessing.inputs(raw).to(self._device)
        split = Split(rows, rows[:, :1])
        data = Data("predict", self.task, split, split, split)
        outputs = outputs_of(self._stack, Rows(((data, split),)))[0].cpu()
        if self.task.kind == "classification":
            # In float32 the probabilities of outputs near zero are equal, and the likeliest class would be the first.
            return self.probabilities(outputs.double()).numpy()
        return preprocessing.values(outputs).numpy()


def judged(
    stack: Stack, data: Sequence[Data], objective: Objective, temperatures: Sequence[float]
) -> list[dict[str, dict[str, float]]]:
    """What `Results.metrics` are of each member of a stack on its `data`: all are judged in one pass over a split."""
    found = _by_split(data, lambda rows: _metrics_of(stack, rows, objective, objective.task.metrics, temperatures))
    return [{name: dict(of_members[k]) for name, of_members in found.items()} for k in range(len(stack))]


def _metrics_of(
    stack: Stack, rows: Rows, objective: Objective, names: Collection[str], temperatures: Sequence[float]
) -> list[dict[str, float]]:
    """Those of `names` of each member."""
    task, evaluation = objective.task, evaluate(stack, rows, objective, keep=True)
    assert evaluation.outputs is not None
    found: list[dict[str, float]] = []
    for members, data, split in rows.members(len(stack)):
        outputs, own = evaluation.outputs[members], data.preprocessing.values
        given = Answers.of(outputs, task, objective.loss, own, temperatures[members])
        numbers = {name: values.tolist() for name, values in metrics(given, split.y, names, split.weight).items()}
        numbers |= {"loss": evaluation.loss[members].tolist(), task.score: evaluation.score[members].tolist()}
        if given.probabilities is not None and "calibration_error" in names:
            numbers["calibration_error"] = [_calibration(each, split).error for each in given.probabilities]
        found += [{name: numbers[name][k] for name in names} for k in range(len(outputs))]
    return found


def _calibration(probabilities: torch.Tensor, split: Split) -> Calibration:
    weight = None if split.weight is None else split.weight.cpu().double().numpy()
    return calibration(probabilities.numpy(), split.y.cpu().numpy(), weight=weight)


def _by_split(data: Sequence[Data], of: Callable[[Rows], T]) -> dict[str, T]:
    """What is found of each split, once for splits that are the same rows."""
    rows = Rows.by_split(data)
    found = {id(own): of(own) for own in {id(own): own for own in rows.values()}.values()}
    return {name: found[id(own)] for name, own in rows.items()}


def constant_answer(data: Data) -> list[float]:
    """The answer that is the same for all rows: the share of each class of the training rows, or their mean.

    The mean is that of what the network is to give, such as of ln y, in the target's own units. Both are by weight.
    """
    if data.task.kind == "classification":
        return train_shares(data)
    y, weight = data.train.y.double(), data.train.weight
    middle = mean(y, None if weight is None else weight.double())
    return data.targets_in_own_units(middle[None])[0].tolist()


def constant_metrics(data: Data, objective: Objective) -> dict[str, dict[str, float]]:
    """What `Results.metrics` are of the best answer that is the same for all rows, by split.

    It is fitted to the training rows: see `constant_of`. The loss is that of the outputs with the least training loss.
    """
    answer = constant_answer(data)
    outputs = constant_outputs(data, objective.loss)

    def of(rows: Rows) -> dict[str, float]:
        ((_, split),) = rows.parts
        loss = loss_of_constant(split, data.task, objective.loss, outputs, objective.class_weights[0])
        return {"loss": loss, **constant_of(answer, split, data.identity)}

    found = _by_split([data], of)
    return {name: {metric: own[metric] for metric in data.task.metrics} for name, own in found.items()}


def constant_of(answer: Sequence[float], split: Split, identity: Identity) -> dict[str, float]:
    """The metrics, but the loss, that a `constant_answer` has on a split.

    Of classes the most frequent one is predicted, with the classes' shares as probabilities. The calibration error
    is that of being sure of that class: the shares, a better answer, have almost none, and beside them a network that
    has learned nothing would look well calibrated.
    """
    task, n = identity.task, len(split)
    y, weight = split.y.cpu(), None if split.weight is None else split.weight.cpu().double()
    if task.kind == "classification":
        shares = torch.tensor(answer, dtype=torch.float32)
        predicted = shares.argmax().expand(1, n)
        given = Answers(predicted, shares.expand(1, n, -1))
        right = float(np.average((predicted[0] == y).numpy(), weights=weight))
        numbers = {"accuracy": right, "calibration_error": 1 - right}
    else:
        preprocessing = identity.preprocessing
        value = preprocessing.targets(torch.tensor([answer], dtype=torch.float64)).double()
        given = Answers(values=value.expand(1, n, -1), own=preprocessing.values)
        spread_around = spread(y.double(), mean(y.double(), weight), weight).item()
        errors = spread(y.double(), value, weight).item()
        numbers = {"r2": 1 - errors / spread_around if (y != y[0]).any(0).all() else math.nan}
    return numbers | {name: value.item() for name, value in metrics(given, y, task.metrics, split.weight).items()}


N_BINS = 15  # as in Guo et al.


@dataclass(frozen=True)
class Calibration:
    """Samples binned by confidence, the probability of the predicted class: what a reliability diagram shows.

    `counts` [M] samples a bin; their mean `confidence` [M] and `accuracy` [M], 0 in empty bins.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error Σₘ nₘ/N · |accuracyₘ − confidenceₘ| (Guo et al. 2017, arXiv 1706.04599).

        nan without samples.
        """
        total = self.counts.sum()
        return float((self.counts * np.abs(self.accuracy - self.confidence)).sum() / total) if total else math.nan

    @property
    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean confidence and accuracy of the bins that hold samples."""
        some = self.counts > 0
        return self.confidence[some], self.accuracy[some]

    @staticmethod
    def pooled(parts: Sequence[Calibration]) -> Calibration:
        """That of all samples of several together."""
        counts = np.sum([part.counts for part in parts], 0)
        some = np.where(counts > 0, counts, 1)
        confidence = np.sum([part.counts * part.confidence for part in parts], 0) / some
        accuracy = np.sum([part.counts * part.accuracy for part in parts], 0) / some
        return Calibration(counts, confidence, accuracy)


def calibration(
    probabilities: np.ndarray, true: np.ndarray, n_bins: int = N_BINS, weight: np.ndarray | None = None
) -> Calibration:
    """Bins of equal width for class probabilities [N, C] and true classes [N]; bin m holds (m − 1)/M < p ≤ m/M.

    Samples whose probabilities are no numbers are left out. With a `weight` [N] counts are by weight, of mean 1.
    """
    known = np.isfinite(probabilities).all(1)
    probabilities, true = probabilities[known], true[known]
    if weight is not None:
        weight = weight[known] / weight[known].mean()
    confidence = probabilities.max(1).astype(float)
    right = probabilities.argmax(1) == true
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    counts = np.bincount(bins, weight, n_bins)
    some = np.where(counts > 0, counts, 1)
    each = 1 if weight is None else weight
    return Calibration(
        counts,
        np.bincount(bins, each * confidence, n_bins) / some,
        np.bincount(bins, each * right, n_bins) / some,
    )
