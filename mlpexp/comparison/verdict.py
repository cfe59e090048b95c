"""The verdict in sentences: which setting is best, and which differences are more than noise."""

from __future__ import annotations

from mlpexp.comparison.comparison import Comparison, Contrast
from mlpexp.comparison.settings import ALL_RUNS
from mlpexp.comparison.statistics import Difference
from mlpexp.comparison.summary import Summary
from mlpexp.comparison.table import effect_size, interval, p_value
from mlpexp.errors import pluralize

ALPHA = 0.05
# Below this many pairs a t-test detects only large differences, and depends on its assumption of normality.
FEW_PAIRS = 5
_SURVIVORS = "between seeds that did not diverge, which does not make one setting better than the other"
_UNPAIRED = "; unpaired (Welch's t-test), since they share fewer than two seeds: the same seeds for both say more"


def verdict(comparison: Comparison, most: int | None = None) -> list[str]:
    """A sentence on the best setting, one on each other setting (`most` at most), and cautions."""
    metric, reference = comparison.metric, comparison.reference
    if reference is None:
        if any(summary.undefined for summary in comparison.summaries):
            return [f"No run has a {metric.words} to compare; --metric=loss/{metric.split} ranks by the loss."]
        return ["No run has a result yet: there is nothing to compare."]
    best = comparison.best
    assert best is not None
    said = []
    found = best.estimate(metric)
    assert found is not None
    survivors = any(summary.left_out for summary in comparison.summaries)
    of_survivors = " of the seeds that did not diverge" if survivors else ""
    if len(comparison.summaries) == 1:
        name = "" if best.label == ALL_RUNS else f"{best.label}: "
        value = f"{_value(comparison, found.mean)} over {pluralize(found.n, 'seed')}"
        said.append(f"{name}{metric.words}{of_survivors} {value}{_diverged(best)}.")
    else:
        rank = "Lowest" if not metric.higher_is_better else "Highest"
        value = f"{best.label}, {_value(comparison, found.mean)}{_diverged(best)}"
        said.append(f"{rank} mean {metric.words}{of_survivors}: {value}.")
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
    return said + _cautions(comparison)


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
    size = f"{label}: {_size(comparison, difference.mean, judged=not survivors)}"
    if difference.case == "one pair":
        return f"{size} with the one seed that both have: nothing says whether another seed would agree."
    if difference.case == "constant":
        alike = f" in each of {n} seeds alike" if difference.paired else ", each the same with all of its seeds"
        return f"{size}{alike}: without spread there is no t-test."
    assert difference.p is not None
    assert contrast.p is not None
    numbers = [f"95 % CI {interval(metric, difference.interval)}", f"p = {p_value(contrast.p)}".replace("= <", "<")]
    if comparison.n_tests > 1:
        numbers[-1] += " after Holm's correction"
    if difference.effect is not None:
        numbers.append(f"d = {effect_size(difference.effect)}")
    size = f"{size} ({', '.join(numbers)})"
    conclusion = _SURVIVORS if survivors else _conclusion(comparison, contrast)
    return f"{size}: {conclusion}{'' if difference.paired else _UNPAIRED}."


def _conclusion(comparison: Comparison, contrast: Contrast) -> str:
    """What follows from the test of a difference."""
    difference = contrast.difference
    assert difference.p is not None
    assert contrast.p is not None
    if contrast.p <= ALPHA:
        return "more than noise"
    if difference.p <= ALPHA:
        return (
            f"tested alone it would be more than noise (p = {p_value(difference.p)}), but not as one of "
            f"{comparison.n_tests} comparisons"
        ).replace("= <", "<")
    seeds = f"{difference.n} seeds" if difference.paired else f"{difference.n} and {difference.n_reference} seeds"
    return f"not distinguishable from noise with {seeds}"


def _diverged(summary: Summary) -> str:
    """How many of the setting's seeds diverged."""
    if not summary.diverged:
        return ""
    are = "is" if len(summary.diverged) == 1 else "are"
    left_out = f" and {are} left out" if summary.left_out else ""
    return f" ({len(summary.diverged)} of {pluralize(summary.n_trained, 'seed')} diverged{left_out})"


def _size(comparison: Comparison, mean: float, *, judged: bool) -> str:
    """How much higher or lower; `judged`, also whether that is better where a loss leaves it open."""
    metric = comparison.metric
    amount = metric.shown(abs(mean)) + (" points" if metric.percent else "")
    direction = "higher" if mean > 0 else "lower"
    if metric.higher_is_better or not judged:
        return f"{amount} {direction}"
    return f"{amount} {direction}, which is {'worse' if mean > 0 else 'better'}"


def _value(comparison: Comparison, value: float) -> str:
    return comparison.metric.shown(value) + (" %" if comparison.metric.percent else "")


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
    if any(contrast.p is not None and contrast.p > ALPHA for contrast in tested):
        cautions.append(
            "Not distinguishable from noise does not mean equal: the interval shows how large the difference may be."
        )
    return cautions


def _fewest(difference: Difference) -> int:
    return difference.n if difference.n_reference is None else min(difference.n, difference.n_reference)
