"""What a trained network predicts, and what its figures say of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import mlpexp
from mlpexp.config.compose import compose
from mlpexp.figures.boundary import grid
from mlpexp.run.pictures import pictures, points


def test_an_undecided_perceptron_has_a_straight_boundary(tmp_path: Path) -> None:
    """XOR drives a perceptron's outputs to zero, where probabilities in float32 are 0.5 for both classes."""
    quiet = ["log.figures=false", "log.tensorboard=false"]
    run = mlpexp.train(compose(["dataset=xor", "model=perceptron", "epochs=1", *quiet]), tmp_path / "run")
    results = run.results
    (layer,) = [module for module in results.module.modules() if isinstance(module, torch.nn.Linear)]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2e-8, 1e-8]]))
        layer.bias.fill_(-1.1e-8)
    at = grid(points(results.data))
    inputs = results.identity.preprocessing.inputs(torch.from_numpy(at)).numpy()
    second = inputs @ [2, 1] > 1.1
    assert 0 < second.mean() < 1
    assert (results.predict(at).argmax(1) == second).all()
    panel = dict(pictures(results, None, 1, None))["decision_boundary"].figure().axes[0]
    (contour,) = [found for found in panel.collections if found.get_paths() and np.allclose(found.get_linewidth(), 1.4)]
    x, y = np.concatenate([np.asarray(path.vertices) for path in contour.get_paths()]).T
    slope, start = np.polyfit(y, x, 1)
    assert np.abs(slope * y + start - x).max() < 1e-4


def test_the_best_epoch_stands_beside_the_value_that_picked_it(tmp_path: Path) -> None:
    history = {name: [0.5, 0.25] for name in ("loss/train", "loss/val", "accuracy/train", "accuracy/val", "lr")}
    history |= {"epoch": [1, 2], "macro_f1/val": [0.5, 0.75]}
    quiet = ["dataset=xor", "epochs=1", "log.figures=false", "log.tensorboard=false"]
    results = mlpexp.train(compose(quiet), tmp_path / "run").results
    said = {}
    for metric in (None, "loss", "macro_f1", "mcc"):
        picture = dict(pictures(results, history, 2, metric))["curves"]
        (legend,) = picture.figure().legends
        (said[metric],) = [text.get_text() for text in legend.get_texts() if "best" in text.get_text()]
    assert said == {
        None: "best epoch: 2 (val accuracy 25.00 %)",
        "loss": "best epoch: 2 (val loss 0.25)",
        "macro_f1": "best epoch: 2 (val macro-F1 0.7500)",
        "mcc": "best epoch: 2 (val MCC)",
    }
