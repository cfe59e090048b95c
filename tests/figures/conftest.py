"""Looks at a figure as a reader does: at what is drawn, and whether it can be read."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from mlpexp.figures import style

_DPI = 100  # which takes less time to draw than those of files

Read = Callable[[Figure], list[str]]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """Draws a figure; gives its lines of text. Fails where one leaves the figure, or two lie over each other."""

    def call(figure: Figure) -> list[str]:
        drawn: list[Text] = []
        draw = Text.draw

        def note(text: Text, renderer: Any) -> None:
            # A layout engine draws them once before, to measure them.
            if text not in drawn and text.get_visible() and text.get_text().strip():
                drawn.append(text)
            draw(text, renderer)

        with monkeypatch.context() as patch:
            patch.setattr(Text, "draw", note)
            figure.set_dpi(_DPI)
            image = Image.open(io.BytesIO(style.drawn(figure, dpi=_DPI)))
        size = np.rint(figure.get_size_inches() * _DPI)
        assert np.abs(np.subtract(image.size, size)).max() <= 1
        said = [text.get_text() for text in drawn]
        low, high = np.array([text.get_window_extent().get_points() for text in drawn]).transpose(1, 0, 2)
        outside = ((low < -1) | (high > size + 1)).any(1)
        assert not outside.any(), [said[k] for k in np.flatnonzero(outside)]
        # Two boxes overlap where they share more than two pixels in both directions.
        shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
        pairs = np.argwhere(np.triu((shared > 2).all(2), 1))
        assert not len(pairs), [(said[one], said[other]) for one, other in pairs]
        for legend in figure.legends:
            assert not any(legend.get_window_extent().overlaps(panel.bbox) for panel in figure.axes)
        return [line.replace(r"\$", "$") for text in said for line in text.split("\n")]

    return call
