"""What a sweep shows when it has ended: text, figures, and claims that are tested on its runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlpexp.config.measure import parse_measure
from mlpexp.config.metric import check_tag
from mlpexp.errors import ConfigError
from mlpexp.fields.convert import show

FigureName = Literal[
    "learning_curves",
    "train_and_val",
    "decision_boundaries",
    "fitted_curves",
    "gradients_by_layer",
    "gradient_norms",
    "learning_rates",
    "reliability",
    "interactions",
]


@dataclass(frozen=True)
class Claim:
    """A statement about settings, as a bound on a number: measure(of), less measure(minus) where that is given."""

    says: str
    """The claim as a sentence."""
    measure: str
    """The number, such as accuracy/test, last loss/val, or epochs until accuracy/val >= 0.9; see config/measure.py."""
    of: str = ""
    """The setting claimed about, named by enough of its keys, such as activation=relu; empty: the only one."""
    minus: str | None = None
    """The setting whose number is subtracted, named likewise; null: none."""
    at_least: float | None = None
    """The bound: the number is ≥ this."""
    at_most: float | None = None
    """The bound: the number is ≤ this."""
    above: float | None = None
    """The bound: the number is > this."""
    below: float | None = None
    """The bound: the number is < this."""
    in_each: bool = False
    """true: the claim is about each seed that was tried; false: about the mean over all possible seeds."""
    outcomes: tuple[float, ...] | None = None
    """The two values of a measure that has only two: the interval of its mean is then exact. null: it has more."""

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.at_least, self.at_most, self.above, self.below) if bound is not None]
        if len(bounds) != 1:
            raise ConfigError("at_least: one of at_least, at_most, above and below is required, and only one.")
        if self.outcomes is not None and (len(self.outcomes) != 2 or self.outcomes[0] == self.outcomes[1]):
            raise ConfigError(f"outcomes={show(self.outcomes)}: must be two different numbers, such as [0.75,1.0].")
        # A mistake in it is reported before the sweep trains.
        parse_measure(self.measure)


@dataclass(frozen=True)
class Report:
    """`report` in a config, which `mlpexp compare` and `mlpexp report` read from the runs too."""

    title: str = ""
    """Heading of the report."""
    shows: str = ""
    """What the sweep is to show, in a paragraph."""
    metric: str | None = None
    """What ranks the settings, such as loss/val; null: the config's own metric on the test split."""
    baseline: str | None = None
    """The setting that the others are compared with, such as activation=relu; null: the best."""
    figures: tuple[FigureName, ...] = ()
    """Figures of the sweep, besides that of the settings' scores."""
    claims: tuple[Claim, ...] = ()
    """Claims that are tested on the sweep's runs."""

    def __post_init__(self) -> None:
        if self.metric is not None:
            check_tag(self.metric)
