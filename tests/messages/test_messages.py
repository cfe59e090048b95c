"""All that mlpexp says to its users, held to the reviewed texts beside this file; `make messages` writes them anew.

What a command says within milliseconds is a line `$ mlpexp …` of a text. What takes a training run has its case here:
findings of histories, verdicts and claims of stored runs, both written by hand.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mlpexp.cli.main import COMMANDS
from mlpexp.comparison.claims import by_chance, evaluate_claim
from mlpexp.comparison.compare import compare
from mlpexp.comparison.report import lost_runs
from mlpexp.comparison.verdict import verdict
from mlpexp.config.locate import groups
from mlpexp.config.report import Claim
from mlpexp.doctor.case import Case, Layer, RareClass, Time
from mlpexp.doctor.examine import FAILED, SYMPTOMS, examine, examined
from mlpexp.doctor.finding import format_finding, summarize_findings
from mlpexp.errors import ConfigError

FOLDER = Path(__file__).parent
# What `make messages` sets.
REWRITE = os.environ.get("MLPEXP_MESSAGES") == "rewrite"
TRANSCRIPTS = ["command", "config", "data", "help", "runs", "sweeps"]
Cases = Mapping[str, Mapping[str, Sequence[str]]]


def compare_with(name: str, lines: Sequence[str]) -> None:
    """Compares the snapshot's file `name` with what is said now, or writes that into it."""
    path, text = FOLDER / name, "\n".join([*lines, ""])
    known = path.read_text() if path.exists() else ""
    if REWRITE:
        path.write_text(text)
    elif text != known:
        before, now = known.splitlines(), text.splitlines()
        diff = difflib.unified_diff(before, now, f"tests/messages/{name}", "what is said now", n=2, lineterm="")
        pytest.fail("\n".join([*diff, "Where that is meant: make messages"]), pytrace=False)


def document(what: str, sections: Cases) -> list[str]:
    """The lines of a file: by section and case, what is said."""
    lines = [f"# {what}", "#", "# The cases stand in test_messages.py; `make messages` writes what they say."]
    for section, cases in sections.items():
        lines += ["", f"== {section}"]
        for case, said in cases.items():
            lines += [f"$ {case}", *(f"    {line}" for line in said)]
    return lines


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_what_commands_say(name: str, said: Callable[[str], list[str]]) -> None:
    lines: list[str] = []
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        # What is indented is what was said the last time.
        if not line.startswith("    "):
            lines.append(line)
            lines += [f"    {part}" for part in said(line[2:])] if line.startswith("$ ") else []
    compare_with(f"{name}.txt", lines)


def test_no_command_and_no_group_is_left_out() -> None:
    lines = (FOLDER / "help.txt").read_text().splitlines()
    assert {f"$ mlpexp {command} --help" for command in COMMANDS} <= set(lines)
    assert {f"$ mlpexp list {group}" for group in groups()} <= set(lines)


# --- the doctor ---------------------------------------------------------------------------------------------

HIDDEN, OUTPUT = Layer("hidden1", 100, 0.1, True, 10), Layer("output", 100, 0.1, False)
BOTH = [HIDDEN, OUTPUT]
DEEP = [Layer(f"hidden{n}", 100, 0.1, True, 10) for n in (1, 2, 3)] + [OUTPUT]


def falling(first: float, last: float, n: int = 20) -> list[float]:
    return [first * (last / first) ** (epoch / (n - 1)) for epoch in range(n)]


def norms(*of_layers: float, whole: float = 1.0) -> dict[str, list[float]]:
    """Norms of the gradients of `DEEP`'s layers, and of all of them, in each of three epochs."""
    names = [f"grad_norm/{layer.name}" for layer in DEEP]
    return {name: [norm] * 3 for name, norm in zip([*names, "grad_norm"], [*of_layers, whole], strict=True)}


RISING = {"loss": falling(0.7, 0.01, 70), "val_loss": [*falling(0.7, 0.1, 35), *falling(0.1, 0.3, 35)]}
MEMORISED = {"loss": falling(0.7, 0.01), "val_loss": [0.2] * 20, "val_score": 0.9, "majority": 0.9}
STUCK = {"loss": falling(0.7, 0.65), "majority": 0.6, "layers": BOTH, "lr": 0.01}
DEAD = {"dead_units/activation1": [0.1, 0.3], "dead_units/activation2": [0.2, 0.6]}
RARE = RareClass("yes", 0.06, 60, 0.05, 0.94)
# By what is to be seen: overrides and history of the smallest run that shows it.
ILL: dict[str, tuple[str, dict[str, Any]]] = {
    "the loss became nan": (
        "optimizer=sgd optimizer.lr=7",
        {"loss": [0.7, 12.5, math.nan], "failure": "diverged: the training loss was nan", "diverged": True},
    ),
    "the loss became nan in the first epoch": (
        "",
        {"loss": [math.nan], "failure": "diverged: the training loss was nan", "diverged": True},
    ),
    "steps too small": ("optimizer.lr=1e-6", {"loss": [1.0] * 5, "score": 0.5, "lr": 1e-6, "layers": BOTH}),
    "a class of few rows is missed": ("", {"loss": falling(0.3, 0.1), "val_majority": 0.94, "rare": RARE}),
    "the same with weights": (
        "loss.class_weight=balanced",
        {"loss": falling(0.3, 0.1), "val_majority": 0.94, "rare": RARE},
    ),
    "the loss is above that of a constant answer": ("", {"loss": [0.75] * 20, "score": 0.5}),
    "the loss is far above its least": ("", {"loss": [0.6, 0.2, *[0.41] * 18], "score": 0.5}),
    "the loss jumps": ("", {"loss": [0.53, 0.47] * 10, "score": 0.5}),
    "units that are all alike": ("init=zeros", {"layers": [Layer("hidden1", 100, 0.1, True, 10, True), OUTPUT]}),
    "gradients that vanish": (
        "activation=sigmoid",
        {"loss": [1.0] * 3, "layers": DEEP, "more": norms(1.0, 0.0009, 1.0, 1.0)},
    ),
    "gradients that explode": (
        "init=normal",
        {"loss": [1.0] * 3, "layers": DEEP, "more": norms(1.0, 1.0, 1.0, 1.0, whole=101)},
    ),
    "a first gradient that explodes": ("", {"loss": [1.0] * 3, "layers": DEEP, "more": norms(101, 1, 1, 1)}),
    "dead units": ("", {"loss": [0.5] * 2, "score": 0.8, "more": DEAD}),
    "dead units at a high rate": ("optimizer.lr=0.1", {"loss": [0.5] * 2, "score": 0.8, "more": DEAD}),
    "units saturated from the beginning": (
        "activation=tanh init=normal",
        {"loss": [0.5] * 2, "more": {"saturated/activation1": [0.6, 0.7]}},
    ),
    "units saturated in the end": (
        "activation=tanh",
        {"loss": [0.5] * 2, "score": 0.5, "more": {"saturated/activation1": [0.0, 0.9]}},
    ),
    "validation loss rises": ("", RISING),
    "validation loss rises with early stopping": ("regularizer=[early_stopping]", RISING),
    "nothing carries over": ("", {**MEMORISED, "val_majority": 0.9, "n_val": 1000}),
    "always the same class": ("", {**STUCK, "score": [0.5] * 5 + [0.605] * 15, "val_score": 0.6}),
    "one value of the accuracy": ("", {**STUCK, "score": 0.75}),
    "a loss that still falls": ("", {"loss": falling(1, 0.7), "score": [0.7, 0.8] * 10}),
    "a loss that falls no more": ("", {"loss": [0.5] * 20, "score": 0.8}),
    "strong regularizers": (
        "regularizer=[dropout,l2] regularizer.l2.strength=0.1 regularizer.dropout.p=0.8",
        {"loss": [0.5] * 20, "score": 0.8},
    ),
    "a perceptron that is no better than one class": (
        "model=perceptron",
        {"loss": [0.5] * 20, "score": 0.95, "val_score": 0.88, "majority": 0.95, "val_majority": 0.88},
    ),
    "a GPU that is not used": (
        "",
        {"idle_gpu": "cuda", "time": Time({"training": 12.5}), "multiplications": 20_000_000},
    ),
    "figures": ("", {"time": Time({"training": 14.0, "figures": 17.0})}),
    "checkpoints of a stack": ("", {"time": Time({"training": 5.0, "checkpoints": 30.0}, members=2)}),
}


def test_what_the_doctor_finds(case: Callable[..., Case]) -> None:
    found = {what: examine(case(*words.split(), **history)) for what, (words, history) in ILL.items()}
    assert {finding["symptom"] for findings in found.values() for finding in findings} == {it.name for it in SYMPTOMS}

    def defect() -> Case:
        raise KeyError("loss/train")

    found["a defect of the doctor"] = examined(defect)
    assert found["a defect of the doctor"][0]["symptom"] == FAILED
    alone = {
        f"{what}: {ILL[what][0]}" if what in ILL and ILL[what][0] else what: list(map(format_finding, findings))
        for what, findings in found.items()
    }
    dead, rising = found["dead units"], found["validation loss rises"]
    jobs = {"0": rising, "1": dead, "2": [*dead, *rising], "3": dead, "4": []}
    of_sweep = {
        "five runs": summarize_findings(jobs),
        "eight of eight": summarize_findings({str(job): dead for job in range(8)}),
        "one run": summarize_findings({"0": rising}),
    }
    compare_with(
        "findings.txt",
        document("What the doctor finds in a run, and in the runs of a sweep.", {"A run": alone, "A sweep": of_sweep}),
    )


# --- comparisons --------------------------------------------------------------------------------------------

RELU, GELU, TANH = "activation=relu", "activation=gelu", "activation=tanh"
NINE = [0.9] * 5
STEADY = [0.9, 0.91, 0.89, 0.9, 0.9, 0.91]
LOST = [0.95, 0.96, None, None, None, None]
# By what is to be seen: scores by seed of each setting, None where the run diverged; and what `compare` is given.
COMPARED: dict[str, tuple[dict[str, Sequence[float | None]], dict[str, Any]]] = {
    "more than noise": ({RELU: NINE, TANH: [0.82, 0.8, 0.78, 0.8, 0.8]}, {}),
    "not distinguishable from noise": ({RELU: NINE, TANH: [0.91, 0.89, 0.91, 0.89, 0.89]}, {}),
    "two seeds": ({RELU: [0.9, 0.9], TANH: [0.8, 0.9]}, {}),
    "no spread": ({RELU: [1, 1, 1], TANH: [1, 1, 1], GELU: [0.5, 0.5, 0.5]}, {}),
    "one seed": ({RELU: [0.9], TANH: [0.8], GELU: [0.9]}, {}),
    "one run": ({"": [0.9]}, {}),
    "one setting": ({"": [0.9, 0.8]}, {}),
    "what only many tests take away": (
        {RELU: NINE, GELU: [0.89, 0.88, 0.89, 0.88, 0.90], TANH: [0.90, 0.90, 0.85, 0.80, 0.88]},
        {},
    ),
    "better by what matters": ({RELU: NINE, TANH: [0.82, 0.8, 0.78, 0.8, 0.8]}, {"worth": 5}),
    "equal in practice": ({RELU: NINE, TANH: [0.899, 0.901, 0.9, 0.899, 0.9]}, {"worth": 1}),
    "undecided whether it matters": ({RELU: NINE, TANH: [0.91, 0.89, 0.91, 0.89, 0.89]}, {"worth": 1}),
    "more than noise, undecided whether it matters": (
        {RELU: NINE, TANH: [0.82, 0.8, 0.78, 0.8, 0.8]},
        {"worth": 10},
    ),
    "two outcomes": ({RELU: [1, 1, 1, 0.75, 1], TANH: [0.75, 0.75, 1, 0.75, 0.75]}, {}),
    "the best of three, by luck": (
        {RELU: [0.97, 0.9, 0.91, 0.92], TANH: [0.9, 0.93, 0.9, 0.92], GELU: [0.92, 0.93, 0.9, 0.91]},
        {},
    ),
    "a full grid": (
        {
            f"{RELU} init=default": NINE,
            f"{RELU} init=zeros": [0.91, 0.89, 0.91, 0.89, 0.89],
            f"{TANH} init=default": [0.82, 0.8, 0.78, 0.8, 0.8],
            f"{TANH} init=zeros": [0.81, 0.79, 0.8, 0.81, 0.79],
        },
        {},
    ),
    "a full grid whose keys interact": (
        {
            f"{RELU} init=default": NINE,
            f"{RELU} init=zeros": [0.5, 0.51, 0.49, 0.5, 0.52],
            f"{TANH} init=default": [0.82, 0.8, 0.78, 0.8, 0.8],
            f"{TANH} init=zeros": [0.81, 0.79, 0.8, 0.81, 0.79],
        },
        {},
    ),
    "a loss": ({RELU: [0.9, 0.8], TANH: [0.7, 0.2]}, {"metric": "loss/test"}),
    "a loss and a baseline": ({RELU: [0.9, 0.8], TANH: [0.7, 0.2]}, {"metric": "loss/test", "baseline": TANH}),
    "a best setting of one seed": ({RELU: [0.99], GELU: STEADY, TANH: [x - 0.1 for x in STEADY[::-1]]}, {}),
    "runs that diverged": ({"optimizer.lr=1.0": LOST, "optimizer.lr=0.1": STEADY}, {}),
    "runs that diverged, left out": ({"optimizer.lr=1.0": LOST, "optimizer.lr=0.1": STEADY}, {"failed": "ignore"}),
    "a run that diverged": ({"optimizer.lr=1.0": [0.9, None], "optimizer.lr=0.1": [0.8, 0.8]}, {}),
    "nothing but divergence": ({"optimizer.lr=1.0": [None, None]}, {}),
    "other data": ({"dataset=moons": [0.5, 0.6], "dataset=circles": [0.5, 0.6]}, {}),
    "other losses": ({"dataset=xor loss=bce": [0.5, 0.6], "dataset=xor loss=mse": [0.5, 0.6]}, {"metric": "loss/val"}),
    "many settings": ({f"epochs={n}": [n / 20, n / 30] for n in range(1, 7)}, {}),
    # What is asked for and is not there.
    "a size that is none": ({RELU: [0.5]}, {"worth": 0}),
    "a baseline without its key": ({RELU: [0.5], GELU: [0.5]}, {"baseline": "relu"}),
    "a baseline of another key": ({RELU: [0.5], GELU: [0.5]}, {"baseline": "activatoin=relu"}),
    "a baseline of another value": ({RELU: [0.5], GELU: [0.5]}, {"baseline": "activation=rleu"}),
    "a baseline that is two": (
        {f"{RELU} init=default": [0.5], f"{RELU} init=zeros": [0.5], f"{GELU} init=zeros": [0.5]},
        {"baseline": RELU},
    ),
    "another word for diverged runs": ({RELU: [0.5]}, {"failed": "ignor"}),
    "a baseline that was not run": (
        {f"{RELU} init=default": [0.5], f"{GELU} init=zeros": [0.5]},
        {"baseline": f"{GELU},init=default"},
    ),
    "a baseline that diverged": (
        {RELU: [0.5, 0.6], GELU: [None, None]},
        {"baseline": GELU, "failed": "ignore"},
    ),
    "a baseline among seeds alone": ({RELU: [0.5, 0.6]}, {"baseline": RELU}),
}
SKEWED = [0.70, 0.71, 0.70, 0.71, 0.70, 0.72, 0.99]
ACCURACY = "accuracy/test"
# By what is to be seen: scores of one or two settings, and the claim on them.
CLAIMED: dict[str, tuple[list[Sequence[float]], dict[str, Any]]] = {
    "a mean": ([[0.70, 0.72, 0.74, 0.76]], {"at_least": 0.68}),
    "a mean, undecided": ([[0.70, 0.72, 0.74, 0.76]], {"at_least": 0.70}),
    "a mean that is below": ([[0.70, 0.72, 0.74, 0.76]], {"at_least": 0.78}),
    "a mean of skewed values": ([SKEWED], {"at_least": 0.5}),
    "a mean of two values": ([[0.5, 0.75, 0.75, 0.75, 0.75]], {"at_most": 0.9}),
    "a mean without spread": ([[0.75] * 5], {"at_most": 0.75}),
    "a mean of one seed": ([[0.9]], {"at_least": 0.5}),
    "two outcomes": ([[1.0] * 9 + [0.75]], {"at_least": 0.88, "outcomes": [0.75, 1.0]}),
    "a third outcome": ([[1.0, 0.75, 0.5]], {"at_least": 0.5, "outcomes": [0.75, 1.0]}),
    "each seed": ([[0.5, 0.75, 1.0]], {"at_most": 0.75, "in_each": True}),
    "pairs": ([[0.70, 0.72, 0.74, 0.76], [0.60, 0.63, 0.64, 0.65]], {"above": 0}),
    "pairs, undecided": ([[0.70, 0.72, 0.74, 0.76], [0.60, 0.83, 0.64, 0.85]], {"above": 0}),
    "each pair": ([[0.70, 0.72, 0.74, 0.76], [0.6, 0.6, 0.7, 0.7]], {"below": 0, "in_each": True}),
    "pairs of two outcomes": ([[1.0] * 10, [0.75] * 9 + [1.0]], {"at_least": 0.1, "outcomes": [0.75, 1.0]}),
    "a loss of the history": ([[0.70, 0.72, 0.74, 0.76]], {"at_most": 0.9, "measure": "last loss/val"}),
    "a setting that was not run": ([[0.9, 0.8], [0.9, 0.8]], {"at_least": 0, "of": TANH, "minus": None}),
    "all runs of two settings": ([[0.9, 0.8], [0.9, 0.8]], {"at_least": 0, "of": "", "minus": None}),
}


@pytest.fixture
def runs(write_run: Callable[..., Path], here: Path) -> Callable[[Mapping[str, Sequence[float | None]]], Path]:
    """Writes the runs of a comparison: by setting the score of each seed, None where it diverged."""
    n = 0

    def write(settings: Mapping[str, Sequence[float | None]]) -> Path:
        nonlocal n
        n += 1
        for setting, (overrides, scores) in enumerate(settings.items()):
            for seed, score in enumerate(scores):
                name = f"{n}/{setting}-{seed}"
                write_run(name, *overrides.split(), seed=seed, score=score, diverged=score is None)
        return Path(str(n))

    return write


def compared(path: Path, options: dict[str, Any]) -> list[str]:
    try:
        comparison = compare(path, **options)
    except ConfigError as error:
        return list(error.lines)
    lost = [re.sub(r": \S+ ", ": <run> ", line, count=1) for line in lost_runs(comparison)]
    return [*verdict(comparison, 4), *comparison.notes, *lost]


@pytest.mark.usefixtures("composed_once")
def test_what_comparisons_say(runs: Callable[..., Path], write_run: Callable[..., Path], here: Path) -> None:
    said = {what: compared(runs(settings), options) for what, (settings, options) in COMPARED.items()}
    for seed, score in enumerate([0.9, 0.91, 0.92]):
        write_run(f"apart/r{seed}", RELU, seed=seed, score=score)
        write_run(f"apart/g{seed}", GELU, seed=seed + 10, score=score - 0.1)
    said["settings that share no seed"] = compared(Path("apart"), {})
    for seed, score in enumerate([0.9, 0.92, 0.91, 0.93]):
        write_run(f"splits/r{seed}", RELU, f"dataset.seed={seed}", seed=seed, score=score)
        write_run(f"splits/g{seed}", GELU, f"dataset.seed={seed}", seed=seed, score=0.91 + seed % 2 / 1000)
    said["splits of their own"] = compared(Path("splits"), {})
    for seed in range(3):
        data = {"n_rows": [55_000, 5_000, 10_000]}
        write_run(f"given/{seed}", "dataset=mnist", seed=seed, score=0.98 + seed / 1000, data=data)
    said["a test set that is given"] = compared(Path("given"), {})
    write_run("alone/r", RELU, seed=0)
    write_run("alone/g", GELU, seed=1)
    said["one seed each, another one"] = compared(Path("alone"), {})
    write_run("ended/0", RELU)
    write_run("ended/1", GELU, seed=3, state="failed", reason="the disk\nis full", score=None)
    write_run("ended/2", RELU, seed=1, state="interrupted", score=None)
    write_run("ended/3", RELU, seed=0, started="2026-11-24T11:00:00+00:00")
    said["runs without a result, and one twice"] = compared(Path("ended"), {})
    write_run("failed/0", RELU, state="failed", score=None, metrics={})
    said["nothing but failures"] = compared(Path("failed"), {})
    for n, r2 in enumerate([0.5, None]):
        write_run(f"r2/{n}", seed=n, metrics={"test": {"loss": 0.5, "r2": r2}, "val": {"loss": 0.5, "r2": None}})
    said["a run without R²"] = compared(Path("r2"), {})
    said["no run with R²"] = compared(Path("r2/1"), {})
    said["no run with R², which is asked for"] = compared(Path("r2"), {"metric": "r2/val"})
    write_run("tasks/0", "dataset=digits")
    write_run("tasks/1", "dataset=sine", score_name="r2")
    said["both tasks"] = compared(Path("tasks"), {})
    judged = {}
    for what, (scores, bound) in CLAIMED.items():
        names = {"of": RELU, "minus": GELU} if len(scores) == 2 else {}
        claim = Claim(**{"says": "Good", "measure": ACCURACY, **names, **bound})
        judged[what] = evaluate_claim(claim, compare(runs(dict(zip((RELU, GELU), scores, strict=False)))).summaries)
    claims = {what: [judgement.words] for what, judgement in judged.items()}
    claims["all of them by chance"] = [str(by_chance(list(judged.values())))]
    sections = {"Comparisons": said, "Claims": claims}
    compare_with("comparisons.txt", document("What comparisons say: verdicts, cautions, notes, claims.", sections))
