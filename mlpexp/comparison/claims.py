"""Holding claims to what the runs say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from mlpexp.comparison.baseline import find_setting
from mlpexp.comparison.measure import Measure, parse_measure
from mlpexp.comparison.statistics import difference, estimate
from mlpexp.comparison.summary import Summary
from mlpexp.config.report import Claim
from mlpexp.errors import ConfigError

# So many seeds that all agree decide where the interval does not: by chance they would in one case of 32.
_UNANIMOUS = 5
# Metrics are computed in 32 bits.
_RESOLUTION = 1e-6

Verdict = Literal["holds", "does not hold", "undecided", "not tested"]


@dataclass(frozen=True)
class Judgement:
    """What became of a claim, and the numbers that say so."""

    claim: Claim
    verdict: Verdict
    evidence: str

    @property
    def words(self) -> str:
        """The whole of it in a line."""
        return f"{self.verdict}: {self.claim.says} ({self.evidence})"


def judge(claim: Claim, summaries: Sequence[Summary]) -> Judgement:
    """Whether a claim holds for the runs of a sweep.

    It holds where the whole 95 % confidence interval keeps to its bound, over seeds, or over pairs of runs with the
    same seed where two settings are compared; a bound on one setting also where all of five or more seeds keep to it.
    It does not hold where the whole interval, or all of five or more seeds, lie beyond; what is in between is
    undecided. It is not tested where these runs are not of the settings that it speaks of.
    """
    measure = parse_measure(claim.measure)
    try:
        one = _setting(summaries, claim.of)
        other = None if claim.minus is None else _setting(summaries, claim.minus)
    except ConfigError as error:
        return Judgement(claim, "not tested", str(error))
    values = _values(measure, one)
    if other is None:
        return _bounded(claim, measure, list(values.values()))
    return _compared(claim, measure, values, _values(measure, other))


def _setting(summaries: Sequence[Summary], words: str) -> Summary:
    if words:
        return find_setting(summaries, words, "claim: ")
    if len(summaries) > 1:
        raise ConfigError(f"claim: speaks of all runs, and these are of {len(summaries)} settings.")
    return summaries[0]


def _values(measure: Measure, summary: Summary) -> dict[int, float]:
    """The measure by seed, of the runs that have it."""
    found = {run.record.seed: measure.of(run) for run in summary.runs}
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def _bounded(claim: Claim, measure: Measure, values: Sequence[float]) -> Judgement:
    found = estimate(values)
    if found is None:
        return Judgement(claim, "not tested", f"no run has a value of {measure.words}")
    spread = "" if found.half_width is None else f" ± {measure.shown(found.half_width)}"
    seeds = f"{found.n} seed" + ("s" if found.n > 1 else "")
    evidence = (
        f"{measure.words}: {measure.shown(found.mean)}{spread} over {seeds}, asked for {_asked(claim, measure.shown)}"
    )
    kept = [_keeps(claim, value) for value in values]
    if len(values) >= _UNANIMOUS and len(set(kept)) == 1:
        return Judgement(claim, "holds" if kept[0] else "does not hold", evidence)
    return Judgement(claim, _verdict(claim, found.interval), evidence)


def _compared(claim: Claim, measure: Measure, values: dict[int, float], others: dict[int, float]) -> Judgement:
    seeds = sorted(values.keys() & others.keys())
    found = difference([values[seed] for seed in seeds], [others[seed] for seed in seeds])
    if found.mean is None:
        return Judgement(claim, "not tested", "the settings share no seed")
    means = " against ".join(
        measure.shown(math.fsum(every[seed] for seed in seeds) / len(seeds)) for every in (values, others)
    )
    interval = (found.mean, found.mean) if found.case == "constant" else found.interval
    shown = partial(measure.shown, difference=True)
    spread = "" if interval is None else f" (95 % CI {shown(interval[0])} to {shown(interval[1])})"
    evidence = (
        f"{measure.words}: {means}, a difference of {shown(found.mean)}{spread} over {found.n} pairs, "
        f"asked for {_asked(claim, shown)}"
    )
    return Judgement(claim, _verdict(claim, interval), evidence)


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
