"""Which keys tell runs apart, and how runs are grouped by them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpexp.comparison.compare import compare
from mlpexp.comparison.runs import find_runs
from mlpexp.comparison.settings import differences, group, without_repeats
from mlpexp.config.compose import compose
from mlpexp.run.hyperparameters import hyperparameters

WriteRun = Callable[..., Path]


@pytest.mark.parametrize(
    ("runs", "keys", "implied"),
    [
        (["seed=0", "seed=1"], [], ["dataset.seed"]),
        (["", ""], [], []),
        # How a run is watched, or where its data lie, is no setting.
        (["log.figures=false", "checkpoint.every_seconds=1 data_dir=x"], [], []),
        (["activation=relu", "activation=gelu"], ["activation"], ["activation.approximate"]),
        (["epochs=2", "epochs=3"], ["epochs"], []),
        (["model.hidden=[8]", "model.hidden=[8,8]"], ["model.hidden"], []),
        (["clip.norm=1", ""], ["clip.norm"], []),
        # A parameter that some settings do not have.
        (
            ["activation=relu", "activation=leaky_relu", "activation=leaky_relu activation.negative_slope=0.3"],
            ["activation", "activation.negative_slope"],
            [],
        ),
        # The usual learning rate goes with the optimizer; one that was swept does not.
        (
            ["optimizer=sgd", "optimizer=adagrad"],
            ["optimizer"],
            ["optimizer.lr", "optimizer.weight_decay", "optimizer.eps", "optimizer.lr_decay"],
        ),
        (["optimizer.lr=0.1", "optimizer.lr=0.01"], ["optimizer.lr"], []),
        (["regularizer=[dropout]", "regularizer=[l2]"], ["regularizer"], None),
        (["regularizer=[dropout]", "regularizer=[dropout] regularizer.dropout.p=0.1"], ["regularizer.dropout.p"], []),
        # What a dataset recommends goes with it.
        (["dataset=xor", "dataset=digits"], ["dataset"], None),
        # What differs along with another choice, by will or by chance, is shown: it may be what made the difference.
        (["activation=relu epochs=2", "activation=tanh epochs=3"], ["activation", "epochs"], []),
        (["init=default activation=relu", "init=orthogonal activation=tanh"], ["activation", "init"], None),
        # Splits that are drawn anew with each seed.
        (["seed=0 dataset.seed=0", "seed=1 dataset.seed=1"], [], ["dataset.seed"]),
        (["seed=0 dataset.seed=0", "seed=0 dataset.seed=1"], ["dataset.seed"], []),
    ],
)
def test_keys_that_differ(runs: list[str], keys: list[str], implied: list[str] | None) -> None:
    found = differences([hyperparameters(compose(["dataset=digits", *run.split()]).to_dict()) for run in runs])
    assert found.keys == keys
    if implied is not None:
        assert set(found.implied) <= set(implied)
        assert bool(found.implied) == bool(implied)


def test_runs_are_grouped_by_setting(write_run: WriteRun, here: Path) -> None:
    for number, (activation, seed) in enumerate([("relu", 0), ("leaky_relu", 0), ("relu", 1), ("leaky_relu", 1)]):
        slope = f"activation.negative_slope={0.1 * (seed + 1)}" if activation == "leaky_relu" else "epochs=30"
        write_run(f"s/{number}", f"activation={activation}", slope, seed=seed)
    groups, _ = group(find_runs(["s"])[0])
    assert {label: [run.directory.name for run in runs] for label, (_, runs) in groups.items()} == {
        "activation=relu": ["0", "2"],
        "activation=leaky_relu, activation.negative_slope=0.1": ["1"],
        "activation=leaky_relu, activation.negative_slope=0.2": ["3"],
    }
    setting, _ = groups["activation=relu"]
    assert setting.values == {"activation": "relu", "activation.negative_slope": "–"}


@pytest.mark.parametrize(
    ("seeds", "labels"),
    [
        ([(0, 0), (1, 1), (2, 2)], {"all runs": 3}),
        ([(0, 0), (1, 0), (2, 0)], {"all runs": 3}),
        ([(0, 0), (0, 1), (0, 2)], {"dataset.seed=0": 1, "dataset.seed=1": 1, "dataset.seed=2": 1}),
        ([(0, 7), (1, 7), (0, 8), (1, 8)], {"dataset.seed=7": 2, "dataset.seed=8": 2}),
        # Splits of their own beside one that was fixed, which is that of a seed too.
        ([(3, 3), (4, 4), (3, 7), (4, 7)], {"dataset.seed=${seed}": 2, "dataset.seed=7": 2}),
    ],
)
def test_a_split_of_its_own_is_a_seed_and_no_choice(
    seeds: list[tuple[int, int]], labels: dict[str, int], write_run: WriteRun, here: Path
) -> None:
    for number, (seed, split) in enumerate(seeds):
        write_run(f"s/{number}", "dataset=digits", f"dataset.seed={split}", seed=seed)
    groups, _ = group(find_runs(["s"])[0])
    assert {label: len(runs) for label, (_, runs) in groups.items()} == labels


def test_a_fold_is_a_repetition_as_a_seed_is(write_run: WriteRun, here: Path) -> None:
    for number, (activation, fold, seed) in enumerate(itertools.product(("relu", "tanh"), range(2), range(2))):
        write_run(f"s/{number}", "dataset=moons", f"activation={activation}", f"dataset.fold={fold}", seed=seed)
    comparison = compare("s")
    assert {summary.label: len(summary.runs) for summary in comparison.summaries} == {
        "activation=relu": 4,
        "activation=tanh": 4,
    }
    repetitions = [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert list(comparison.summaries[0].values(comparison.metric)) == repetitions


def test_long_values_that_differ_at_their_end_are_told_apart(write_run: WriteRun, here: Path) -> None:
    for name in ("a", "b"):
        write_run(name, "dataset=table", f"dataset.path={'x' * 100}{name}.csv", "dataset.target=y")
    assert len(compare([here]).summaries) == 2


def test_seeds_alone_are_one_setting(write_run: WriteRun, here: Path) -> None:
    write_run("0", seed=0)
    write_run("1", seed=1)
    (summary,) = compare(here).summaries
    assert (summary.label, summary.seeds) == ("all runs", [0, 1])


@pytest.mark.parametrize(
    ("runs", "chosen"),
    [
        ([("completed", 1), ("completed", 2)], 1),
        ([("completed", 2), ("completed", 1)], 0),
        ([("completed", 1), ("completed", 1)], 1),
        ([("failed", 2), ("completed", 1)], 1),
        ([("completed", 1), ("running", 2)], 0),
    ],
)
def test_of_repeats_the_last_that_completed_counts(
    write_run: WriteRun, here: Path, runs: list[tuple[str, int]], chosen: int
) -> None:
    for number, (state, hour) in enumerate(runs):
        write_run(f"s/{number}", state=state, started=f"2026-11-24T0{hour}:00:00+00:00")
    kept, n_left_out = without_repeats(find_runs(["s"])[0])
    assert ([run.directory.name for run in kept], n_left_out) == ([str(chosen)], 1)
    (note,) = compare("s").notes
    assert note == "1 run repeats a setting and a seed: of such runs only the last one started counts."


def test_an_activation_that_no_layer_uses_makes_no_settings() -> None:
    def flat(model: str, activation: str) -> dict[str, Any]:
        return hyperparameters({**compose(["dataset=xor", model]).to_dict(), "activation": {"name": activation}})

    none = [flat("model.hidden=[]", name) for name in ("relu", "tanh")]
    some = [flat("model.hidden=[4]", name) for name in ("relu", "tanh")]
    assert [config["activation"] for config in [*none, *some]] == ["none", "none", "relu", "tanh"]
    assert differences(none).keys == []
    assert differences([*none, *some]).keys == ["activation", "model.hidden"]
    # There is one choice of it: that there is none elsewhere follows from the model.
    assert differences([*none, some[0]]).keys == ["model.hidden"]
    assert differences([flat("model=perceptron", "relu"), flat("model=mlp", "relu")]).keys == ["model"]
