"""What a sweep is to show when it has ended: in words, in figures, and by claims that its runs are held to."""

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
]


@dataclass(frozen=True)
class Claim:
    """What is said of settings, as a bound on a number: measure(of), less measure(minus) where that is given.

    `of` and `minus` name settings by enough of their keys, as `--baseline` does; an empty `of` means the only one.
    `measure` is a metric such as accuracy/test, or what config/measure.py describes of a run's history. The claim is
    about the mean over all seeds that could be tried or, `in_each`, about each seed that was. `outcomes` are the two
    values that the measure can have, where there are two only: the interval of their mean is then exact.
    """

    says: str
    measure: str
    of: str = ""
    minus: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    in_each: bool = False
    outcomes: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.at_least, self.at_most, self.above, self.below) if bound is not None]
        if len(bounds) != 1:
            raise ConfigError("at_least: one of at_least, at_most, above and below is required, and only one.")
        if self.outcomes is not None and (len(self.outcomes) != 2 or self.outcomes[0] == self.outcomes[1]):
            raise ConfigError(f"outcomes={show(self.outcomes)}: must be two different numbers, such as [0.75,1.0].")
        # A mistake in it is to be found before the sweep trains.
        parse_measure(self.measure)


@dataclass(frozen=True)
class Report:
    """What the end of a sweep tells besides its table; `mlpexp compare` and `mlpexp report` read it from the runs.

    `metric` ranks the settings in place of the score on the test split; `baseline` is the setting that the others are
    compared with in place of the best.
    """

    title: str = ""
    shows: str = ""
    metric: str | None = None
    baseline: str | None = None
    figures: tuple[FigureName, ...] = ()
    claims: tuple[Claim, ...] = ()

    def __post_init__(self) -> None:
        if self.metric is not None:
            check_tag(self.metric)
