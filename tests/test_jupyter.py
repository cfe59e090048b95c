"""What Python prints of our objects, and what Jupyter shows of them: short, escaped, the numbers that there are."""

from __future__ import annotations

import re
import shutil
import sys
import types
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

import mlpexp
from mlpexp.comparison.table import settings_rows
from mlpexp.comparison.verdict import verdict
from mlpexp.config.overrides import quote
from mlpexp.config.schema import Config
from mlpexp.data import Data, Preprocessing, Split, Task
from tests.comparison.conftest import config, write_run

__all__ = ["write_run"]

QUIET = ["log.figures=false", "log.tensorboard=false"]
TAGS = {"p", "b", "br", "table", "tr", "th", "td", "details", "summary"}
# What would be a tag, an attribute and a reference to a character, if it were not escaped.
EVIL = "<script>alert('&quot;\")</script>"


class Page(HTMLParser):
    """The tables of a piece of HTML, row by row, and all of its text; only plain tags without attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open
        assert len(html) < 20_000

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert not attributes
        if tag != "br":
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data


def page(shown: Any) -> Page:
    return Page(shown._repr_html_())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, small: Callable[..., Config]) -> mlpexp.Run:
    config = small("dataset=moons", "dataset.n_samples=100", "epochs=1")
    return mlpexp.train(config, tmp_path_factory.mktemp("jupyter") / "<b>&run")


def test_a_run(run: mlpexp.Run) -> None:
    lines = repr(run).splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) < 400
    assert f"{run.directory}: completed" in lines[0]
    assert f"accuracy {100 * run.metrics['test']['accuracy']:.2f} %" in lines[1]
    shown = page(run)
    assert str(run.directory) in shown.text
    (header, *rows), *_ = shown.tables
    assert header == ["metric", "train", "val", "test", "constant answer, test"]
    numbers = {name: (one, two, three, four) for name, one, two, three, four in rows}
    of_loss = [run.metrics[split]["loss"] for split in ("train", "val", "test")]
    assert [float(text) for text in numbers["loss"]] == pytest.approx(
        [*of_loss, run.record.constant["test"]["loss"]], rel=5e-3
    )
    assert len(numbers) == len(run.metrics["test"])


def test_results_and_an_evaluation(run: mlpexp.Run) -> None:
    n = sum(parameter.numel() for parameter in run.results.module.parameters())
    assert repr(run.results) == f"<Results: classification, 2 classes, {n:,} parameters on cpu>"
    evaluation = mlpexp.evaluate(run.directory)
    first, second = repr(evaluation).splitlines()
    assert str(evaluation.directory) in first
    assert second.strip(" >") == repr(run).splitlines()[1].strip(" >")


def test_a_config_begins_with_what_differs_from_the_defaults(small: Callable[..., Config]) -> None:
    config = mlpexp.compose(["dataset=xor", "optimizer.lr=0.5", f"data_dir={quote(EVIL)}"])
    first, every = page(config).tables
    assert first[:3] == [["key", "value"], ["dataset", "xor"], ["optimizer.lr", "0.5"]]
    assert first[3:] == [["data_dir", quote(EVIL)]]
    assert ["epochs", str(config.epochs)] in every
    assert "all defaults" in page(mlpexp.compose()).text
    assert len(page(mlpexp.compose([f"model.hidden={[8] * 900}"])).text) < 5000


def many(n: int) -> Data:
    """Data with n columns and n classes whose names are HTML."""
    split = Split(torch.zeros(n, n), torch.arange(n))
    names = tuple(f"{EVIL}{number}" for number in range(n))
    return Data(EVIL, Task("classification", names), split, split, split, Preprocessing.unscaled(names), note=EVIL)


def test_data() -> None:
    shown = page(many(2))
    counts, columns = shown.tables
    assert counts[1] == ["rows", "2", "2", "2"]
    assert counts[3] == [f"of class {EVIL}1", "1", "1", "1"]
    assert columns[1][0] == f"{EVIL}0"
    assert shown.text.endswith(EVIL)
    large = many(500)
    assert "and 471 more rows" in page(large).text
    assert repr(large) == f"<Data {EVIL}: classification, 500 classes, 500 inputs; rows: 500 train, 500 val, 500 test>"


def test_a_comparison(write_run: Callable[..., Path], tmp_path: Path) -> None:
    plain = config()
    for number in range(33):
        own = plain | {"batch_size": number + 1}
        for seed in (0, 1):
            changes = {"config": own | {"seed": seed}, "seed": seed, "score": 0.9 - number / 100 + seed / 1000}
            write_run(f"runs/{number}_{seed}", **changes)
    comparison = mlpexp.compare(tmp_path / "runs")
    assert repr(comparison) == ("<Comparison: 33 settings, 66 runs, by test accuracy; best mean 90.05 %: batch_size=1>")
    shown = page(comparison)
    assert shown.tables == [settings_rows(comparison)[:31]]
    assert "and 3 more rows" in shown.text
    assert verdict(comparison)[0] in shown.text
    assert repr(mlpexp.compare(write_run("none", score=None, state="running"))).endswith("no result yet>")


def test_a_comparison_of_what_is_html(write_run: Callable[..., Path], tmp_path: Path) -> None:
    for number in range(2):
        write_run(f"runs/{number}", "dataset=table", f"dataset.path='<b>{number}</b>'")
    assert [row[0] for row in page(mlpexp.compare(tmp_path / "runs")).tables[0][1:]] == ["<b>0</b>", "<b>1</b>"]


def test_errors_are_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(mlpexp.ConfigError) as raised:
        mlpexp.compose(["activation=geluu", "epochs=0"])
    lines = raised.value._render_traceback_()
    assert lines == list(raised.value.lines)
    assert len(lines) == 2
    assert lines[0].startswith("activation=geluu: ")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert raised.value._render_traceback_()[0] == "Traceback (most recent call last):"


class Displayed:
    """What stands in for IPython.display: each line that a bar has shown, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        module = types.ModuleType("IPython")
        module.get_ipython = lambda: types.SimpleNamespace(kernel=None)  # type: ignore[attr-defined]
        display = types.ModuleType("IPython.display")
        display.display = self._display  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "IPython", module)
        monkeypatch.setitem(sys.modules, "IPython.display", display)
        monkeypatch.setattr("mlpexp.training.notebook_bar._SECONDS_BETWEEN_UPDATES", 0)

    def _display(self, shown: Any, *, display_id: bool) -> Displayed:
        assert display_id
        self.update(shown)
        return self

    def update(self, shown: Any) -> None:
        self.lines.append(shown._repr_html_())


def test_a_bar_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, small: Callable[..., Config], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    displayed = Displayed(monkeypatch)
    run = mlpexp.train(small("epochs=3"), "run")
    mlpexp.resume("run", {"epochs": 4})
    mlpexp.train_sweep([*QUIET, "dataset=xor", "model.hidden=[2],[3]", "seed=0,1", "epochs=1"], "sweep")
    epochs = [re.findall(r"value=.(\d+). max=.(\d+).", line)[0] for line in displayed.lines]
    assert epochs[:5] == [("0", "3"), ("1", "3"), ("2", "3"), ("3", "3"), ("3", "3")]
    assert epochs[-6:] == [("0", "1"), ("1", "1"), ("1", "1")] * 2
    score = run.results.metrics()["val"]["accuracy"]
    assert f"val accuracy {score:.4f}" in displayed.lines[run.record.best_epoch]
    assert "stack 2/2 (2 runs)" in displayed.lines[-1]
    assert "mean val accuracy" in displayed.lines[-1]
    assert capsys.readouterr().out == ""


def test_a_program_that_is_no_notebook_shows_nothing(
    here: Path, small: Callable[..., Config], capfd: pytest.CaptureFixture[str]
) -> None:
    mlpexp.train(small("epochs=1"), "run")
    assert capfd.readouterr() == ("", "")


def test_running_a_cell_again(here: Path, small: Callable[..., Config]) -> None:
    """`exist`: the same run as it is, the same run in a new directory, an error."""
    first = mlpexp.train(small("epochs=2"), "run")
    written = (first.directory / "run.json").read_bytes()
    again = mlpexp.train(small("epochs=2"), "run", exist="reuse")
    assert again.metrics == first.metrics
    assert again.directory == first.directory
    assert (again.directory / "run.json").read_bytes() == written
    for name, weights in first.results.module.state_dict().items():
        assert torch.equal(again.results.module.state_dict()[name], weights)
    second = mlpexp.train(small("epochs=2"), "run", exist="new")
    third = mlpexp.train(small("epochs=1"), "run", exist="new")
    assert [second.directory.name, third.directory.name] == ["run_1", "run_2"]
    assert second.metrics == first.metrics
    with pytest.raises(mlpexp.ConfigError, match=r"already holds a run; .* or try exist='new' or exist='reuse'"):
        mlpexp.train(small("epochs=2"), "run")
    with pytest.raises(mlpexp.ConfigError, match=r"without activation=tanh, seed=3; try exist='new'"):
        mlpexp.train(small("epochs=2", "activation=tanh", "seed=3"), "run", exist="reuse")
    with pytest.raises(mlpexp.ConfigError, match="exist=old: no such choice"):
        mlpexp.train(small("epochs=2"), "run", exist="old")  # type: ignore[arg-type]


def test_running_a_cell_on_other_data_again(here: Path, small: Callable[..., Config]) -> None:
    x = torch.linspace(-1, 1, 60)[:, None].numpy()
    config = small("epochs=1")
    first = mlpexp.train(config, "run", (x, x[:, 0] > 0))
    assert mlpexp.train(config, "run", (x, x[:, 0] > 0), exist="reuse").metrics == first.metrics
    with pytest.raises(mlpexp.ConfigError, match="was trained on other data"):
        mlpexp.train(config, "run", (x, x[:, 0] > 0.5), exist="reuse")


def test_running_the_cell_of_a_sweep_again(here: Path) -> None:
    line = [*QUIET, "dataset=xor", "seed=0,1,2", "epochs=1"]
    values = mlpexp.train_sweep(line, "sweep").summaries[0].values(mlpexp.compare(["sweep"]).metric)
    shutil.rmtree("sweep/1")
    trained = {number: Path(f"sweep/{number}/run.json").stat().st_mtime_ns for number in (0, 2)}
    again = mlpexp.train_sweep(line, "sweep", exist="reuse")
    assert again.summaries[0].values(again.metric) == values
    assert trained == {number: Path(f"sweep/{number}/run.json").stat().st_mtime_ns for number in (0, 2)}
    with pytest.raises(mlpexp.ConfigError, match="holds a sweep of 3 jobs, not 2"):
        mlpexp.train_sweep([*line[:-2], "seed=0,1", "epochs=1"], "sweep", exist="reuse")
    with pytest.raises(mlpexp.ConfigError, match="without epochs=2"):
        mlpexp.train_sweep([*line[:-1], "epochs=2"], "sweep", exist="reuse")
