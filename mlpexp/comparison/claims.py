"""Testing claims against the results of runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from mlpexp.comparison.measure import measured
from mlpexp.comparison.repetition import Repetition
from mlpexp.comparison.runs import Repeat
from mlpexp.comparison.statistics import LEVEL, difference, estimate, has_spread, share_interval, skewness
from mlpexp.comparison.summary import Summary, find_setting
from mlpexp.config.measure import BestWeights, Measure, parse_measure
from mlpexp.config.metric import METRICS
from mlpexp.config.report import Claim
from mlpexp.errors import ConfigError

# Metrics are computed in 32 bits.
_RESOLUTION = 1e-6
# Samples of ten normal values are this skewed in one case of ten.
_SKEWED = 1.0
# The rate at which false claims about a mean are called true: the errors of an interval on one side.
_FALSE = (1 - LEVEL) / 2

Verdict = Literal["holds", "does not hold", "undecided", "in each seed", "in some seeds", "in no seed", "not tested"]


@dataclass(frozen=True)
class Judgement:
    """The verdict on a claim, the evidence in numbers, and their assumptions."""

    claim: Claim
    verdict: Verdict
    evidence: str
    caution: str = ""

    @property
    def details(self) -> str:
        return f"{self.evidence}; {self.caution}" if self.caution else self.evidence

    @property
    def words(self) -> str:
        """The whole of it in a line."""
        return f"{self.verdict}: {self.claim.says} ({self.details})"


def evaluate_claim(claim: Claim, summaries: Sequence[Summary]) -> Judgement:
    """What the runs of a sweep say of a claim.

    A claim about a mean holds where the whole 95 % confidence interval keeps to its bound: over seeds, or over pairs
    of runs with the same seed where two settings are compared. It does not hold where the whole interval lies beyond;
    what is in between is undecided, and so are values without spread, which have no interval. The interval is
    Student's, for values that are near normal, or the exact one of a share where the claim names two `outcomes`. Of
    false claims 2.5 % at most hold by chance then. With 4 to 10 seeds they are 10 to 11 % where values are
    exponential, 16 to 18 % where they are log-normal (σ = 1), and 66 to 35 % where one seed in ten fails
    (benchmarks/verdicts.py). So few values seldom show it: the caution names the assumption.

    A claim about each seed is "in each seed", "in some seeds" or "in no seed", which says what was seen. What share
    of all seeds keeps to the bound has an exact interval.

    A claim is not tested where these runs are not of the settings that it speaks of. It stays undecided where runs
    that diverged are left out, or have no value of its measure: its other seeds alone decide nothing.
    """
    measure = parse_measure(claim.measure)
    try:
        settings = [_setting(summaries, words) for words in (claim.of, claim.minus) if words is not None]
    except ConfigError as error:
        return Judgement(claim, "not tested", str(error))
    found = [_values(measure, setting) for setting in settings]
    if claim.outcomes is not None and (strange := _strange(claim.outcomes, found)) is not None:
        return Judgement(claim, "not tested", f"{measure.expression} is {strange:g}, none of outcomes={claim.outcomes}")
    # Numbers of the training history are measured on training or validation rows.
    metric = measure.metric if isinstance(measure, BestWeights) else METRICS["loss/val"]
    shared = max((setting.repetition(metric) for setting in settings), key=lambda one: one.overlap)
    if len(found) == 1:
        judgement = _of_one(claim, measure, found[0], shared)
    else:
        judgement = _of_two(claim, measure, found[0], found[1], shared)
    n_lost = sum(_lost(setting, values) for setting, values in zip(settings, found, strict=True))
    if n_lost and judgement.verdict != "not tested":
        evidence = f"{judgement.evidence}; without {n_lost} that diverged"
        return Judgement(claim, "undecided", evidence)
    return judgement


def by_chance(judgements: Sequence[Judgement]) -> str | None:
    """How many of the claims about means would hold by chance; None where there is no more than one."""
    n = sum(judgement.verdict != "not tested" and not judgement.claim.in_each for judgement in judgements)
    if n < 2:
        return None
    return (
        f"Of {n} claims about means, {n * _FALSE:.2g} would hold by chance if all were just false "
        f"({100 * _FALSE:g} % of them; more where values are skewed)."
    )


def _setting(summaries: Sequence[Summary], words: str) -> Summary:
    if words:
        return find_setting(summaries, words, "claim: ")
    if len(summaries) > 1:
        raise ConfigError(f"claim: speaks of all runs, and these are of {len(summaries)} settings.")
    return summaries[0]


def _values(measure: Measure, summary: Summary) -> dict[Repeat, float]:
    """The measure by seed, of the runs that have it; those that diverged count as a constant answer."""
    found = {run.repeat: measured(measure, run) for run in summary.counted}
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def _lost(setting: Summary, values: dict[Repeat, float]) -> int:
    """How many runs of the setting diverged and are in no value."""
    return sum(run.repeat not in values for run in setting.diverged)


def _strange(outcomes: Sequence[float], found: Sequence[dict[Repeat, float]]) -> float | None:
    """A value that differs from both outcomes; None where there is no such value."""
    values = [value for by_seed in found for value in by_seed.values()]
    return next((value for value in values if not any(_same(value, outcome) for outcome in outcomes)), None)


def _same(value: float, other: float) -> bool:
    return math.isclose(value, other, rel_tol=_RESOLUTION, abs_tol=_RESOLUTION)


def _of_one(claim: Claim, measure: Measure, by_seed: dict[Repeat, float], shared: Repetition) -> Judgement:
    values = list(by_seed.values())
    found = estimate(values, overlap=shared.overlap, exact=False)
    if found is None:
        return Judgement(claim, "not tested", f"no run has a value of {measure.expression}")
    asked = f"asked for {_asked(claim, measure.shown)}"
    over = shared.over(found.n)
    if claim.in_each:
        return _in_each(claim, values, f"{measure.expression}: {_range(values, measure.shown)} {over}, {asked}")
    mean = f"{measure.expression}: {measure.shown(found.mean)}"
    if claim.outcomes is not None:
        low, high = _exact(claim.outcomes, values, LEVEL)
        interval = f" (95 % CI {measure.shown(low)} to {measure.shown(high)})"
        return Judgement(claim, _verdict(claim, (low, high)), f"{mean}{interval} {over}, {asked}", _EXACT)
    if not has_spread(values):
        alike = ", all alike" if found.n > 1 else ""
        return Judgement(claim, "undecided", f"{mean} {over}{alike}, {asked}")
    assert found.half_width is not None
    evidence = f"{mean} ± {measure.shown(found.half_width)} {over}, {asked}"
    return _by_student(claim, evidence, found.interval, values)


def _of_two(
    claim: Claim, measure: Measure, values: dict[Repeat, float], others: dict[Repeat, float], shared: Repetition
) -> Judgement:
    seeds = sorted(values.keys() | others.keys())
    samples = [[every.get(seed, math.nan) for seed in seeds] for every in (values, others)]
    found = difference(samples[0], samples[1], overlap=shared.overlap)
    if found.mean is None:
        return Judgement(claim, "not tested", "the settings share no seed")
    shown = partial(measure.shown, difference=True)
    asked = f"asked for {_asked(claim, shown)}"
    pairs = {seed: values[seed] - others[seed] for seed in values.keys() & others.keys()}
    if claim.in_each:
        differences = list(pairs.values())
        if not differences:
            return Judgement(claim, "not tested", "the settings share no seed")
        size = f"a difference of {_range(differences, shown)} over {len(pairs)} pairs"
        return _in_each(claim, differences, f"{measure.expression}: {size}, {asked}")
    samples = [list(every.values()) for every in (values, others)]
    over = f"{found.n} against {found.n_reference} seeds, unpaired"
    if found.paired:
        samples = [[every[seed] for seed in pairs] for every in (values, others)]
        over = f"{found.n} pairs{shared.where}"
    means = " against ".join(measure.shown(math.fsum(sample) / len(sample)) for sample in samples)
    interval = found.interval if found.case == "tested" else None
    if claim.outcomes is not None:
        # Each at half the error rate: both are then right in at least 95 % of sweeps, whatever their dependence.
        (low, high), (least, most) = (_exact(claim.outcomes, sample, (1 + LEVEL) / 2) for sample in samples)
        interval = low - most, high - least
    spread = "" if interval is None else f" (95 % CI {shown(interval[0])} to {shown(interval[1])})"
    evidence = f"{measure.expression}: {means}, a difference of {shown(found.mean)}{spread} over {over}, {asked}"
    if claim.outcomes is not None:
        return Judgement(claim, _verdict(claim, interval), evidence, _EXACT)
    if found.paired:
        return _by_student(claim, evidence, interval, list(pairs.values()))
    return _by_student(claim, evidence, interval, *samples)


_EXACT = "exact interval of two outcomes"
_NORMAL = "values taken as normal"


def _by_student(
    claim: Claim, evidence: str, interval: tuple[float, float] | None, *samples: Sequence[float]
) -> Judgement:
    """The verdict from an interval that assumes normal values, and what contradicts the assumption."""
    verdict = _verdict(claim, interval)
    if verdict == "undecided":
        return Judgement(claim, verdict, evidence)
    caution = _NORMAL
    if any(len(sample) > 2 and len(set(sample)) == 2 for sample in samples):
        caution = f"caution: {_NORMAL}, but there are only two: where no others are possible, name them as outcomes"
    elif any(abs(skewness(sample)) > _SKEWED for sample in samples):
        caution = f"caution: {_NORMAL}, but they are skewed: more than {100 * _FALSE:g} % of false claims hold"
    return Judgement(claim, verdict, evidence, caution)


def _exact(outcomes: Sequence[float], values: Sequence[float], level: float) -> tuple[float, float]:
    """The interval of the mean of values that are one of two outcomes: low + (high − low) · that of their share."""
    low, high = sorted(outcomes)
    share = share_interval(sum(_same(value, high) for value in values), len(values), level)
    return low + (high - low) * share[0], low + (high - low) * share[1]


def _in_each(claim: Claim, values: Sequence[float], evidence: str) -> Judgement:
    """In how many of the seeds the claim keeps to its bound, and in what share of all seeds."""
    n, n_kept = len(values), sum(_keeps(claim, value) for value in values)
    low, high = share_interval(n_kept, n)
    of_all = f"{100 * low:.0f} to {100 * high:.0f} % of all seeds"
    evidence = f"{evidence}: so it is in {n_kept} of {n}, an estimate of {of_all} (95 % CI)"
    if n == 1:
        return Judgement(claim, "undecided", evidence)
    return Judgement(claim, "in each seed" if n_kept == n else "in some seeds" if n_kept else "in no seed", evidence)


def _range(values: Sequence[float], shown: Callable[[float], str]) -> str:
    least, most = shown(min(values)), shown(max(values))
    return least if least == most else f"{least} to {most}"


def _verdict(claim: Claim, interval: tuple[float, float] | None) -> Verdict:
    if interval is None:
        return "undecided"
    kept = [_keeps(claim, end) for end in interval]
    return "holds" if all(kept) else "undecided" if any(kept) else "does not hold"


def _keeps(claim: Claim, value: float) -> bool:
    word, bound = _bound(claim)
    resolution = _RESOLUTION * abs(bound)
    if word in ("at least", "at most"):
        return value >= bound - resolution if word == "at least" else value <= bound + resolution
    return value > bound + resolution if word == "above" else value < bound - resolution


def _asked(claim: Claim, shown: Callable[[float], str]) -> str:
    word, bound = _bound(claim)
    return f"{word} {shown(bound)}"


def _bound(claim: Claim) -> tuple[str, float]:
    bounds = {"at least": claim.at_least, "at most": claim.at_most, "above": claim.above, "below": claim.below}
    ((word, bound),) = [(word, bound) for word, bound in bounds.items() if bound is not None]
    return word, bound
