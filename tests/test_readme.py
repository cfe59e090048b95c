"""Every command in README and docs/ runs, in the order in which it stands on its page; nothing there is made up."""

from __future__ import annotations

import gzip
import re
import shlex
from collections.abc import Callable
from itertools import product
from pathlib import Path

import matplotlib
import polars as pl
import pytest
import sklearn

from mlpexp.cli.main import COMMANDS, call
from mlpexp.config.schema import REGISTRIES
from mlpexp.data.tables.arff import read_arff

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {path.name: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}


def commands(document: str) -> list[str]:
    return re.findall(r"^\s*\$ (.+)$", document, re.MULTILINE)


COMMAND_LINES = [line for page in PAGES.values() for line in commands(page)]
# What asks for an extra.
OTHER_ENGINES = re.compile("hydra/launcher=(joblib|submitit_local|submitit_slurm|ray)|hydra/sweeper=optuna")
# What trains for about ten seconds, and what needs it. The long form runs these too, and trains for as many epochs as
# there are; the short one for three where a line names no number.
OF_TEN_SECONDS = re.compile(
    "outputs/multirun|runs/activations|runs/datasets|dataset=spirals|activation=relu,gelu,tanh seed=0,1 "
)
CI_LINES = (ROOT / ".ci" / "run").read_text().splitlines()
# What needs its own process, a terminal or a fresh environment: other tests run these.
ELSEWHERE = {
    "mlpexp dashboard": "tests/cli/test_dashboard.py",
    **{line: "tests/sweep/test_other_launchers.py" for line in COMMAND_LINES if OTHER_ENGINES.search(line)},
}


def blocks(language: str, page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a language: what stands behind its name, and the content."""
    return re.findall(rf"^ *```{language}([^\n]*)\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)


@pytest.fixture
def as_on_a_page(
    here: Path, registries: None, made: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A directory with the files that the pages tell to write, and the data that they take for granted."""
    monkeypatch.syspath_prepend(here)
    from sklearn.datasets import load_iris

    for language, page in product(("python", "yaml"), PAGES.values()):
        for info, content in blocks(language, page):
            if found := re.search(r"file=(\S+)", info):
                path = here / found[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
    iris = load_iris(as_frame=False)
    rows = [",".join([*map(str, x), iris.target_names[y]]) for x, y in zip(iris.data, iris.target, strict=True)]
    header = "sepal_length,sepal_width,petal_length,petal_width,species"
    (here / "iris.csv").write_text("\n".join([header, *rows]))
    (here / "more_iris.csv").write_text("\n".join([header, *rows[::3]]))
    openml = Path(sklearn.__file__).parent / "datasets" / "tests" / "data" / "openml"
    arff = gzip.decompress((openml / "id_40945" / "data-v1-dl-16826755.arff.gz").read_bytes())
    titanic = read_arff(arff, "titanic")
    pl.DataFrame([column.cells.rename(column.name) for column in titanic.columns]).write_csv(here / "titanic.csv")
    stocks = Path(matplotlib.__file__).parent / "mpl-data" / "sample_data" / "Stocks.csv"
    (here / "stocks.csv").write_bytes(stocks.read_bytes())
    for name, kind in {"pictures": "images", "measurements.npz": "npz"}.items():
        (here / name).symlink_to(made(kind)[0].removeprefix("dataset.path="))
    return here


def test_every_command_is_run_somewhere() -> None:
    for line in COMMAND_LINES:
        run_here = line.startswith(("mlpexp ", "pytest "))
        assert run_here or line in ELSEWHERE or any(line in step for step in CI_LINES), f"nothing runs: {line}"


@pytest.mark.usefixtures("marks_for_figures")
@pytest.mark.parametrize("page", [page for page in PAGES if page != "components.md"])
@pytest.mark.parametrize("which", ["quick", pytest.param("all", marks=pytest.mark.long)])
def test_the_commands_of_a_page_run(
    which: str, page: str, as_on_a_page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in commands(PAGES[page]) if line.startswith("mlpexp ") and line not in ELSEWHERE]
    long = {line for line in lines if OF_TEN_SECONDS.search(line)}
    if which == "all":
        run(lines, capsys)
    else:
        run([line for line in lines if line not in long], capsys, "epochs=3")
    # What stands behind run= is run by tests/training/test_stored_data.py.
    for info, example in blocks("python", PAGES[page]):
        if not info:
            exec(compile(example, page, "exec"), {})


@pytest.mark.usefixtures("marks_for_figures")
def test_the_components_that_are_added_train_and_pass_their_tests(
    as_on_a_page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *lines, tests = commands(PAGES["components.md"])
    chosen = " ".join(lines)
    kinds = [group for group in REGISTRIES if f" {group}=" in chosen]
    assert {*kinds} == {*REGISTRIES} - {"device"}
    run(lines, capsys, "epochs=3")
    program, *arguments = shlex.split(tests)
    assert program == "pytest"
    assert pytest.main(["-p", "no:cacheprovider", *arguments]) == 0, capsys.readouterr().out


def run(lines: list[str], capsys: pytest.CaptureFixture[str], epochs: str | None = None) -> None:
    for line in lines:
        if "mnist" in line or f".venv/bin/{line}" in CI_LINES:
            continue  # see below, and .ci/run, which runs those of a quarter of a minute
        words = shlex.split(line)[1:]
        named = any(word.startswith(("epochs=", "experiment=", "--dry-run")) for word in words)
        if epochs and words[0] == "train" and not named:
            words.append(epochs)
        try:
            code = call(words)
        except SystemExit as exit_:  # argparse and Hydra end --help so
            code = exit_.code  # type: ignore[assignment]
        assert not code, f"{line}: {capsys.readouterr().err}"


@pytest.mark.mnist
@pytest.mark.parametrize("line", [line for line in COMMAND_LINES if line.startswith("mlpexp ") and "mnist" in line])
def test_the_commands_on_mnist_run(here: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Cut short: tests/test_learning.py runs them whole and holds the accuracy to what README says."""
    arguments = [word for word in shlex.split(line)[1:] if not word.startswith("epochs=")]
    assert call([*arguments, "epochs=1", "dataset.limit=2000"]) == 0, capsys.readouterr().err


def test_every_sub_command_is_named() -> None:
    for command in COMMANDS:
        assert f"`mlpexp {command}" in README


@pytest.mark.parametrize("page", PAGES)
def test_no_figure_is_left_to_fill_in(page: str) -> None:
    assert not re.findall(r"@[A-Z_]+@", PAGES[page])
