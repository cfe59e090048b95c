"""Members that end together are judged together: each gets the numbers that its network alone gets."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from mlpexp.config.schema import Config, parse
from mlpexp.data.dataset import Data
from mlpexp.run.record import Record
from mlpexp.run.results import judged
from mlpexp.training import judging
from mlpexp.training.attempt import Pending, Run
from mlpexp.training.prepare import prepare
from mlpexp.training.stack import train_stack
from mlpexp.training.watcher import Watcher

Small = Callable[..., Config]

QUIET = ["model.hidden=[8]", "epochs=3", "log.figures=false", "log.tensorboard=false"]
CASES = {
    "one split": ["dataset=moons", "dataset.n_samples=90", "dataset.seed=1"],
    "own splits": ["dataset=digits", "calibrate=temperature", "loss=cross_entropy", "loss.class_weight=balanced"],
    "values": ["dataset=sine"],
    "own values": ["dataset=table", "dataset.target=y", "dataset.path=table.csv"],
    "the same rows in all splits": ["dataset=xor"],
}


def pending(config: Config, seeds: Sequence[int], own_splits: bool = True) -> list[Pending]:
    """Members that differ in activation too."""
    runs = []
    for number, seed in enumerate(seeds):
        plain = config.to_dict()
        plain["activation"] = {"name": ["relu", "tanh"][number % 2]}
        if own_splits:
            plain["dataset"]["seed"] = seed
        directory = Path(f"run {number}")
        directory.mkdir()
        runs.append(Pending(parse({**plain, "seed": seed}), directory, number))
    return runs


def train(runs: Sequence[Pending], watcher: Watcher | None = None) -> list[Any]:
    return train_stack(runs, [prepare(run.config) for run in runs], watcher)


@pytest.mark.parametrize("case", CASES)
def test_members_have_the_metrics_that_their_networks_alone_have(
    case: str, small: Small, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("table.csv").write_text("\n".join(["a,b,y", *(f"{n},{n * 7 % 11},{n * n % 13}.5" for n in range(60))]))
    judged_at_once: list[int] = []

    def note(stack: Any, data: Sequence[Data], *rest: Any) -> Any:
        judged_at_once.append(len(data))
        return judged(stack, data, *rest)

    monkeypatch.setattr(judging, "judged", note)
    runs = train(pending(small(*CASES[case], *QUIET), [3, 5, 3, 8], case.startswith("own")))
    assert judged_at_once == [4]
    for run in runs:
        record: Record = run.record
        for split, alone in run.results.metrics().items():
            assert list(alone) == list(run.results.task.metrics)
            assert record.metrics[split] == pytest.approx(alone, rel=1e-6, abs=1e-6, nan_ok=True), split


def test_a_member_that_cannot_be_judged_leaves_the_others(
    small: Small, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts of two members, of which the first part holds one that fails."""
    config = small("dataset=digits", *QUIET)
    parts: list[int] = []

    def fail(stack: Any, data: Sequence[Data], *rest: Any) -> Any:
        parts.append(len(data))
        if any(own.train.y.equal(fails) for own in data):
            raise ValueError("no metric")
        return judged(stack, data, *rest)

    monkeypatch.setattr(judging, "judged", fail)
    runs = pending(config, [3, 5, 8])
    fails = prepare(runs[0].config).data.train.y
    monkeypatch.setattr(judging, "_OUTPUTS", 2 * len(fails) * 10)
    first, *others = train(runs)
    assert parts == [2, 1, 1, 1]
    assert isinstance(first, ValueError)
    assert all(isinstance(run, Run) for run in others)
    assert {name for run in others for name in chain(*run.metrics.values())} >= {"accuracy", "roc_auc"}


def test_a_watcher_is_told_what_comes_after_the_last_epoch(small: Small, here: Path) -> None:
    class Notes(Watcher):
        def __init__(self) -> None:
            self.told: list[str] = []

        def epoch(self, engine: Any, rows: Any) -> None:
            self.told.append(f"epoch {engine.epoch}")

        def doing(self, what: str) -> None:
            self.told.append(what)

        def ended(self) -> None:
            self.told.append("ended")

    watcher = Notes()
    runs = pending(small("dataset=xor", *QUIET), range(10), own_splits=False)
    assert all(isinstance(run, Run) for run in train(runs, watcher))
    written = ["writing 0/10", "writing 8/10"]
    assert watcher.told == ["epoch 1", "epoch 2", "epoch 3", "judging", *written, "ended"]


DRAWN = ["dataset=moons", "dataset.n_samples=60", "model.hidden=[4]", "epochs=4", "log.tensorboard=false"]


@pytest.mark.parametrize(("figures", "loss"), [(True, False), (True, True), ("all", False), (False, False)])
def test_the_best_run_of_each_setting_has_figures(figures: bool | str, loss: bool, small: Small, here: Path) -> None:
    """Or all runs have, or none: as `log.figures` says."""
    config = small(*DRAWN, f"log.figures={str(figures).lower()}", *(["metric=loss"] if loss else []))
    runs: list[Run] = train(pending(config, [3, 5, 8, 2, 9, 4]))
    with_files = {run.directory for run in runs if (run.directory / "figures").exists()}
    scores: dict[str, dict[Path, tuple[float, float]]] = {}
    # By hand from metrics.csv: the epoch of the best score, or least loss; among equals the least loss.
    for run in runs:
        rows = list(csv.DictReader((run.directory / "metrics.csv").read_text().splitlines()))
        keys = [(0.0 if loss else float(row["accuracy/val"]), -float(row["loss/val"])) for row in rows]
        name = run.record.config["activation"]["name"]
        scores.setdefault(name, {})[run.directory] = max(keys)
    best = {max(found, key=found.__getitem__) for found in scores.values()}
    assert len(scores) == 2
    assert with_files == {True: best, "all": {run.directory for run in runs}, False: set()}[figures]
