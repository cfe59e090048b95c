"""Several datasets in one sweep are blocks: settings compared on each, and over all, against scipy."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mlpexp.comparison.best import best_setting
from mlpexp.comparison.claims import evaluate_claim
from mlpexp.comparison.compare import compare
from mlpexp.comparison.over_datasets import dataset_p_values
from mlpexp.comparison.report import markdown
from mlpexp.comparison.settings_figure import settings_picture
from mlpexp.comparison.table import csv_text, fitting_datasets, latex_table, table_width
from mlpexp.comparison.verdict import verdict
from mlpexp.config.report import Claim
from mlpexp.errors import ConfigError

Write = Callable[..., Path]
NAMES = ("moons", "circles", "spirals", "digits")
SETTINGS = ("relu", "tanh", "gelu")
pytestmark = pytest.mark.usefixtures("composed_once")


def sweep(scores: np.ndarray) -> dict[str, list[float]]:
    """By overrides the scores [datasets, settings, n]."""
    return {
        f"dataset={NAMES[j]} activation={SETTINGS[i]}": scores[j, i].tolist()
        for j in range(scores.shape[0])
        for i in range(scores.shape[1])
    }


def drawn(n_datasets: int, n: int = 5, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    spread = np.array([0.002, 0.02, 0.005, 0.01])[:n_datasets, None, None]
    level = np.array([0.95, 0.6, 0.8, 0.9])[:n_datasets, None, None]
    return level + spread * (random.normal(size=(n_datasets, 3, n)) + np.array([0, -4, -1.0])[:, None])


def test_over_datasets_is_a_paired_t_test_of_scaled_means(write_sweep: Write) -> None:
    scores = drawn(4)
    found = compare(write_sweep(sweep(scores)), baseline="activation=relu").over_datasets
    assert found is not None
    assert found.names == list(NAMES)
    deviations = np.sqrt(scores.var(2, ddof=1).mean(1))
    scaled = scores.mean(2) / deviations[:, None]
    raw = {name: stats.ttest_rel(scaled[:, at], scaled[:, 0]) for at, name in enumerate(SETTINGS) if at}
    # Holm: the smaller p of two counts twice.
    low, high = sorted(test.pvalue for test in raw.values())
    adjusted = sorted(contrast.p for contrast in found.contrasts if contrast.p is not None)
    assert adjusted == pytest.approx([2 * low, max(high, 2 * low)])
    for contrast in found.contrasts:
        at = SETTINGS.index(contrast.standing.label.removeprefix("activation="))
        assert contrast.difference.mean == pytest.approx((scaled[:, at] - scaled[:, 0]).mean())
    ranks = stats.rankdata(-scores.mean(2), axis=1).mean(0)
    of_label = {standing.label: standing.mean_rank for standing in found.standings}
    assert [of_label[f"activation={name}"] for name in SETTINGS] == pytest.approx(ranks.tolist())


def test_each_dataset_is_compared_as_alone(write_sweep: Write) -> None:
    scores = drawn(3)
    whole = compare(write_sweep(sweep(scores)))
    alone = compare(write_sweep(sweep(scores[:1]), name="alone"))
    of_moons = whole.datasets["moons"]
    assert verdict(of_moons)[1:] == [line.replace("alone", "sweep") for line in verdict(alone)][1:]
    assert (of_moons.letters, of_moons.n_tests) == (alone.letters, 3)
    assert of_moons.keys == ["activation"]
    assert whole.best is None
    assert whole.contrasts == []
    assert not any("Settings differ in their data" in note for note in whole.notes)


def test_two_datasets_say_how_many_it_takes(write_sweep: Write) -> None:
    comparison = compare(write_sweep(sweep(drawn(2))), worth=1.0)
    assert "--worth holds within each dataset; over datasets it does not, where units differ." in comparison.notes
    lines = verdict(comparison)
    assert any("2 datasets cannot show that a difference holds on others" in line for line in lines)
    assert any("takes about 5 datasets to be seen, one that is as large about 11" in line for line in lines)
    assert not any("more than noise, on" in line for line in lines)


def test_what_no_seed_varies_and_what_a_dataset_lacks(write_sweep: Write) -> None:
    scores = drawn(4)
    scores[0] = np.array([1.0, 0.9, 0.8])[:, None]
    settings = sweep(scores)
    del settings["dataset=digits activation=gelu"]
    found = compare(write_sweep(settings)).over_datasets
    assert found is not None
    assert found.without_spread == ["moons"]
    assert found.ranked_on == list(NAMES[:3])
    assert {contrast.standing.label: contrast.difference.n for contrast in found.contrasts} == {
        "activation=tanh": 3,
        "activation=gelu": 2,
    }
    one_seed = compare(write_sweep(sweep(drawn(4, n=1)), name="one")).over_datasets
    assert one_seed is not None
    assert not one_seed.scaled
    assert one_seed.n_tests == 3


def test_a_dataset_alone_and_its_other_keys_are_no_blocks(write_sweep: Write) -> None:
    scores = {f"dataset={name}": [0.9, 0.8, 0.85] for name in NAMES[:2]}
    assert compare(write_sweep(scores)).over_datasets is None
    noises = {
        f"dataset=moons dataset.noise={noise} activation={name}": [0.9, 0.8]
        for noise in (0.1, 0.2)
        for name in SETTINGS
    }
    assert compare(write_sweep(noises, name="noise")).over_datasets is None


def test_files_are_datasets_by_their_path(write_sweep: Write) -> None:
    settings = {
        f"dataset=table dataset.path={name}.csv dataset.target={name} activation={one}": [0.9, 0.8, 0.85]
        for name in "ab"
        for one in SETTINGS
    }
    assert list(compare(write_sweep(settings)).datasets) == ["a.csv", "b.csv"]


def test_claims_and_the_baseline(write_sweep: Write) -> None:
    path = write_sweep(sweep(drawn(3)))
    claim = Claim(
        "so", "accuracy/test", of="dataset=moons,activation=relu", minus="dataset=moons,activation=tanh", above=0
    )
    assert evaluate_claim(claim, compare(path).summaries).verdict == "holds"
    with pytest.raises(ConfigError, match="leave out which it is"):
        compare(path, baseline="dataset=moons,activation=relu")
    with pytest.raises(ConfigError, match="no run has activation=elu"):
        compare(path, baseline="activation=elu")
    with pytest.raises(ConfigError, match=r"several datasets \(moons, circles, spirals\)"):
        best_setting(path)


def test_files_hold_each_dataset_and_what_holds_over_them(write_sweep: Write) -> None:
    comparison = compare(write_sweep(sweep(drawn(4))))
    rows = list(csv.DictReader(io.StringIO(csv_text(comparison))))
    assert [row["rank"] for row in rows] == ["1", "2", "3"] * 4
    assert [row["dataset"] for row in rows[::3]] == list(NAMES)
    found = comparison.over_datasets
    assert found is not None
    assert {row["over_datasets/mean_rank"] for row in rows} == {str(one.mean_rank) for one in found.standings}
    text = markdown(comparison, ["mlpexp", "compare"], [])
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        *(f"## `{name}`" for name in NAMES),
        "## Over 4 datasets",
        "## How this was computed",
    ]
    assert latex_table(comparison).count(r"$\pm$") == 12
    html = comparison._repr_html_()  # type: ignore[attr-defined]
    assert html.count("<table>") == 5


def test_the_figure_has_a_panel_a_dataset(write_sweep: Write) -> None:
    settings = sweep(drawn(4))
    del settings["dataset=circles activation=gelu"]
    comparison = compare(write_sweep(settings))
    assert comparison.over_datasets is not None
    figure = settings_picture(comparison).figure()
    assert [panel.get_title(loc="left") for panel in figure.axes] == list(NAMES)
    labels = [standing.label for standing in comparison.over_datasets.standings]
    assert [[text.get_text() for text in panel.get_yticklabels()] for panel in figure.axes] == [labels, [""] * 3] * 2
    digits, circles = comparison.datasets["digits"].summaries[0], figure.axes[1]
    assert sum(np.size(line.get_xdata()) == 5 for line in circles.get_lines()) == 2
    low, high = figure.axes[3].get_xlim()
    assert low < min(digits.values(comparison.metric).values()) < high


def test_a_narrow_table_says_that_datasets_are_missing() -> None:
    rows = [["activation", "mean rank", *NAMES], ["relu", "1.00", *["95.00"] * 4]]
    narrow = fitting_datasets(rows, 2, 45)
    assert table_width(narrow) <= 45
    assert narrow[0] == ["activation", "mean rank", "moons", "…"]
    assert fitting_datasets(rows, 2, 80) == rows


def test_fewer_than_three_datasets_have_no_p() -> None:
    table = np.array([[1.0, 2.0, np.nan, np.nan], [1.0, 2.0, 4.0, np.nan]])
    p = dataset_p_values(table, np.zeros((2, 4)))
    assert np.isnan(p[0])
    assert p[1] == pytest.approx(stats.ttest_1samp([1.0, 2.0, 4.0], 0).pvalue)
