"""The jobs of a sweep: listed as Hydra's sweeper lists them, checked all at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from mlpexp.config.compose import compose, hydra_on
from mlpexp.config.jobs import check_jobs, expand
from mlpexp.config.locate import options
from mlpexp.data.dataset import Data, Dataset, datasets
from mlpexp.errors import ConfigError, JobsError

SMALL = ["dataset=xor", "epochs=2"]


@pytest.mark.parametrize(
    ("overrides", "params"),
    [
        ([], {}),
        (["seed=3"], {}),
        (["seed=0,1", "optimizer=adam,sgd"], {}),
        (["seed=range(0,4)", "optimizer.lr=range(0.1,0.5,0.1)"], {}),
        (["seed=range(3,0,-1)"], {}),
        (["optimizer.lr=choice(0.1,1e-3)", "seed=sort(3,1,2)"], {}),
        (["regularizer=[l2],[],[l1,l2]", "model.hidden=[8,8],[4]"], {}),
        (["data_dir='a,b',\"c d\"", "log={figures:false}"], {}),
        (["activation=glob(*elu)", "init=glob(*,exclude=k*)"], {}),
        (["seed=0,1", "seed=2,3,4"], {}),
        (["seed=9"], {"seed": "0,1", "activation": "relu,gelu"}),
        ([], {"optimizer.lr": "1e-3, 1e-2", "seed": "range(2)"}),
        (["+x=1,2", "~clip"], {"++y": "3"}),
    ],
    ids=str,
)
def test_the_jobs_are_those_of_hydras_sweeper(overrides: list[str], params: dict[str, str]) -> None:
    lines = [*(f"{key}={value}" for key, value in params.items()), *overrides]
    with hydra_on(None) as hydra:
        parsed = OverridesParser.create(config_loader=hydra.config_loader).parse_overrides(lines)
        (expected,) = BasicSweeper.split_arguments(parsed, None)
    assert expand(overrides, params) == expected


def test_the_command_line_wins_over_the_params_of_a_config() -> None:
    assert expand(["seed=5"], {"seed": "0,1"}) == [["seed=5"]]


def test_options_of_ones_own_are_found(tmp_path: Path) -> None:
    (tmp_path / "activation").mkdir()
    (tmp_path / "activation" / "mine.yaml").write_text("name: relu\n")
    assert ["activation=mine"] in expand(["activation=glob(*)"], config_dir=str(tmp_path))


TOO_MANY = "and more than 100,000 are refused; give fewer values."
UNLISTED = {
    "optimizer.lr=interval(0,1)": "must list its values, such as choice(1,2); or choose another hydra/sweeper.",
    "seed=range(5,5)": "lists no values.",
    "activation=glob(nope)": "lists no values.",
    "seed=range(0,3,0)": "must go in steps from one number to another, such as range(1,10,3).",
    "seed=range(0,inf)": "must go in steps from one number to another, such as range(1,10,3).",
    "seed=range(nan,3)": "must go in steps from one number to another, such as range(1,10,3).",
}


@pytest.mark.parametrize("given", UNLISTED)
def test_values_that_cannot_be_listed(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand([given])
    assert str(caught.value) == f"{given}: {UNLISTED[given]}"


@pytest.mark.parametrize(
    ("overrides", "jobs"),
    [
        (["seed=range(1000000000000)"], "1,000,000,000,000"),
        (["seed=shuffle(range(1000000000000))"], "1,000,000,000,000"),
        (["optimizer.lr=range(0,1,1e-12)"], "1,000,000,000,000"),
        ([f"log.{key}=range(1000)" for key in ("histograms", "diagnostics", "confusion_every")], "1,000,000,000"),
        (["seed=range(100001)"], "100,001"),
    ],
)
def test_an_absurd_number_of_jobs_is_refused_at_once(overrides: list[str], jobs: str) -> None:
    with pytest.raises(ConfigError, match="the sweep has") as caught:
        expand(overrides)
    assert str(caught.value) == f"the sweep has {jobs} jobs, {TOO_MANY}"


def test_the_most_jobs_are_listed() -> None:
    assert len(expand(["seed=range(100000)"])) == 100_000


def test_each_job_has_the_config_that_it_has_alone() -> None:
    swept = [
        *SMALL,
        "optimizer=adam,sgd",
        "optimizer.lr=0.1,${dataset.recommended.lr}",
        "seed=0,1",
        "regularizer=[],[l2]",
    ]
    jobs = check_jobs(expand(swept))
    assert [job.number for job in jobs] == list(range(16))
    assert [job.overrides for job in jobs] == expand(swept)
    for job in jobs[::3]:
        assert job.config == compose(job.overrides)


def test_data_are_loaded_once_for_jobs_that_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    for name in ("xor", "moons"):
        load = datasets[name].load

        def counted(self: Dataset, data_dir: Path, name: str = name, load: Any = load) -> Data:
            loaded.append(name)
            return load(self, data_dir)

        monkeypatch.setattr(datasets[name], "load", counted)
    check_jobs(expand(["dataset=xor,moons", "seed=range(2)", "optimizer.lr=0.1,0.2", "model.hidden=[2],[3]"]))
    assert loaded == ["xor", "moons"]


def wrong(overrides: list[str], **options: Any) -> tuple[str, ...]:
    """The lines that say what is wrong with a sweep."""
    with pytest.raises(JobsError) as caught:
        check_jobs(expand(overrides), **options)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines


NAMES = ", ".join(option.name for option in options("optimizer"))
OWN = "A component of your own needs plugins=[MODULE], the module that registers it."
ADM = f"optimizer=adm: no such option; did you mean 'adam'? Choose from: {NAMES}."
NO_AMSGRAD = "optimizer.amsgrad=true: optimizer=sgd has no such key; optimizer=adam or optimizer=adamw has."


@pytest.mark.parametrize(
    ("overrides", "lines"),
    [
        (["epochs=0", "seed=0,1"], ["epochs=0: must be at least 1."]),
        (["epochs=1,0"], ["epochs=0: must be at least 1. (job 1)"]),
        (["optimizer.lr=-1,0.1", "seed=0,1"], ["optimizer.lr=-1: must be greater than 0. (jobs 0, 1)"]),
        (["seed=range(3)", "epochs=0,1"], ["epochs=0: must be at least 1. (jobs 0, 2, 4)"]),
        (["epochs=0,1", "seed=range(9)"], ["epochs=0: must be at least 1. (9 jobs: 0, 1, 2, 3, 4, …)"]),
        (
            ["optimizer.lr=x,0.1", "optimizer=sgd,adm,adam", "seed=-1,1"],
            [
                "optimizer.lr=x: must be a number. (jobs 0, 1, 4, 5)",
                f"{ADM} (jobs 2, 3, 8, 9)",
                "seed=-1: must be at least 0. (jobs 6, 10)",
            ],
        ),
        # A pair that fits neither alone nor with the first value of the other.
        (
            ["dataset=xor,sine", "loss=auto,mse,cross_entropy"],
            [
                "loss=mse: is for regression, and the dataset is a classification task. Choose from: auto, "
                "cross_entropy, bce. (job 1)",
                "loss=cross_entropy: is for classification, and the dataset is a regression task. Choose from: auto, "
                "mse, mae, huber. (job 5)",
            ],
        ),
        (["optimizer.amsgrad=true", "optimizer=adam,sgd", "seed=0,1"], [f"{NO_AMSGRAD} (jobs 2, 3)"]),
        (
            ["optimizer.name=sgd,lion"],
            [
                "optimizer.name=sgd: write optimizer=sgd, which brings the settings of sgd too. (job 0)",
                f"optimizer.name=lion: no such optimizer. Choose from: {NAMES}. {OWN} (job 1)",
            ],
        ),
        (["compile=true,1"], ["compile=1: must be true or false. (job 1)"]),
    ],
    ids=str,
)
def test_all_that_is_wrong_is_said_at_once(
    overrides: list[str], lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlpexp.prepare._has_compiler", lambda: True)
    assert list(wrong(overrides)) == lines


def test_a_key_that_is_none_is_explained_once_for_all_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlpexp.config import jobs

    explained: list[Any] = []

    def explain(*given: Any) -> str:
        explained.append(given)
        return "no such key."

    monkeypatch.setattr(jobs, "explain", explain)
    assert wrong(["foo=range(100)"]) == ("no such key.",)
    assert len(explained) == 1


def test_of_many_wrong_things_the_first_are_listed() -> None:
    lines = wrong(["seed=range(-27,1)"])
    assert lines[0] == "seed=-27: must be at least 0. (job 0)"
    assert (len(lines), lines[-1]) == (21, "and 7 more.")


def test_jobs_without_numbers() -> None:
    assert wrong(["epochs=1,0"], numbered=False) == ("epochs=0: must be at least 1.",)


def test_what_is_about_hydra_holds_for_all_jobs(tmp_path: Path) -> None:
    (tmp_path / "activation").mkdir()
    (tmp_path / "activation" / "mine.yaml").write_text("name: gelu\n")
    jobs = check_jobs([["activation=mine"]], [f"hydra.searchpath=['file://{tmp_path}']"])
    assert jobs[0].config == compose(["activation=gelu"])
    with pytest.raises(ConfigError, match="there is no config directory nope"):
        check_jobs([[]], ["hydra.searchpath=[nope]"])
    with pytest.raises(ConfigError, match="--config-dir=nope: there is no such directory"):
        check_jobs([[]], config_dir="nope")
