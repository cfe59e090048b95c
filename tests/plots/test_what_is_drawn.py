"""The numbers behind the pictures, against references that know nothing of mlpexp."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from sklearn.datasets import load_digits

from mlpexp.components.activation import LeakyReLU, activations
from mlpexp.components.optimizer import SGD, Momentum, optimizers
from mlpexp.components.scheduler import Plateau, schedulers
from mlpexp.config.compose import compose
from mlpexp.data.dataset import datasets
from mlpexp.errors import ConfigError
from mlpexp.plots import activations as functions
from mlpexp.plots import dataset, schedules
from mlpexp.plots import optimizers as paths
from mlpexp.plots.choices import choose, described
from mlpexp.training.prepare import data_dir


@pytest.mark.parametrize("name", activations)
def test_derivatives_are_the_limit_of_differences(name: str) -> None:
    activation = activations[name]()
    curve = functions.curve(activation)
    step = curve.x[1] - curve.x[0]
    differences = (curve.value[2:] - curve.value[:-2]) / (2 * step)
    # Where the derivative jumps, as at ReLU's kink, no difference comes near it.
    smooth = np.abs(np.diff(curve.derivative, 2)) < 5e-3
    assert smooth.mean() > 0.99
    np.testing.assert_allclose(curve.derivative[1:-1][smooth], differences[smooth], atol=1e-3)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def normal_cdf(x: np.ndarray) -> np.ndarray:
    return np.array([(1 + math.erf(value / math.sqrt(2))) / 2 for value in x])


CLOSED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": lambda x: sigmoid(x) * (1 - sigmoid(x)),
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "silu": lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    "gelu": lambda x: normal_cdf(x) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
    "softsign": lambda x: 1 / (1 + np.abs(x)) ** 2,
    "relu": lambda x: (x > 0).astype(float),
}


@pytest.mark.parametrize("name", CLOSED)
def test_derivatives_in_closed_form(name: str) -> None:
    curve = functions.curve(activations[name]())
    np.testing.assert_allclose(curve.derivative, CLOSED[name](curve.x), atol=1e-12)


def by_hand(lr: float, momentum: float) -> np.ndarray:
    """Gradient descent with momentum on x² + 10y², as its formula says."""
    theta, velocity = np.array([-4.5, 2.0]), np.zeros(2)
    points = [theta]
    for _ in range(100):
        velocity = momentum * velocity + np.array([2.0, 20.0]) * theta
        theta = theta - lr * velocity
        points.append(theta)
    return np.array(points)


@pytest.mark.parametrize(
    ("optimizer", "momentum"), [(SGD(lr=0.03), 0.0), (SGD(lr=0.11), 0.0), (Momentum(lr=0.02, momentum=0.8), 0.8)]
)
def test_paths_are_those_of_the_formula(optimizer: SGD | Momentum, momentum: float) -> None:
    found = paths.path(optimizer)
    expected = by_hand(optimizer.lr, momentum)
    np.testing.assert_allclose(found.points, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.loss, expected[:, 0] ** 2 + 10 * expected[:, 1] ** 2, rtol=1e-9, atol=1e-15)
    assert found.diverged == (optimizer.lr > 0.1)
    assert found.evaluations == 1


def test_a_path_ends_where_the_loss_is_no_number() -> None:
    found = paths.path(SGD(lr=1e6))
    assert len(found.points) < 60
    assert not np.isfinite(found.loss[-1])
    assert found.diverged


def test_every_optimizer_comes_down_at_the_rate_that_suits_it() -> None:
    jobs = choose("optimizer", [], suits=paths.suits).jobs
    assert [optimizers.name_of(job.config.optimizer) for job in jobs] == list(optimizers)
    for job in jobs:
        found = paths.path(job.config.optimizer)
        name = described(optimizers, job.config.optimizer, always="lr")
        assert "lr=" in name
        assert found.loss[-1] < found.loss[0] / 50, name
        # None leaves the frame on its way.
        assert (np.abs(found.points) <= 1.4 * np.abs(paths.START)).all(), name
    assert found.evaluations > 1  # LBFGS is the last


def test_a_rate_that_is_said_wins() -> None:
    (job,) = choose("optimizer", ["optimizer=radam", "optimizer.lr=0.7"], suits=paths.suits).jobs
    assert job.config.optimizer.lr == 0.7


@pytest.mark.parametrize("name", schedulers)
def test_every_schedule_has_a_rate_for_each_step(name: str) -> None:
    rates = schedules.simulate(schedulers[name](warmup=2), lr=0.5, epochs=12, steps_per_epoch=5)
    assert rates.rate.shape == (60,)
    assert 0 < rates.rate.min() < rates.rate.max() <= 0.5
    assert rates.falls_until == (4 if name == "plateau" else None)


def test_plateau_waits_for_its_patience_after_the_loss_has_stopped_falling() -> None:
    rates = schedules.simulate(Plateau(patience=2, factor=0.5), lr=1.0, epochs=9, steps_per_epoch=1)
    # The loss falls in epochs 1 to 3; epochs 4, 5 and 6 are one more than the patience.
    np.testing.assert_allclose(rates.rate, [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5])


def test_steps_are_those_of_the_run_that_train_would_make() -> None:
    figure, _ = schedules.draw(["scheduler=none", "dataset=moons", "dataset.n_samples=100", "epochs=2,3"], None)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["none, epochs=2", "none, epochs=3"]
    # 60 training rows in batches of 32 are two steps.
    assert [np.size(line.get_xdata()) for line in figure.axes[0].lines] == [2 * 2 + 1, 3 * 2 + 1]


@pytest.mark.parametrize(("regularizer", "steps"), [("[]", 2), ("[batchnorm]", 1)])
def test_a_last_batch_of_one_row_is_a_step_where_the_network_can_learn_from_it(regularizer: str, steps: int) -> None:
    # 33 training rows in batches of 32.
    overrides = ["scheduler=none", "dataset=moons", "dataset.n_samples=55", "epochs=2", f"regularizer={regularizer}"]
    figure, _ = schedules.draw(overrides, None)
    assert [np.size(line.get_xdata()) for line in figure.axes[0].lines] == [2 * steps + 1]


def test_class_counts_and_examples() -> None:
    digits = load_digits()
    counts = dataset.count(digits.target, 10)
    np.testing.assert_array_equal(counts, np.unique(digits.target, return_counts=True)[1])
    for k, rows in enumerate(dataset.examples(digits.target, 12, 10)):
        assert len(set(rows.tolist())) == (10 if k < 10 else 0)
        assert (digits.target[rows] == k).all()
    assert [rows.tolist() for rows in dataset.examples(np.array([1, 0, 1]), 2, 10)] == [[1], [0, 2]]


@pytest.mark.parametrize("name", [name for name in datasets if name not in ("table", "mnist")])
def test_every_dataset_has_a_figure_that_counts_it(name: str, made: Callable[[str], list[str]]) -> None:
    config = compose([f"dataset={name}", *made(name)])
    data = config.dataset.load(data_dir(config))
    figure = dataset.figure_of(data)
    assert data.name in figure.texts[0].get_text()
    if data.task.classes:
        bars = [bar.get_width() for bar in figure.axes[-1].patches if isinstance(bar, Rectangle)]
        splits = list({id(split): split for split in data.splits().values()}.values())
        assert bars == [n for split in splits for n in np.bincount(split.y.numpy()).tolist()]


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_images_are_drawn_as_they_are(name: str, made: Callable[[str], list[str]]) -> None:
    config = compose([f"dataset={name}", *made(name)])
    data = config.dataset.load(data_dir(config))
    assert data.image_shape is not None
    images = data.train.x.view(-1, *data.image_shape).permute(0, 2, 3, 1).squeeze(-1)
    known = {image.numpy().tobytes() for image in images}
    drawn = dataset.figure_of(data).axes[0].images
    assert len(drawn) == 100
    assert all(np.asarray(image.get_array()).tobytes() in known for image in drawn)


def test_described_says_what_is_not_as_usual() -> None:
    assert described(activations, LeakyReLU()) == "leaky_relu"
    assert described(activations, LeakyReLU(0.25)) == "leaky_relu, negative_slope=0.25"
    assert described(optimizers, SGD(lr=0.1)) == "sgd, lr=0.1"


def test_parameters_that_only_some_have() -> None:
    choice = choose("activation", ["activation.negative_slope=0.1,0.3"])
    assert [described(activations, job.config.activation) for job in choice.jobs] == [
        "leaky_relu, negative_slope=0.1",
        "leaky_relu, negative_slope=0.3",
    ]
    others = ", ".join(sorted(activations.keys() - {"leaky_relu"}))
    assert choice.notes == [f"left out, as they have no negative_slope: {others}"]
    with pytest.raises(ConfigError, match="did you mean 'negative_slope'"):
        choose("activation", ["activation.negative_slop=0.1"])
