"""The exhibits of the notebook in its order, each with the command that makes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Experiment:
    """A sweep, `mlpexp train experiment=NAME`; what it shows stands in its own YAML."""

    name: str


@dataclass(frozen=True)
class Command:
    """A command that draws a picture, or prints what is to be shown; `words` are those behind `mlpexp`."""

    name: str
    title: str
    shows: str
    words: tuple[str, ...]


Exhibit = Experiment | Command

# The page of all exhibits, in their directory.
PAGE = "report.html"

EXHIBITS: tuple[Exhibit, ...] = (
    Experiment("gates"),
    Experiment("xor"),
    Experiment("linear_collapse"),
    Command(
        "plot_activations",
        "Activation functions",
        "Functions and the derivatives that autograd finds. That of the sigmoid is at most 1/4: over ten layers a "
        "gradient shrinks by a factor of a million at least.",
        ("plot", "activations", "activation=sigmoid,tanh,relu,leaky_relu,gelu,silu"),
    ),
    Experiment("vanishing_gradients"),
    Command(
        "losses",
        "Loss functions",
        "What a network is trained to make small, for regression and for classification.",
        ("list", "loss"),
    ),
    Command(
        "plot_optimizers",
        "Optimizers on a quadratic function",
        "The notebook's x² + 10y², ten times as steep in one direction as in the other: gradient descent must be slow "
        "in one to be stable in the other, momentum overshoots, Adam takes steps of one size in both.",
        ("plot", "optimizers", "optimizer=sgd,momentum,adam"),
    ),
    Experiment("optimizers"),
    Experiment("overfitting"),
    Experiment("dropout"),
    Experiment("batchnorm"),
    Experiment("weight_decay"),
    Command(
        "plot_dataset",
        "MNIST",
        "Samples of each class of the training split, and how many each split holds.",
        ("plot", "dataset", "dataset=mnist"),
    ),
    Experiment("mnist"),
    Experiment("activations"),
    Command(
        "plot_schedulers",
        "Learning-rate schedules, simulated",
        "The rate of each step of ten epochs, without any training; plateau waits for a loss that no longer falls.",
        ("plot", "schedulers", "scheduler=none,step,cosine,plateau", "optimizer.lr=0.01", "epochs=10"),
    ),
    Experiment("schedules"),
    Experiment("early_stopping"),
    Experiment("inits"),
    Experiment("gradient_clipping"),
    Command(
        "lr_find",
        "The learning-rate finder",
        "One step at each of 300 rising rates, over four seeds: the loss falls fastest where the rate is good, and "
        "rises where it is too large. A thirtieth of the rate at which training diverges is the one to begin with.",
        ("lr-find", "dataset=mnist", "optimizer=sgd", "model.hidden=[256,256]"),
    ),
    Experiment("label_smoothing"),
)
