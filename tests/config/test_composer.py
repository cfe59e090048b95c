"""Jobs composed together are what Hydra composes for each alone: values, flags, types, Hydra's own node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from omegaconf.base import Node

from mlpexp.config.compose import hydra_on
from mlpexp.config.composer import JobComposer

EXAMPLES = int(os.environ.get("MLPEXP_FUZZ", "20"))

ABOUT_HYDRA = ["hydra.job.env_copy=[HOME]", "hydra.job.config.override_dirname.exclude_keys=[seed]"]


class Sweep:
    """A sweep as a launcher sees it: its config, and what composes a job from it."""

    def __init__(self, config_dir: str | None) -> None:
        with hydra_on(config_dir) as hydra:
            self.loader: ConfigLoader = hydra.config_loader
            self.config = self.loader.load_configuration("config", ABOUT_HYDRA, RunMode.MULTIRUN)
        self.composed: list[list[str]] = []
        self.together = JobComposer(self.loader, "config", ABOUT_HYDRA, self._compose)

    def _compose(self, choices: list[str]) -> DictConfig:
        self.composed.append(choices)
        return self.alone(choices)

    def alone(self, overrides: list[str]) -> DictConfig:
        return self.loader.load_sweep_config(self.config, overrides)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """With a config directory of the user's own: experiments, a nested group, a group named as a key would be."""
    conf = tmp_path_factory.mktemp("own") / "conf"
    files = {
        "experiment/mine.yaml": "# @package _global_\ndefaults:\n  - override /optimizer: sgd\n"
        "epochs: 7\noptimizer:\n  lr: ${oc.select:seed}\nlog: {histograms: 0}\n",
        "experiment/swept.yaml": "# @package _global_\nhydra: {sweeper: {params: {seed: '0,1'}}}\n",
        "optimizer/own/slow.yaml": "# @package optimizer\nname: sgd\nlr: 1e-4\n",
        "note.x/long.yaml": "# @package note\ntext: ${seed} of ${optimizer.name}\n",
    }
    for name, text in files.items():
        (conf / name).parent.mkdir(parents=True, exist_ok=True)
        (conf / name).write_text(text)
    return Sweep(str(conf))


def described(node: Any) -> Any:
    """Everything that a node is, and what it holds unresolved."""
    if not isinstance(node, Node):
        return node
    meta = node._metadata
    flags = {name: value for name, value in (meta.flags or {}).items() if value is not None}
    content: Any = node._value()
    if isinstance(content, dict):
        content = {key: described(value) for key, value in content.items()}
    elif isinstance(content, list):
        content = [described(value) for value in content]
    kind = (getattr(meta, "element_type", None), getattr(meta, "key_type", None))
    return type(node), meta.object_type, meta.ref_type, meta.optional, kind, flags, content


def outcome(compose: Any, overrides: list[str]) -> Any:
    """What composing gives, or the error that it ends in."""
    try:
        config = compose(overrides)
    except Exception as error:
        return type(error), str(error)
    resolved = OmegaConf.to_yaml(OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]))
    return described(config), resolved, OmegaConf.get_cache(config)


JOBS = {
    "nothing": [],
    "value": ["seed=3"],
    "several values": ["seed=3", "optimizer.lr=1e-3", "log.figures=false", "data_dir=null"],
    "value twice": ["seed=3", "seed=4"],
    "list": ["model.hidden=[8,8]"],
    "empty list": ["model.hidden=[]"],
    "nested list": ["optimizer.betas=[0.5,${seed}]"],
    "text": ["data_dir='a b, c=\"d\" \\'e\\' ${seed}'"],
    "double quotes": ['data_dir="it\'s: [here]"'],
    "escaped": [r"data_dir=a\ b\,c\=d"],
    "empty text": ["data_dir="],
    "mapping": ["log={figures:false,histograms:0}"],
    "mapping for a group": ["dataset={val_fraction:0.5}"],
    "key and mapping": ["dataset.val_fraction=0.3", "dataset={val_fraction:0.5}"],
    "mapping with a new key": ["log={nope:1}"],
    "interpolation": ["optimizer.lr=${seed}", "seed=2"],
    "interpolated by others": ["dataset.recommended.epochs=3"],
    "cached resolver": ["data_dir=${now:%Y-%m-%d-%H-%M-%S-%f}"],
    "missing": ["seed=???"],
    "choice": ["optimizer=sgd"],
    "choice and its key": ["optimizer=sgd", "optimizer.lr=0.3"],
    "its key and the choice": ["optimizer.lr=0.3", "optimizer=sgd"],
    "two choices": ["dataset=moons", "dataset.noise=0.2", "scheduler=cosine"],
    "a choice twice": ["optimizer=sgd", "optimizer=adamw"],
    "list group": ["regularizer=[dropout,l2]", "regularizer.dropout.p=0.3"],
    "list group of one": ["regularizer=dropout"],
    "empty list group": ["regularizer=[]"],
    "key of an option that is not chosen": ["optimizer=sgd", "optimizer.betas=[0,0]"],
    "added key": ["+optimizer.foo=3", "optimizer.lr=1"],
    "added mapping": ["+extra={a:1}", "extra.a=2"],
    "changed and then added": ["clip.norm=3", "+clip.norm=4"],
    "added and then changed": ["+clip.norm=4", "clip.norm=3"],
    "forced": ["++optimizer.foo=3", "++seed=2"],
    "deleted": ["~clip.norm", "seed=1"],
    "deleted after a change": ["seed=5", "~seed=5"],
    "deleted before a change": ["~seed", "seed=5"],
    "deleted choice": ["~scheduler"],
    "added choice": ["+optimizer@second=sgd", "second.lr=5"],
    "no group": ["foo@bar=1"],
    "experiment": ["experiment=mine", "seed=4"],
    "experiment of the user's and choices": ["experiment=mine", "optimizer=adam", "epochs=2"],
    "experiment that sweeps": ["experiment=swept"],
    "nested group": ["+optimizer/own=slow"],
    "group with a dot": ["+note.x=long", "seed=8"],
    "about hydra": ["hydra.job.name=x", "seed=1"],
    "hydra's node": ["hydra={job:{name:y}}", "seed=1"],
    "hydra's choice": ["hydra/job_logging=default"],
    "hydra's names": ["seed=1", "hydra.job.config.override_dirname.kv_sep=:", "epochs=2"],
    "no such key": ["foo=3"],
    "no such option": ["optimizer=adm"],
    "no such deeper key": ["optimizer.lr.x=1"],
    "wrong choice": ["optimizer=3"],
    "forced choice": ["++optimizer=sgd"],
    "sweep in a job": ["seed=1,2"],
    "unreadable": ["seed=["],
}


@pytest.mark.parametrize("kind", JOBS)
def test_a_job_is_what_hydra_composes(kind: str, sweep: Sweep) -> None:
    assert outcome(sweep.together, JOBS[kind]) == outcome(sweep.alone, JOBS[kind])


options = st.sampled_from(
    ["optimizer=sgd", "optimizer=adam", "dataset=moons", "regularizer=[l2]", "experiment=mine", "activation=gelu"]
)
keys = st.sampled_from(
    ["seed", "epochs", "optimizer.lr", "optimizer.betas", "model.hidden", "log", "log.figures", "clip.norm", "foo"]
)
texts = st.text("ab '\"\\,=[]{}$:%é", max_size=5).map(lambda text: f"'{text}'")
values = st.one_of(
    st.integers(-3, 99).map(str),
    st.floats(allow_nan=False).map(str),
    st.sampled_from(["null", "true", "[1,2]", "[]", "{figures:false}", "${seed}", "${optimizer.lr}", "???", ""]),
    texts,
)
assignments = st.tuples(st.sampled_from(["", "", "", "+", "++", "~"]), keys, st.just("="), values).map("".join)


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
@given(overrides=st.lists(st.one_of(assignments, assignments, options), max_size=4))
def test_any_job_is_what_hydra_composes(overrides: list[str], sweep: Sweep) -> None:
    assert outcome(sweep.together, overrides) == outcome(sweep.alone, overrides)


def test_jobs_share_what_they_choose_and_nothing_else(sweep: Sweep) -> None:
    sweep.composed.clear()
    first, second = (sweep.together(["init=zeros", f"seed={seed}", "model.hidden=[3]"]) for seed in (1, 2))
    assert sweep.composed == [["init=zeros"]]
    first.model.hidden.append(4)
    first.hydra.job.num = 5
    assert second.model.hidden == [3]
    assert "num" not in second.hydra.job or OmegaConf.is_missing(second.hydra.job, "num")
    assert (first.seed, second.seed) == (1, 2)


def test_a_choice_that_cannot_be_composed_is_tried_once(sweep: Sweep) -> None:
    sweep.composed.clear()
    errors = [outcome(sweep.together, ["init=nope", f"seed={seed}"]) for seed in (1, 2)]
    assert sweep.composed == [["init=nope"]]
    assert errors[0] == errors[1]


def test_groups_of_a_search_path_are_groups(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "one.yaml").write_text("x: 1\n")
    about_hydra = [f"hydra.searchpath=['file://{tmp_path}']"]
    with hydra_on(None) as hydra:
        loader = hydra.config_loader
        compose = JobComposer(
            loader,
            "config",
            about_hydra,
            lambda c: loader.load_configuration("config", [*about_hydra, *c], RunMode.RUN),
        )
        assert compose(["+own=one"]).own.x == 1
