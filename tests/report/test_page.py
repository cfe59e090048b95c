"""The page of runs and sweeps: what it holds, and what a browser makes of it without a network."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlpexp.cli.main import call
from mlpexp.comparison.claims import Judgement
from mlpexp.config.compose import compose
from mlpexp.config.report import Claim
from mlpexp.report.page import page
from mlpexp.report.section import Picture, Section, Table, section_of
from mlpexp.sweep.from_python import train_sweep
from mlpexp.training.single import resume, train

if TYPE_CHECKING:
    from playwright.sync_api import Page

SWEEP = [
    *("train", "-m", "dataset=moons", "activation=relu,identity", "seed=0,1", "epochs=2", "log.figures=false"),
    *(
        "report.title='Bending <b>lines</b>'",
        "report.shows='What a nonlinearity does.'",
        "report.figures=[decision_boundaries]",
    ),
    "report.claims=[{says: Better,measure: accuracy/test,of: 'activation=relu',minus: 'activation=identity',above: 0}]",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with a report of its own, and a run."""
    directory = tmp_path_factory.mktemp("runs")
    assert call([*SWEEP, f"hydra.sweep.dir={directory / 'sweep'}"]) == 0
    assert call(["train", "dataset=xor", "epochs=2", f"hydra.run.dir={directory / 'run'}"]) == 0
    return directory


@pytest.fixture(scope="module")
def written(runs: Path) -> Path:
    out = runs / "page.html"
    assert call(["report", str(runs / "sweep"), str(runs / "run"), "--title", "Two of them", "--out", str(out)]) == 0
    return out


def test_a_sweep_with_a_report(runs: Path) -> None:
    section = section_of(runs / "sweep")
    assert section.title == "Bending <b>lines</b>"
    assert section.shows == "What a nonlinearity does."
    assert [judgement.claim.says for judgement in section.judgements] == ["Better"]
    assert len(section.figures) == 2  # that of the settings, and what was asked for
    assert section.tables[0].rows[0][0] == "activation"


def test_the_command_is_that_of_what_is_shown(here: Path) -> None:
    """Of a run as it stands now, of runs that are a sweep's."""
    quiet = ["log.figures=false", "log.tensorboard=false"]
    run = train(compose(["dataset=xor", "epochs=2", *quiet]), "run")
    resume(run.directory, {"epochs": 4})
    train_sweep(["dataset=xor", "activation=relu,tanh", "seed=range(5)", "epochs=1", *quiet], "sweep")
    told = "log.tensorboard=false log.figures=false"
    assert section_of(here / "run").command == f"mlpexp train dataset=xor epochs=4 {told}"
    swept = f"mlpexp train -m dataset=xor epochs=1 {told} activation=relu,tanh 'seed=range(0,5)'"
    assert section_of(here / "sweep").command == swept


def test_a_run_shows_its_own_figures(runs: Path) -> None:
    figures = section_of(runs / "run").figures
    own = {path.read_bytes() for path in (runs / "run" / "figures").iterdir()}
    assert {figure.content for figure in figures} == own


def test_nothing_from_outside(written: Path) -> None:
    text = written.read_text()
    assert "<script" not in text
    assert "Bending &lt;b&gt;lines&lt;/b&gt;" in text
    assert set(re.findall(r'(?:src|href)="([^"#]{0,10})', text)) <= {"data:image", ""}
    assert "url(" not in text


@pytest.fixture(scope="module")
def browser_page(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        profile = tmp_path_factory.mktemp("profile")
        context = playwright.chromium.launch_persistent_context(profile, executable_path=chromium, args=options)
        yield context.new_page()
        context.close()


@pytest.mark.browser
def test_in_a_browser(written: Path, browser_page: Page) -> None:
    said: list[str] = []
    asked: list[str] = []
    browser_page.on("console", lambda message: said.append(message.text))
    browser_page.on("pageerror", lambda error: said.append(str(error)))
    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.goto(written.as_uri())
    assert browser_page.title() == "Two of them"
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [written.as_uri()]
    broken = "[...document.images].filter(image => !image.naturalWidth).length"
    assert browser_page.evaluate(broken) == 0
    assert browser_page.locator("section").count() == 2
    assert browser_page.locator(".claims li").count() == 1
    for width in (1400, 390):
        browser_page.set_viewport_size({"width": width, "height": 800})
        assert browser_page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    # All pictures have words for those who cannot see them.
    assert browser_page.evaluate("[...document.images].every(image => image.alt.length > 10)")


def test_whatever_a_section_says_is_text() -> None:
    evil = "<script>alert(1)</script>"
    section = Section(
        evil, evil, evil, figures=[Picture(f'" onload="{evil}', b"")], tables=[Table(evil, [[evil], [evil]], 1)],
        words=[evil], method=[evil], text=evil, notes=[evil],
    )  # fmt: skip
    text = page(evil, [section, section], evil)
    assert "<script>" not in text
    assert 'onload="' not in text


def test_verdicts_are_counted_and_cautions_shown() -> None:
    mean, each = Claim("Better", "accuracy/test", above=0), Claim("Always", "accuracy/test", above=0, in_each=True)
    judgements = [Judgement(mean, "holds", "numbers", "values taken as normal")] * 2
    section = Section("a", "", judgements=[*judgements, Judgement(each, "in each seed", "numbers")])
    text = " ".join(page("a", [section]).split())
    assert "Claims that hold: 2; that do not: 0; undecided: 0; in each seed: 1." in text
    assert "Of 2 claims about means, 0.05 would hold by chance" in text
    assert text.count("numbers; values taken as normal") == 2
    assert '<li class="in-each-seed">' in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing: there is no such directory"),
        (["run", "--out", "page.txt"], "--out=page.txt: must end in .html"),
        (["run", "--out", "page.html"], "--out=page.html: already exists, and nothing is overwritten"),
        (["run", "--out", "no/page.html"], "--out=no/page.html: there is no directory no"),
    ],
)
def test_what_a_user_can_get_wrong(
    arguments: list[str],
    message: str,
    written: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(written.parent)
    assert call(["report", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"mlpexp: {message}")
    assert captured.err.count("\n") == 1


def test_every_command_makes_what_stands_below_it(written: Path, here: Path) -> None:
    text = html.unescape(written.read_text())
    commands = re.findall(r"<pre>\$ (mlpexp train .*?)</pre>", text, re.DOTALL)
    again = []
    for number, command in enumerate(commands):
        program, *words = shlex.split(command)
        assert program == "mlpexp"
        where = "hydra.sweep.dir" if "-m" in words else "hydra.run.dir"
        assert call([*words, f"{where}={number}"]) == 0
        again.append(here / str(number))
    shown = [written.parent / name for name in ("sweep", "run")]
    assert len(again) == len(shown)
    for made_in, known_in in zip(again, shown, strict=True):
        made, known = section_of(made_in), section_of(known_in)
        # The line that trains more seeds names the directory.
        words = [sentence.replace(str(made_in), str(known_in)) for sentence in made.words]
        assert made.command == known.command
        assert (made.shows, made.judgements, words) == (known.shows, known.judgements, known.words)
        # Those of the sweep differ in no bit, and so do those of the run where both have them.
        figures = {figure.caption: figure.content for figure in made.figures}
        assert figures == {figure.caption: figure.content for figure in known.figures}
        seconds = known.tables[0].rows[0].index("seconds")
        assert [row[:seconds] for row in made.tables[0].rows] == [row[:seconds] for row in known.tables[0].rows]


@pytest.mark.browser
def test_on_paper(written: Path, browser_page: Page) -> None:
    """Nothing is folded or cut, at the width that A4 leaves between margins."""
    browser_page.emulate_media(media="print")
    browser_page.set_viewport_size({"width": 672, "height": 1000})
    browser_page.goto(written.as_uri())
    assert [folded.is_visible() for folded in browser_page.locator(".folded").all()] == [True, True]
    elements = "[...document.querySelectorAll('body *')]"
    cut = f"{elements}.filter(one => one.clientWidth && one.scrollWidth > one.clientWidth + 1)"
    assert browser_page.evaluate(f"{cut}.map(one => one.outerHTML.slice(0, 99))") == []
    assert browser_page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert browser_page.evaluate("[...document.images].every(image => image.height <= 640)")
    browser_page.emulate_media(media="screen")
    browser_page.locator("summary").first.click()
    assert [folded.is_visible() for folded in browser_page.locator(".folded").all()] == [True, False]
