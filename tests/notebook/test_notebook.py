"""`mlpexp notebook`: runs exhibits, goes on where it was, and leaves a page of what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpexp.cli.main import call
from mlpexp.interruption import InterruptedRunError
from mlpexp.report.exhibits import EXHIBITS, Experiment
from mlpexp.report.notebook import run_exhibits

SHRUNK = ["epochs=2", "seed=0,1", "log.tensorboard=false", "log.figures=false"]


def test_a_page_and_all_that_it_is_made_of(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["notebook", *SHRUNK, "--only", "xor,plot_activations,losses", "--out", "nb"]
    assert call(words) == 0
    assert {path.name for path in (here / "nb").iterdir()} == {"xor", "plot_activations.png", "report.html"}
    first = (here / "nb" / "report.html").read_text()
    for said in (
        "mlpexp train experiment=xor epochs=2 seed=0,1 log.tensorboard=false log.figures=false",
        "mlpexp plot activations activation=sigmoid,tanh,relu,leaky_relu,gelu,silu",
        "$ mlpexp list loss",
        "log softmax(z)_c; q is 1 at the true class",
        "A 2-4-1 network of tanh learns XOR, whatever the seed.",
    ):
        assert said in first.replace("&#39;", "'"), said
    assert first.index("XOR with four") < first.index("Activation functions") < first.index("Loss functions")
    # Once more: nothing is trained or drawn again.
    before = {path: path.stat().st_mtime_ns for path in (here / "nb").rglob("*") if path.name != "report.html"}
    capsys.readouterr()
    assert call(words) == 0
    assert "epoch" not in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in (here / "nb").rglob("*") if path.name != "report.html"}


def test_what_fails_is_on_the_page_and_does_not_stop_the_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["notebook", *SHRUNK, "dataset.noise=0.1", "--only", "gates,overfitting", "--out", "nb"]
    assert call(words) == 1
    said = capsys.readouterr().err
    assert "noise" in said
    assert "1 of 2 exhibits failed: gates" in said
    page = (here / "nb" / "report.html").read_text()
    assert "has no result" in page
    assert "Overfitting" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "gate"], "--only=gate: no such exhibit; did you mean 'gates'?"),
        (["--out", "taken"], "--out=taken: holds other files, such as mine.txt"),
        (["--out", "taken/mine.txt"], "--out=taken/mine.txt: cannot be made"),
    ],
)
def test_what_a_user_can_get_wrong(
    arguments: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "taken").mkdir()
    (here / "taken" / "mine.txt").touch()
    assert call(["notebook", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"mlpexp: {message}")
    assert {path.name for path in here.iterdir()} == {"taken"}


def test_names_are_unique_and_say_what_they_show() -> None:
    assert len({exhibit.name for exhibit in EXHIBITS}) == len(EXHIBITS)
    assert all(exhibit.title and exhibit.shows for exhibit in EXHIBITS if not isinstance(exhibit, Experiment))


def test_an_interruption_ends_it_all(here: Path) -> None:
    called = []

    def call_(words: list[str]) -> int:
        called.append(words)
        return 143

    with pytest.raises(InterruptedRunError, match="go on with: mlpexp notebook --out nb") as raised:
        run_exhibits(EXHIBITS, Path("nb"), [], call_, lambda line: None)
    assert raised.value.exit_code == 143
    assert len(called) == 1
    assert not (here / "nb").exists()
