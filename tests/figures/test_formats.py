"""Figures as PNG, SVG and PDF: what each holds, and that every command writes the one that it is asked for."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlpexp.cli.main import call
from mlpexp.figures.confusion import confusion
from mlpexp.figures.formats import FORMATS, Format
from mlpexp.figures.style import drawn

BEGINS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_looks_alike_everywhere_and_is_always_the_same(format: Format) -> None:
    figure = confusion(np.eye(2, dtype=int), ["gato é", "perro"])
    content = drawn(figure, format)
    assert content.startswith(BEGINS[format])
    assert drawn(confusion(np.eye(2, dtype=int), ["gato é", "perro"]), format) == content
    if format == "png":
        assert Image.open(io.BytesIO(content)).info["dpi"] == pytest.approx((200, 200), abs=0.1)
    if format == "svg":
        assert b"<text" not in content, "a viewer may lack the font"
    if format == "pdf":
        # TrueType fonts with their files; what is drawn glyph by glyph, Type 3, many publishers refuse.
        assert b"/Subtype /Type3" not in content
        assert content.count(b"/FontFile2") == content.count(b"/Subtype /CIDFontType2") > 0


def test_every_command_writes_the_format_that_it_is_asked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["train", "-m", "dataset=xor", "epochs=1", "seed=0,1", "log.tensorboard=false"]
    asked = ["log.format=svg", "report.figures=[learning_curves]", "hydra.sweep.dir=sweep"]
    assert call([*sweep, *asked]) == 0
    assert "(sweep.csv, sweep.svg)" in capsys.readouterr().out
    assert call(["eval", "sweep/0", "--format", "svg"]) == 0
    assert call(["compare", "sweep", "--format=pdf", "--out=compared"]) == 0
    assert call(["plot", "schedulers", "scheduler=step", "--format=svg"]) == 0
    assert call(["plot", "schedulers", "scheduler=step", "--out=steps.pdf"]) == 0
    assert "subset" not in capsys.readouterr().out, "the log of what embeds fonts"
    assert call(["lr-find", "dataset=xor", "--steps=20", "--seeds=1", "--format=svg", "--out=found"]) == 0
    (evaluation,) = (here / "sweep" / "0" / "evaluations").iterdir()
    folders = {
        *((here / "sweep", "svg"), (here / "sweep" / "figures", "svg"), (here / "sweep" / "0" / "figures", "svg")),
        *((evaluation, "svg"), (here / "compared", "pdf"), (here, "pdf"), (here / "outputs" / "plots", "svg")),
        (here / "found", "svg"),
    }
    for folder, format in folders:
        figures = [path for path in folder.iterdir() if path.suffix[1:] in FORMATS]
        assert figures
        for path in figures:
            assert path.suffix == f".{format}"
            assert path.read_bytes().startswith(BEGINS[format])
    assert "\n[settings](settings.pdf)" in (here / "compared" / "comparison.md").read_text()
    assert call(["report", "sweep", "--format=svg", "--out=page.html"]) == 0
    page = (here / "page.html").read_text()
    assert "data:image/svg+xml;base64," in page
    assert "data:image/png" not in page
