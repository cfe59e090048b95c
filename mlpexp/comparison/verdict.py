"""The verdict in sentences: what a mean is over, which setting is best, and which differences are more than noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpexp.comparison.comparison import Comparison, Contrast
from mlpexp.comparison.datasets_verdict import datasets_verdict
from mlpexp.comparison.effects import Effect
from mlpexp.comparison.outlook import confirmation, outlook, seeds_line
from mlpexp.comparison.settings import ALL_RUNS
from mlpexp.comparison.statistics import ALPHA, Difference, share_interval
from mlpexp.comparison.summary import Summary
from mlpexp.comparison.table import effect_size, interval, only_alone, p_value
from mlpexp.comparison.winner import cross_chosen_mean
from mlpexp.errors import pluralize

# Below this many pairs a t-test detects only large differences, and depends on its assumption of normality.
FEW_PAIRS = 5
# Ten normal differences are this skewed in one case of ten.
SKEWED = 1.0
# Of the values of a key.
_MOST_MEANS = 6
_SURVIVORS = "between seeds that did not diverge, which does not make one setting better than the other"
_UNPAIRED = "; unpaired (Welch's t-test), since they share fewer than two seeds: the same seeds for both say more"


def verdict(comparison: Comparison, most: int | None = None) -> list[str]:
    """The best setting, the effects of a full grid, each other setting (`most` at most), and cautions: sentences.

    Of several datasets it is the verdict over them; each has its own in `comparison.datasets`.
    """
    if comparison.over_datasets is not None:
        return datasets_verdict(comparison.over_datasets, comparison.metric, comparison.ranking, most)
    metric, reference = comparison.metric, comparison.reference
    if reference is None:
        if any(summary.undefined for summary in comparison.summaries):
            return [f"No run has a {metric.words} to compare; --metric=loss/{metric.split} ranks by the loss."]
        return ["No run has a result yet: there is nothing to compare."]
    best = comparison.best
    assert best is not None
    said = [_first(comparison, best), *_test_rows(comparison, best), *_effects(comparison, best)]
    if reference is not best or comparison.baseline:
        of_reference = reference.estimate(metric)
        assert of_reference is not None
        what = "the baseline" if comparison.baseline else "the best with more than one seed"
        value = f"{reference.label}, {_value(comparison, of_reference.mean)}{_diverged(reference)}"
        said.append(f"Compared with {what}, {value}:")
    sentences = [_sentence(comparison, contrast) for contrast in comparison.contrasts]
    sentences += [f"{summary.label}: no run has a result." for summary in comparison.summaries if not summary.counted]
    said += sentences[:most]
    if most is not None and len(sentences) > most:
        said.append(f"And {pluralize(len(sentences) - most, 'more setting')}.")
    line = seeds_line(comparison)
    said += [line] if line else []
    return [*said, *_two_outcomes(comparison), *_winner(comparison, best), *_cautions(comparison)]


def _first(comparison: Comparison, best: Summary) -> str:
    """The best setting, its mean, and what that is over."""
    metric, ranking = comparison.metric, comparison.ranking
    found = best.estimate(metric)
    assert found is not None
    survivors = any(summary.left_out for summary in comparison.summaries)
    of_survivors = " of the seeds that did not diverge" if survivors else ""
    value = f"{_value(comparison, found.mean)} {best.repetition(metric).over(found.n)}"
    if len(comparison.summaries) == 1:
        name = "" if best.label == ALL_RUNS else f"{best.label}: "
        return f"{name}{metric.words}{of_survivors} {value}{_diverged(best)}."
    if ranking != metric:
        said = f"Best by {ranking.words}{of_survivors}: {best.label}, {metric.words} {value}{_diverged(best)}"
        return f"{said}; differences are in {metric.words}." if comparison.contrasts else f"{said}."
    rank = "Lowest" if not metric.higher_is_better else "Highest"
    return f"{rank} mean {metric.words}{of_survivors}: {best.label}, {value}{_diverged(best)}."


def _test_rows(comparison: Comparison, best: Summary) -> list[str]:
    """How far the accuracy on other test rows may be, where all seeds have the same."""
    metric = comparison.metric
    shared, found = best.repetition(metric), best.estimate(metric)
    assert found is not None
    if metric.tag != "accuracy/test" or shared.base not in ("one split", "test set") or shared.n_rows is None:
        return []
    low, high = share_interval(round(found.mean * shared.n_rows), shared.n_rows)
    return [
        f"The {shared.n_rows:,} test rows are a sample too: on other rows the accuracy may be "
        f"{metric.shown(low)} to {_value(comparison, high)} (binomial, 95 % CI)."
    ]


def _effects(comparison: Comparison, best: Summary) -> list[str]:
    """What each key of a full grid does by itself, and whether two of them interact."""
    effects = [effect for effect in comparison.effects if effect.p is not None]
    if not effects:
        return []
    unit = best.repetition(comparison.metric).unit
    blocks = f"over the {pluralize(effects[0].n_blocks, unit)} that all settings have"
    grid = f"All combinations of {_listed(comparison.keys)} as one design, {blocks}:"
    return [grid, *(_effect(comparison, effect) for effect in effects)]


def _effect(comparison: Comparison, effect: Effect) -> str:
    assert effect.p is not None
    adjusted = "adjusted p" if len(comparison.effects) > 1 else "p"
    p = f"({adjusted} = {p_value(effect.p)})".replace("= <", "<")
    names = _listed(effect.keys)
    if len(effect.keys) > 1:
        if effect.seen:
            return f"{names} interact {p}: what one does depends on the other."
        return f"{names} do not visibly interact {p}."
    over = f"on average over {_listed([key for key in comparison.keys if key not in effect.keys])}"
    if not effect.seen:
        return f"{names}: no difference is seen {over} {p}."
    means = [f"{value} {_value(comparison, mean)}" for value, mean in effect.means.items()]
    shown = means if len(means) <= _MOST_MEANS else [*means[: _MOST_MEANS - 1], "…", means[-1]]
    return f"{names} matters {p}: {over} {', '.join(shown)}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _sentence(comparison: Comparison, contrast: Contrast) -> str:
    """One setting against the reference."""
    metric, difference = comparison.metric, contrast.difference
    reference, n = comparison.reference, difference.n
    assert reference is not None
    label = f"{contrast.summary.label}{_diverged(contrast.summary)}"
    if difference.case == "no pairs":
        return f"{label}: shares no seed with {reference.label}, so they cannot be paired; give both the same seeds."
    assert difference.mean is not None
    if difference.case == "equal":
        return f"{label}: the same {metric.words} as {reference.label} in each of {n} seeds."
    if difference.case == "one pair" and difference.mean == 0:
        return f"{label}: the same {metric.words} as {reference.label} with the one seed that both have."
    survivors = bool(contrast.summary.left_out or reference.left_out)
    agreement = "" if survivors else _agreement(comparison, difference)
    size = f"{label}: {_size(comparison, difference.mean, judged=not survivors and not agreement)}"
    if difference.case == "one pair":
        return f"{size} with the one seed that both have: nothing says whether another seed would agree."
    if contrast.p is None:
        return f"{size}, each the same with all of its seeds: without spread there is no test."
    adjusted = "adjusted p" if comparison.n_tests > 1 else "p"
    p = f"{adjusted} = {p_value(contrast.p)}".replace("= <", "<")
    if difference.case == "constant":
        size = f"{size} in each of {n} seeds alike (sign test, {p})"
    else:
        numbers = [f"95 % CI {interval(metric, contrast.interval)}", p]
        if difference.effect is not None:
            numbers.append(f"d = {effect_size(difference.effect)}")
        size = f"{size}{agreement} ({', '.join(numbers)})"
    conclusion = _SURVIVORS if survivors else _conclusion(comparison, contrast)
    return f"{size}: {conclusion}{'' if difference.paired else _UNPAIRED}."


def _agreement(comparison: Comparison, difference: Difference) -> str:
    """In how many seeds a paired difference goes the way of its mean."""
    if difference.case != "tested" or not difference.paired or not difference.mean:
        return ""
    better = (difference.mean > 0) == comparison.metric.higher_is_better
    agree = difference.higher if difference.mean > 0 else difference.lower
    return f", {'better' if better else 'worse'} in {agree} of {difference.n} seeds"


def _conclusion(comparison: Comparison, contrast: Contrast) -> str:
    """What follows from the test of a difference, and what it would take to know more."""
    difference, worth = contrast.difference, comparison.worth
    assert difference.p is not None
    seeds = f"{difference.n} seeds" if difference.paired else f"{difference.n} and {difference.n_reference} seeds"
    if worth is not None and contrast.interval is not None:
        low, high = contrast.interval
        amount = _amount(comparison, worth)
        if -worth < low and high < worth:
            return f"equal in practice, less than {amount} apart"
        if contrast.decided and (low >= worth or high <= -worth):
            better = (low > 0) == comparison.metric.higher_is_better
            return f"{'better' if better else 'worse'} by {amount} or more"
        noise = "more than noise, but undecided whether it is" if contrast.decided else "undecided whether it is"
        return f"{noise} {amount} or more{outlook(comparison, contrast)}"
    if contrast.decided:
        return "more than noise"
    if difference.p <= ALPHA:
        undecided = only_alone(difference.p, comparison.n_tests)
    else:
        undecided = f"not distinguishable from noise with {seeds}"
    return f"{undecided}{outlook(comparison, contrast)}"


def _diverged(summary: Summary) -> str:
    """How many of the setting's seeds diverged."""
    if not summary.diverged:
        return ""
    are = "is" if len(summary.diverged) == 1 else "are"
    left_out = f" and {are} left out" if summary.left_out else ""
    return f" ({len(summary.diverged)} of {pluralize(summary.n_trained, 'seed')} diverged{left_out})"


def _size(comparison: Comparison, mean: float, *, judged: bool) -> str:
    """How much higher or lower; `judged`, also whether that is better where a loss leaves it open."""
    direction = "higher" if mean > 0 else "lower"
    if comparison.metric.higher_is_better or not judged:
        return f"{_amount(comparison, abs(mean))} {direction}"
    return f"{_amount(comparison, abs(mean))} {direction}, which is {'worse' if mean > 0 else 'better'}"


def _amount(comparison: Comparison, size: float) -> str:
    return comparison.metric.shown(size) + (" points" if comparison.metric.percent else "")


def _value(comparison: Comparison, value: float) -> str:
    return comparison.metric.shown(value) + (" %" if comparison.metric.percent else "")


def _two_outcomes(comparison: Comparison) -> list[str]:
    """Settings whose seeds have one of two values: their mean is what no seed has."""
    said = []
    for summary in comparison.summaries:
        found = summary.estimate(comparison.metric)
        if found is not None and found.outcomes is not None:
            high, low = sorted(found.outcomes, key=lambda outcome: -outcome[1])
            often, seldom = (_value(comparison, value) for value, _ in (high, low))
            said.append(f"{summary.label}: {often} in {high[1]} of {found.n} seeds, {seldom} in {low[1]}.")
    return said


def _winner(comparison: Comparison, best: Summary) -> list[str]:
    """What the mean is worth by which the best of several settings was chosen."""
    ranking = comparison.ranking
    counted = [summary.values(ranking) for summary in comparison.summaries if summary.counted]
    repeats = set.intersection(*map(set, counted))
    scores = np.array([[values[repeat] for repeat in sorted(repeats)] for values in counted])
    found = best.estimate(ranking)
    if len(scores) < 3 or found is None or not np.isfinite(scores).all():
        return []
    sign = 1 if ranking.higher_is_better else -1
    free = cross_chosen_mean(sign * scores)
    if free is None or ranking.shown(sign * free) == ranking.shown(found.mean) or free > sign * found.mean:
        return []
    unit = " %" if ranking.percent else ""
    best_of = f"As the best of {len(scores)}, its {ranking.words} of {ranking.shown(found.mean)}{unit}"
    free_of_it = f"where the other seeds choose the best for each, it is {ranking.shown(sign * free)}{unit}"
    said = f"{best_of} is too good by chance; {free_of_it}."
    confirm = confirmation(comparison, best)
    return [f"{said} To confirm it on fresh seeds: {confirm}" if confirm else said]


def _cautions(comparison: Comparison) -> list[str]:
    """What the reader must not conclude."""
    with_values = [summary for summary in comparison.summaries if summary.counted]
    if all(len(summary.counted) == 1 for summary in with_values):
        a_setting = "" if len(with_values) == 1 else " a setting"
        return [f"One seed{a_setting}: there is no interval and no test. Train more seeds, as with -m seed=0,1,2,3,4."]
    cautions = []
    tested = [contrast for contrast in comparison.contrasts if contrast.difference.case == "tested"]
    fewest = min((_fewest(contrast.difference) for contrast in tested), default=FEW_PAIRS)
    if fewest < FEW_PAIRS:
        cautions.append(
            f"With {fewest} seeds a t-test detects only differences that are large compared with their spread, "
            "and assumes that they are normal; use five seeds or more."
        )
    if skewed := [contrast for contrast in tested if abs(contrast.difference.skew) > SKEWED]:
        names = pluralize(len(skewed), "setting") if len(skewed) > 3 else " and ".join(c.summary.label for c in skewed)
        cautions.append(f"Caution: differences of {names} are skewed, and the test takes them as near normal.")
    if any(contrast.decided for contrast in tested) and (missed := 0.9**fewest) > ALPHA:
        cautions.append(
            f"{fewest} seeds miss a failure that strikes one in ten in {100 * missed:.0f} % of sweeps; the test does "
            "not allow for it."
        )
    if comparison.worth is None and any(contrast.p is not None and not contrast.decided for contrast in tested):
        cautions.append(
            "Not distinguishable from noise does not mean equal: the interval shows how large the difference may be."
        )
    return cautions


def _fewest(difference: Difference) -> int:
    return difference.n if difference.n_reference is None else min(difference.n, difference.n_reference)
