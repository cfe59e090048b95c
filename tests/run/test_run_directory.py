"""What a run leaves on disk, and that it survives whatever ends it."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

import mlpexp
from mlpexp.cli.main import call
from mlpexp.config.compose import compose
from mlpexp.data.task import METRICS_OF
from mlpexp.errors import ConfigError, RunError
from mlpexp.run import checkpoint, history
from mlpexp.run.directory import claim_new
from mlpexp.run.files import write_text
from mlpexp.training.evaluate import evaluate
from mlpexp.training.prepare import prepare
from mlpexp.training.single import resume, run_in, train
from mlpexp.training.stack import Watcher

# Dropout, batch statistics, momentum and a schedule: all of them are state that a checkpoint must hold.
STATEFUL = [
    "dataset=digits",
    "model.hidden=[16]",
    "epochs=6",
    "regularizer=[batchnorm,dropout]",
    "optimizer=adamw",
    "scheduler=cosine",
    "log.histograms=1",
    "log.figures=false",
]
ALWAYS, NEVER = "checkpoint.every_seconds=0", "checkpoint.every_seconds=1000"

FIGURES = {
    "digits": {"curves", "confusion_matrix", "predictions"},
    "xor": {"curves", "confusion_matrix", "predictions", "decision_boundary"},
    "sine": {"curves", "fitted_curve"},
}


def scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag → (step, value), as TensorBoard reads them, of all that has an epoch."""
    events = EventAccumulator(str(path), {"scalars": 0}).Reload()
    return {
        tag: [(scalar.step, scalar.value) for scalar in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if not tag.startswith("best_epoch/")
    }


def said_by(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "run.json").read_text())
    return content


def same(one: Any, other: Any) -> bool:
    """Whether two checkpoints hold the same bits."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def leftovers(path: Path) -> list[Path]:
    return [found for found in path.rglob("*") if found.name.endswith(".tmp")]


@pytest.mark.parametrize("dataset", FIGURES)
def test_everything_that_a_run_of_the_command_line_leaves(dataset: str, here: Path) -> None:
    assert call(["train", f"dataset={dataset}", "epochs=2", "seed=3", "device=cpu", "hydra.run.dir=out/run"]) == 0
    run = here / "out" / "run"
    (events,) = run.glob("events.out.tfevents.*")
    assert {path.name for path in run.iterdir()} == {
        ".hydra", ".lock", "run.json", "metrics.csv", "checkpoints", "figures", events.name,
    }  # fmt: skip
    assert {path.name for path in (run / ".hydra").iterdir()} == {"config.yaml", "overrides.yaml", "hydra.yaml"}
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.pt", "last.pt"}
    assert {path.name for path in (run / "figures").iterdir()} == {f"{name}.png" for name in FIGURES[dataset]}
    assert leftovers(run) == []

    said = said_by(run)
    measured = METRICS_OF["regression" if dataset == "sine" else "classification"]
    assert said["state"] == "completed"
    assert said["reason"] is None
    assert (said["seed"], said["epochs_done"], said["device"]) == (3, 2, "cpu")
    assert said["best_epoch"] in (1, 2)
    assert said["seconds"] > 0
    assert said["pid"] == os.getpid()
    assert said["config"]["dataset"]["name"] == dataset
    assert set(said["versions"]) == {"python", "mlpexp", "torch", "hydra-core", "numpy"}
    assert list(said["metrics"]) == ["train", "val", "test"]
    assert all(tuple(metrics) == measured for metrics in (*said["metrics"].values(), *said["constant"].values()))
    last = checkpoint.load(run / "checkpoints" / "last.pt")
    assert said["n_parameters"] == sum(weights.numel() for weights in last["module"].values())

    with (run / "metrics.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header[0] == "epoch"
    assert set(header[1:]) == set(scalars(run))
    assert [row[0] for row in rows] == ["1", "2"]


def test_the_best_checkpoint_in_a_plain_torch_network_has_the_test_accuracy_of_run_json(tmp_path: Path) -> None:
    config = compose(["dataset=digits", "epochs=4", "model.hidden=[32]", "log.figures=false", "log.tensorboard=false"])
    run = train(config, tmp_path / "run")
    for name in ("best", "last"):
        assert torch.load(run.directory / "checkpoints" / f"{name}.pt", weights_only=True)["epoch"]
    best = torch.load(run.directory / "checkpoints" / "best.pt", weights_only=True)
    plain = nn.Sequential(
        OrderedDict(hidden1=nn.Linear(64, 32), activation1=nn.ReLU(), output=nn.Linear(32, 10)),
    )
    plain.load_state_dict(best["weights"])
    data = prepare(config).data
    predicted = plain(data.inputs(data.test.x)).argmax(1)
    assert best["epoch"] == run.record.best_epoch
    assert run.metrics["test"]["accuracy"] == pytest.approx(accuracy_score(data.test.y, predicted))
    losses = history.read(run.directory / "metrics.csv")["loss/val"]
    assert run.record.best_epoch == 1 + losses.index(min(losses))
    assert run.metrics["val"]["loss"] == pytest.approx(min(losses))


def test_fifty_runs_of_one_second_have_fifty_directories(tmp_path: Path) -> None:
    n = 50
    together = Barrier(n)

    def claim(_: int) -> Path:
        together.wait(timeout=60)
        return claim_new(tmp_path / "2026-11-24" / "10-15-00")

    with ThreadPoolExecutor(n) as pool:
        claimed = list(pool.map(claim, range(n)))
    assert len(set(claimed)) == n
    assert sorted(claimed) == sorted((tmp_path / "2026-11-24").iterdir())
    assert {path.name for path in claimed} == {"10-15-00", *(f"10-15-00_{i}" for i in range(1, n))}


@pytest.mark.parametrize("fails", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_file(fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    text, weights = tmp_path / "run.json", tmp_path / "checkpoints" / "last.pt"
    write_text(text, "old")
    checkpoint.save(weights, {"old": torch.ones(3)})
    monkeypatch.setattr(fails, full)
    with pytest.raises(RunError) as caught:
        write_text(text, "new")
    assert str(caught.value) == f"{text}: cannot be written: No space left on device"
    with pytest.raises(RunError) as caught:
        checkpoint.save(weights, {"new": torch.zeros(3)})
    assert str(caught.value) == f"{weights}: cannot be written: No space left on device"
    assert text.read_text() == "old"
    assert same(checkpoint.load(weights), {"old": torch.ones(3)})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["checkpoints", "last.pt", "run.json"]


def test_a_checkpoint_that_does_not_fit_on_the_disk_is_one_line(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits on the size of a file are a matter of POSIX")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RunError, match=r"last\.pt: cannot be written: File too large$"):
            checkpoint.save(tmp_path / "last.pt", {"weights": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_disk_fills_up_fails_in_one_line_and_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose([*STATEFUL, ALWAYS])
    whole, full = train(config, tmp_path / "whole"), tmp_path / "full"
    save = checkpoint.save

    def fill_up(path: Path, state: dict[str, Any], **named: bool) -> None:
        if state["epoch"] == 4 and path.name == "last.pt":
            raise RunError(f"{path}: cannot be written: No space left on device")
        save(path, state, **named)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", fill_up)
        with pytest.raises(RunError, match="No space left on device"):
            train(config, full)
    said = said_by(full)
    assert (said["state"], said["epochs_done"]) == ("failed", 3)
    assert said["reason"].endswith("No space left on device")
    assert resume(full).metrics == whole.metrics


def test_a_figure_that_cannot_be_written_fails_the_run_which_keeps_its_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RunError("no figure")

    monkeypatch.setattr("mlpexp.run.recorder.write_bytes", refuse)
    with pytest.raises(RunError, match="no figure"):
        train(compose(["dataset=xor", "epochs=2"]), tmp_path / "run")
    said = said_by(tmp_path / "run")
    assert (said["state"], said["reason"], said["epochs_done"]) == ("failed", "no figure", 2)
    assert said["metrics"]["test"]["loss"] > 0


_KILLED = """
import os, signal, sys
from pathlib import Path
from mlpexp.config.compose import compose
from mlpexp.training.prepare import prepare
from mlpexp.run import recorder
from mlpexp.training.stack import Watcher
from mlpexp.training.single import run_in

class Killer(Watcher):
    def epoch(self, engine, rows):
        if engine.epoch == 4:
            os.kill(os.getpid(), signal.SIGKILL)

path = Path(sys.argv[1])
path.mkdir()
recorder.FLUSH_SECONDS = float(sys.argv[2])
run_in(path, prepare(compose(sys.argv[3:])), Killer())
"""


@pytest.mark.parametrize(
    ("every", "flush"),
    [
        pytest.param(ALWAYS, 1000, id="with a checkpoint, its numbers still in memory"),
        pytest.param(NEVER, 0, id="before the first checkpoint, its numbers written"),
        pytest.param(ALWAYS, 0, marks=pytest.mark.long),
        pytest.param(NEVER, 1000, marks=pytest.mark.long),
    ],
)
def test_a_run_that_is_killed_goes_on_as_if_nothing_had_been(every: str, flush: int, tmp_path: Path) -> None:
    """SIGKILL after epoch 4, which metrics.csv and TensorBoard know or not; last.pt, if there is one, is of epoch 3."""
    overrides = [*STATEFUL, every]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = train(compose(overrides), whole)
    died = subprocess.run([sys.executable, "-c", _KILLED, str(killed), str(flush), *overrides], timeout=120)
    assert died.returncode == -signal.SIGKILL
    assert said_by(killed)["state"] == "running"
    cases = {(0, ALWAYS): [1, 2, 3, 4], (0, NEVER): [1, 2, 3, 4], (1000, ALWAYS): [1, 2, 3], (1000, NEVER): []}
    written = cases[flush, every]
    assert (history.read(killed / "metrics.csv")["epoch"] if written else []) == written
    assert [step for step, _ in scalars(killed).get("loss/val", [])] == written
    last = killed / "checkpoints" / "last.pt"
    assert last.exists() == (every == ALWAYS)
    assert not last.exists() or checkpoint.load(last)["epoch"] == 3

    run = resume(killed)
    assert run.record.state == "completed"
    assert run.metrics == expected.metrics
    assert (killed / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    for name in ("best.pt", "last.pt"):
        assert same(checkpoint.load(killed / "checkpoints" / name), checkpoint.load(whole / "checkpoints" / name))
    assert scalars(killed) == scalars(whole)
    histograms = [
        [
            (event.step, event.histogram_value.sum)
            for event in EventAccumulator(str(path), {"histograms": 0}).Reload().Histograms("weights/hidden1.weight")
        ]
        for path in (killed, whole)
    ]
    assert histograms[0] == histograms[1]
    assert histograms[0][0][0] == 0
    assert len(list(killed.glob("*tfevents*"))) == 2


@pytest.mark.parametrize("damage", ["", "epo", "epoch,lr\n1,0.1\n2,0"], ids=["empty", "half a header", "half a row"])
def test_a_run_that_died_in_the_middle_of_a_row_goes_on(damage: str, tmp_path: Path) -> None:
    config = compose(["dataset=xor", "epochs=3", "log.figures=false", "log.tensorboard=false"])
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(config, whole)
    train(config, cut)
    (cut / "metrics.csv").write_text(damage)
    (cut / "checkpoints" / "last.pt").unlink()
    resume(cut)
    assert (cut / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


@pytest.mark.parametrize("damage", [None, "", "epoch,lr\n1,0.1\n", "epoch,lr\none,0.1\n"])
def test_a_history_that_lacks_epochs_is_refused_and_left_alone(damage: str | None, tmp_path: Path) -> None:
    train(compose(["dataset=xor", "epochs=3", "log.figures=false", "log.tensorboard=false"]), tmp_path / "run")
    path = tmp_path / "run" / "metrics.csv"
    path.unlink()
    if damage is not None:
        path.write_text(damage)
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(ConfigError, match=r"metrics\.csv: is damaged"):
        resume(tmp_path / "run", {"epochs": 5})
    assert (path.read_text() if path.exists() else None) == damage
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_more_epochs_extend_a_completed_run(tmp_path: Path) -> None:
    overrides = ["dataset=sine", "regularizer=[dropout]", "log.figures=false"]
    run = train(compose([*overrides, "epochs=3"]), tmp_path / "run")
    longer = resume(run.directory, {"epochs": 5})
    whole = train(compose([*overrides, "epochs=5"]), tmp_path / "whole")
    assert (longer.record.epochs_done, longer.record.config["epochs"]) == (5, 5)
    assert longer.metrics == whole.metrics
    assert longer.record.started == run.record.started
    assert longer.record.seconds > run.record.seconds
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == (tmp_path / "whole" / "metrics.csv").read_bytes()
    assert scalars(tmp_path / "run") == scalars(tmp_path / "whole")


@pytest.mark.parametrize("name", ["step", "multistep", "exponential", "cosine", "cosine_restarts", "onecycle"])
def test_a_run_that_goes_on_has_the_rates_of_a_run_of_that_length(name: str, tmp_path: Path) -> None:
    overrides = ["dataset=xor", f"scheduler={name}", "scheduler.warmup=1", "log.figures=false", "log.tensorboard=false"]
    run = train(compose([*overrides, "epochs=4"]), tmp_path / "run")
    resume(run.directory, {"epochs": 12})
    train(compose([*overrides, "epochs=12"]), tmp_path / "whole")
    longer, whole = (
        [float(row["lr"]) for row in csv.DictReader((tmp_path / name / "metrics.csv").read_text().splitlines())]
        for name in ("run", "whole")
    )
    assert longer[4:] == whole[4:]
    assert longer[:4] != whole[:4], "the shorter run had rates of its own"


def test_a_completed_run_says_what_would_extend_it(tmp_path: Path) -> None:
    run = train(compose(["dataset=xor", "epochs=3", "log.figures=false", "log.tensorboard=false"]), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"has completed its 3 epochs; .*epochs=6"):
        resume(run.directory)
    assert said_by(run.directory)["state"] == "completed"


def test_a_run_that_another_process_writes_is_left_alone(tmp_path: Path, locked_by_another: Callable[..., Any]) -> None:
    run = train(compose(["dataset=xor", "epochs=1", "log.figures=false", "log.tensorboard=false"]), tmp_path / "run")
    with (
        locked_by_another(run.directory),
        pytest.raises(ConfigError, match=r"run: is being written by another process, which is still running\.$"),
    ):
        resume(run.directory, {"epochs": 2})
    assert resume(run.directory, {"epochs": 2}).record.epochs_done == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_run_after_a_checkpoint_and_says_how_to_go_on(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    words = ["train", "dataset=digits", "epochs=100000", "model.hidden=[8]", NEVER, "hydra.run.dir=run"]
    with subprocess.Popen(
        [sys.executable, "-m", "mlpexp", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        rows, deadline = tmp_path / "run" / "metrics.csv", time.monotonic() + 60
        while not rows.exists() or rows.read_text().count("\n") < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    done = said_by(tmp_path / "run")["epochs_done"]
    assert errors == f"mlpexp: interrupted after epoch {done}; go on with: mlpexp resume run\n"
    assert said_by(tmp_path / "run")["state"] == "interrupted"
    assert not (tmp_path / "run" / "figures").exists()
    assert history.read(rows)["epoch"] == list(range(1, done + 1))
    assert [step for step, _ in scalars(tmp_path / "run")["lr"]] == list(range(1, done + 1))

    run = resume(tmp_path / "run", {"epochs": done + 2})
    assert (run.record.state, run.record.epochs_done) == ("completed", done + 2)
    assert history.read(rows)["epoch"] == list(range(1, done + 3))


def test_ctrl_c_while_the_results_are_written_is_an_interruption_that_can_be_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose(["dataset=xor", "epochs=3", "log.tensorboard=false"])

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlpexp.run.recorder.write_bytes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "run")
    assert said_by(tmp_path / "run")["state"] == "interrupted"
    run = resume(tmp_path / "run")
    assert (run.record.state, run.record.epochs_done) == ("completed", 3)
    assert (run.directory / "figures" / "curves.png").exists()


def test_a_diverged_run_fails_and_keeps_its_best_weights(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The loss of a linear model is a parabola: each of these steps lands some thousand times further up.
    words = ["dataset=sine", "model=perceptron", "optimizer=sgd", "optimizer.lr=1e4", "batch_size=100", "epochs=30"]
    assert call(["train", *words, "hydra.run.dir=run"]) == 1
    said = said_by(here / "run")
    assert said["state"] == "failed"
    assert said["reason"].startswith("diverged: the ")
    assert said["reason"].endswith(f"at the end of epoch {said['epochs_done']}")
    assert said["metrics"] == {}
    assert 1 <= said["best_epoch"] < said["epochs_done"] < 30
    best = torch.load(here / "run" / "checkpoints" / "best.pt", weights_only=True)
    assert best["epoch"] == said["best_epoch"]
    assert all(weights.isfinite().all() for weights in best["weights"].values())
    assert not (here / "run" / "figures").exists()
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert said["reason"] in errors
    assert "run/checkpoints/best.pt" in errors
    assert errors.endswith("Run directory: run\n")


def test_a_run_that_raises_is_marked_as_failed(tmp_path: Path) -> None:
    class Broken(Watcher):
        def epoch(self, engine: Any, rows: Any) -> None:
            raise ZeroDivisionError("what the watcher did")

    with pytest.raises(ZeroDivisionError):
        run_in(tmp_path, prepare(compose(["dataset=xor", "epochs=2"])), Broken())
    said = said_by(tmp_path)
    assert (said["state"], said["reason"]) == ("failed", "what the watcher did")


def test_eval_finds_the_metrics_of_run_json_and_overwrites_nothing(here: Path) -> None:
    run = train(compose(["dataset=digits", "epochs=2", "log.tensorboard=false"]), here / "run")
    before = {path: path.read_bytes() for path in run.directory.rglob("*") if path.is_file()}
    first = evaluate(run.directory)
    assert call(["eval", "run"]) == 0
    evaluate(run.directory)
    made = sorted((run.directory / "evaluations").iterdir())
    assert len(made) == 3
    assert first.metrics == run.metrics
    figures = {f"{name}.png" for name in ("curves", "confusion_matrix", "predictions", "class_curves", "class_scores")}
    for directory in made:
        assert {path.name for path in directory.iterdir()} == {"metrics.json", "confusion_matrix.csv", *figures}
        content = json.loads((directory / "metrics.json").read_text())
        record = run.record
        judged = {"metrics": run.metrics, "constant": record.constant, "undefined": record.undefined}
        assert content == {"epoch": record.best_epoch, **judged}
    assert {path: path.read_bytes() for path in before} == before

    with (made[0] / "confusion_matrix.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    data = run.results.data
    predicted = run.results.outputs(data.test).argmax(1)
    assert header == ["true \\ predicted", *map(str, range(10))]
    assert [[int(cell) for cell in row[1:]] for row in rows] == confusion_matrix(data.test.y.cpu(), predicted).tolist()


# Validation and test split have a row each.
FIVE_ROWS = ["1,1,1", "2,3,2", "3,1,4", "5,2,3", "4,4,9"]
# The one value that is not 0.1 is among the rows to train on.
WITHOUT_VARIANCE = [f"{i % 7},{i % 5},{3.5 if i == 7 else 0.1}" for i in range(60)]


@pytest.mark.parametrize(("rows", "with_r2"), [(FIVE_ROWS, {"train"}), (WITHOUT_VARIANCE, {"train"})])
def test_a_split_without_variance_has_no_r2(
    rows: list[str], with_r2: set[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "t.csv").write_text("\n".join(["a,b,y", *rows, ""]))
    table = ["dataset=table", "dataset.path=t.csv", "dataset.target=y", "dataset.task=regression", "epochs=12"]
    assert call(["train", *table, "hydra.run.dir=run"]) == 0
    said = json.loads((here / "run/run.json").read_text())
    assert {name for name, split in said["metrics"].items() if split["r2"] is not None} == with_r2
    assert set(said["undefined"]) == {"train", "val", "test"} - with_r2
    read = history.read(here / "run/metrics.csv")
    assert {split for split in ("train", "val") if not all(map(math.isnan, read[f"r2/{split}"]))} == with_r2
    assert "nan" not in (here / "run/metrics.csv").read_text()
    assert said["best_epoch"] == 1 + read["loss/val"].index(min(read["loss/val"]))
    assert all(math.isfinite(value) for _, value in scalars(here / "run")["loss/val"])
    assert {f"r2/{split}" for split in ("train", "val") if f"r2/{split}" in scalars(here / "run")} == {
        f"r2/{split}" for split in with_r2
    }
    assert "val R² –" in (out := capsys.readouterr().out)
    assert len(re.findall(r" – (?=│)", out)) == 4 - len(with_r2)
    assert "nan" not in out + str(said["findings"])

    assert call(["eval", "run"]) == 0
    (metrics,) = (here / "run/evaluations").glob("*/metrics.json")
    assert json.loads(metrics.read_text())["metrics"] == said["metrics"]
    assert len(re.findall(r" – (?=│)", out := capsys.readouterr().out)) == 4 - len(with_r2)
    assert "no R²: the targets of the test split do not vary" in out

    assert call(["train", "-m", *table, "dataset.seed=0", "seed=0,1", "hydra.sweep.dir=sweep"]) == 0
    out = capsys.readouterr().out
    assert "No run has a test R², since the targets of the test split do not vary: settings are ranked by" in out
    assert "e+" not in out + (here / "sweep/sweep.csv").read_text()


def test_eval_of_weights_that_are_not_there_is_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(compose(["dataset=xor", "epochs=1", "log.figures=false", "log.tensorboard=false"]), here / "run")
    (here / "run" / "checkpoints" / "best.pt").unlink()
    # last.pt has them too.
    assert evaluate("run").metrics == run.metrics
    shutil.rmtree(here / "run" / "evaluations")
    (here / "run" / "checkpoints" / "last.pt").unlink()
    assert call(["eval", "run"]) == 2
    assert capsys.readouterr().err == "mlpexp: run/checkpoints/best.pt: there is no such checkpoint.\n"
    assert not (here / "run" / "evaluations").exists()


def test_the_package_offers_it_all_to_python(tmp_path: Path) -> None:
    run = mlpexp.train(mlpexp.compose(["dataset=xor", "epochs=2", "log.figures=false"]), tmp_path / "run")
    assert mlpexp.evaluate(run.directory).metrics == run.metrics
    results, epoch = mlpexp.load(run.directory)
    assert (results.metrics(), epoch) == (run.metrics, run.record.best_epoch)
    assert mlpexp.resume(run.directory, {"epochs": 3}).record.epochs_done == 3
