"""What the numbers say, in words: which setting is best, and which differences are more than noise."""

from __future__ import annotations

from mlpexp.comparison.compare import Comparison, Contrast
from mlpexp.comparison.settings import ALL_RUNS
from mlpexp.comparison.table import effect_size, interval, p_value

ALPHA = 0.05
# Below this many pairs a test sees only the greatest of differences, and leans wholly on its assumption.
FEW_PAIRS = 5


def verdict(comparison: Comparison, most: int | None = None) -> list[str]:
    """A sentence on the best setting, one on each other setting (`most` at most), and what to beware of."""
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
    if len(comparison.summaries) == 1:
        name = "" if best.label == ALL_RUNS else f"{best.label}: "
        said.append(f"{name}{metric.words} {_value(comparison, found.mean)} over {_counted(found.n, 'seed')}.")
    else:
        rank = "Lowest" if not metric.higher_is_better else "Highest"
        said.append(f"{rank} mean {metric.words}: {best.label}, {_value(comparison, found.mean)}.")
    if comparison.baseline:
        of_reference = reference.estimate(metric)
        assert of_reference is not None
        said.append(f"Compared with the baseline, {reference.label}, {_value(comparison, of_reference.mean)}:")
    sentences = [_sentence(comparison, contrast) for contrast in comparison.contrasts]
    sentences += [f"{summary.label}: no run has a result." for summary in comparison.summaries if not summary.runs]
    said += sentences[:most]
    if most is not None and len(sentences) > most:
        said.append(f"And {len(sentences) - most} more settings.")
    return said + _cautions(comparison)


def _sentence(comparison: Comparison, contrast: Contrast) -> str:
    """One setting against the reference."""
    metric, difference = comparison.metric, contrast.difference
    label, n = contrast.summary.label, difference.n
    assert comparison.reference is not None
    if difference.case == "no pairs":
        return (
            f"{label}: shares no seed with {comparison.reference.label}, so they cannot be paired; give both the same."
        )
    assert difference.mean is not None
    if difference.case == "equal":
        return f"{label}: the same {metric.words} as {comparison.reference.label} in each of {n} seeds."
    if difference.case == "one pair" and difference.mean == 0:
        return f"{label}: the same {metric.words} as {comparison.reference.label} with the one seed that both have."
    size = f"{label}: {_size(comparison, difference.mean)}"
    if difference.case == "one pair":
        return f"{size} with the one seed that both have: nothing says whether another seed would agree."
    if difference.case == "constant":
        return f"{size} in each of {n} seeds alike: without any spread there is no t-test to make."
    assert difference.p is not None
    assert contrast.p is not None
    numbers = [f"95 % CI {interval(metric, difference.interval)}", f"p = {p_value(contrast.p)}".replace("= <", "<")]
    if comparison.n_tests > 1:
        numbers[-1] += " after Holm's correction"
    if difference.effect is not None:
        numbers.append(f"d = {effect_size(difference.effect)}")
    size = f"{size} ({', '.join(numbers)})"
    if contrast.p <= ALPHA:
        return f"{size}: more than noise."
    if difference.p <= ALPHA:
        return (
            f"{size}: taken alone it would pass for more than noise (p = {p_value(difference.p)}), but not as one of "
            f"{comparison.n_tests} comparisons."
        ).replace("= <", "<")
    return f"{size}: not distinguishable from noise with {n} seeds."


def _size(comparison: Comparison, mean: float) -> str:
    metric = comparison.metric
    amount = metric.shown(abs(mean)) + (" points" if metric.percent else "")
    direction = "higher" if mean > 0 else "lower"
    if metric.higher_is_better:
        return f"{amount} {direction}"
    return f"{amount} {direction}, which is {'worse' if mean > 0 else 'better'}"


def _value(comparison: Comparison, value: float) -> str:
    return comparison.metric.shown(value) + (" %" if comparison.metric.percent else "")


def _cautions(comparison: Comparison) -> list[str]:
    """What the reader must not conclude."""
    with_runs = [summary for summary in comparison.summaries if summary.runs]
    if all(len(summary.runs) == 1 for summary in with_runs):
        a_setting = "" if len(with_runs) == 1 else " a setting"
        return [f"One seed{a_setting}: there is no interval and no test. Train more seeds, as with -m seed=0,1,2,3,4."]
    cautions = []
    tested = [contrast for contrast in comparison.contrasts if contrast.difference.case == "tested"]
    fewest = min((contrast.difference.n for contrast in tested), default=FEW_PAIRS)
    if fewest < FEW_PAIRS:
        cautions.append(
            f"With {fewest} seeds a t-test finds only differences that are large beside their spread, and rests on "
            "that spread being normal; five seeds or more say much more."
        )
    if any(contrast.p is not None and contrast.p > ALPHA for contrast in tested):
        cautions.append(
            "Not distinguishable from noise does not mean equal: the interval holds what the difference may be."
        )
    return cautions


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
