"""The examination as a whole, and where what it finds is shown."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from mlpexp.cli.main import call
from mlpexp.config.compose import compose
from mlpexp.doctor import examine as doctor
from mlpexp.doctor import remedies
from mlpexp.doctor.case import Case, Evidence, Layer, Symptom
from mlpexp.doctor.examine import FAILED, SYMPTOMS, examine, examined
from mlpexp.doctor.finding import format_finding, summarize_findings
from mlpexp.errors import ConfigError
from mlpexp.run import record
from mlpexp.run.files import with_checksum, without_checksum
from mlpexp.training.single import resume, train

Make = Callable[..., Case]
PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
UNDERFITTING = ["dataset=xor", "model=perceptron", "epochs=30", "log.figures=false"]


def finding(symptom: str, remedy: str = "", *alternatives: str) -> dict[str, Any]:
    return {"symptom": symptom, "evidence": "1 of 2", "remedy": remedy, "alternatives": list(alternatives)}


def test_causes_go_before_what_they_explain() -> None:
    names = [symptom.name for symptom in SYMPTOMS]
    assert len(set(names)) == len(names)
    for at, symptom in enumerate(SYMPTOMS):
        assert set(symptom.explains) <= set(names[at + 1 :]), symptom.name


def test_what_is_explained_is_not_looked_for(case: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def rule(name: str, found: bool) -> Symptom:
        def ask(_: Case) -> Evidence | None:
            asked.append(name)
            return Evidence(name, [None, "seed=1", None, "seed=2"]) if found else None

        return Symptom(name, "", ask, ("consequence",) if name == "cause" else ())

    def symptoms(cause: bool) -> list[str]:
        asked.clear()
        rules = (rule("cause", cause), rule("consequence", True), rule("other", True))
        monkeypatch.setattr(doctor, "SYMPTOMS", rules)
        return [found["symptom"] for found in examine(case(loss=[1.0]))]

    assert symptoms(cause=True) == ["cause", "other"]
    assert asked == ["cause", "other"]
    assert symptoms(cause=False) == ["consequence", "other"]
    (_, other) = examine(case(loss=[1.0]))
    assert other == {"symptom": "other", "evidence": "other", "remedy": "seed=1", "alternatives": ["seed=2"]}


def broken(_: Case) -> Evidence | None:
    raise ZeroDivisionError("by nought")


def test_a_rule_that_fails_says_so_and_leaves_the_others_alone(case: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SYMPTOMS", (Symptom("broken", "", broken), *SYMPTOMS))
    first, *others = examine(case(loss=[0.5] * 20, score=0.8))
    assert first["symptom"] == FAILED
    assert "broken: ZeroDivisionError: by nought" in first["evidence"]
    assert [found["symptom"] for found in others] == ["underfitting"]


def test_a_case_that_cannot_be_put_together_is_a_finding_too() -> None:
    def no_case() -> Case:
        raise KeyError("loss/train")

    (found,) = examined(no_case)
    assert found["symptom"] == FAILED
    assert "KeyError: 'loss/train'" in found["evidence"]


def test_a_defect_of_the_doctor_is_seen_and_costs_no_run(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "SYMPTOMS", (Symptom("broken", "", broken),))
    assert call(["train", "dataset=xor", "epochs=1", "log.figures=false", "hydra.run.dir=run"]) == 0
    assert record.read(here / "run").state == "completed"
    assert "examination failed: broken: ZeroDivisionError: by nought" in capsys.readouterr().out


NUMBERS = st.one_of(st.sampled_from([0.0, 0.5, 1.0, math.nan, math.inf, -math.inf]), st.floats(width=32))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_no_history_is_a_defect(case: Make, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 24))
    column = st.lists(NUMBERS, min_size=n, max_size=n)
    layers = [
        Layer("hidden1", 9, data.draw(NUMBERS), True),
        Layer("hidden2", 9, 0.1, True),
        Layer("output", 3, 0, False),
    ]
    tags = [f"grad_norm/{layer.name}" for layer in layers] + ["grad_norm", "lr", "saturated/a", "dead_units/a"]
    ill = case(
        *data.draw(
            st.sampled_from([[], ["optimizer=momentum", "optimizer.lr=3"], ["activation=sigmoid", "init=normal"]])
        ),
        loss=data.draw(column),
        val_loss=data.draw(column),
        score=data.draw(column),
        val_score=data.draw(column),
        more={tag: data.draw(column) for tag in tags},
        layers=data.draw(st.sampled_from([layers, []])),
        constant_loss=data.draw(NUMBERS),
        **data.draw(st.sampled_from([{}, {"failure": "diverged: the training loss was nan", "diverged": True}])),
    )
    assert [found for found in examine(ill) if found["symptom"] == FAILED] == []


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, str]:
    """The directory of a run with a finding, and what the terminal showed of it."""
    assert call(["train", *UNDERFITTING, "hydra.run.dir=run"]) == 0
    return here / "run", capsys.readouterr().out


def test_the_terminal_shows_a_paragraph_after_the_metrics(run: tuple[Path, str]) -> None:
    directory, shown = run
    (found,) = record.read(directory).findings
    assert found["symptom"] == "underfitting"
    line = format_finding(found)
    assert line.endswith(" Try model=mlp, or epochs=60.") or line.endswith(" Try model=mlp.")
    assert shown.index("│ accuracy") < shown.index(line) < shown.index("took ")


def test_evaluating_the_run_repeats_it(run: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    directory, _ = run
    assert call(["eval", str(directory)]) == 0
    (found,) = record.read(directory).findings
    assert format_finding(found) in capsys.readouterr().out


def test_tensorboard_has_it_as_a_text(run: tuple[Path, str]) -> None:
    directory, _ = run
    events = EventAccumulator(str(directory), {"tensors": 0}).Reload()
    (event,) = events.Tensors("doctor/text_summary")
    (markdown,) = tensor_util.make_ndarray(event.tensor_proto)
    assert event.step == 30
    assert markdown.decode().startswith("- **underfitting**: accuracy, as means over the last 6 epochs")
    assert "`model=mlp`" in markdown.decode()


def test_a_run_that_goes_on_is_examined_anew(run: tuple[Path, str]) -> None:
    directory, _ = run
    (before,) = record.read(directory).findings
    (after,) = resume(directory, {"epochs": 100}).record.findings
    assert "last 6 epochs" in before["evidence"]
    assert "last 20 epochs" in after["evidence"]


def test_a_run_that_diverged_says_what_to_try_on_stderr(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ill = ["dataset=sine", "optimizer=sgd", "optimizer.lr=1", "hydra.run.dir=run"]
    assert call(["train", *ill]) == 1
    (found,) = record.read(here / "run").findings
    error = capsys.readouterr().err
    assert error.startswith(f"mlpexp: {format_finding(found)}")
    assert "Try optimizer.lr=0.1, or clip.norm=1." in error


def test_a_sweep_shows_a_line_for_each_symptom(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["dataset=xor", "epochs=60", "optimizer.lr=0.03,1e-6", "seed=range(8)", "log.figures=false"]
    assert call(["train", "-m", *sweep, "hydra.sweep.dir=sweep"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("rate too small")]
    assert lines == ["rate too small: 8 of 16 runs (jobs 8, 9, 10, 11, 12, 13, …). Try optimizer.lr=0.03."]


def test_a_sweep_counts_its_failed_jobs_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["dataset=sine", "optimizer=sgd", "epochs=100", "optimizer.lr=1,0.1", "log.figures=false"]
    assert call(["train", "-m", *sweep, "hydra.sweep.dir=sweep"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("diverged")]
    assert lines == ["diverged: 1 of 2 runs (job 0). Try optimizer.lr=0.1."]


def test_in_short_the_most_frequent_symptom_goes_first() -> None:
    jobs = {
        "0": [finding("a", "x=1")],
        "1": [finding("b_c", "x=2", "y=1")],
        "2": [finding("a", "x=3"), finding("b_c", "x=2")],
        "3": [finding("b_c", "x=4")],
        "4": [],
    }
    assert [line.split(":")[0] for line in summarize_findings(jobs)] == ["b c", "a"]
    assert summarize_findings({"4": []}) == []


@pytest.mark.parametrize(
    "damage",
    [{}, [1], [{"symptom": "a"}], [{**finding("a"), "evidence": [3]}], [{**finding("a"), "alternatives": [[1]]}], None],
)
def test_damaged_findings_are_named(tmp_path: Path, damage: Any) -> None:
    train(compose(["dataset=xor", "epochs=1", "log.figures=false", "log.tensorboard=false"]), tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    content = without_checksum(json.loads(path.read_text()))
    assert record.read(tmp_path / "run").findings == content["findings"]
    path.write_text(json.dumps(with_checksum({**content, "findings": damage})))
    with pytest.raises(ConfigError, match=r"run.json: is damaged: findings"):
        record.read(tmp_path / "run")


CONFIGS = [
    [],
    ["model=perceptron", "scheduler=step"],
    ["model.hidden=[]", "optimizer=lbfgs", "dataset=moons"],
    ["activation=tanh", "init=zeros", "optimizer=muon", "dataset=spirals", "clip.norm=5"],
    ["init=normal", "activation=identity", "regularizer=[l1,dropout,early_stopping]", "regularizer.l1.strength=1"],
    ["dataset=sine", "optimizer=sgd", "optimizer.weight_decay=0.5", "optimizer.lr=9", "model.hidden=[4,4,4,4]"],
]
REMEDIES: list[Callable[[Any], str | None]] = [
    remedies.lower_rate,
    remedies.higher_rate,
    remedies.clip,
    lambda config: remedies.with_regularizer(config, "early_stopping"),
    lambda config: remedies.with_regularizer(config, "dropout"),
    lambda config: remedies.with_regularizer(config, "batchnorm"),
    remedies.weaker_penalty,
    remedies.less_dropout,
    remedies.more_epochs,
    remedies.bigger,
    remedies.fewer_layers,
    lambda config: remedies.activation(config, "leaky_relu"),
    remedies.suited_init,
    remedies.init_that_fits,
    remedies.schedule,
]


@pytest.mark.parametrize("overrides", CONFIGS)
def test_every_remedy_changes_the_config_that_it_is_for(overrides: list[str]) -> None:
    config = compose(overrides)
    found = {remedy(config) for remedy in REMEDIES} - {None}
    assert len(found) > (5 if config.model.activates else 3)
    for remedy in found:
        assert remedy is not None
        key = remedy.split("=")[0]
        kept = [given for given in overrides if given.split("=")[0] != key]
        changed = compose([*kept, remedy])
        assert changed != config, remedy
        # Nothing that the user has asked for is lost besides.
        for name in ("dataset", "seed", "batch_size"):
            assert getattr(changed, name) == getattr(config, name)
        assert {*map(type, config.regularizer)} <= {*map(type, changed.regularizer)}


def test_the_page_lists_every_symptom() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert listed == [symptom.name for symptom in SYMPTOMS]


def test_the_rules_need_no_torch() -> None:
    code = "import sys, mlpexp.doctor.examine, mlpexp.doctor.finding; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_case_is_plain_data(case: Make) -> None:
    assert dataclasses.asdict(case(loss=[1.0]))["history"]["loss/train"] == [1.0]
