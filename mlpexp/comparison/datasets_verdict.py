"""The verdict over datasets in sentences: what holds on datasets like these, and how many it takes to know more."""

from __future__ import annotations

from mlpexp.comparison.datasets_table import mean_rank
from mlpexp.comparison.over_datasets import FEWEST_DATASETS, DatasetContrast, OverDatasets
from mlpexp.comparison.power import MOST_SEEDS, detectable, seeds_needed, sharing
from mlpexp.comparison.statistics import ALPHA
from mlpexp.comparison.table import only_alone, p_value
from mlpexp.config.metric import Metric
from mlpexp.errors import pluralize

# Below this many, a t-test detects only differences that are much alike on all datasets.
FEW_DATASETS = 5
_MOST_NAMES = 6
_KNOWN = 1e9  # degrees of freedom of a spread that is given


def datasets_verdict(found: OverDatasets, metric: Metric, ranking: Metric, most: int | None = None) -> list[str]:
    """Which setting has the best mean rank, each other one (`most` at most), and what follows for other datasets."""
    n, best = len(found.names), found.standings[0]
    names = ", ".join(found.names[:_MOST_NAMES]) + (", …" if n > _MOST_NAMES else "")
    over = f"Over {n} datasets ({names})"
    if best.mean_rank is None:
        said = [f"{over}: none has all settings, so there are no mean ranks."]
    else:
        of = "" if len(found.ranked_on) == n else f" on the {len(found.ranked_on)} that all settings have"
        rank = f"mean rank {mean_rank(best)} of {len(found.standings)}"
        said = [f"{over}: best by {ranking.words}{of} is {best.label}, {rank}."]
    if found.survivors:
        return [*said, "Nothing is tested over datasets: runs that diverged are left out, which favours no setting."]
    unit = "standard deviations of a seed on each dataset" if found.scaled else "its own unit"
    to = f"the baseline, {found.reference.label}," if found.baseline else found.reference.label
    if found.n_tests:
        said.append(f"Differences to {to} are in {metric.words}, in {unit}; each dataset counts once:")
    sentences = [_sentence(found, metric, contrast) for contrast in found.contrasts]
    said += sentences[:most]
    if most is not None and len(sentences) > most:
        said.append(f"And {pluralize(len(sentences) - most, 'more setting')}.")
    if found.without_spread:
        lost = ", ".join(found.without_spread)
        said.append(f"Left out of these differences, since no seed differs from another there: {lost}.")
    return [*said, *_scope(found)]


def _sentence(found: OverDatasets, metric: Metric, contrast: DatasetContrast) -> str:
    difference, label = contrast.difference, contrast.standing.label
    n = difference.n
    if not n:
        return f"{label}: no dataset has both it and {found.reference.label}."
    agreement = f"better on {contrast.better} and worse on {contrast.worse} of {pluralize(n, 'dataset')}"
    if n < FEWEST_DATASETS or difference.mean is None:
        return f"{label}: {agreement}."
    if difference.case == "equal":
        return f"{label}: the same {metric.words} on each of {n} datasets."
    size = f"{_amount(found, metric, abs(difference.mean))} {'higher' if difference.mean > 0 else 'lower'}"
    if contrast.p is None or difference.case != "tested":
        return f"{label}: {size} on average, {agreement}."
    p = f"{'adjusted p' if found.n_tests > 1 else 'p'} = {p_value(contrast.p)}".replace("= <", "<")
    assert contrast.interval is not None
    low, high = (_signed(found, metric, end) for end in contrast.interval)
    numbers = f"95 % CI {low} to {high}, {p}"
    return f"{label}: {size} on average, {agreement} ({numbers}): {_conclusion(found, metric, contrast)}."


def _conclusion(found: OverDatasets, metric: Metric, contrast: DatasetContrast) -> str:
    """What follows from the test, and how many datasets would show more."""
    difference, n = contrast.difference, contrast.difference.n
    if contrast.decided:
        return "more than noise, on datasets like these"
    assert difference.sd is not None
    assert difference.df is not None
    assert difference.mean is not None
    said = f"not distinguishable from noise with {n} datasets"
    if difference.p is not None and difference.p <= ALPHA:
        said = only_alone(difference.p, found.n_tests)
    n_tests = sharing(found.n_tests, chosen=not found.baseline)
    now = _amount(found, metric, detectable(difference.sd, difference.df, n, n_tests))
    needed = seeds_needed(abs(difference.mean), difference.sd, difference.df, n_tests)
    if needed is not None and needed <= n:
        return f"{said}; with {n} datasets you can see {now}"
    many = f"more than {MOST_SEEDS:,}" if needed is None else f"about {needed}"
    return f"{said}; to see a difference of this size you need {many} datasets, with {n} you can see {now}"


def _scope(found: OverDatasets) -> list[str]:
    """What the verdict is about, and with how few datasets it can be had."""
    n = len(found.names)
    said = []
    if n < FEWEST_DATASETS:
        pairs = len(found.standings) * (len(found.standings) - 1) // 2
        n_tests = sharing(len(found.contrasts) if found.baseline else pairs, chosen=not found.baseline)
        twice, once = (seeds_needed(size, 1.0, _KNOWN, n_tests) for size in (2.0, 1.0))
        said.append(
            f"{n} datasets cannot show that a difference holds on others. One that is twice as large as it varies from "
            f"dataset to dataset takes about {twice} datasets to be seen, one that is as large about {once}; more "
            "seeds do not replace them."
        )
    elif not found.n_tests:
        said.append(f"No two settings share {FEWEST_DATASETS} datasets with spread: nothing is tested over datasets.")
    else:
        said.append(
            "This is about datasets like these, as if they were drawn at random from such. More datasets show more; "
            "more seeds only make the score on each more exact."
        )
        if n < FEW_DATASETS:
            said.append(
                f"With {n} datasets a t-test detects only differences that are much alike on all of them, and takes "
                "them as near normal."
            )
    share = 1 - (1 - ALPHA) ** n
    said.append(
        "What holds on each of these datasets its own verdict says. Each errs in 5 % by itself: where nothing differs, "
        f"one of the {n} calls something more than noise in up to {100 * share:.0f} % of sweeps."
    )
    return said


def _amount(found: OverDatasets, metric: Metric, size: float) -> str:
    if found.scaled:
        return f"{size:.2f}"
    return metric.shown(size) + " points" * metric.percent


def _signed(found: OverDatasets, metric: Metric, value: float) -> str:
    if not found.scaled:
        return metric.signed(value)
    text = f"{value:+.2f}"
    return "0.00" if not float(text) else text.replace("-", "−")
