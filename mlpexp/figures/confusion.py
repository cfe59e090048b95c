"""The confusion matrix: which classes are taken for which.

C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NUMBERS_UP_TO, _TENTHS_UP_TO = 30, 12  # classes; more leave no room to write in
_SMALLEST = 5.0  # points; smaller type cannot be read
_PALE = 0.55  # of the darkest cell: numbers on darker ones are white


def most_confused(counts: np.ndarray, classes: Sequence[str], top: int = 3) -> list[tuple[str, str, int]]:
    """Up to `top` mistakes (true, predicted, how many), the most frequent first; in class order where equal."""
    mistakes = np.array(counts)
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:top]
    pairs = [divmod(int(cell), len(mistakes)) for cell in order]
    return [
        (classes[row], classes[column], int(mistakes[row, column])) for row, column in pairs if mistakes[row, column]
    ]


@style.styled
def confusion(counts: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """Counts [C, C], rows true and columns predicted, as they are and as shares of each row."""
    counts = np.asarray(counts)
    n_classes = len(classes)
    # A class without samples keeps a row of zeros.
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = float(np.clip(0.42 * n_classes, 2.9, 4.8))
    names = [style.label(name, 16) for name in classes]
    widest = max(style.text_width(name, style.SMALL) for name in names)
    shown = _thinned(n_classes, side)
    upright = widest > 0.9 * side / n_classes * shown.step
    left = max(0.6 + widest, 0.85)
    caption = _caption(counts, classes, left, left + 2 * side + 0.5)
    below = 0.45 + (widest if upright else 0.15)
    scale = 0.0 if n_classes <= _NUMBERS_UP_TO else 0.75  # room for a colour scale in place of numbers
    figure, axes = style.panels(
        2,
        side,
        side,
        left=left,
        right=0.25 + scale,
        bottom=below + 0.1 + 0.2 * len(caption),
        top=0.3 + 0.3 * bool(title),
        gap=0.35 + scale,
    )
    style.heading(figure, title, left)
    most = max(int(counts.max(initial=0)), 1)
    # A tenth of a percent where there is room for it: good networks differ in those.
    percent = np.round(100 * shares, int(n_classes <= _TENTHS_UP_TO))
    for panel, values, darkest, heading, numbers in (
        (axes[0], counts, most, "samples", counts),
        (axes[1], shares, 1.0, "% of the true class", percent),
    ):
        image = panel.imshow(values, cmap="Blues", vmin=0, vmax=darkest, aspect="auto")
        panel.set_title(heading, loc="left")
        _name_axes(panel, names, shown, upright)
        if n_classes <= _NUMBERS_UP_TO:
            _write(panel, numbers, values > _PALE * darkest, side)
        else:
            _scale(figure, panel, image)
    axes[0].set_ylabel("true class")
    axes[1].set_yticklabels([])
    width, height = figure.get_size_inches()
    for line, text in enumerate(reversed(caption)):
        figure.text(left / width, (0.1 + 0.2 * line) / height, text, fontsize=style.SMALL, va="bottom")
    return figure


def _thinned(n_classes: int, side: float) -> range:
    """The classes that have room for their name: every one, or every second…"""
    lines = side / (1.25 * style.SMALL * style.POINT)
    return range(0, n_classes, int(np.ceil(n_classes / lines)))


def _name_axes(panel: Axes, names: Sequence[str], shown: range, upright: bool) -> None:
    texts = [names[k] for k in shown]
    panel.set_xticks(shown, texts, rotation=90 if upright else 0)
    panel.set_yticks(shown, texts)
    panel.tick_params(length=0)
    panel.set_xlabel("predicted class")
    panel.spines[:].set_visible(False)


def _write(panel: Axes, numbers: np.ndarray, dark: np.ndarray, side: float) -> None:
    """Numbers in the cells, as large as fits. Past four classes zeros are left out: it is quicker, and reads better."""
    n_classes = len(numbers)
    texts = {(i, j): f"{numbers[i, j]:.10g}" for i, j in np.argwhere((numbers > 0) | (n_classes <= 4)).tolist()}
    characters = max(map(len, texts.values()), default=0)
    size = min(style.TEXT, side / n_classes / style.POINT / (0.65 * max(characters, 2)))
    if size < _SMALLEST:
        return
    for (row, column), text in texts.items():
        colour = "white" if dark[row, column] else style.INK
        panel.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)


def _scale(figure: Figure, panel: Axes, image: object) -> None:
    from matplotlib.ticker import FuncFormatter

    box = panel.get_position()
    width = figure.get_size_inches()[0]
    place = figure.add_axes((box.x1 + 0.1 / width, box.y0, 0.12 / width, box.height))
    percent = panel.get_title("left").startswith("%")
    scale = figure.colorbar(image, cax=place)  # type: ignore[arg-type]
    scale.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number(100 * value if percent else value)))
    scale.outline.set_visible(False)


def _caption(counts: np.ndarray, classes: Sequence[str], left: float, right: float) -> list[str]:
    """The most confused pairs, in as many lines as they need."""
    pairs = most_confused(counts, classes)
    if not pairs:
        total = int(counts.sum())
        return [f"No mistakes in {total} sample{'s' * (total != 1)}."]
    said = [f"{style.label(true, 16)} → {style.label(predicted, 16)} ({count}×)" for true, predicted, count in pairs]
    lines = ["Most confused (true → predicted):"]
    for number, pair in enumerate(said):
        longer = f"{lines[-1]} {pair}{',' * (number < len(said) - 1)}"
        if style.text_width(longer, style.SMALL) <= right - left:
            lines[-1] = longer
        else:
            lines.append(f"{pair}{',' * (number < len(said) - 1)}")
    return lines
