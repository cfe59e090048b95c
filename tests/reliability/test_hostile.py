"""What a stranger's run directory cannot do: run code, read the environment, write elsewhere, fill the memory."""

from __future__ import annotations

import base64
import csv
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mlpexp.cli.main import call
from mlpexp.engine.diagnostics import due
from mlpexp.run import checkpoint, record
from mlpexp.run.recorder import histograms_due

Edit = Callable[..., None]
Capture = pytest.CaptureFixture[str]

QUICK = ["dataset=xor", "epochs=3", "log.tensorboard=true", "device=cpu", "log.histograms=0"]
SECRET = "do-not-tell"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and a sweep."""
    directory = tmp_path_factory.mktemp("originals")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        assert call(["train", *QUICK, "hydra.run.dir=run"]) == 0
        assert call(["train", "-m", *QUICK, "log.figures=false", "seed=0,1", "hydra.sweep.dir=sweep"]) == 0
    return directory


@pytest.fixture
def stranger(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: copies of `run` and `sweep`, to be made hostile. `outside` lies beside it."""
    monkeypatch.setenv("MLPEXP_TEST_SECRET", SECRET)
    monkeypatch.delenv("MLPEXP_DATA_DIR", raising=False)
    here = Path(shutil.copytree(originals, tmp_path / "here"))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("mine")
    monkeypatch.chdir(here)
    return here


def outside(stranger: Path) -> dict[str, str]:
    """All that lies outside of the stranger's directory."""
    return {str(path): path.read_text() for path in (stranger.parent / "outside").rglob("*") if path.is_file()}


def refused(command: str, capsys: Capture) -> str:
    """The one line that a command ends in."""
    capsys.readouterr()
    assert call(command.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert SECRET not in line
    assert len(line) < 1000
    return line


deep: list[Any] = []
for _ in range(400):
    deep = [deep]

CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "a network of 10⁹ units": (
        {"model": {"name": "mlp", "hidden": [10**9]}},
        "must be at least 1 and at most 1000000.",
    ),
    "a network of 10¹² weights": (
        {"model": {"name": "mlp", "hidden": [10**6, 10**6]}},
        "of memory. Choose smaller layers.",
    ),
    "10¹² samples": ({"dataset": {"name": "moons", "n_samples": 10**12}}, "dataset.n_samples=1000000000000: must be "),
    "a batch of 2⁵³": ({"batch_size": 2**53, "model": {"name": "mlp", "hidden": [8]}}, "memory"),
    "an environment variable": ({"seed": "${oc.env:MLPEXP_TEST_SECRET}"}, "seed=${oc.env:MLPEXP_TEST_SECRET}: must be"),
    "a resolver in a name": ({"activation": {"name": "${oc.env:MLPEXP_TEST_SECRET}"}}, "no such activation"),
    "a class": ({"optimizer": {"name": "adam", "_target_": "os.system"}}, "optimizer._target_=os.system: no such key"),
    "a class in place of a name": ({"optimizer": {"_target_": "os.system"}}, "optimizer.name=null"),
    "a module": ({"plugins": ["os"]}, "are imported only on request: add plugins=[os]."),
    "a deep list": ({"model": {"name": "mlp", "hidden": deep}}, "run.json: is damaged: it is nested too deeply"),
    "a deep list as a name": ({"activation": {"name": deep}}, "run.json: is damaged: it is nested too deeply"),
    "a table that is a device": ({"dataset": {"name": "table", "path": "/dev/zero"}}, "are not there (/dev/zero)"),
    "a link to whatever": ({"dataset": {"name": "table", "path": "/proc/self/environ"}}, "/proc/self/environ: "),
    "a place to write to": ({"dataset": {"name": "mnist"}, "data_dir": "../outside"}, "add data_dir=DIR."),
    "a place by a variable": ({"dataset": {"name": "mnist"}, "data_dir": "${oc.env:HOME}"}, "data_dir=${oc.env:HOME}"),
}


@pytest.mark.parametrize("command", ["resume run epochs=5", "eval run"])
@pytest.mark.parametrize(("changes", "said"), CONFIGS.values(), ids=CONFIGS)
def test_a_config(
    command: str, changes: dict[str, Any], said: str, stranger: Path, edit: Edit, capsys: Capture
) -> None:
    edit(stranger / "run" / "run.json", lambda content: content["config"].update(changes))
    if path := changes.get("dataset", {}).get("path"):
        source = {"path": path, "n_rows": 9, "columns": ["a", "b"], "sha256": "0" * 64}
        edit(stranger / "run" / "run.json", lambda content: content["data"].update(source=source))
    before = outside(stranger)
    assert said in refused(command, capsys)
    assert outside(stranger) == before
    assert not (stranger / "run" / "evaluations").exists()


def test_the_config_of_a_sweep(stranger: Path, edit: Edit, capsys: Capture) -> None:
    shutil.rmtree(stranger / "sweep" / "1")

    def change(content: dict[str, Any]) -> None:
        content["jobs"][1]["config"]["activation"] = {"name": "relu", "_target_": "os.system"}

    edit(stranger / "sweep" / "sweep.json", change)
    assert "activation._target_=os.system: no such key" in refused("resume sweep", capsys)


@pytest.mark.parametrize("directory", ["../outside", "/tmp/outside", "0/../../outside"])
def test_a_job_outside_of_its_sweep(directory: str, stranger: Path, edit: Edit, capsys: Capture) -> None:
    edit(stranger / "sweep" / "sweep.json", lambda content: content["jobs"][1].update(directory=directory))
    before = outside(stranger)
    assert "job 1 has no directory within the sweep's" in refused("resume sweep", capsys)
    assert outside(stranger) == before


@pytest.mark.parametrize("command", ["resume run epochs=5", "eval run"])
@pytest.mark.parametrize("part", ["checkpoints", "figures", "evaluations", "run.json"])
def test_a_link_that_leads_out_of_a_run(part: str, command: str, stranger: Path, capsys: Capture) -> None:
    path, elsewhere = stranger / "run" / part, stranger.parent / "outside" / part
    if path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.mkdir()
    path.symlink_to(elsewhere)
    before = {found: found.read_bytes() for found in elsewhere.parent.rglob("*") if found.is_file()}
    assert re.match(f"mlpexp: run/{part}: .*is a link, which is not followed", refused(command, capsys))
    assert {found: found.read_bytes() for found in elsewhere.parent.rglob("*") if found.is_file()} == before


@pytest.mark.parametrize("part", ["1", ".stacks", "comparisons"])
def test_a_link_that_leads_out_of_a_sweep(part: str, stranger: Path, capsys: Capture) -> None:
    path, elsewhere = stranger / "sweep" / part, stranger.parent / "outside" / part
    if path.exists():
        shutil.move(path, elsewhere)
        (elsewhere / "run.json").unlink()
    else:
        elsewhere.mkdir()
    path.symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    command = "compare sweep" if part == "comparisons" else "resume sweep"
    assert refused(command, capsys).startswith(f"mlpexp: sweep/{part}: is a link, which is not followed")
    assert sorted(elsewhere.rglob("*")) == before


def test_a_link_in_place_of_a_file_is_not_written_into(stranger: Path) -> None:
    precious = stranger.parent / "outside" / "precious"
    run, pid = stranger / "run", os.getpid()
    for name in ("run.json", "metrics.csv"):
        (run / f".{name}.{pid}.tmp").symlink_to(precious)
    (run / "checkpoints" / f".last.pt.{pid}.tmp").symlink_to(precious)
    before = outside(stranger)
    assert call(["resume", "run", "epochs=5"]) == 0
    assert outside(stranger) == before


def test_a_lock_that_leads_elsewhere(stranger: Path, capsys: Capture) -> None:
    (stranger / "run" / ".lock").unlink()
    (stranger / "run" / ".lock").symlink_to(stranger.parent / "outside" / "made")
    assert call(["resume", "run", "epochs=5"]) == 1
    assert capsys.readouterr().err.startswith("mlpexp: run/.lock: cannot be written: ")
    assert not (stranger.parent / "outside" / "made").exists()


def a_link(path: Path, outside: Path) -> None:
    """To the file itself, which lies elsewhere: who follows it finds all that it needs."""
    path.symlink_to(path.rename(outside / path.name))


def a_linked_directory(path: Path, outside: Path) -> None:
    path.parent.symlink_to(path.parent.rename(outside / path.parent.name))


def a_pipe(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_device(path: Path, _: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_directory(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def a_large_file(path: Path, _: Path) -> None:
    """Without a block on the disk."""
    with path.open("r+b") as file:
        file.truncate(2**40)


# What each command cannot do without, and what else it looks at.
NEEDS = {
    "resume run epochs=5": ["run.json", "checkpoints/last.pt", "metrics.csv"],
    "eval run": ["run.json", "checkpoints/best.pt"],
    "compare run": ["run.json"],
    "report run --out page.html": ["run.json"],
}
LOOKS_AT = {
    "resume run epochs=5": [],
    "eval run": ["metrics.csv"],
    "compare run": ["metrics.csv"],
    "report run --out page.html": ["figures/curves.png"],
}
KINDS = [a_link, a_linked_directory, a_pipe, a_device, a_directory, a_large_file]


@pytest.mark.parametrize(
    ("command", "name", "kind"),
    [
        pytest.param(command, name, kind, id=f"{command.split()[0]}-{name}-{kind.__name__}")
        for command in NEEDS
        for name in [*NEEDS[command], *LOOKS_AT[command]]
        for kind in KINDS
        # The directory of the run itself may be a link.
        if "/" in name or kind is not a_linked_directory
    ],
)
def test_a_file_that_is_another_thing(
    command: str, name: str, kind: Callable[[Path, Path], None], stranger: Path, capsys: Capture
) -> None:
    """It is neither followed nor waited for, nor read until the memory is full."""
    resource = pytest.importorskip("resource", reason="what a process has taken is known on POSIX")
    if name.startswith("checkpoints"):
        (other,) = {"best.pt", "last.pt"} - {Path(name).name}
        # It would do as well.
        (stranger / "run" / "checkpoints" / other).unlink()
    path = stranger / "run" / name
    content = path.read_bytes()
    kind(path, stranger.parent / "outside")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    capsys.readouterr()
    code = call(command.split())
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert all(line.startswith("mlpexp: ") for line in lines)
    # In KiB, but for macOS.
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 500
    if name in NEEDS[command] or (kind is a_linked_directory and command.startswith("eval")):
        assert code == 2
        assert len(lines) == 1
        assert name.split("/")[0] in lines[0]
        return
    assert code == 0
    page = (stranger / "page.html").read_text() if "page" in command else ""
    assert base64.b64encode(content).decode() not in page
    assert f"run/{name}" in out + err + page


# A path is named in each of them.
COMMANDS = {
    **{name: [name, "{}"] for name in ("eval", "resume", "compare", "report", "dashboard")},
    **{f"{name} --out": [name, "run", "--out", "{}"] for name in ("compare", "report")},
    "plot --out": ["plot", "activations", "--out", "{}"],
    "lr-find --out": ["lr-find", "dataset=xor", "--steps", "20", "--seeds", "1", "--out", "{}"],
    "notebook --out": ["notebook", "--only", "losses", "--out", "{}"],
    **{
        f"{name} --config-dir": [*name.split(), "--config-dir", "{}"]
        for name in ("train dataset=xor", "list", "lr-find")
    },
    "run.dir": ["train", *QUICK, "log.figures=false", "hydra.run.dir={}"],
    "sweep.dir": ["train", "-m", *QUICK, "seed=0,1", "hydra.sweep.dir={}"],
    "sweep.subdir": ["train", "-m", *QUICK, "seed=0,1", "hydra.sweep.subdir=${{hydra.job.num}}{}"],
    "dataset.path": ["train", "dataset=table", "dataset.path={}"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_of_three_hundred_letters(command: str, stranger: Path, capsys: Capture) -> None:
    ending = {"report --out": ".html", "plot --out": ".png"}.get(command, "")
    before = sorted(stranger.rglob("*"))
    assert call([word.format("n" * 300 + ending) for word in COMMANDS[command]]) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert out == ""
    assert line.startswith("mlpexp: ")
    assert "nnn" in line
    assert sorted(stranger.rglob("*")) == before


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("dashboard", "list --config-dir")])
def test_a_name_that_is_not_utf_8(command: str, stranger: Path, capsys: Capture) -> None:
    """It does, unless a config is to hold it."""
    name = os.fsdecode(b"caf\xe9")
    try:
        (stranger / "run").rename(stranger / name)
    except OSError:
        pytest.skip("this file system takes no such name")
    words = [name if word == "run" else word.format(name) for word in COMMANDS[command]]
    if command.endswith("--out"):
        words[-1] += {"report --out": ".html", "plot --out": ".png"}.get(command, ".out")
    elif command == "resume":
        words.append("epochs=5")
    before = sorted(stranger.rglob("*"))
    held = command in ("run.dir", "sweep.dir", "sweep.subdir", "dataset.path")
    words += ["--dry-run"] if command == "train dataset=xor --config-dir" else []
    assert call(words) == (2 if held else 0)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    if held:
        assert "caf : is not UTF-8 text" in err
        assert sorted(stranger.rglob("*")) == before


def test_a_directory_that_may_not_be_entered(stranger: Path) -> None:
    """One line names it; among other runs it is left out."""
    code = (
        "import sys; from mlpexp.cli.main import call\n"
        "for line in sys.stdin: print('code', call(line.split()), flush=True)"
    )
    words = [sys.executable, "-c", code]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may enter every directory, and there is no setpriv")
        words = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search", *words]
    closed = stranger / "sweep" / "1"
    lines = [f"{name} sweep/1" for name in ("eval", "resume", "compare", "report")]
    lines += ["compare run --out sweep/1/x", "report run --out sweep/1/x.html", "list --config-dir sweep/1/x"]
    lines += ["train dataset=xor hydra.run.dir=sweep/1/x", "plot activations --out sweep/1/x.png", "compare sweep"]
    closed.chmod(0)
    try:
        ended = subprocess.run(words, input="\n".join(lines), text=True, cwd=stranger, capture_output=True, check=False)
    finally:
        closed.chmod(0o755)
    codes = [line for line in ended.stdout.splitlines() if line.startswith("code ")]
    assert codes[-1] == "code 0"
    assert set(codes[:-1]) == {"code 1", "code 2"}, ended.stdout + ended.stderr
    assert ended.stderr.count("\n") == len(lines) - 1
    assert all(re.match("mlpexp: .*sweep/1.*Permission denied", line) for line in ended.stderr.splitlines())
    assert "left out: sweep/1: cannot be read: Permission denied." in ended.stdout


def test_a_table_that_is_larger_than_the_memory(here: Path) -> None:
    resource = pytest.importorskip("resource", reason="memory can be limited on POSIX")
    with (here / "t.csv").open("w") as file:
        file.write("x,y\n")
        # Without a block on the disk.
        file.truncate(2**36)
    ended = subprocess.run(
        [sys.executable, "-m", "mlpexp", "train", "dataset=table", "dataset.path=t.csv", "device=cpu"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**35, 2**35)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "mlpexp: dataset.path=t.csv: its 65,536 MiB do not fit into memory.\n"
    assert [path.name for path in here.iterdir()] == ["t.csv"]


def test_an_experiment_that_cannot_be(stranger: Path, capsys: Capture) -> None:
    before = sorted(stranger.rglob("*"))
    assert refused("notebook --only xor epochs=x", capsys) == "mlpexp: epochs=x: must be a whole number."
    assert sorted(stranger.rglob("*")) == before


def test_a_record_that_is_too_large(stranger: Path, capsys: Capture) -> None:
    with (stranger / "run" / "run.json").open("r+b") as file:
        file.truncate(2**24 + 1)
    assert "run/run.json: cannot be read: it is larger than 16 MiB" in refused("eval run", capsys)


def of_another_kind(content: dict[str, Any], key: str, value: Any) -> None:
    """Puts a value in the place that a key such as `member.best.epoch` names."""
    *path, last = key.split(".")
    for name in path:
        content = content[name]
    if value is None:
        del content[last]
    else:
        content[last] = value


HUGE = 10**400
# What run.json, sweep.json and the checkpoints may hold in place of what they should; None: nothing.
RECORDS: list[tuple[str, Any]] = [
    ("history", {"rows": "x"}),
    ("history", {"rows": -1, "crc32": "00000000"}),
    ("history", []),
    ("metrics", {"test": 3}),
    ("metrics.test", {"accuracy": "x", "loss": [1]}),
    ("metrics.test.accuracy", 1e308),
    ("metrics.test.accuracy", HUGE),
    ("metrics.test.accuracy", float("nan")),
    ("seed", HUGE),
    ("seed", -1),
    ("seconds", -1e300),
    ("epochs_done", 2.5),
    ("best_epoch", -1),
    ("versions", {"torch": 2}),
    ("state", []),
    ("findings", [{}]),
    ("config", {"seed": {}}),
    ("config.report", {"claims": 3}),
    ("config.regularizer", 3),
    ("config.batch_size", HUGE),
    ("config.model", [[]]),
    ("config.dataset", None),
]


@pytest.mark.parametrize("command", ["resume run epochs=5", "eval run", "compare run", "report run --out page.html"])
@pytest.mark.parametrize(("key", "value"), RECORDS, ids=[f"{key}={str(value)[:20]}" for key, value in RECORDS])
def test_a_record_of_another_kind(
    command: str, key: str, value: Any, stranger: Path, edit: Edit, capsys: Capture
) -> None:
    edit(stranger / "run" / "run.json", lambda content: of_another_kind(content, key, value))
    names_it(command, "run/run.json", stranger, capsys)


def names_it(command: str, path: str, stranger: Path, capsys: Capture) -> None:
    """A command ends well, or in one line that says which file is wrong, and leaves all as it was."""
    before = {found: found.stat().st_mtime_ns for found in stranger.rglob("*") if found.name != ".lock"}
    capsys.readouterr()
    code = call(command.split())
    _, err = capsys.readouterr()
    if code == 0:
        assert not command.startswith("resume")
        return
    assert code == 2
    (line,) = err.splitlines()
    assert path in line
    assert len(line) < 1000
    after = {found: found.stat().st_mtime_ns for found in stranger.rglob("*") if found.name != ".lock"}
    # Their times, but for the directories in which there was a lock.
    assert {found for found in after if found.is_file()} == {found for found in before if found.is_file()}


CHECKPOINTS: list[tuple[str, str, Any]] = [
    ("best.pt", "epoch", -1),
    ("best.pt", "epoch", 0),
    ("best.pt", "epoch", "x"),
    ("best.pt", "epoch", True),
    ("best.pt", "weights", {}),
    ("best.pt", "weights", 3),
    ("best.pt", "weights", None),
    ("last.pt", "epoch", -1),
    ("last.pt", "epoch", 1.5),
    ("last.pt", "epoch", HUGE),
    ("last.pt", "history", None),
    ("last.pt", "history", [1]),
    ("last.pt", "history", {"rows": "x"}),
    ("last.pt", "module", {"x": 1}),
    ("last.pt", "optimizer", 3),
    ("last.pt", "optimizer", {}),
    ("last.pt", "optimizer.param_groups", [{"lr": 0.1, "params": [0, 1, 2, 3]}]),
    ("last.pt", "optimizer.state", {0: {"momentum_buffer": torch.zeros(1)}}),
    ("last.pt", "optimizer.state", {n: {"step": torch.tensor(1.0), "exp_avg": 3, "exp_avg_sq": 4} for n in range(4)}),
    ("last.pt", "optimizer.state", []),
    ("last.pt", "member", 3),
    ("last.pt", "member.best", None),
    ("last.pt", "member.best.epoch", "x"),
    ("last.pt", "member.best.loss", "x"),
    ("last.pt", "member.waited", "x"),
    ("last.pt", "member.stopped_early", 3),
    ("last.pt", "member.order", torch.zeros(3)),
]


@pytest.mark.parametrize(
    ("name", "key", "value"), CHECKPOINTS, ids=[f"{name}-{key}={str(value)[:20]}" for name, key, value in CHECKPOINTS]
)
def test_a_checkpoint_of_another_kind(name: str, key: str, value: Any, stranger: Path, capsys: Capture) -> None:
    checkpoints = stranger / "run" / "checkpoints"
    (other,) = {"best.pt", "last.pt"} - {name}
    (checkpoints / other).unlink()
    state = checkpoint.load(checkpoints / name)
    of_another_kind(state, key, value)
    torch.save(state, checkpoints / name)
    names_it("eval run" if name == "best.pt" else "resume run epochs=5", f"checkpoints/{name}", stranger, capsys)


SWEEPS: list[tuple[str, Any]] = [
    ("jobs", 3),
    ("jobs", [3]),
    ("jobs", None),
    ("stacks", [["x"]]),
    ("stacks", [[0, 0, 1]]),
    ("stacks", None),
    *[(f"jobs.1.{key}", value) for key, value in [("number", "x"), ("number", HUGE), ("overrides", 3), ("config", [])]],
    *[("jobs.1.directory", value) for value in (".lock", ".stacks", "sweep.json", "..", "", "0", "0/", "n" * 300)],
    ("jobs.1.directory", 3),
    ("jobs.1.more", 3),
]


@pytest.mark.parametrize(("key", "value"), SWEEPS, ids=[f"{key}={str(value)[:20]}" for key, value in SWEEPS])
def test_a_sweep_of_another_kind(key: str, value: Any, stranger: Path, edit: Edit, capsys: Capture) -> None:
    shutil.rmtree(stranger / "sweep" / "1")

    def change(content: dict[str, Any]) -> None:
        jobs = content["jobs"]
        content["jobs"] = {str(number): job for number, job in enumerate(jobs)}
        of_another_kind(content, key, value)
        if isinstance(content.get("jobs"), dict):
            content["jobs"] = list(content["jobs"].values())

    edit(stranger / "sweep" / "sweep.json", change)
    names_it("resume sweep", "sweep/" if "nnn" in str(value) else "sweep/sweep.json", stranger, capsys)


@pytest.mark.parametrize("column", ["epoch", "lr", "loss/train", "loss/val", "accuracy/train", "accuracy/val"])
@pytest.mark.parametrize("command", ["eval run", "compare run", "report run --out page.html"])
def test_a_history_without_a_column(column: str, command: str, stranger: Path, edit: Edit, capsys: Capture) -> None:
    path = stranger / "run" / "metrics.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    kept = [name for name in rows[0] if name != column]
    content = "\n".join([",".join(kept), *(",".join(row[name] for name in kept) for row in rows)]) + "\n"
    path.write_text(content)
    written = {"rows": len(rows), "crc32": f"{zlib.crc32(content.encode()):08x}"}
    edit(stranger / "run" / "run.json", lambda content: content.update(history=written))
    names_it(command, "run/metrics.csv", stranger, capsys)


def test_a_checkpoint_that_is_a_bomb(stranger: Path, capsys: Capture) -> None:
    path = stranger / "run" / "checkpoints" / "best.pt"
    state = checkpoint.load(path)
    plain, packed = io.BytesIO(), io.BytesIO()
    torch.save({**state, "more": torch.zeros(10_000_000)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            target.writestr(part.filename, source.read(part))
    path.write_bytes(packed.getvalue())
    (stranger / "run" / "checkpoints" / "last.pt").unlink()
    assert path.stat().st_size < 10**6
    assert "best.pt: is damaged" in refused("eval run", capsys)


def test_a_checkpoint_that_holds_itself_many_times(stranger: Path, capsys: Capture) -> None:
    """A copy of which would take 4 TB."""
    nested: Any = [0.0]
    for _ in range(40):
        nested = [nested, nested]
    path = stranger / "run" / "checkpoints" / "best.pt"
    state = checkpoint.load(path)
    (stranger / "run" / "checkpoints" / "last.pt").unlink()
    for more in (torch.zeros(1).expand(10**12), nested):
        torch.save({**state, "more": more}, path)
        assert "best.pt: is damaged" in refused("eval run", capsys)


def test_what_a_file_holds_tells_the_terminal_nothing(stranger: Path, edit: Edit, capsys: Capture) -> None:
    title = "\x1b]0;mine\x07\x9b31m"

    def change(content: dict[str, Any]) -> None:
        content.update(state="failed", reason=f"{title} reason")
        content["config"]["activation"]["name"] = title

    edit(stranger / "sweep" / "1" / "run.json", change)
    assert call(["compare", "sweep"]) == 0
    out, err = capsys.readouterr()
    assert "reason" in out
    assert not set(out + err) & {"\x1b", "\x07", "\x9b"}


@pytest.mark.parametrize(
    "words",
    [
        ["{}"],
        ["{}=1"],
        ["list", "{}"],
        ["list", "activation", "--config-dir", "conf"],
        ["list", "activation", "{}"],
        ["list", "activation", "mine", "--config-dir", "conf"],
        ["list", "activation", "mine", "plugins=[{}]"],
        *[[name, "{}"] for name in ("eval", "resume", "compare", "report", "dashboard", "plot", "lr-find", "notebook")],
        ["compare", "run", "--baseline", "{}"],
        ["compare", "run", "--metric", "{}"],
        ["train", "data_dir={}"],
        ["train", "--dry-run", *QUICK, "data_dir='{}'"],
        ["train", "--cfg", "job", *QUICK, "data_dir='{}'"],
        ["train", "--dry-run", "-m", *QUICK, "data_dir='{}',b", "seed=0,1"],
        ["train", *QUICK, "log.figures=false", "hydra.run.dir='{}'"],
        ["train", "-m", *QUICK, "log.figures=false", "seed=0,1", "hydra.sweep.dir='{}'"],
        ["plot", "activations", "activation='{}'"],
        ["report", "run", "--title", "{}"],
    ],
    ids=" ".join,
)
def test_what_is_typed_tells_the_terminal_nothing(words: list[str], stranger: Path, capsys: Capture) -> None:
    """A line may be pasted from a page, or made by a script."""
    (stranger / "conf" / "activation").mkdir(parents=True)
    (stranger / "conf" / "activation" / "mine.yaml").write_text("# \x1b[31m red\nname: relu\n")
    assert call([word.format("\x1b]0;mine\x07\x9b31m") for word in words]) in (0, 2)
    out, err = capsys.readouterr()
    assert not set(out + err) & {"\x1b", "\x07", "\x9b"}


def test_hydras_own_files_are_not_read(stranger: Path) -> None:
    evil = "!!python/object/apply:os.system ['touch ../outside/made']\n_target_: os.system\nx: ${oc.env:HOME}\n"
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        (stranger / "run" / ".hydra" / name).write_text(evil)
    before = outside(stranger)
    assert call(["resume", "run", "epochs=5"]) == 0
    assert call(["eval", "run"]) == 0
    assert outside(stranger) == before


def test_a_strangers_repository_runs_no_program(stranger: Path) -> None:
    """`git describe --dirty` would."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    made = stranger.parent / "outside" / "made"
    script = stranger / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {made}\n")
    script.chmod(0o755)
    for words in (["init", "-q"], ["add", "evil.sh"], ["config", "core.fsmonitor", "./evil.sh"]):
        subprocess.run(["git", *words], check=True, capture_output=True)
    commit = ["git", "-c", "core.fsmonitor=", "-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "x"]
    subprocess.run(commit, check=True, capture_output=True)
    record._git_commit()
    assert made.exists(), "this git runs nothing: the test would show nothing"
    made.unlink()
    assert call(["resume", "run", "epochs=5"]) == 0
    shutil.rmtree(stranger / "sweep" / "sweep.csv", ignore_errors=True)
    assert call(["eval", "run"]) == 0
    assert call(["compare", "run"]) == 0
    assert not made.exists()


def test_a_table_with_formulas(here: Path) -> None:
    """They may be class names; in what spreadsheets open they are texts."""
    formula = "=HYPERLINK(A1)"
    rows = [f"{i / 10},{formula if i % 2 else '@SUM(1)'}" for i in range(40)]
    (here / "t.csv").write_text("\n".join(["x,kind", *rows]) + "\n")
    words = ["dataset=table", "dataset.path=t.csv", "epochs=2", "log.figures=false", "log.tensorboard=false"]
    assert call(["train", *words, "hydra.run.dir=run"]) == 0
    assert call(["eval", "run"]) == 0
    (path,) = here.glob("run/evaluations/*/confusion_matrix.csv")
    header, *counts = list(csv.reader(path.read_text().splitlines()))
    assert header[1:] == [row[0] for row in counts] == [f"'{formula}", "'@SUM(1)"]


@pytest.mark.parametrize(("n", "epochs"), [(1, 7), (3, 10), (5, 5), (6, 7), (7, 1000), (999, 1000)])
def test_what_is_due_at_some_epochs_is_so_without_a_list_of_them(n: int, epochs: int) -> None:
    """Which could be as long as a config says."""
    every = -(-epochs // n)
    diagnosed = [epoch for epoch in range(1, epochs + 1) if due(epoch, n, epochs)]
    assert diagnosed == sorted({1, epochs, *range(every, epochs + 1, every)})
    shown = [epoch for epoch in range(1, epochs + 1) if histograms_due(epoch, n, epochs)]
    assert shown == sorted({round(epochs / n * i) for i in range(1, n + 1)})
    assert due(2**53, 2**53, 2**53)
    assert histograms_due(2**52, 2**53, 2**53)
