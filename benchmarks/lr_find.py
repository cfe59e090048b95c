"""What following `mlpexp lr-find` costs: the score at the rate of each rule against the best of a grid of rates.

    python benchmarks/lr_find.py [--datasets xor wine ...] [--cache FILE] [--seed 0]

Six data sets of mlpexp and two tables of scikit-learn, six optimizers, five seeds; all else is as the config has it.
Each pair of data set and optimizer is trained at eight rates, each √10 times the one before, as one stack a data set.
The score of a run is the validation score of its best epoch (accuracy or R², × 100), over all epochs and over the
first tenth of them. That of a rate is the mean over seeds, and between rates of the grid linear in log(lr). The regret
of a rate is how many points its score is below the best of the grid.

A rule's rate is that of a landmark of the curve ÷ a divisor. The divisor for a data set is the one with the least
mean regret over all other data sets, over all epochs: the data set that a rule is tried on has no part in it.
`--cache` names a JSON file that keeps the scores of the grid, so that rules can be tried without training it again.
`--seed` is the first one of the range tests; the grid has seeds 0 to 4.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mlpexp.config.compose import compose
from mlpexp.config.schema import Config
from mlpexp.engine.loop import Engine
from mlpexp.engine.process import runtime_context
from mlpexp.lr_finder.find import Finding, find_lr
from mlpexp.lr_finder.rules import RULES
from mlpexp.training.prepare import prepare

DATASETS = ("xor", "moons", "circles", "spirals", "sine", "digits", "wine", "breast_cancer")
TABLES = ("wine", "breast_cancer")
OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "rmsprop", "nadam")
SEEDS = 5
LOWEST = {"sgd": 10**-2.5, "momentum": 10**-3.0}
LOWEST_OF_OTHERS = 10**-3.5
N_RATES = 8
DIVISORS = (1, 3, 10, 30, 100)

Scores = list[list[float | None]]  # [rates, seeds]; None for a run that diverged
Grid = dict[str, dict[str, dict[str, Scores]]]  # by data set, optimizer, and `all` epochs or a `tenth`
Pair = tuple[str, str]  # a data set and an optimizer


def rates_of(optimizer: str) -> np.ndarray:
    """The grid of an optimizer."""
    return LOWEST.get(optimizer, LOWEST_OF_OTHERS) * 10 ** (np.arange(N_RATES) / 2)


def config_of(dataset: str, optimizer: str, tables: Path) -> Config:
    """The config of a pair; a table of scikit-learn is written to `tables` first.

    Two in five of a table's rows are for validation: of 36 rows, which is a fifth of wine, one is 2.8 points.
    """
    chosen = [f"dataset={dataset}"]
    if dataset in TABLES:
        import sklearn.datasets

        table = getattr(sklearn.datasets, f"load_{dataset}")()
        path = tables / f"{dataset}.csv"
        rows = np.column_stack([table.data, table.target])
        np.savetxt(path, rows, "%.8g", ",", header=",".join([*table.feature_names, "target"]), comments="")
        chosen = ["dataset=table", f"dataset.path={path}", "dataset.target=target", "dataset.task=classification"]
        chosen.append("dataset.val_fraction=0.4")
    return compose([*chosen, f"optimizer={optimizer}", "device=cpu", "log.diagnostics=0"])


def trained(dataset: str, tables: Path) -> dict[str, dict[str, Scores]]:
    """The scores of a data set by optimizer: `all` epochs, and the first `tenth` of them."""
    configs = []
    for optimizer in OPTIMIZERS:
        config = config_of(dataset, optimizer, tables)
        for rate in rates_of(optimizer).tolist():
            own = dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, lr=rate))
            configs += [dataclasses.replace(own, seed=seed) for seed in range(SEEDS)]
    prepared = prepare(configs[0])
    name = f"{prepared.data.task.score}/val"
    with runtime_context(configs[0], len(configs) * configs[0].batch_size * prepared.n_linear_parameters) as device:
        engine = Engine(configs, prepared.data, device)
        members = list(engine.members)
        position = {member: k for k, member in enumerate(members)}
        best = np.full(len(members), -math.inf)
        for rows in engine.epochs():
            for member, row in zip(engine.members, rows, strict=True):
                if member.best.epoch == engine.epoch:
                    best[position[member]] = 100 * row[name]
            if engine.epoch == engine.total_epochs // 10:
                tenth = best.copy()
    found: dict[str, dict[str, Scores]] = {}
    for k, optimizer in enumerate(OPTIMIZERS):
        part = slice(k * N_RATES * SEEDS, (k + 1) * N_RATES * SEEDS)
        found[optimizer] = {}
        for epochs, scores in (("all", best), ("tenth", tenth)):
            values = zip(members[part], scores[part].tolist(), strict=True)
            plain = [None if member.diverged else score for member, score in values]
            found[optimizer][epochs] = [plain[i : i + SEEDS] for i in range(0, len(plain), SEEDS)]
    return found


def score(scores: Scores, optimizer: str, lr: float) -> float:
    """The score at a rate; a run that diverged, or is worse than a constant answer, has none: 0."""
    means = np.mean([[max(0.0, run or 0.0) for run in runs] for runs in scores], axis=1)
    return float(np.interp(math.log(lr), np.log(rates_of(optimizer)), means))


def regret(scores: Scores, optimizer: str, lr: float) -> float:
    """By how many points the score at a rate is below the best of the grid."""
    return max(score(scores, optimizer, rate) for rate in rates_of(optimizer).tolist()) - score(scores, optimizer, lr)


def diverges(scores: Scores, optimizer: str, lr: float) -> bool:
    """Whether a run at the nearest rate of the grid diverged."""
    return None in scores[int(np.argmin(np.abs(np.log(rates_of(optimizer) / lr))))]


def left_out(landmarks: dict[Pair, float], grid: Grid) -> tuple[dict[Pair, float], set[int]]:
    """For each pair the rate at a landmark ÷ the divisor that is best for all other data sets, and these divisors."""
    rates, chosen = {}, {}
    for dataset in grid:
        others = [pair for pair in landmarks if pair[0] != dataset]
        costs = [
            np.mean([regret(grid[d][o]["all"], o, landmarks[d, o] / divisor) for d, o in others])
            for divisor in DIVISORS
        ]
        chosen[dataset] = DIVISORS[int(np.argmin(costs))]
    for dataset, optimizer in landmarks:
        rates[dataset, optimizer] = landmarks[dataset, optimizer] / chosen[dataset]
    return rates, set(chosen.values())


def line(name: str, divisors: set[int], rates: dict[Pair, float], grid: Grid) -> None:
    """One row of the table: regrets over all epochs and over the first tenth, and how many pairs diverge."""
    print(f"{name:17} {', '.join(map(str, sorted(divisors))):>9} {len(rates):6}", end="")
    for epochs in ("all", "tenth"):
        regrets = [regret(grid[d][o][epochs], o, lr) for (d, o), lr in rates.items()]
        print(f"{np.mean(regrets):9.2f} {max(regrets):6.1f}", end="")
    print(f"{sum(diverges(grid[d][o]['all'], o, lr) for (d, o), lr in rates.items()):10}")


def report(grid: Grid, findings: dict[Pair, Finding]) -> None:
    """Prints the table of the rules, and where the first suggestion costs what."""
    print(f"{'':17} {'':>9} {'':6}{'all epochs':>16}{'first tenth':>16}")
    print(f"{'rule':17} {'divisor':>9} {'pairs':>6}{'mean':>9} {'worst':>6}{'mean':>9} {'worst':>6}{'diverge':>10}")
    first: dict[Pair, float] = {}
    for k, rule in enumerate(RULES):
        found = {pair: finding.suggestions[k].lr for pair, finding in findings.items()}
        rates, divisors = left_out({pair: lr * rule.divisor for pair, lr in found.items() if lr is not None}, grid)
        line(rule.landmark.__name__, divisors, rates, grid)
        first = rates | first
    line("first suggestion", set(), first, grid)
    line("config", set(), {pair: finding.config.optimizer.lr for pair, finding in findings.items()}, grid)
    print(f"\nregret of the first suggestion\n{'':14}" + "".join(f"{optimizer:>10}" for optimizer in OPTIMIZERS))
    for dataset in grid:
        costs = [regret(grid[dataset][o]["all"], o, first[dataset, o]) for o in OPTIMIZERS]
        print(f"{dataset:14}" + "".join(f"{cost:10.1f}" for cost in costs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS, help="at least two; else all")
    parser.add_argument("--cache", type=Path, metavar="FILE", help="a JSON file that keeps the scores of the grid")
    parser.add_argument("--seed", type=int, default=0, help="the first seed of the range tests")
    args = parser.parse_args()
    grid: Grid = json.loads(args.cache.read_text()) if args.cache is not None and args.cache.exists() else {}
    findings: dict[Pair, Finding] = {}
    with tempfile.TemporaryDirectory() as directory:
        for dataset in args.datasets:
            began = time.perf_counter()
            if dataset not in grid:
                grid[dataset] = trained(dataset, Path(directory))
                if args.cache is not None:
                    args.cache.write_text(json.dumps(grid))
            for optimizer in OPTIMIZERS:
                config = dataclasses.replace(config_of(dataset, optimizer, Path(directory)), seed=args.seed)
                findings[dataset, optimizer] = find_lr(config)
            print(f"{dataset}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    report({dataset: grid[dataset] for dataset in args.datasets}, findings)


if __name__ == "__main__":
    main()
