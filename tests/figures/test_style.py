"""What all figures share: names that are safe to draw, PNG files, and no trace in matplotlib's settings."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

from mlpexp.figures.confusion import confusion
from mlpexp.figures.style import class_colours, drawn, every, fit, label, number, styled, text_width


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("setosa", 24, "setosa"),
        ("twelve chars", 12, "twelve chars"),
        ("thirteen char", 12, "thirteen ch…"),
        ("two\nlines\t here", 24, "two lines here"),
        ("$5_to_$9", 24, r"\$5_to_\$9"),
        ("日本語の名前", 12, "日本語の名前"),
        ("日本語の名前", 11, "日本語の名…"),
        ("bell\x07", 24, "bell"),
        ("", 24, "''"),
    ],
)
def test_label(text: str, limit: int, expected: str) -> None:
    assert label(text, limit) == expected


@pytest.mark.parametrize("text", ["x", "a long name of a feature", "$" * 40, "日本語" * 9, ""])
@pytest.mark.parametrize("width", [0.2, 1.0, 9.0])
def test_fit_keeps_to_the_width(text: str, width: float) -> None:
    measure, fitted = styled(text_width), styled(fit)(text, 9, width)
    assert measure(fitted, 9) <= width
    if measure(label(text, 99), 9) <= width:
        assert fitted == label(text, 99)


def test_number() -> None:
    assert [number(value) for value in (0.1, 1e-5, -2, 100000.0, 1 / 3)] == ["0.1", "1e−05", "−2", "100000", "0.333333"]


@pytest.mark.parametrize(("n", "shown"), [(0, 0), (1, 1), (2000, 2000), (2001, 1001), (60000, 2000)])
def test_every(n: int, shown: int) -> None:
    assert len(np.arange(n)[every(n)]) == shown


@pytest.mark.parametrize("n_classes", [1, 12, 13, 100])
def test_class_colours_differ(n_classes: int) -> None:
    colours = class_colours(n_classes)
    assert colours.shape == (n_classes, 3)
    assert len(np.unique(colours.round(3), axis=0)) == n_classes
    assert 0 <= colours.min() <= colours.max() <= 1


@pytest.mark.parametrize("dpi", [50, 200])
def test_png_has_the_asked_resolution(dpi: int) -> None:
    figure = confusion(np.eye(2, dtype=int), ["a", "b"])
    image = Image.open(io.BytesIO(drawn(figure, dpi=dpi)))
    assert image.format == "PNG"
    np.testing.assert_allclose(image.size, figure.get_size_inches() * dpi, atol=1)


def test_settings_of_the_user_neither_matter_nor_change() -> None:
    counts = np.array([[3, 1], [0, 4]])
    plain = drawn(confusion(counts, ["$a", "b$"]))
    own: Any = {"text.usetex": True, "font.size": 30, "font.family": "no such font", "axes.facecolor": "black"}
    with matplotlib.rc_context(own):
        before = dict(matplotlib.rcParams)
        assert drawn(confusion(counts, ["$a", "b$"])) == plain
        assert dict(matplotlib.rcParams) == before


def printed(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_matplotlib_says_nothing_of_its_fonts(caplog: pytest.LogCaptureFixture) -> None:
    """`generated new fontManager` would stand between the lines of a run, where Hydra shows what is logged."""
    with caplog.at_level(logging.INFO):
        styled(lambda: None)()
        logging.getLogger("matplotlib.font_manager").info("generated new fontManager")
    assert not caplog.records


def test_importing_figures_imports_neither_matplotlib_nor_torch() -> None:
    modules = ["style", "curves", "confusion", "predictions", "boundary", "regression"]
    code = "\n".join(f"import mlpexp.figures.{name}" for name in modules)
    code += "\nimport sys; print([name for name in ('matplotlib', 'torch', 'PIL') if name in sys.modules])"
    assert printed(code) == "[]\n"


def test_drawing_does_not_import_pyplot() -> None:
    code = """
import sys
import numpy as np
from mlpexp.figures.confusion import confusion
from mlpexp.figures.style import drawn
drawn(confusion(np.eye(2, dtype=int), "ab"))
print("matplotlib.pyplot" in sys.modules)
"""
    assert printed(code) == "False\n"
