"""How often verdicts and claims are wrong, and how much they see: simulated scores, judged as those of runs are.

    python benchmarks/verdicts.py [--tables 4000] [--sweeps 4000]

Printed are: the share of tables of equal settings in which any difference is called more than noise; how often an
effect of a grid of equal settings is seen; the share of true differences that are found; how often the intervals of
differences hold together, wherever the true means are; whether the number of seeds that a verdict names is right; what
the best mean of equal settings is worth; errors and what is found over several datasets; and the share of false claims
about a mean that hold.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlpexp.comparison.claims import Judgement, evaluate_claim
from mlpexp.comparison.closed_test import adjusted_pairs, holm, pairs
from mlpexp.comparison.compare import compare_runs
from mlpexp.comparison.comparison import Comparison
from mlpexp.comparison.effects import effect_p
from mlpexp.comparison.over_datasets import dataset_p_values
from mlpexp.comparison.power import seeds_needed, sharing
from mlpexp.comparison.runs import StoredRun
from mlpexp.comparison.settings import Setting
from mlpexp.comparison.statistics import ALPHA, Difference, estimate, p_values, simultaneous
from mlpexp.comparison.summary import Summary
from mlpexp.comparison.verdict import verdict
from mlpexp.comparison.winner import cross_chosen_mean
from mlpexp.config.metric import METRICS
from mlpexp.config.report import Claim, Report
from mlpexp.run.record import Record

# [tables, settings, seeds]
Shape = Callable[[np.random.Generator, tuple[int, int, int]], np.ndarray]


def _correlated(random: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    tables, _, seeds = shape
    return random.normal(size=shape) + 2 * random.normal(size=(tables, 1, seeds))


def _unequal(random: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """One setting's deviation is four times that of the others."""
    return random.normal(size=shape) * np.where(np.arange(shape[1]) == 0, 4.0, 1.0)[:, None]


EQUAL: dict[str, Shape] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "correlated": _correlated,
    "deviations 4, 1, 1, 1": _unequal,
    "log-normal": lambda random, shape: random.lognormal(size=shape),
    "binomial(360)": lambda random, shape: random.binomial(360, 0.97, shape) / 360,
    "two values, half": lambda random, shape: np.where(random.random(shape) < 0.5, 0.75, 1.0),
    "two values, 80 %": lambda random, shape: np.where(random.random(shape) < 0.8, 0.75, 1.0),
}


def _skewed(random: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """The first setting's scores are log-normal; the others' are normal, with the same mean and hardly any spread."""
    scores = 0.1 * random.normal(size=shape)
    scores[:, 0] = random.lognormal(size=scores[:, 0].shape) - math.exp(0.5)
    return scores


def _failing(random: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """One seed in ten fails in the first setting; the others' scores are normal with the same mean."""
    scores = 0.905 + 0.01 * random.normal(size=shape)
    scores[:, 0] += np.where(random.random(scores[:, 0].shape) < 0.1, -0.405, 0.045)
    return scores


# Equal means of different skewness, which the test does not hold.
UNEQUAL: dict[str, Shape] = {"one log-normal": _skewed, "one fails in a seed of ten": _failing}


def adjusted(scores: np.ndarray, overlap: float = 0.0) -> np.ndarray:
    """The adjusted p-values [T, m] of all pairs in each of T tables [T, k, n]."""
    n_tables, k, n = scores.shape
    first, second = np.array(pairs(k)).T
    p = np.concatenate(
        [
            p_values(part[:, first].reshape(-1, n), part[:, second].reshape(-1, n), overlap)
            for part in np.array_split(scores, max(1, n_tables * k * k * n // 2_000_000))
        ]
    ).reshape(n_tables, -1)
    found = np.ones_like(p)
    # An adjusted p is no smaller than its own.
    (low,) = np.nonzero(p.min(1) <= ALPHA)
    for part in np.array_split(low, max(1, len(low) // 200)):
        found[part] = adjusted_pairs(p[part], k)
    return found


def family_error(scores: np.ndarray, overlap: float = 0.0) -> float:
    """In what share of tables of equal settings a difference is called more than noise."""
    return float((adjusted(scores, overlap) <= ALPHA).any(1).mean())


def effect_errors(scores: np.ndarray, sizes: tuple[int, int], overlap: float = 0.0) -> tuple[float, float, float]:
    """How often each effect in grids [T, a·b, n] of equal settings has p ≤ α: two main effects, and the interaction."""
    grids = scores.swapaxes(1, 2).reshape(len(scores), -1, *sizes)
    p = [(effect_p(grid.mean(2), overlap), effect_p(grid.mean(1), overlap), effect_p(grid, overlap)) for grid in grids]
    main, other, interaction = (np.array(p) <= ALPHA).mean(0).tolist()
    return main, other, interaction


def cautioned(scores: np.ndarray) -> float:
    """In what share of the tables in which a difference is called more than noise the verdict has a caution."""
    said = []
    for table in scores[(adjusted(scores) <= ALPHA).any(1)]:
        lines = verdict(compared(table))
        if any("more than noise." in line for line in lines):
            said.append(any(line.startswith("Caution") or "the test does not allow" in line for line in lines))
    return float(np.mean(said)) if said else 1.0


def compared(table: np.ndarray) -> Comparison:
    """The comparison of runs with these scores [k, n]; settings are ranked by them too."""
    runs = [
        stored_run(setting, seed, score) for setting, row in enumerate(table.tolist()) for seed, score in enumerate(row)
    ]
    return compare_runs(runs, [], None, METRICS["accuracy/test"], Report())


def found_share(means: Sequence[float], n: int, n_tables: int, seed: int = 0) -> float:
    """The share of true differences that are found, with independent normal scores of deviation 1."""
    shape = (n_tables, len(means), n)
    scores = np.random.default_rng(seed).normal(size=shape) + np.array(means)[:, None]
    true = np.array([means[one] != means[other] for one, other in pairs(len(means))])
    return float((adjusted(scores)[:, true] <= ALPHA).mean())


@dataclass(frozen=True)
class Coverage:
    """In what share of tables the intervals of differences hold; one that ends at 0 holds 0."""

    all: float  # of all that hold together
    shown: float  # of those to the best setting alone, which the runs have chosen
    right: float  # all, and no equal settings are called different


def coverage(
    means: Sequence[float],
    n: int,
    n_tables: int,
    deviations: Sequence[float],
    *,
    baseline: bool = False,
    seed: int = 0,
) -> Coverage:
    """Of all pairs, or of the first setting, the `baseline`, and the others; scores are normal and independent."""
    k = len(means)
    scores = np.random.default_rng(seed).normal(size=(n_tables, k, n)) * np.array(deviations)[:, None]
    scores += np.array(means)[:, None]
    tested = [pair for pair in pairs(k) if not baseline or pair[0] == 0]
    first, second = np.array(tested).T
    differences = scores[:, first] - scores[:, second]
    p = adjusted(scores)
    if baseline:
        p = np.array([holm(p_values(table[1:], table[0])) for table in scores])
    held, equal = np.empty(p.shape, bool), np.zeros(p.shape, bool)
    for at, mean in np.ndenumerate(differences.mean(2)):
        error = float(differences[at].std(ddof=1)) / math.sqrt(n)
        found = Difference("tested", n, float(mean), error=error, df=n - 1)
        interval = simultaneous(found, bool(p[at] <= ALPHA), len(tested))
        assert interval is not None
        true = means[tested[at[1]][0]] - means[tested[at[1]][1]]
        held[at] = interval[0] <= true <= interval[1]
        equal[at] = true == 0
    best = scores.mean(2).argmax(1)[:, None]
    shown = (first == best) | (second == best) | baseline
    right = held & ~(equal & (p <= ALPHA))
    return Coverage(*(float(hits.all(1).mean()) for hits in (held, held | ~shown, right)))


def named_seeds(means: Sequence[float], n_studies: int, n_pilot: int = 10, seed: int = 0) -> tuple[float, float]:
    """How often the first setting is found to differ from the last with the seeds named after ten; their median."""
    random, k = np.random.default_rng(seed), len(means)
    n_tests = sharing(k * (k - 1) // 2, chosen=True)
    found, named = [], []
    for _ in range(n_studies):
        pilot = random.normal(size=(2, n_pilot))
        sd = float((pilot[0] - pilot[1]).std(ddof=1))
        n = seeds_needed(abs(means[0] - means[-1]), sd, n_pilot - 1, n_tests)
        assert n is not None
        p = adjusted(random.normal(size=(1, k, n)) + np.array(means)[:, None])
        found.append(p[0, pairs(k).index((0, k - 1))] <= ALPHA)
        named.append(n)
    return float(np.mean(found)), float(np.median(named))


def two_valued_coverage(share: float, n: int, n_sweeps: int, seed: int = 0) -> tuple[float, float]:
    """How often the interval of a mean of two values holds, and how often there is none, all seeds being alike."""
    held, none = [], 0
    for values in np.where(np.random.default_rng(seed).random((n_sweeps, n)) < share, 1.0, 0.75).tolist():
        found = estimate(values)
        assert found is not None
        if found.interval is None:
            none += 1
        else:
            held.append(found.interval[0] <= 0.75 + 0.25 * share <= found.interval[1])
    return float(np.mean(held)), none / n_sweeps


def best_of_equal(k: int, n: int, n_tables: int, seed: int = 0) -> tuple[float, float]:
    """By how many deviations of a seed the best of k equal means is too high, as it is and corrected."""
    scores = np.random.default_rng(seed).normal(size=(n_tables, k, n))
    corrected = [cross_chosen_mean(table) for table in scores]
    return float(scores.mean(2).max(1).mean()), float(np.mean([mean for mean in corrected if mean is not None]))


def overlapping(k: int, n: int, n_tables: int, n_rows: int = 100, seed: int = 0) -> np.ndarray:
    """Test accuracies [T, k, n] of n random splits (60/20/20) of the rows of one drawn sample a table.

    Each setting is least squares on two features of its own; the class is the sign of the sum of all features and
    noise. No setting is better than another, since features are exchangeable.
    """
    random = np.random.default_rng(seed)
    x = random.normal(size=(n_tables, n_rows, k, 2))
    y = np.sign(x.sum((2, 3)) + random.normal(size=(n_tables, n_rows)) * 2)
    rows = random.random((n_tables, n, n_rows)).argsort(2)
    table = np.arange(n_tables)[:, None, None]
    parts = []
    for part in (rows[..., : n_rows * 6 // 10], rows[..., -(n_rows * 2 // 10) :]):
        # [T, n, k, rows, 2 features and a constant]
        inputs = x[table, part].transpose(0, 1, 3, 2, 4)
        parts.append((np.concatenate([inputs, np.ones((*inputs.shape[:-1], 1))], -1), y[table, part]))
    (fit, of_fit), (test, of_test) = parts
    gram = fit.swapaxes(-1, -2) @ fit
    weights = np.linalg.solve(gram, fit.swapaxes(-1, -2) @ of_fit[:, :, None, :, None])
    hits = np.sign((test @ weights)[..., 0]) == of_test[:, :, None, :]
    return np.asarray(hits.mean(-1).swapaxes(1, 2))


# How far the settings of a table are off on each dataset [T, k, N], in deviations of a seed there, which are log-normal
# over datasets; and how many times the deviation of the first setting's seeds is that of others.
Varies = Callable[[np.random.Generator, tuple[int, int, int]], np.ndarray]
OVER_DATASETS: dict[str, tuple[Varies, float]] = {
    "seeds alone": (lambda random, shape: np.zeros(shape), 1.0),
    "varying as a seed does": (lambda random, shape: random.normal(size=shape), 1.0),
    "varying, deviations 4, 1, 1, 1": (lambda random, shape: random.normal(size=shape), 4.0),
    "most on one dataset": (
        lambda random, shape: random.normal(size=shape) * np.where(np.arange(shape[2]) == 0, 8.0, 0.5),
        1.0,
    ),
    "varying, t with 3 df": (lambda random, shape: random.standard_t(3, size=shape), 1.0),
}


def on_datasets(
    name: str, means: Sequence[float], n_datasets: int, n_tables: int, n: int = 5, seed: int = 0
) -> np.ndarray:
    """Scores [T, k, N, n] of settings whose means over all datasets are these, in deviations of a seed."""
    random, (varies, first) = np.random.default_rng(seed), OVER_DATASETS[name]
    shape = (n_tables, len(means), n_datasets)
    scale = random.lognormal(sigma=1.0, size=(n_tables, 1, n_datasets))
    of_dataset = random.normal(size=(n_tables, 1, n_datasets))
    true = of_dataset + np.array(means)[:, None] + varies(random, shape)
    noise = random.normal(size=(*shape, n)) * np.where(np.arange(len(means)), 1.0, first)[:, None, None]
    return np.asarray(scale[..., None] * (true[..., None] + noise))


def adjusted_over_datasets(scores: np.ndarray) -> np.ndarray:
    """The adjusted p-values [T, m] over datasets of all pairs, of scores [T, k, N, n]."""
    n_tables, k, n_datasets, _ = scores.shape
    first, second = np.array(pairs(k)).T
    deviation = np.sqrt(scores.var(3, ddof=1).mean(1, keepdims=True))
    scaled = scores.mean(3) / deviation
    p = dataset_p_values(scaled[:, first].reshape(-1, n_datasets), scaled[:, second].reshape(-1, n_datasets))
    p = p.reshape(n_tables, -1)
    found = np.ones_like(p)
    low = p.min(1) <= ALPHA
    found[low] = adjusted_pairs(p[low], k)
    return found


def error_over_datasets(name: str, k: int, n_datasets: int, n_tables: int, n: int = 5) -> float:
    """In what share of tables of equal settings a difference over datasets is called more than noise."""
    scores = on_datasets(name, [0.0] * k, n_datasets, n_tables, n, seed=10 * k + n_datasets)
    return float((adjusted_over_datasets(scores) <= ALPHA).any(1).mean())


def found_over_datasets(name: str, size: float, k: int, n_datasets: int, n_tables: int) -> float:
    """How often a setting that is better by `size` deviations of a seed is found to differ from another."""
    p = adjusted_over_datasets(on_datasets(name, [size] + [0.0] * (k - 1), n_datasets, n_tables))
    return float((p[:, : k - 1] <= ALPHA).mean())


Draw = Callable[[np.random.Generator, int], np.ndarray]
SEEDS = (4, 5, 10)  # of claims


@dataclass(frozen=True)
class Scores:
    """Scores of runs: n of them at random, their true mean, and the two values where there are no others."""

    draw: Draw
    mean: float
    outcomes: tuple[float, float] | None = None


def two_valued(share: float, low: float = 0.75, high: float = 1.0, *, named: bool = True) -> Scores:
    """Accuracies that are `high` in a share of runs, as on XOR; `named` where the claim says that there are two."""
    return Scores(
        lambda random, n: np.where(random.random(n) < share, high, low),
        low + (high - low) * share,
        (low, high) if named else None,
    )


NORMAL = {"normal": Scores(lambda random, n: random.normal(0.9, 0.01, n), 0.9)}
TWO_VALUED = {f"two values, {share:.0%} high": two_valued(share) for share in (0.5, 0.8, 0.95, 0.99)}
SKEWED = {
    "exponential": Scores(lambda random, n: random.exponential(1.0, n), 1.0),
    "log-normal, sigma 1": Scores(lambda random, n: random.lognormal(0.0, 1.0, n), math.exp(0.5)),
    "one seed in ten fails": Scores(
        lambda random, n: np.where(random.random(n) < 0.1, 0.5, 0.95) + random.normal(0.0, 0.01, n), 0.905
    ),
    "two values, not named": two_valued(0.8, named=False),
}


def judgements(scores: Scores, n: int, n_sweeps: int, seed: int = 0) -> Iterator[tuple[Judgement, Judgement]]:
    """What becomes of two false claims in each of many sweeps of n seeds: that the mean is above, and below, itself."""
    random = np.random.default_rng(seed)
    above = Claim("more", "accuracy/test", above=scores.mean, outcomes=scores.outcomes)
    below = Claim("less", "accuracy/test", below=scores.mean, outcomes=scores.outcomes)
    for _ in range(n_sweeps):
        summaries = [summary(scores.draw(random, n).tolist())]
        yield evaluate_claim(above, summaries), evaluate_claim(below, summaries)


def summary(scores: list[float]) -> Summary:
    """The runs of one setting, one for each score."""
    runs = [stored_run(0, seed, score) for seed, score in enumerate(scores)]
    return Summary(Setting({}), runs, [], [], [], [])


def stored_run(setting: int, seed: int, score: float) -> StoredRun:
    """A run of one of several settings, with this test accuracy."""
    record = Record(
        state="completed",
        config={"epochs": setting + 1, "seed": seed},
        command="",
        started="",
        device="cpu",
        seed=seed,
        n_parameters=1,
        versions={},
        git_commit=None,
        host="",
        pid=1,
        metrics={"test": {"accuracy": score, "loss": 1 - score}},
    )
    return StoredRun(Path(str(setting), str(seed)), record)


def false_share(scores: Scores, n: int, n_sweeps: int) -> float:
    """In what share of sweeps a false claim is called true, the worse of the two."""
    held = np.array([[found.verdict == "holds" for found in both] for both in judgements(scores, n, n_sweeps)])
    return float(held.mean(0).max())


def _percent(values: Sequence[float]) -> str:
    return "".join(f"{100 * value:8.1f}" for value in values)


def _report(n_tables: int) -> None:
    counts = (3, 5, 10)
    head = "".join(f"{f'n = {n}':>8}" for n in counts)
    print(f"family-wise error in %, at most 5{'':15}{head}")
    for k in (2, 4, 8):
        for name, draw in EQUAL.items():
            tables = [draw(np.random.default_rng(n), (n_tables * 2 // k, k, n)) for n in counts]
            print(f"  {k} settings, {name:34}{_percent([family_error(scores) for scores in tables])}", flush=True)
    for k in (2, 4, 8):
        for what, overlap in (("corrected", 1 / 3), ("not corrected", 0.0)):
            tables = [overlapping(k, n, n_tables // 4) for n in counts]
            errors = [family_error(scores, overlap) for scores in tables]
            print(f"  {k} settings, overlapping splits, {what:14}{_percent(errors)}", flush=True)
    print(f"effects of a full grid of equal settings, the worst of three{'n = 5':>8}{'n = 10':>8}")
    for a, b in ((2, 2), (4, 2), (4, 4)):
        for name, draw in EQUAL.items():
            tables = [draw(np.random.default_rng(n), (n_tables, a * b, n)) for n in (5, 10)]
            errors = [max(effect_errors(scores, (a, b))) for scores in tables]
            print(f"  {a} × {b}, {name:46}{_percent(errors)}", flush=True)
        tables = [overlapping(a * b, n, n_tables // 4) for n in (5, 10)]
        errors = [max(effect_errors(scores, (a, b), 1 / 3)) for scores in tables]
        print(f"  {a} × {b}, {'overlapping splits, corrected':46}{_percent(errors)}", flush=True)
    print(f"equal means of different skewness, not held: error; wrong tables with a caution{head}")
    for k in (2, 4):
        for name, draw in UNEQUAL.items():
            tables = [draw(np.random.default_rng(n), (n_tables // 4, k, n)) for n in counts]
            print(f"  {k} settings, {name:32}{_percent([family_error(scores) for scores in tables])}", flush=True)
            print(f"{'':16}{'caution':32}{_percent([cautioned(scores) for scores in tables])}", flush=True)
    print("true differences of one deviation that are found in 10 seeds, %")
    for means in ([1, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, *[0] * 7], [1] * 4 + [0] * 4):
        print(f"  means {means}: {100 * found_share(means, 10, n_tables):.1f}", flush=True)
    _report_intervals(n_tables)
    print("found with the seeds that a verdict names after 10, 80 %")
    for size in (1.0, 1.5):
        for pattern in ([1, 0], [1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, *[0] * 7]):
            found, named = named_seeds([size * mean for mean in pattern], 500)
            print(
                f"  {len(pattern)} settings, {pattern} × {size}: {100 * found:.1f} with {named:.0f} seeds", flush=True
            )
    print("interval of a mean of two values that holds (where seeds differ), and no interval, %")
    for share in (0.5, 0.8, 0.95):
        for n in (5, 10):
            held, none = two_valued_coverage(share, n, n_tables)
            print(f"  {share:.0%} high, n = {n}: {100 * held:.1f}, {100 * none:.1f}")
    for k in (2, 4, 8):
        best, corrected = best_of_equal(k, 5, n_tables)
        print(f"best of {k} equal settings of 5 seeds: {best:+.2f} deviations, corrected {corrected:+.2f}")


# True means of 2, 4, 8 settings: equal, a deviation apart each, one apart, two groups, far apart.
MEANS: dict[str, Sequence[Sequence[float]]] = {
    "equal": ([0] * 2, [0] * 4, [0] * 8),
    "0, 1, 2, …": ([0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7]),
    "one 1 apart": ([1, 0, 0], [1, *[0] * 3], [1, *[0] * 7]),
    "two groups, 1 apart": ([1, 1, 0, 0], [1] * 4 + [0] * 4),
    "two equal, others 20 apart": ([0, 0, 20], [0, 0, 20, 40], [0, 0, 20, 40, 60, 80, 100, 120]),
    "two 0.05 apart, others 20": ([0, 0.05, 20], [0, 0.05, 20, 40], [0, 0.05, 20, 40, 60, 80, 100, 120]),
}
DEVIATIONS = {"1": [1.0] * 8, "4, 1, …": [4.0, *[1.0] * 7]}


def _report_intervals(n_tables: int) -> None:
    counts = (3, 5, 10)
    head = "".join(f"{f'n = {n}':>20}" for n in counts)
    print("intervals of differences that hold together, 95 %: of all pairs, to the best alone, all with right verdicts")
    print(f"{'':57}{head}")
    for name, shapes in MEANS.items():
        for means in shapes:
            k = len(means)
            for of, deviations in DEVIATIONS.items():
                found = [coverage(means, n, n_tables * min(4, k) // k, deviations[:k]) for n in counts]
                shares = [f"{100 * one.all:8.1f}{100 * one.shown:6.1f}{100 * one.right:6.1f}" for one in found]
                print(f"  {f'{k} settings, {name}; deviations {of}':55}{''.join(shares)}", flush=True)
    head = "".join(f"{f'n = {n}':>8}" for n in counts)
    print(f"intervals of differences to a baseline that hold together{head}")
    for k in (2, 4, 8):
        for of, deviations in DEVIATIONS.items():
            found = [coverage([0] * k, n, n_tables, deviations[:k], baseline=True) for n in counts]
            print(f"  {k} settings; deviations {of:33}{_percent([one.all for one in found])}", flush=True)


def _report_over_datasets(n_tables: int) -> None:
    counts = (3, 5, 10)
    head = "".join(f"{f'N = {n}':>8}" for n in counts)
    print(f"over N datasets, family-wise error in %, at most 5{'':1}{head}")
    for k in (2, 4, 8):
        for name in OVER_DATASETS:
            errors = [error_over_datasets(name, k, n, n_tables * 2 // k) for n in counts]
            print(f"  {k} settings, {name:34}{_percent(errors)}", flush=True)
    print(f"over N datasets, found of a setting better by two deviations of a seed, %{head}")
    for k in (2, 4, 8):
        for name in ("seeds alone", "varying as a seed does"):
            shares = [found_over_datasets(name, 2.0, k, n, n_tables // k) for n in counts]
            print(f"  {k} settings, {name:34}{_percent(shares)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=4_000)
    parser.add_argument("--sweeps", type=int, default=4_000)
    args = parser.parse_args()
    _report(args.tables)
    _report_over_datasets(args.tables)
    print(f"{'false claims that hold, %':28}" + "".join(f"{f'n = {n}':>10}" for n in SEEDS))
    for name, scores in {**NORMAL, **TWO_VALUED, **SKEWED}.items():
        print(f"{name:28}" + "".join(f"{100 * false_share(scores, n, args.sweeps):9.1f}%" for n in SEEDS), flush=True)


if __name__ == "__main__":
    main()
