"""What networks are judged by, computed for all members at once.

K members, N rows, C classes.

scikit-learn has all of it, but takes 1.2 s to import, which is more than a small run takes to train, and judges one
network at a time. So it is computed with torch, and tests hold it to scikit-learn's functions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mlpexp.components.loss import Loss
from mlpexp.data.task import Task


@dataclass(frozen=True)
class Answers:
    """What K networks say of N rows, on the CPU: the predicted class [K, N] and probabilities [K, N, C]; or values.

    `values` [K, N, T] are those of regression; `own` gives values [N, T] in the targets' own units.
    """

    predicted: Tensor | None = None
    probabilities: Tensor | None = None
    values: Tensor | None = None
    own: Callable[[Tensor], Tensor] = Tensor.double

    @staticmethod
    def of(
        outputs: Tensor,
        task: Task,
        loss: Loss,
        own: Callable[[Tensor], Tensor] = Tensor.double,
        temperatures: Sequence[float] = (1.0,),
    ) -> Answers:
        """What outputs [K, N, C] stand for, as `predict` gives it: in float32; `temperatures` are of each or of all."""
        outputs = outputs.cpu()
        if task.kind == "regression":
            return Answers(values=outputs, own=own)
        k, n = outputs.shape[:2]
        scaled = outputs / outputs.new_tensor(temperatures).view(-1, 1, 1)
        return Answers(loss.predict(outputs), loss.probabilities(scaled.flatten(0, 1)).view(k, n, -1))


def undefined(task: Task, y: Tensor, rows: str) -> dict[str, str]:
    """The metrics that rows with the targets y have not, and why; `rows` names them: `the val split`."""
    if task.kind == "regression":
        return {} if (y != y[0]).any(0).all() else {"r2": f"the targets of {rows} do not vary"}
    counts = torch.bincount(y.cpu(), minlength=task.n_classes)
    missing = [name for name, count in zip(task.classes, counts.tolist(), strict=True) if not count]
    if not missing:
        return {}
    of = f"class {missing[0]}" if len(missing) == 1 else f"{len(missing)} of the {task.n_classes} classes"
    return {"roc_auc": f"{rows} has no row of {of}"}


def metrics(answers: Answers, y: Tensor, names: Collection[str], weight: Tensor | None = None) -> dict[str, Tensor]:
    """Those of `names` that are computed here, [K] each in float64, for true classes [N] or values [N, T].

    `weight` [N], greater than 0, is how much each row counts: scikit-learn's sample_weight.
    Of several values RMSE and MAE are the means of theirs, as scikit-learn has it. A metric is nan where it is
    `undefined`, or the answers are not finite.
    """
    y, weight = y.cpu(), None if weight is None else weight.cpu().double()
    found: dict[str, Tensor] = {}
    if answers.values is not None:
        errors = answers.own(answers.values.flatten(0, 1)).view(answers.values.shape) - answers.own(y)
        squared, absolute = _mean(errors.square(), weight), _mean(errors.abs(), weight)
        found = {"rmse": squared.sqrt().mean(1), "mae": absolute.mean(1)}
    if answers.predicted is not None and answers.probabilities is not None:
        found = _of_classes(answers.predicted, y, answers.probabilities.shape[-1], weight)
        found |= _of_probabilities(answers.probabilities, y, weight)
        if "roc_auc" in names:
            found["roc_auc"] = roc_auc(answers.probabilities, y, weight)
    return {name: value for name, value in found.items() if name in names}


def _mean(numbers: Tensor, weight: Tensor | None) -> Tensor:
    """Of [K, N, ...] over rows: [K, ...]."""
    if weight is None:
        return numbers.mean(1)
    return torch.tensordot(numbers.double(), weight, ([1], [0])) / weight.sum()


def _of_classes(predicted: Tensor, y: Tensor, n_classes: int, weight: Tensor | None) -> dict[str, Tensor]:
    """From how many rows, by weight, each class has (t), is predicted of (p), and both (h): [C], [K, C] and [K, C].

    balanced accuracy: mean of h/t over the classes with t > 0. macro-F1: mean of 2h/(t + p) over those with t + p > 0.
    MCC (Gorodkin 2004): (N·Σh − Σtp) / √((N² − Σp²)(N² − Σt²)), 0 where that is 0/0.
    """
    k = len(predicted)
    member = torch.arange(k)[:, None] * n_classes
    n = float(len(y)) if weight is None else weight.sum()
    of_cells = None if weight is None else weight.expand(k, -1)

    def counted(there: Tensor) -> Tensor:
        weights = None if of_cells is None else of_cells[there]
        return torch.bincount((member + predicted)[there], weights, k * n_classes).view(k, n_classes).double()

    t, p = torch.bincount(y, weight, n_classes).double(), counted(torch.ones_like(predicted, dtype=torch.bool))
    h = counted(predicted == y)
    there, either = t > 0, t + p > 0
    covariance = n * h.sum(1) - p @ t
    variances = (n**2 - p.square().sum(1)) * (n**2 - t.square().sum())
    return {
        "balanced_accuracy": (h / t)[:, there].mean(1),
        "macro_f1": torch.where(either, 2 * h / (t + p), 0.0).sum(1) / either.sum(1),
        "mcc": torch.where(variances > 0, covariance / variances.sqrt(), 0.0),
    }


def _of_probabilities(probabilities: Tensor, y: Tensor, weight: Tensor | None) -> dict[str, Tensor]:
    """Log loss, with probabilities kept an ε of their own precision from 0 and 1, and Brier score."""
    epsilon = torch.finfo(probabilities.dtype).eps
    of_true = probabilities[:, torch.arange(len(y)), y]
    squares = probabilities.double().square().sum(2) - 2 * of_true.double() + 1
    return {
        "log_loss": -_mean(of_true.clamp(epsilon, 1 - epsilon).double().log(), weight),
        # Of two classes both errors are the same, and one of them counts (Brier 1950 has both).
        "brier": _mean(squares, weight) / (2 if probabilities.shape[-1] == 2 else 1),
    }


def roc_auc(probabilities: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """[K]: of two classes that of the second; of more the mean over classes of one against the rest.

    Of all pairs of a row of the class and one of another, the share in which the former's probability is greater, ties
    counted half (Mann and Whitney 1947); a pair has the product of its rows' weights.
    """
    n_classes = probabilities.shape[-1]
    of_classes = [1] if n_classes == 2 else range(n_classes)
    if weight is None:
        found = [_ranked_right(probabilities[..., c].contiguous(), y == c) for c in of_classes]
    else:
        found = [_ranked_right_by_weight(probabilities[..., c], y == c, weight) for c in of_classes]
    known = probabilities.isfinite().all(2).all(1)
    return torch.where(known, torch.stack(found).mean(0), torch.nan)


def _ranked_right(scores: Tensor, positive: Tensor) -> Tensor:
    """[K] of scores [K, N], for rows [N] of the class."""
    # numpy sorts ten times as fast as torch, and sorted values are found in one another faster.
    of_class, others = (
        torch.from_numpy(np.sort(scores.index_select(1, rows.nonzero()[:, 0]).numpy(), 1))
        for rows in (positive, ~positive)
    )
    below = torch.searchsorted(others, of_class) + torch.searchsorted(others, of_class, right=True)
    # Without a row on either side 0/0 is nan.
    return below.double().sum(1) / (2 * of_class.shape[1] * torch.tensor(float(others.shape[1])).double())


def _ranked_right_by_weight(scores: Tensor, positive: Tensor, weight: Tensor) -> Tensor:
    """The same where rows count by weight [N]."""
    of_class = scores[:, positive].contiguous()
    others, order = scores[:, ~positive].sort(1)
    # The weights of the first i of the others, from i = 0 on.
    up_to = torch.nn.functional.pad(weight[~positive][order].cumsum(1), (1, 0))
    below = up_to.gather(1, torch.searchsorted(others, of_class))
    below += up_to.gather(1, torch.searchsorted(others, of_class, right=True))
    return (weight[positive] * below).sum(1) / (2 * weight[positive].sum() * weight[~positive].sum())
