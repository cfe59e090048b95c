"""Runs the exhibits one after the other in a directory, and writes the page of them."""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mlpexp.errors import MlpexpError
from mlpexp.interruption import InterruptedRunError
from mlpexp.report.exhibits import PAGE, Command, Exhibit, Experiment
from mlpexp.report.page import page
from mlpexp.report.section import MOST_BYTES, Picture, Section, section_of
from mlpexp.run.files import read_bytes, write_text

_INTRODUCTION = (
    "Every exhibit of a course notebook on multilayer perceptrons and how to train them, each made by the command "
    "above it, over several seeds. What the notebook says of one seed is stated as claims here, and tested on all of "
    "them."
)

# Exit codes above this say which signal has ended a command.
_SIGNALS = 128

# Runs the words behind `mlpexp`, and gives the exit code.
Call = Callable[[list[str]], int]


def run_exhibits(
    exhibits: Sequence[Exhibit], directory: Path, overrides: Sequence[str], call: Call, say: Callable[[str], None]
) -> list[str]:
    """Runs what has no result in `directory` yet, writes report.html there, and gives the names of what failed.

    `overrides` are added to those of each experiment. One that was interrupted before goes on; InterruptedRunError
    where one is interrupted now.
    """
    failed = []
    sections = []
    for number, exhibit in enumerate(exhibits, start=1):
        say(f"{number}/{len(exhibits)} {exhibit.name}")
        section, code = _made(exhibit, directory, overrides, call)
        if code > _SIGNALS:
            said = f"the notebook is interrupted; go on with: mlpexp notebook --out {directory}"
            raise InterruptedRunError(said, code - _SIGNALS)
        sections.append(section)
        if code:
            failed.append(exhibit.name)
    write_text(directory / PAGE, page("The MLP notebook", sections, _INTRODUCTION))
    return failed


def _made(exhibit: Exhibit, directory: Path, overrides: Sequence[str], call: Call) -> tuple[Section, int]:
    if isinstance(exhibit, Experiment):
        return _experiment(exhibit, directory / exhibit.name, overrides, call)
    if exhibit.words[0] == "list":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = call(list(exhibit.words))
        return _section(exhibit, text=printed.getvalue()), code
    return _picture(exhibit, directory, call)


def _experiment(exhibit: Experiment, at: Path, overrides: Sequence[str], call: Call) -> tuple[Section, int]:
    words = ["train", f"experiment={exhibit.name}", *overrides]
    command = shlex.join(["mlpexp", *words])
    if (at / "sweep.json").exists():
        code = 0 if (at / "sweep.csv").exists() else call(["resume", str(at)])
    else:
        code = call([*words, f"hydra.sweep.dir={at}"])
    try:
        # As a reader would type it, without the directory that was chosen here.
        return replace(section_of(at), command=command), code
    except MlpexpError as error:
        reason = f"has no result: {error}"
        return Section(exhibit.name, command, notes=[reason]), code or 1


def _picture(exhibit: Command, directory: Path, call: Call) -> tuple[Section, int]:
    if exhibit.words[0] == "plot":
        out = file = directory / f"{exhibit.name}.png"
    else:
        out = directory / exhibit.name
        file = out / "lr_find.png"
    code = 0 if file.exists() else call([*exhibit.words, "--out", str(out)])
    try:
        png = read_bytes(file, MOST_BYTES, parts=len(file.relative_to(directory).parts))
    except OSError as error:
        reason = "" if isinstance(error, FileNotFoundError) else f": {file}: {error.strerror}"
        return _section(exhibit, notes=[f"has no result{reason}"]), code or 1
    return _section(exhibit, figures=[Picture(exhibit.title, png)]), code


def _section(exhibit: Command, text: str = "", figures: Sequence[Picture] = (), notes: Sequence[str] = ()) -> Section:
    command = shlex.join(["mlpexp", *exhibit.words])
    return Section(exhibit.title, command, exhibit.shows, text=text.rstrip(), figures=figures, notes=notes)
