"""Single samples and the predictions of the network.

N samples of a split, n of them shown, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlpexp.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS, _ROWS = 5, 4  # of images
_BAR_COLUMNS, _MOST_BARS = 4, 10
# How many samples one figure has room for.
MOST_IMAGES, MOST_BAR_PANELS = _COLUMNS * _ROWS, 12
_EDGE = 0.2  # inches around all
_BARS_SHOW = "probability of each class; green: the true one, orange: one wrongly predicted"


def choose_examples(true: np.ndarray, predicted: np.ndarray, probability: np.ndarray, n: int) -> np.ndarray:
    """Indices [≤ n] of samples worth showing, always the same for the same arguments, all [N].

    All in their order where there are no more than `n`. Else up to half are mistakes, the most confident first; then
    come correct ones, in their order, evenly spread over the data, which may be sorted by class.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if len(true) <= n:
        return np.arange(len(true))
    wrong, right = np.flatnonzero(true != predicted), np.flatnonzero(true == predicted)
    n_wrong = min(len(wrong), max(n // 2, n - len(right)))
    confidence = np.nan_to_num(np.asarray(probability, dtype=float)[wrong])
    wrong = wrong[np.argsort(-confidence, kind="stable")[:n_wrong]]
    n_right = n - n_wrong
    return np.concatenate([wrong, right[np.arange(n_right) * len(right) // max(n_right, 1)]]).astype(int)


@style.styled
def image_grid(
    images: np.ndarray,
    true: np.ndarray,
    predicted: np.ndarray,
    probability: np.ndarray,
    classes: Sequence[str],
    title: str = "",
) -> Figure:
    """Images [n, H, W], up to 20 of them, with their classes [n] and the probability [n] of the predicted one.

    In colours they are bytes [n, H, W, 3].
    """
    n = min(len(images), MOST_IMAGES)
    columns, rows = min(max(n, 1), _COLUMNS), max(-(-n // _COLUMNS), 1)
    side, width, height = 1.45, 2.0, 2.0
    top = _EDGE + 0.3 * bool(title)
    figure, page = style.sheet(2 * _EDGE + columns * width, top + rows * height)
    style.heading(figure, title, _EDGE)
    for k in range(n):
        x = _EDGE + k % _COLUMNS * width
        y = top + k // _COLUMNS * height
        colour = style.RIGHT if predicted[k] == true[k] else style.WRONG
        percent = f" ({_percent(probability[k])})"
        room = width - 0.15 - style.text_width("predicted " + percent, style.SMALL)
        said = f"predicted {style.fit(classes[predicted[k]], style.SMALL, room)}{percent}"
        said += (
            f"\ntrue {style.fit(classes[true[k]], style.SMALL, width - 0.15 - style.text_width('true ', style.SMALL))}"
        )
        page.text(x, y, said, fontsize=style.SMALL, va="top", color=colour, linespacing=1.15)
        y += 0.36
        page.imshow(images[k], cmap="gray", extent=(x, x + side, y + side, y), aspect="auto", interpolation="nearest")
    return figure


@style.styled
def probability_bars(
    probabilities: np.ndarray, true: np.ndarray, classes: Sequence[str], labels: Sequence[str], title: str = ""
) -> Figure:
    """Class probabilities [n, C] of up to 12 samples, each with its true class [n] and a label that describes it.

    Past ten classes, each sample shows the ten likeliest, and the true one.
    """
    from matplotlib.collections import PolyCollection

    n, n_classes = min(len(true), MOST_BAR_PANELS), len(classes)
    n_bars = min(n_classes, _MOST_BARS)
    columns, rows = min(max(n, 1), _BAR_COLUMNS), max(-(-n // _BAR_COLUMNS), 1)
    names = [style.fit(name, style.SMALL, 0.85) for name in classes]
    name_width = max(style.text_width(name, style.SMALL) for name in names)
    bar, step = 1.15, 0.22
    width, height = name_width + bar + 0.85, 0.62 + step * n_bars
    # The second line of a cell's title must fit.
    width = max(width, 2.1)
    top = 0.45 + 0.3 * bool(title)
    page_width = max(columns * width, style.text_width(_BARS_SHOW, style.SMALL)) + 2 * _EDGE
    figure, page = style.sheet(page_width, top + rows * height)
    style.heading(figure, title, _EDGE)
    page.text(_EDGE, top - 0.1, _BARS_SHOW, fontsize=style.SMALL, va="bottom")
    boxes, colours = [], []
    for k in range(n):
        left = _EDGE + k % _BAR_COLUMNS * width
        y = top + k // _BAR_COLUMNS * height
        values = np.nan_to_num(np.asarray(probabilities[k], dtype=float))
        predicted = int(values.argmax())
        said = style.fit(labels[k], style.SMALL, width - 0.2)
        page.text(left, y, said, fontsize=style.SMALL, va="top")
        page.text(
            left, y + 0.17, _verdict(classes, predicted, int(true[k]), width - 0.2),
            fontsize=style.SMALL, va="top", color=style.RIGHT if predicted == true[k] else style.WRONG,
        )  # fmt: skip
        for line, c in enumerate(_shown(values, int(true[k]), n_bars)):
            middle = y + 0.5 + step * line
            start = left + name_width + 0.07
            end = start + bar * min(max(values[c], 0.0), 1.0)
            low, high = middle - 0.4 * step, middle + 0.4 * step
            boxes.append([(start, low), (end, low), (end, high), (start, high)])
            colours.append(style.RIGHT if c == true[k] else style.WRONG if c == predicted else style.NEUTRAL)
            page.text(start - 0.07, middle, names[c], fontsize=style.SMALL, ha="right", va="center_baseline")
            # Past four classes small numbers would be most of the picture.
            if n_classes <= 4 or values[c] >= 0.005 or c in (predicted, true[k]):
                page.text(end + 0.05, middle, _percent(values[c]), fontsize=style.SMALL, va="center_baseline")
    page.add_collection(PolyCollection(boxes, facecolors=colours), autolim=False)
    return figure


def _shown(values: np.ndarray, true: int, n: int) -> list[int]:
    """All classes in their order, or the `n` likeliest, likeliest first; the true one is always among them."""
    if len(values) <= n:
        return list(range(len(values)))
    likeliest = np.argsort(-values, kind="stable")[:n].tolist()
    return likeliest if true in likeliest else [*likeliest[:-1], true]


def _verdict(classes: Sequence[str], predicted: int, true: int, width: float) -> str:
    room = width - style.text_width("predicted , true ", style.SMALL)
    if predicted == true:
        return f"predicted {style.fit(classes[true], style.SMALL, room)}: right"
    names = [style.fit(classes[c], style.SMALL, room / 2) for c in (predicted, true)]
    return f"predicted {names[0]}, true {names[1]}"


def _percent(probability: float) -> str:
    """A probability in whole percent; rounding gives 0 and 100 % only for exact ones."""
    if not np.isfinite(probability):
        return "not a number"
    if 0 < probability < 0.005:
        return "<1 %"
    if 0.995 <= probability < 1:
        return ">99 %"
    return f"{100 * probability:.0f} %"
