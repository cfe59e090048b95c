"""The jobs of a sweep: listed as Hydra's sweeper lists them, checked all at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from mlpexp.config.compose import Composer, compose
from mlpexp.config.hydra_adapter import compose as hydra_compose
from mlpexp.config.hydra_adapter import config_loader
from mlpexp.config.locate import options
from mlpexp.config.schema import parse
from mlpexp.config.synonyms import KEYS as SYNONYMS
from mlpexp.data.dataset import Data, Dataset, datasets
from mlpexp.errors import ConfigError
from mlpexp.sweep.jobs import check_jobs, expand

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
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    lines = [*(f"{key}={value}" for key, value in params.items()), *overrides]
    parser = OverridesParser.create(config_loader=config_loader(None))
    (expected,) = BasicSweeper.split_arguments(parser.parse_overrides(lines), None)

    def read(jobs: list[list[str]]) -> list[list[tuple[str, Any]]]:
        # 0.30000000000000004 there is 0.3 here.
        parsed = [parser.parse_overrides(job) for job in jobs]
        return [
            [(part.get_key_element(), pytest.approx(value) if isinstance(value := part.value(), float) else value)
             for part in job]
            for job in parsed
        ]  # fmt: skip

    assert read(expand(overrides, params)) == read(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("range(0.1,0.5,0.1)", ["0.1", "0.2", "0.3", "0.4"]),
        ("sort(range(1.3,0,-0.5))", ["0.3", "0.8", "1.3"]),
        ("sort(range(0,1.3,0.5),reverse=true)", ["1.0", "0.5", "0.0"]),
        ("sort(range(7,0,-3))", ["1", "4", "7"]),
        ("sort(range(0,7,3),reverse=true)", ["6", "3", "0"]),
        ("sort(3,1,2)", ["1", "2", "3"]),
        ("range(5,0,-2)", ["5", "3", "1"]),
    ],
)
def test_ranges_give_the_numbers_that_are_written(given: str, expected: list[str]) -> None:
    assert expand([f"optimizer.lr={given}"]) == [[f"optimizer.lr={number}"] for number in expected]


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
    jobs = check_jobs(expand(swept), Composer())
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
    swept = ["seed=range(2)", "optimizer.lr=0.1,0.2", "model.hidden=[2],[3]"]
    check_jobs(expand(["dataset=xor", *swept]) + expand(["dataset=moons", "dataset.seed=0", *swept]), Composer())
    assert loaded == ["xor", "moons"]


def wrong(overrides: list[str], **options: Any) -> tuple[str, ...]:
    """The lines that say what is wrong with a sweep."""
    with pytest.raises(ConfigError) as caught:
        check_jobs(expand(overrides), Composer(), **options)
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
                "seed=-1: must be at least 0. (6 jobs: 0, 2, 4, 6, 8, …)",
                "optimizer.lr=x: must be a number. (jobs 0, 1, 4, 5)",
                f"{ADM} (jobs 2, 3, 8, 9)",
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
    monkeypatch.setattr("mlpexp.training.prepare._has_compiler", lambda: True)
    assert list(wrong(overrides)) == lines


def test_a_key_that_is_none_is_said_once_for_all_its_values() -> None:
    (line,) = wrong(["foo=range(100)"])
    assert line.startswith("foo=0: no such key. Choose from: ")


def test_of_many_wrong_things_the_first_are_listed() -> None:
    lines = wrong(["seed=range(-27,1)"])
    assert lines[0] == "seed=-27: must be at least 0. (job 0)"
    assert (len(lines), lines[-1]) == (21, "and 7 more.")


def test_jobs_without_numbers() -> None:
    assert wrong(["epochs=1,0"], numbered=False) == ("epochs=0: must be at least 1.",)


def test_what_is_about_hydra_holds_for_all_jobs(tmp_path: Path) -> None:
    (tmp_path / "activation").mkdir()
    (tmp_path / "activation" / "mine.yaml").write_text("name: gelu\n")
    (job,) = check_jobs([["activation=mine"]], Composer(about_hydra=[f"hydra.searchpath=['file://{tmp_path}']"]))
    assert job.config == compose(["activation=gelu"])
    with pytest.raises(ConfigError, match="there is no config directory nope"):
        check_jobs([[]], Composer(about_hydra=["hydra.searchpath=[nope]"]))
    with pytest.raises(ConfigError, match="--config-dir=nope: there is no such directory"):
        Composer("nope")


PLACES = {
    "${hydra.job.num}": ["0", "1"],
    "run_${hydra.job.num}": ["run_0", "run_1"],
    "${hydra.job.override_dirname}": ["optimizer=sgd,seed=0", "optimizer=sgd,seed=1"],
    "${optimizer.name}_${seed}": ["sgd_0", "sgd_1"],
    "${hydra:runtime.choices.optimizer}/${hydra:job.num}": ["sgd/0", "sgd/1"],
}


@pytest.mark.parametrize("layout", PLACES)
def test_each_job_has_the_directory_of_hydras_layout(layout: str) -> None:
    composer = Composer(about_hydra=[f"hydra.sweep.subdir='{layout}'"])
    jobs = check_jobs(expand([*SMALL, "seed=0,1", "optimizer=sgd"][2:]), composer)
    assert [job.directory for job in jobs] == PLACES[layout]


HYDRAS = {
    "value": ["seed=3"],
    "several values": ["seed=3", "optimizer.lr=1e-3", "log.figures=false", "data_dir=null"],
    "value twice": ["seed=3", "seed=4"],
    "list": ["model.hidden=[8,8]"],
    "nested list": ["optimizer.betas=[0.5,${seed}]", "seed=0"],
    "text": ["data_dir='a b, c=\"d\" \\'e\\' ${seed}'"],
    "mapping": ["log={figures:false,histograms:0}"],
    "mapping for a group": ["dataset={val_fraction:0.5}"],
    "key and mapping": ["dataset.val_fraction=0.3", "dataset={val_fraction:0.5}"],
    "interpolation": ["optimizer.lr=${seed}", "seed=2"],
    "interpolated by others": ["dataset.recommended.epochs=3"],
    "choice and its key": ["optimizer=sgd", "optimizer.lr=0.3"],
    "its key and the choice": ["optimizer.lr=0.3", "optimizer=sgd"],
    "a choice twice": ["optimizer=sgd", "optimizer=adamw"],
    "list group": ["regularizer=[dropout,l2]", "regularizer.dropout.p=0.3"],
    "list group of one": ["regularizer=dropout"],
    "added key": ["+clip.norm=4", "clip.norm=3"],
    "forced": ["++seed=2"],
    "deleted": ["~dataset.seed", "seed=1"],
    "experiment": ["experiment=xor", "seed=4"],
    "experiment and choices": ["optimizer=adam", "experiment=dropout", "epochs=2"],
}


@pytest.mark.parametrize("kind", HYDRAS)
def test_a_config_is_what_hydra_composes(kind: str) -> None:
    from omegaconf import OmegaConf

    raw = hydra_compose(config_loader(None), "config", HYDRAS[kind])
    ours = OmegaConf.masked_copy(raw, [str(key) for key in raw if key != "hydra"])
    expected: Any = OmegaConf.to_container(ours, resolve=True)
    assert Composer().config(HYDRAS[kind]) == parse(expected)


def test_what_an_environment_variable_holds_is_read_as_its_key_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"A": "0.25", "B": "[8, 4]", "C": "2022", "D": "true"}.items():
        monkeypatch.setenv(name, value)
    given = {"optimizer.lr": "A", "model.hidden": "B", "data_dir": "C", "log.figures": "D"}
    config = compose([f"{key}=${{oc.env:{name}}}" for key, name in given.items()])
    assert (config.optimizer.lr, config.model, config.data_dir, config.log.figures) == (
        0.25, compose(["model.hidden=[8,4]"]).model, "2022", True
    )  # fmt: skip


QUOTED = ["données.csv", "data (1).csv", "sepal length (cm)", "3", "2022", "a b", "x:y", "C:/x.csv"]


@pytest.mark.parametrize("text", QUOTED)
def test_a_text_that_is_plainly_meant_needs_no_quotes(text: str) -> None:
    config = compose(["dataset=table", f"dataset.path={text}", f"dataset.target={text}"])
    assert (config.dataset.path, config.dataset.target) == (text, (text,))  # type: ignore[attr-defined]


def test_a_tilde_is_the_home_directory_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    config = compose(["dataset=table", "dataset.path=~/x.csv", "data_dir=~/data"])
    assert (config.dataset.path, config.data_dir) == ("/somewhere/x.csv", "/somewhere/data")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SYNONYMS)
def test_a_word_of_another_library_leads_to_overrides_that_compose(name: str) -> None:
    value = {"data": "moons", "csv": "my.csv", "criterion": "mse", "loss_fn": "mse", "solver": "adam"}.get(name)
    value = value or {"init": "zeros", "sche": "step", "acti": "relu"}.get(SYNONYMS[name][:4], "1")
    if name in ("dropout", "dropout_rate", "label_smoothing", "momentum"):
        value = "0.5"
    with pytest.raises(ConfigError, match="did you mean") as caught:
        compose([f"{name}={value}"])
    (meant,) = re.findall("'(.*)'", str(caught.value))
    compose(meant.split())


def test_every_mistake_of_a_line_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["optimizer.lr=-1", "epochs=-1", "batch_size=0", "activation=geluu", "dropout=0.2", "seed=[", "x=1,2"])
    starts = [line.split(":")[0] for line in caught.value.lines]
    assert sorted(starts) == sorted(
        ["optimizer.lr=-1", "epochs=-1", "batch_size=0", "activation=geluu", "dropout=0.2", "seed=[", "x=1,2"]
    )
