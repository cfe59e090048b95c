"""Whatever is typed behind `mlpexp train`, or stands in YAML, is a config that trains or one line; never a traceback.

The long form looks at more than a thousand of each; MLPEXP_FUZZ=30000 at as many as there is time for.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpexp.cli.main import call
from mlpexp.config.compose import compose
from mlpexp.config.locate import groups, options
from mlpexp.config.schema import Config
from mlpexp.data.dataset import datasets
from mlpexp.data.downloaded import Downloaded
from mlpexp.engine.loop import Engine
from mlpexp.engine.process import runtime_context
from mlpexp.errors import ConfigError
from mlpexp.training.prepare import Prepared, prepare

MANY = int(os.environ.get("MLPEXP_FUZZ", "1200"))
# How many lines, or files, are tried.
amounts = pytest.mark.parametrize("n", [20, pytest.param(MANY, marks=pytest.mark.long)])

# A line costs at most so many seconds of CPU time, and all of them so many MB more than the first.
MOST_SECONDS, MOST_MB = 10, 500

CHOICES = {group: [option.name for option in options(group)] for group in groups()}
FETCHED = {name for name, dataset in datasets.items() if issubclass(dataset, Downloaded)}
NAMES = sorted({name for names in CHOICES.values() for name in names} - FETCHED)


def _keys() -> list[str]:
    """Every key of a config with something in each group, by its path."""
    config = compose(["dataset=moons", "regularizer=[dropout,l2]", "scheduler=step", "device=cpu"]).to_dict()

    def paths(node: dict[str, object], prefix: str) -> list[str]:
        found = []
        for name, value in node.items():
            found.append(f"{prefix}{name}")
            if isinstance(value, dict):
                found += paths(value, f"{prefix}{name}.")
        return found

    return paths(config, "")


KEYS = [*_keys(), "experiment", "hydra.run.dir", "hydra.job.name", "hydra.mode", "hydra/launcher", "hydra.searchpath"]

numbers = st.one_of(
    st.sampled_from(["0", "1", "-1", "3", "1e-3", "0.5", "1e400", "nan", "-inf", "1e9", "9007199254740993", "0x10"]),
    st.integers(-5, 40).map(str),
)
words = st.one_of(st.sampled_from(NAMES), st.sampled_from(["true", "null", "", "no", "fp32", "_target_", "os.system"]))
# What the grammar of overrides takes for a name, and anything at all.
plain = st.text("abc_-.:/%01", max_size=6)
noise = st.one_of(plain, plain, st.text(max_size=8))
interpolations = st.sampled_from(
    [
        "${seed}",
        "${foo}",
        "${epochs}",
        "${oc.env:NOPE}",
        "${",
        "${}",
        "${oc.env:HOME}",
        "${now:%Y}",
        "${optimizer.lr}",
        "${oc.decode:'['}",
        "${oc.select:seed}",
        "${.lr}",
        "${..seed}",
        "${a b}",
        "${hydra:run.dir}",
        "$",
        "${oc.dict.keys:log}",
    ]
)
quoted = st.tuples(st.sampled_from("'\"`"), noise, st.sampled_from(["'", '"', ""])).map("".join)
atoms = st.one_of(numbers, numbers, words, words, plain, interpolations, quoted, noise)
lists = st.lists(atoms, max_size=3).map(lambda items: f"[{','.join(items)}]")
mappings = st.tuples(st.sampled_from(["name", "lr", "p", "norm"]), atoms).map(lambda pair: f"{{{pair[0]}:{pair[1]}}}")
functions = st.tuples(
    st.sampled_from(["choice", "range", "interval", "glob", "int", "str", "json_str", "sort", "shuffle", "tag", "foo"]),
    st.lists(atoms, max_size=3),
).map(lambda pair: f"{pair[0]}({','.join(pair[1])})")
sweeps = st.lists(atoms, min_size=2, max_size=3).map(",".join)
values = st.one_of(atoms, atoms, lists, lists, mappings, functions, sweeps, st.just("[" * 400))


@st.composite
def misspelt(draw: st.DrawFn, words: st.SearchStrategy[str]) -> str:
    """A word with a letter put in, left out or taken twice."""
    word = draw(words)
    at = draw(st.integers(0, len(word)))
    return draw(st.sampled_from([word[:at] + word[at + 1 :], word[:at] + word[at - 1 : at] + word[at:]])) or word


keys = st.one_of(
    st.sampled_from(KEYS),
    st.sampled_from(KEYS),
    st.sampled_from(sorted(CHOICES)),
    misspelt(st.sampled_from(KEYS)),
    st.tuples(st.sampled_from(KEYS), st.sampled_from(["x", "name", "lr", "0"])).map(".".join),
    st.tuples(st.sampled_from(KEYS), st.sampled_from(["@x", "@", "/x", ":", "..x", "[0]"])).map("".join),
)
choices = st.sampled_from(sorted(CHOICES)).flatmap(
    lambda group: st.one_of(
        st.sampled_from(CHOICES[group]).filter(lambda name: name not in FETCHED),
        misspelt(st.sampled_from(CHOICES[group])),
    ).map(lambda name: f"{group}={name}")
)
assignments = st.tuples(st.sampled_from(["", "", "", "+", "++", "~"]), keys, st.just("="), values).map("".join)
words_alone = st.one_of(noise, keys, keys.map("~".__add__))
line = st.one_of(*[assignments] * 6, *[choices] * 3, words_alone)
lines = st.lists(line, min_size=1, max_size=3)


def said_well(message: str) -> None:
    assert message.strip()
    assert "\n" not in message
    assert len(message) < 1000
    assert "Traceback" not in message
    assert "object at 0x" not in message


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST and its like are neither read nor fetched."""
    monkeypatch.delenv("MLPEXP_DATA_DIR", raising=False)
    monkeypatch.setattr("mlpexp.data.downloaded._download", refuse)


def refuse(*_: object) -> None:
    raise ConfigError("dataset: is not fetched here")


def tried(n: int) -> Any:
    """Settings of hypothesis: `n` examples, the same ones each time."""
    return settings(
        max_examples=n,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@amounts
def test_any_overrides_are_a_config_or_one_line(n: int, here: Path, offline: None) -> None:
    @tried(n)
    @given(overrides=lines)
    def try_all(overrides: list[str]) -> None:
        try:
            config = compose(overrides)
            assert isinstance(config, Config)
            prepared = prepare(config)
        except ConfigError as error:
            said_well(" ".join(str(error).split()))
        else:
            make_a_step(prepared)
        assert not list(here.iterdir())

    try_all()


def make_a_step(prepared: Prepared) -> None:
    """What passes for a config can be trained: nothing in it is first seen to be wrong by torch."""
    config = prepared.config
    if prepared.n_linear_parameters > 100_000 or config.compile:
        return  # it would take too long
    with runtime_context(config, prepared.n_linear_parameters) as device:
        engine = Engine([config], prepared.data, device)
        with engine.training_batches() as batches:
            for group in engine.groups:
                group.apply_lr(0)
            engine.step(next(batches))
        for group in engine.groups:
            group.after_epoch(1, [1.0])


flags = st.sampled_from([["--dry-run"]] * 4 + [["-m", "--dry-run"]] * 4 + [["--cfg", "job"]])


@amounts
def test_any_command_line_is_valid_or_wrong_in_a_line_for_each_thing(
    n: int, here: Path, offline: None, capsys: pytest.CaptureFixture[str]
) -> None:
    @tried(n)
    @given(flags=flags, overrides=lines)
    def try_all(flags: list[str], overrides: list[str]) -> None:
        answers(["train", *flags, *overrides], capsys)
        assert not list(here.iterdir())

    bounded(try_all)


scalars = st.one_of(
    atoms.map(str),
    st.sampled_from(
        [
            "!!python/object/apply:os.system ['touch made']",
            "!!python/name:os.system",
            "!!binary aGVsbG8=",
            "&a [*a]",
            "*b",
            "2026-11-24",
            "1_000",
            "0o17",
            ".inf",
            "~",
            "|",
            "? x",
            "'",
            '"\\x00"',
            "???",
            "{}",
            "[[[[]]]]",
        ]
    ),
)
entries = st.tuples(
    st.sampled_from(["name", "lr", "_target_", "_partial_", "defaults", "slope", "hydra", "<<", "", "epochs", "x y"]),
    st.sampled_from([": ", ":", ": \n  ", " "]),
    scalars,
).map("".join)
documents = st.one_of(
    st.lists(entries, max_size=4).map("\n".join),
    st.lists(entries, max_size=3).map(lambda found: "\n".join(["# @package _global_", *found])),
    st.lists(scalars.map("- ".__add__), max_size=3).map("\n".join),
    st.text(max_size=30),
)
groups_of_ones_own = st.sampled_from(["activation", "optimizer", "regularizer", "experiment", "hydra/launcher"])


@amounts
def test_any_yaml_is_an_option_or_one_line(
    n: int, here: Path, offline: None, capsys: pytest.CaptureFixture[str]
) -> None:
    @tried(n)
    @given(group=groups_of_ones_own, document=documents)
    def try_all(group: str, document: str) -> None:
        path = here / "conf" / group / "mine.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(document, encoding="utf-8", errors="replace")
        try:
            answers(["train", "--dry-run", "--config-dir", "conf", f"{group}=mine"], capsys)
            assert [found for found in here.rglob("*") if found.is_file()] == [path]
        finally:
            shutil.rmtree(here / "conf")

    bounded(try_all)


def answers(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A command line ends well, or with 2 and nothing but lines on what is wrong."""
    began = time.process_time()
    code = call(words)
    out, err = capsys.readouterr()
    assert time.process_time() - began < MOST_SECONDS
    if code == 0:
        assert err == ""
        return
    assert code == 2
    assert out == ""
    assert err.endswith("\n")
    for line in err.removesuffix("\n").split("\n"):
        assert line.startswith("mlpexp: ")
        said_well(line)


def bounded(tries: Any) -> None:
    """Within MOST_MB more than it takes before."""
    resource = pytest.importorskip("resource", reason="what a process has taken is known on POSIX")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tries()
    # In KiB, but for macOS.
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MOST_MB
