"""A sweep trained in stacks leaves what its runs leave one by one; and what goes wrong with one concerns only it."""

from __future__ import annotations

import csv
import json
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from mlpexp.cli.main import call
from mlpexp.components.activation import activations
from mlpexp.config.schema import Config
from mlpexp.engine.member import build_module
from mlpexp.errors import RunError
from mlpexp.figures import drawing
from mlpexp.figures.drawing_process import DrawingProcess
from mlpexp.run import checkpoint, history

Scalars = Callable[[Path], dict[str, list[tuple[int, float]]]]

MOONS = ["dataset=moons", "dataset.n_samples=143", "batch_size=20", "model.hidden=[8]", "epochs=4"]
QUICK = ["log.figures=false", "log.tensorboard=false"]
# Figures of every run, not of the best of each setting alone.
ALL = ["log.figures=all"]
# Four runs in a stack; dropout, a schedule and a limit on gradients at work.
SWEEP = [
    *MOONS,
    "optimizer=adam,sgd",
    "seed=0,1",
    "scheduler=cosine",
    "clip.norm=1",
    "regularizer=[dropout,l2]",
    "log.histograms=2",
]


def said(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "run.json").read_text())
    return content


def states(sweep: Path) -> dict[str, str]:
    return {path.parent.name: said(path.parent)["state"] for path in sweep.glob("*/run.json")}


def table(sweep: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((sweep / "sweep.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sweep by our launcher, in `stacked`, and by Hydra's own, in `basic`."""
    directory = tmp_path_factory.mktemp("both")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        for launcher in ("stacked", "basic"):
            assert (
                call(
                    [
                        "train",
                        "-m",
                        *SWEEP,
                        "log.figures=all",
                        f"hydra/launcher={launcher}",
                        f"hydra.sweep.dir={launcher}",
                    ]
                )
                == 0
            )
    return directory


JOBS = ["0", "1", "2", "3"]


def test_the_sweep_has_a_stack(both: Path) -> None:
    """Or the tests below would compare runs alone with runs alone."""
    assert json.loads((both / "stacked" / "sweep.json").read_text())["stacks"] == [[0, 1, 2, 3]]
    assert {path.name for path in (both / "stacked").iterdir()} == {
        *JOBS,
        ".lock",
        "multirun.yaml",
        "sweep.json",
        "sweep.csv",
        "sweep.png",
        "settings",
    }


@pytest.mark.parametrize("job", JOBS)
def test_a_member_leaves_the_files_of_a_run_alone(job: str, both: Path) -> None:
    def names(run: Path) -> list[str]:
        # Of Hydra's own files a member of a stack has its overrides alone.
        theirs = (".hydra/config.yaml", ".hydra/hydra.yaml")
        found = [name for path in run.rglob("*") if (name := str(path.relative_to(run))) not in theirs]
        return sorted("events" if "tfevents" in name else name for name in found)

    assert names(both / "stacked" / job) == names(both / "basic" / job)


def test_figures_drawn_by_other_processes_are_those_drawn_here(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    start = DrawingProcess.__init__

    def note(process: DrawingProcess) -> None:
        started.append(1)
        start(process)

    monkeypatch.setattr(DrawingProcess, "__init__", note)
    for cores in (1, 4):
        monkeypatch.setattr(drawing, "usable_cores", lambda cores=cores: cores)
        assert call(["train", "-m", *MOONS, *ALL, "seed=range(6)", f"hydra.sweep.dir={cores}"]) == 0
    # One waits for the last figure.
    assert len(started) == 3
    figures = [path.relative_to("1") for path in Path("1").glob("*/figures/*.png")]
    assert len(figures) == 24
    for path in figures:
        assert Path("4", path).read_bytes() == Path("1", path).read_bytes()
    images = [EventAccumulator(f"{cores}/5", {"images": 0}).Reload().Images("figures/curves") for cores in (1, 4)]
    assert images[0][0].encoded_image_string == images[1][0].encoded_image_string


@pytest.mark.parametrize("job", JOBS)
def test_a_member_has_the_numbers_of_a_run_alone(job: str, both: Path, scalars: Scalars) -> None:
    mine, theirs = both / "stacked" / job, both / "basic" / job
    rows, expected = history.read(mine / "metrics.csv"), history.read(theirs / "metrics.csv")
    assert list(rows) == list(expected)
    for column, values in expected.items():
        assert rows[column] == pytest.approx(values, rel=1e-3, abs=1e-5, nan_ok=True), column
    for split, metrics in said(theirs)["metrics"].items():
        assert said(mine)["metrics"][split] == pytest.approx(metrics, rel=1e-3)
    same = ("state", "config", "device", "seed", "n_parameters", "epochs_done", "best_epoch", "reason", "versions")
    assert {key: said(mine)[key] for key in same} == {key: said(theirs)[key] for key in same}
    seen = scalars(mine)
    assert seen.keys() == rows.keys() - {"epoch"}
    for tag, points in seen.items():
        measured = [(step, value) for step, value in zip(rows["epoch"], rows[tag], strict=True) if value == value]
        assert [step for step, _ in points] == [step for step, _ in measured]
        assert [value for _, value in points] == pytest.approx([value for _, value in measured], rel=1e-6)


@pytest.mark.parametrize("job", JOBS)
def test_a_member_has_checkpoints_of_the_plain_network(job: str, both: Path) -> None:
    for name in ("best", "last"):
        path = Path(job) / "checkpoints" / f"{name}.pt"
        mine, theirs = (checkpoint.load(both / way / path) for way in ("stacked", "basic"))
        assert mine.keys() == theirs.keys()
        assert mine["epoch"] == theirs["epoch"]
        key = "weights" if name == "best" else "module"
        assert {name: value.shape for name, value in mine[key].items()} == {
            name: value.shape for name, value in theirs[key].items()
        }
        for name, value in theirs[key].items():
            assert mine[key][name].numpy() == pytest.approx(value.numpy(), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("job", JOBS)
def test_the_dashboard_has_all_of_a_member(job: str, both: Path) -> None:
    mine, theirs = (
        EventAccumulator(str(both / way / job), {"images": 0, "histograms": 0}).Reload() for way in ("stacked", "basic")
    )
    assert mine.Tags() == theirs.Tags()
    for tag in theirs.Tags()["histograms"]:
        assert [event.step for event in mine.Histograms(tag)] == [event.step for event in theirs.Histograms(tag)]
    assert set(mine.PluginTagToContent("hparams")) == {"_hparams_/session_start_info", "_hparams_/session_end_info"}
    assert mine.Tags()["images"]


def test_the_table_is_that_of_the_runs_one_by_one(both: Path) -> None:
    mine, theirs = (table(both / way) for way in ("stacked", "basic"))
    for row, expected in zip(mine, theirs, strict=True):
        for key, value in expected.items():
            if key in ("setting", "optimizer", "seeds") or not value:
                assert row[key] == value
            elif key != "seconds/mean":
                assert float(row[key]) == pytest.approx(float(value), rel=0.01, abs=1e-4), key


def test_a_member_is_evaluated_and_gone_on_with_as_any_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", "-m", *MOONS, *QUICK, "seed=0,1,2", "hydra.sweep.dir=sweep"]) == 0
    assert call(["eval", "sweep/1"]) == 0
    (evaluation,) = (here / "sweep" / "1" / "evaluations").iterdir()
    found = json.loads((evaluation / "metrics.json").read_text())["metrics"]
    for split, metrics in said(here / "sweep" / "1")["metrics"].items():
        assert found[split] == pytest.approx(metrics, rel=1e-5)
    assert call(["resume", "sweep/1", "epochs=6"]) == 0
    assert call(["train", *MOONS[:-1], *QUICK, "epochs=6", "seed=1", "hydra.run.dir=alone"]) == 0
    rows, expected = (history.read(here / run / "metrics.csv") for run in ("sweep/1", "alone"))
    assert rows["epoch"] == [1, 2, 3, 4, 5, 6]
    for column in ("loss/train", "loss/val", "grad_norm"):
        assert rows[column] == pytest.approx(expected[column], rel=1e-3)


def test_members_that_stop_early_have_histories_of_their_own_length(here: Path) -> None:
    stopping = ["regularizer=[early_stopping]", "regularizer.early_stopping.patience=2", "optimizer.lr=1,0.3,0.001"]
    words = [*MOONS[:-1], "epochs=12", *stopping, *QUICK, "seed=0,1"]
    for launcher in ("stacked", "basic"):
        assert call(["train", "-m", *words, f"hydra/launcher={launcher}", f"hydra.sweep.dir={launcher}"]) == 0
    lengths = []
    for job in map(str, range(6)):
        mine, theirs = (here / way / job for way in ("stacked", "basic"))
        lengths.append(said(mine)["epochs_done"])
        assert history.read(mine / "metrics.csv")["epoch"] == list(range(1, lengths[-1] + 1))
        assert lengths[-1] == said(theirs)["epochs_done"]
        assert said(mine)["best_epoch"] == said(theirs)["best_epoch"]
        assert checkpoint.load(mine / "checkpoints" / "last.pt")["epoch"] == lengths[-1]
    assert len(set(lengths)) > 2


DIVERGING = [*MOONS, "optimizer=sgd", "optimizer.lr=0.1,1e30,0.2"]


def test_one_that_diverges_does_not_disturb_the_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["train", "-m", *DIVERGING, *QUICK, "hydra.sweep.dir=sweep"]) == 1
    sweep = here / "sweep"
    assert states(sweep) == {"0": "completed", "1": "failed", "2": "completed"}
    assert said(sweep / "1")["reason"].startswith("diverged: the training loss was ")
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"mlpexp: job 1 failed: {said(sweep / '1')['reason']}")
    assert " Try optimizer.lr=" in first
    assert first.endswith(" Run directory: sweep/1") or first.endswith(f" Run directory: {sweep / '1'}")
    assert last == "mlpexp: 1 of the sweep's 3 jobs failed (1); sweep directory: sweep (sweep.csv, sweep.png)"
    assert (sweep / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert [row["failed"] for row in table(sweep)] == ["0", "0", "1"]
    assert not (sweep / ".stacks").exists()


@pytest.mark.parametrize(
    "where",
    [
        "mlpexp.run.recorder.Recorder.epoch",
        "mlpexp.run.checkpoint.save",
        "mlpexp.run.tensorboard.TensorBoard.finish",
        *(
            pytest.param(where, marks=pytest.mark.long)
            for where in [
                "mlpexp.run.history.History.go_on",
                "mlpexp.run.record.Record.write",
                "mlpexp.run.tensorboard.TensorBoard.start",
                "mlpexp.run.tensorboard.TensorBoard.histograms",
                "mlpexp.run.history.History.flush",
                "mlpexp.run.recorder.write_bytes",
            ]
        ),
    ],
)
def test_one_that_cannot_be_written_does_not_disturb_the_others(
    where: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is that meets a full disk in the directory of the second of three runs."""
    original = pkgutil.resolve_name(where)

    def write(*arguments: Any, **named: Any) -> Any:
        if any(_lies_in(argument, "1") for argument in arguments):
            raise RunError("No space left on device")
        return original(*arguments, **named)

    monkeypatch.setattr(where, write)
    assert call(["train", "-m", *MOONS, *ALL, "seed=0,1,2", "hydra.sweep.dir=sweep"]) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first == "mlpexp: job 1 failed: No space left on device"
    assert last == "mlpexp: 1 of the sweep's 3 jobs failed (1); sweep directory: sweep (sweep.csv, sweep.png)"
    sweep = here / "sweep"
    # Where even run.json cannot be written there is none.
    assert {"1": "failed", **states(sweep)} == {"0": "completed", "1": "failed", "2": "completed"}
    for run in "02":
        assert history.read(sweep / run / "metrics.csv")["epoch"] == [1, 2, 3, 4]
        assert len(list((sweep / run / "figures").iterdir())) == 4


def _lies_in(thing: Any, run: str) -> bool:
    """Whether something is a path in a run's directory, or writes there."""
    thing = getattr(thing, "paths", thing)
    path = next((getattr(thing, name) for name in ("directory", "path") if hasattr(thing, name)), thing)
    return isinstance(path, Path) and run in path.parts


def test_a_network_that_cannot_be_built_fails_its_stack_only(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(config: Config, *arguments: Any) -> nn.Module:
        if config.activation == activations["prelu"]():
            raise KeyError("x")
        return build_module(config, *arguments)

    # Where the engine builds it; what cannot be built at all is refused before.
    monkeypatch.setattr("mlpexp.engine.loop.build_module", built)
    assert call(["train", "-m", *MOONS, *QUICK, "activation=relu,prelu", "seed=0,1", "hydra.sweep.dir=sweep"]) == 1
    assert states(here / "sweep") == {"0": "completed", "1": "completed", "2": "failed", "3": "failed"}
    assert said(here / "sweep" / "2")["reason"] == "'x'"
    assert capsys.readouterr().err.splitlines() == [
        "mlpexp: jobs 2, 3 failed: KeyError: 'x'",
        "mlpexp: 2 of the sweep's 4 jobs failed (2, 3); sweep directory: sweep (sweep.csv, sweep.png)",
    ]


@pytest.mark.parametrize(
    ("layout", "said"),
    {
        "../elsewhere${hydra.job.num}": "must lie within the sweep's directory; that of job 0 is ../elsewhere0.",
        ".": "must give each job a directory of its own, as ${hydra.job.num} does.",
        "same": "must give each job a directory of its own, as ${hydra.job.num} does.",
    }.items(),
)
def test_runs_have_directories_of_their_own_within_the_sweeps(
    layout: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*MOONS, *QUICK, "seed=0,1", "hydra.sweep.dir=sweep", f"hydra.sweep.subdir='{layout}'"]
    assert call(["train", "-m", *words]) == 2
    assert capsys.readouterr() == ("", f"mlpexp: hydra.sweep.subdir: {said}\n")
    assert not list(here.rglob("run.json"))


@pytest.mark.parametrize("directory", ["sweep", "a/../sweep", "./sweep/", "a/b"])
def test_a_sweep_lies_where_it_is_told_to(directory: str, here: Path) -> None:
    words = [*MOONS[:-1], *QUICK, "epochs=1", "seed=0,1", f"hydra.sweep.dir={directory}"]
    assert call(["train", "-m", *words, "hydra.sweep.subdir=s${seed}/x"]) == 0
    jobs = json.loads((here / directory / "sweep.json").read_text())["jobs"]
    assert [job["directory"] for job in jobs] == ["s0/x", "s1/x"]
    assert (here / directory / "s1" / "x" / "run.json").exists()


def shown(*words: str) -> list[str]:
    return ["train", "-m", "--dry-run", *words, *MOONS]


def test_a_dry_run_shows_the_plan_and_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlpexp.sweep.plan.free_memory", lambda device: 2**40)
    assert call(shown("optimizer=adam,lbfgs", "activation=relu,prelu", "seed=0,1,2", "stack.max_members=2")) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "12 runs in 10 stacks; all are valid"
    assert [line.strip() for line in lines[1:4]] == [
        "activation: relu, prelu",
        "optimizer: adam, lbfgs",
        "seed: 0, 1, 2",
    ]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert [row[1] for row in cells].count("2") == 2
    assert sum(int(row[1]) for row in cells) == 12
    assert {row[2] for row in cells} == {
        f"activation={activation}, optimizer={optimizer}"
        for activation in ("relu", "prelu")
        for optimizer in ("adam", "lbfgs")
    }
    assert all(row[3].endswith("KiB") for row in cells)
    reasons = {row[5] for row in cells if "lbfgs" in row[2]}
    assert reasons == {"optimizer=lbfgs does not update elements of a weight independently"}
    assert lines[-1] == "nothing was written: this was a dry run"
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["train", "-m", "--dry-run", "dataset=xor", "seed=0"], "1 run in 1 stack; all are valid"),
        (["train", "--dry-run", "dataset=xor", "epochs=1", "device=cpu"], "1 run of 1 epoch on cpu, about "),
        (["train", "--dry-run", "dataset=xor", "epochs=1000", "device=cpu"], "1 run of 1,000 epochs on cpu, about "),
    ],
)
def test_a_dry_run_of_one_run(words: list[str], first: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(first)
    assert lines[-1] == "nothing was written: this was a dry run"
    assert not list(here.iterdir())


def test_a_dry_run_lists_all_that_is_wrong(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(shown("optimizer.lr=0.1,-1", "activation=relu,geluu", "seed=0,x")) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 3
    for part in ("optimizer.lr=-1", "activation=geluu", "seed=x"):
        assert part in err
    assert call(["train", "--dry-run", "optimizer.lr=-1"]) == 2
    assert capsys.readouterr().err.startswith("mlpexp: optimizer.lr=-1")
    assert not list(here.iterdir())


def test_a_dry_run_with_a_sweeper_that_chooses_the_values(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "conf" / "hydra" / "sweeper").mkdir(parents=True)
    (here / "conf" / "hydra" / "sweeper" / "other.yaml").write_text("_target_: hydra_plugins.other.Sweeper\n")
    words = ["--config-dir", "conf", "hydra/sweeper=other"]
    assert call(shown(*words, "optimizer.lr=interval(0.1,1)")) == 0
    said = "the sweeper chooses the jobs during the search; the values given to it are valid\n"
    assert capsys.readouterr().out == said
    assert call(shown(*words, "seed=0,x")) == 2
    assert [path.name for path in here.iterdir()] == ["conf"]


def lines_of_stacks(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("stack ")]


def test_in_a_pipe_a_sweep_has_some_lines_and_each_stack_its_last(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [*MOONS[:-1], *QUICK, "epochs=50", "seed=0,1", "hydra.sweep.dir=many"]
    assert call(["train", "-m", *many, "activation=relu,prelu"]) == 0
    lines = lines_of_stacks(capsys)
    assert len(lines) == 20
    assert lines[9].startswith("stack 1/2 (2 runs)  epoch 50/50  mean val accuracy ")
    assert lines[19].startswith("stack 2/2 (2 runs)  epoch 50/50  mean val accuracy ")

    stopping = ["regularizer=[early_stopping]", "regularizer.early_stopping.patience=1", "optimizer.lr=3"]
    assert call(["train", "-m", *MOONS[:-1], *QUICK, "epochs=500", "seed=0,1", *stopping, "hydra.sweep.dir=few"]) == 0
    done = max(said(here / "few" / run)["epochs_done"] for run in "01")
    assert lines_of_stacks(capsys)[-1].startswith(f"stack 1/1 (2 runs)  epoch {done}/500  ")


@pytest.mark.parametrize(("columns", "range_shown"), [(80, False), (100, True)])
def test_on_a_terminal_a_stack_has_one_line_that_ends_at_its_last_epoch(
    columns: int, range_shown: bool, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mlpexp.cli.sweep_terminal.console",
        lambda: Console(force_terminal=True, width=columns, highlight=False, color_system=None),
    )
    words = [
        *MOONS[:-1],
        *QUICK,
        "epochs=1000",
        "seed=0,1",
        "dataset.seed=0",
        "optimizer.lr=3",
        "hydra.sweep.dir=sweep",
    ]
    stopping = ["regularizer=[early_stopping]", "regularizer.early_stopping.patience=1"]
    assert call(["train", "-m", *words, *stopping]) == 0
    done = max(said(here / "sweep" / run)["epochs_done"] for run in "01")
    parts = re.split(r"[\r\n]|\x1b\[[0-9?]*[a-zA-Z]", capsys.readouterr().out)
    line = [part for part in parts if part.startswith("stack ")][-1]
    assert re.match(rf"stack 1/1 \(2 runs\)  epoch +{done}/1000 .+? mean val accuracy 0\.\d{{4}}", line)
    assert (" to " in line) == range_shown
    assert len(line) <= columns
    assert "…" not in line
