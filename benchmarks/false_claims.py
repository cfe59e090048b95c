"""How many false claims about a mean are called true: sweeps of simulated scores, judged as those of runs are.

    python benchmarks/false_claims.py [--sweeps 20000]

For each kind of score and number of seeds, a claim that is false by a hair (the bound is the true mean) and asks for
more or for less: printed is the percentage of sweeps in which it holds, the worse of the two.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlpexp.comparison.claims import Judgement, evaluate_claim
from mlpexp.comparison.runs import StoredRun
from mlpexp.comparison.settings import Setting
from mlpexp.comparison.summary import Summary
from mlpexp.config.report import Claim
from mlpexp.run.record import Record

Draw = Callable[[np.random.Generator, int], np.ndarray]
SEEDS = (4, 5, 10)


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
    runs = [StoredRun(Path(str(seed)), _record(seed, score)) for seed, score in enumerate(scores)]
    return Summary(Setting({}), runs, [], [], [], [])


def _record(seed: int, score: float) -> Record:
    return Record(
        state="completed",
        config={},
        command="",
        started="",
        device="cpu",
        seed=seed,
        n_parameters=1,
        versions={},
        git_commit=None,
        host="",
        pid=1,
        metrics={"test": {"accuracy": score}},
    )


def false_share(scores: Scores, n: int, n_sweeps: int) -> float:
    """In what share of sweeps a false claim is called true, the worse of the two."""
    held = np.array([[found.verdict == "holds" for found in both] for both in judgements(scores, n, n_sweeps)])
    return float(held.mean(0).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=20_000)
    n_sweeps = parser.parse_args().sweeps
    print(f"{'scores':28}" + "".join(f"{f'n = {n}':>10}" for n in SEEDS))
    for name, scores in {**NORMAL, **TWO_VALUED, **SKEWED}.items():
        print(f"{name:28}" + "".join(f"{100 * false_share(scores, n, n_sweeps):9.1f}%" for n in SEEDS), flush=True)


if __name__ == "__main__":
    main()
